"""Components of an installed package: all that it may say of them, and its judge protocols."""

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from medgen.conf.loading import load
from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.judging.protocols import find_protocol
from medgen.engine.plan.identity import Spec, identity
from medgen.launch.compose import recipe

TABLE = """
from medgen.engine.registry import Component

COMPONENTS = {
    "theirs": Component(
        "theirs", "systems", "theirs_system:Theirs", "api", "theirs_settings:TheirSettings",
        ("answer",), semantics=3,
    )
}
ONE = COMPONENTS["theirs"]
WRONG = {"theirs": "theirs_system:Theirs"}
"""
SETTINGS = """
from medgen.engine.settings import How, Settings

class TheirSettings(Settings):
    model: str
    lanes: How[int] = 1
"""
PROTOCOL = """
from dataclasses import replace
from medgen.engine.judging.protocols import PROTOCOLS

OURS = replace(PROTOCOLS["table-iv/1"], name="ward", version=2)
TAKEN = PROTOCOLS["table-iv/1"]
NONE = {"name": "ward"}
EMPTY = replace(OURS, low=9, high=9)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages; its system's module would fail when imported."""
    (tmp_path / "theirs_table.py").write_text(TABLE)
    (tmp_path / "theirs_settings.py").write_text(SETTINGS)
    (tmp_path / "theirs_protocol.py").write_text(PROTOCOL)
    (tmp_path / "theirs_system.py").write_text("raise RuntimeError('imported')")
    for name in ("theirs_table", "theirs_settings", "theirs_protocol"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, points: str) -> None:
    record = site / "theirs-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(points)
    invalidate_caches()
    registry._collect.cache_clear()


@pytest.mark.parametrize("value", ["theirs_table:COMPONENTS", "theirs_table:ONE"])
def test_a_package_says_all_of_its_component(site: Path, value: str) -> None:
    install(site, f"[medgen.components]\ntheirs = {value}\n")
    found = registry.find("theirs", "systems")
    assert (found.extra, found.stages, found.semantics) == ("api", ("answer",), 3)
    assert registry.extras("theirs", {}) == {"api"}
    kept = identity(Spec("theirs", {"model": "m", "lanes": 9}))
    assert kept == identity(Spec("theirs", {"model": "m"}))
    assert kept != identity(Spec("theirs", {"model": "n"}))
    assert 3 in kept.values()
    assert "theirs_system" not in sys.modules


def test_their_settings_are_checked_when_a_run_is_planned(site: Path) -> None:
    install(site, "[medgen.components]\ntheirs = theirs_table:COMPONENTS\n")
    base = ["name=x", "store=/nowhere", "benchmark=mini", "cluster=local", "protocol=weight-free"]
    asked = "systems=[{name: a, answer: {target: theirs, kwargs: {model: m, lanes: many}}}]"
    with pytest.raises(ConfigError, match=r"answer\.kwargs\.lanes: a whole number is expected"):
        recipe(load(None, [*base, asked]))
    made = recipe(load(None, [*base, asked.replace("many", "2")]))
    assert made.systems[0].answer is not None
    assert made.systems[0].answer.spec.target == "theirs"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("theirs_table:WRONG", "neither a Component nor a mapping"),
        ("theirs_table:NOTHING", "has no 'NOTHING'"),
        ("theirs_nowhere:X", "No module named"),
    ],
)
def test_a_table_that_is_none_is_refused(site: Path, value: str, said: str) -> None:
    install(site, f"[medgen.components]\ntheirs = {value}\n")
    with pytest.raises(ConfigError, match=said):
        registry.find("oracle")


def test_a_table_may_not_take_a_name_that_is_there(site: Path) -> None:
    text = TABLE.replace('"theirs", "systems"', '"oracle", "systems"')
    (site / "theirs_table.py").write_text(text)
    install(site, "[medgen.components]\ntheirs = theirs_table:COMPONENTS\n")
    with pytest.raises(ConfigError, match="both named 'oracle'"):
        registry.find("oracle")


def test_a_judge_protocol_of_a_package_is_found(site: Path) -> None:
    install(site, "[medgen.protocols]\nward = theirs_protocol:OURS\n")
    assert find_protocol("ward/2") == find_protocol("ward")
    assert find_protocol("ward", "shared").captions == find_protocol("table-iv", "shared").captions
    assert find_protocol("table-iv").name == "table-iv"
    with pytest.raises(ConfigError, match=r"not one of .*ward/2"):
        find_protocol("wart")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("NONE", "judge protocol 'ward': not what"),
        ("TAKEN", "there is a judge protocol 'table-iv/1' already"),
        ("EMPTY", "a scale from 9 to 9"),
    ],
)
def test_a_judge_protocol_that_is_none_is_refused(site: Path, value: str, said: str) -> None:
    install(site, f"[medgen.protocols]\nward = theirs_protocol:{value}\n")
    with pytest.raises(ConfigError, match=said):
        find_protocol("table-iv")


def test_a_run_s_judge_may_name_it(site: Path) -> None:
    install(site, "[medgen.protocols]\nward = theirs_protocol:OURS\n")
    from medgen.adapters.judges.rule_judge import RuleJudge

    assert "ward" in str(RuleJudge(name="rule", protocol="ward/2").passport())
