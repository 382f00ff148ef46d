"""docs/systems.md, "A server of your own": its file, its command, and a wrong key."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import medgen
from models.loopback import Answer, Asked, Server, serve

from medgen.conf import load
from medgen.launch.compose import recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## A server of your own")[2].partition("\n## ")[0]
SETTING = re.compile(r"`(system\.([\w-]+)\.[\w.]+)=…`")


def reply(asked: Asked) -> Answer:
    if asked.headers.get("Authorization") != "Bearer right":
        return Answer({"error": {"message": "Incorrect API key provided"}}, 401)
    if asked.path.endswith("/models"):
        return Answer({"data": [{"id": "my-model"}]})
    message = {"role": "assistant", "content": "A"}
    return Answer({"model": "my-model", "choices": [{"message": message, "finish_reason": "stop"}]})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    (config,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    with serve(reply) as found:
        Path("mine.yaml").write_text(config.replace("http://127.0.0.1:8000", found.url))
        yield found


def run() -> tuple[int, str]:
    (command,) = re.findall(r"```\nmedgen (.*?)\n```", SECTION)
    done = medgen(*command.replace("'", "").split(), "benchmark.limit=24")
    return done.returncode, done.stdout + done.stderr


def test_a_server_of_ones_own_is_a_file_and_a_command(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "right")
    code, said = run()
    assert code == 0, said
    assert "mine answered alone" in said


def test_a_wrong_key_ends_the_system_with_its_reason_and_the_right_one_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "wrong")
    code, said = run()
    assert code == 3
    assert "MY_KEY" in said
    monkeypatch.setenv("MY_KEY", "right")
    assert run()[0] == 0


@pytest.mark.parametrize("preset", sorted((ROOT / "conf" / "system").glob("served-*.yaml")))
def test_what_a_presets_comment_tells_to_set_can_be_set(preset: Path, tmp_path: Path) -> None:
    """One named a place where nothing is, and whoever copied it was refused."""
    for setting, name in SETTING.findall(preset.read_text(encoding="utf-8")):
        assert name == preset.stem
        given = [
            *("benchmark.name=mini", f"store={tmp_path}", "cluster=in-process"),
            *(f"systems=[{name}]", "protocol=weight-free"),
        ]
        recipe(load(None, [*given, f"{setting}=x"]))
