"""`medgen models pin` against a hub on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from medgen.conf.loading import load, member
from medgen.launch.commands.models import models_command
from medgen.launch.setup.pinning import _as_it_is, loaded_models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Knows Qwen's models, one of them without a commit; no others."""

    def do_GET(self) -> None:
        model = self.path.removeprefix("/api/models/").partition("/revision/")[0]
        known = model.startswith("Qwen/")
        sha = "moving" if "30B" in model else COMMIT
        body = json.dumps({"id": model, "sha": sha} if known else {"error": "none"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_presets_are_written_with_the_commit_that_the_hub_gives(hub: str, tmp_path: Path) -> None:
    words = ["pin", "qwen3-vl-8b", "--endpoint", hub, "--to", str(tmp_path)]
    told = CliRunner().invoke(models_command, words, standalone_mode=False)
    assert told.return_value == 0, told.output
    for group in ("system", "judge"):
        body = yaml.safe_load((tmp_path / group / "qwen3-vl-8b.yaml").read_text())
        assert body["revision"] == COMMIT
    run = {"name": "r", "store": "/s", "benchmark": "mini", "systems": ["qwen3-vl-8b"]}
    run |= {"protocol": "weight-free", "cluster": "local"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    answer = load(str(tmp_path / "run.yaml")).system["qwen3-vl-8b"].answer
    assert answer is not None
    assert answer.kwargs["chat"]["kwargs"]["revision"] == COMMIT


@pytest.mark.parametrize(
    ("name", "words"),
    [("lingshu-7b", "404"), ("qwen3-vl-30b-a3b", "no commit but 'moving'")],
)
def test_what_the_hub_does_not_give_is_said(hub: str, name: str, words: str) -> None:
    told = CliRunner().invoke(
        models_command, ["pin", name, "--endpoint", hub], standalone_mode=False
    )
    assert told.return_value == 6
    assert words in told.output


def test_a_preset_without_a_family_is_pinned_too(hub: str, tmp_path: Path) -> None:
    words = ["pin", "qwen-image-edit-omni", "--endpoint", hub, "--to", str(tmp_path)]
    told = CliRunner().invoke(models_command, words, standalone_mode=False)
    assert told.return_value == 0, told.output
    file = tmp_path / "system" / "qwen-image-edit-omni.yaml"
    body, before = yaml.safe_load(file.read_text()), member("system", "qwen-image-edit-omni")
    assert body["render"]["kwargs"].pop("revision") == COMMIT
    assert before["render"]["kwargs"].pop("revision") == "main"
    assert body["render"] == before["render"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("radfm", "system radfm, ./models/RadFM: its weights lie in a folder"),
        ("gemini-25-flash-image", "it loads no weights of a hub"),
        ("classical", "system classical: it loads no weights of a hub"),
    ],
)
def test_what_has_no_commit_says_why(hub: str, name: str, words: str) -> None:
    told = CliRunner().invoke(
        models_command, ["pin", name, "--endpoint", hub], standalone_mode=False
    )
    assert told.return_value == 6
    assert words in told.output


def test_one_that_has_its_commit_is_told_it() -> None:
    assert _as_it_is("system", "x", [("a/b", COMMIT)]).commit == COMMIT


def test_all_presets_are_asked_for_once_and_folders_and_endpoints_not(hub: str) -> None:
    told = CliRunner().invoke(models_command, ["pin", "--endpoint", hub], standalone_mode=False)
    lines = told.output.splitlines()
    assert any("qwen-image-edit-omni" in line for line in lines)
    assert not any(word in line for line in lines for word in ("radfm", "gemini", "oracle"))


def test_a_hub_that_does_not_answer_is_said() -> None:
    words = ["pin", "qwen25-vl-7b", "--endpoint", "http://127.0.0.1:9"]
    told = CliRunner().invoke(models_command, words, standalone_mode=False)
    assert told.return_value == 6
    assert "cannot be reached" in told.output


def test_an_unknown_name_is_refused_and_the_list_has_the_others() -> None:
    told = CliRunner().invoke(models_command, ["pin", "qwen"], standalone_mode=False)
    assert "no system or judge named 'qwen'" in str(told.exception)
    told = CliRunner().invoke(models_command, ["list", "--json"], standalone_mode=False)
    named = [json.loads(line) for line in told.output.splitlines()]
    assert {"qwen3-vl-8b", "llama-3-8b"} <= {one["name"] for one in named}
    assert all(one["revision"] for one in named)


@pytest.mark.parametrize("model", [None, "", ["a/b"], {"a": "b"}])
def test_a_recipe_that_names_no_model_loads_none(model: object) -> None:
    assert not list(loaded_models("vllm", {"model": model, "revision": COMMIT}))
    assert list(loaded_models("vllm", {"model": "a/b", "revision": COMMIT})) == [("a/b", COMMIT)]
    inside = {"model": "a/b", "load": {"revision": COMMIT}}
    assert list(loaded_models("vllm", inside)) == [("a/b", COMMIT)]
    assert not list(loaded_models("empty", {"model": "a/b"}))  # has no weights
