"""A chat template is read from its file where a run is planned: its words enter the key."""

from pathlib import Path
from typing import Any

import pytest

from medgen.conf.schema import JudgeConf, ModelConf, ProtocolConf, RunConf, SystemConf
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import identity
from medgen.launch.compose import recipe

WORDS = "{% for turn in messages %}{{ turn['content'] }}{% endfor %}"


def run(template: str) -> RunConf:
    kwargs: dict[str, Any] = {"model": "./weights", "template": {"chat_template": template}}
    chat = {"target": "vllm", "kwargs": kwargs}
    system = SystemConf("s", answer=ModelConf("answers", {"chat": chat}))
    judge = JudgeConf("j", target="chat-judge", kwargs={"chat": chat})
    protocol = ProtocolConf("p", judging="manuscript/1")
    return RunConf("run", "store", system={"s": system}, judge={"j": judge}, protocol=protocol)


def keys(template: str) -> list[Any]:
    asked = recipe(run(template))
    answer = asked.systems[0].answer
    assert answer
    return [identity(answer.spec), identity(asked.judges["j"].spec)]


def test_a_file_stands_for_its_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jinja", tmp_path / "two.jinja"
    one.write_text(WORDS)
    two.write_text(WORDS)
    assert keys(str(one)) == keys(str(two)) == keys(WORDS)


def test_an_edited_file_is_another_model(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(WORDS)
    before = keys(str(file))
    file.write_text(f"{WORDS} Be brief.")
    assert all(a != b for a, b in zip(before, keys(str(file)), strict=True))


@pytest.mark.parametrize("name", ["no-such-file.jinja", "chatml", "/", ""])
def test_what_is_neither_file_nor_template_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"template.*neither a template nor a file here"):
        recipe(run(name))


def test_a_file_that_holds_no_template_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text("see the other folder")
    with pytest.raises(ConfigError, match="neither a template nor a file"):
        recipe(run(str(file)))
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"the chat template .* cannot be read"):
        recipe(run(str(file)))
