"""Every option of every command comes from the environment, under its name on the command line."""

import re
from pathlib import Path

import click
import pytest
import yaml

from medgen.launch.cli import COMMANDS, cli
from medgen.launch.commands.options import configuration


def command(name: str) -> click.Command:
    assert isinstance(cli, click.Group)
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


OPTIONS = [
    (name, said)
    for name in COMMANDS
    for option in command(name).params
    if isinstance(option, click.Option)
    for said in option.opts
    if said.startswith("--")
]


def value_of(option: click.Option) -> tuple[str, object]:
    """Something that an option takes, and what it makes of it."""
    if option.is_flag:
        return "1", True
    if isinstance(option.type, click.Choice):
        last = list(option.type.choices)[-1]
        return str(last), last
    if isinstance(option.type, click.Path) and option.type.exists:
        return ".", "."
    numbers = (click.types.IntParamType, click.types.FloatParamType)
    text = "3" if isinstance(option.type, numbers) else "word"
    made: object = int(text) if text == "3" else text
    return text, (made,) if option.multiple else made


@pytest.mark.parametrize(("name", "said"), OPTIONS, ids=" ".join)
def test_an_option_comes_from_its_variable(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = command(name)
    (option,) = [o for o in given.params if isinstance(o, click.Option) and said in o.opts]
    text, meant = value_of(option)
    variable = f"MEDGEN_{name}_{said[2:].replace('-', '_')}".upper()
    monkeypatch.setenv(variable, text)
    with click.Context(given, info_name=name) as context:
        value, source = option.handle_parse_result(context, {}, [])[0], None
        source = context.get_parameter_source(option.name or "")
    assert value == meant
    assert source == click.core.ParameterSource.ENVIRONMENT


def test_there_are_as_many_as_one_thinks() -> None:
    assert len(OPTIONS) > 60
    assert len(set(OPTIONS)) == len(OPTIONS)


@pytest.mark.parametrize("name", [n for n, said in OPTIONS if said == "--store"])
def test_one_variable_is_the_store_of_every_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDGEN_STORE", "s3://bucket/of-all")
    given = command(name)
    (option,) = [o for o in given.params if "--store" in o.opts]
    with click.Context(given, info_name=name) as context:
        assert option.handle_parse_result(context, {}, [])[0] == "s3://bucket/of-all"
        monkeypatch.setenv(f"MEDGEN_{name.upper()}_STORE", "own")
        assert option.handle_parse_result(context, {}, [])[0] == "own"
        assert option.handle_parse_result(context, {"store": "said"}, [])[0] == "said"


@pytest.mark.parametrize("overrides", [(), ("store=said",)])
def test_a_store_said_on_the_command_line_wins(
    overrides: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDGEN_STORE", "everywhere")
    file = tmp_path / "run.yaml"
    defaults = {"benchmark": "mini", "protocol": "weight-free", "cluster": "in-process"}
    file.write_text(yaml.safe_dump({**defaults, "store": "of-the-file"}), encoding="utf-8")
    given = command("run")
    (option,) = [o for o in given.params if "--store" in o.opts]
    with click.Context(given, info_name="run") as context:
        store = option.handle_parse_result(context, {}, [])[0]
        found = configuration(str(file), store, overrides).store
    assert found == ("said" if overrides else "everywhere")


def test_no_page_names_a_variable_that_is_none() -> None:
    known = {f"MEDGEN_{n}_{said[2:]}".upper().replace("-", "_") for n, said in OPTIONS}
    begins = tuple(f"MEDGEN_{name.upper()}_" for name in COMMANDS)
    root = Path(__file__).resolve().parents[2]
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        named = set(re.findall(r"MEDGEN_[A-Z][A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        wrong = {n for n in named if n.startswith(begins)} - known - {"MEDGEN_WEIGHTS_MIRROR"}
        assert not wrong, page
