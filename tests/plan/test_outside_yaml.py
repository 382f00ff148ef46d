"""YAML from a file or a command line that is no configuration is refused in one sentence."""

from pathlib import Path

import pytest
import yaml

from medgen.conf.loading import load
from medgen.conf.reading import ConfError, read_yaml

RUN = """
name: x
benchmark: mini
systems: [oracle]
protocol: text-only
cluster: in-process
store: out
"""


@pytest.mark.parametrize(
    "override",
    [
        *("name=[", "name={a", "name='x", "name=!!python/name:os.system", "name=&a *b", "name"),
        *("name=\x1b[31m", "name=\x00", "name.x=1", "=x", "a.b.c="),
        *("systems=[", "systems=!!python/object/apply:os.system [ls]", "systems=hello"),
        *("systems=[null]", "systems=[1]", "systems={a: b}", "systems=5", "judges=[[]]"),
        *("protocol=[1]", "protocol=null", "protocol.metrics.bleu=[", "cluster=[]", "benchmark=5"),
        *("systems=" + "[" * 5000, "name=" + "[" * 30 + "]" * 30, "protocol.metrics=5"),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_an_override_that_is_none_is_refused_in_a_sentence(tmp_path: Path, override: str) -> None:
    (tmp_path / "run.yaml").write_text(RUN)
    with pytest.raises(ConfError) as told:
        load(str(tmp_path / "run.yaml"), [override])
    assert len(str(told.value)) < 2000
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    "body",
    [
        *("a: [", "a: &x [*x]", "- a", "5", "a: !!python/name:os.system", "a: \x1b", "\tx: 1"),
        *("a: " + "[" * 5000, "{" * 40 + "}" * 40, "a: " + "9" * 5000, "? [a]\n: b", "a: 1\n b: 2"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path: Path, body: str) -> None:
    (tmp_path / "run.yaml").write_text(body)
    with pytest.raises(ConfError, match=r"run\.yaml"):
        read_yaml(str(tmp_path / "run.yaml"))


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("systems: [oracle]\nstore: a\nsystems: [blank]\n", "systems"),
        ("submit:\n  address: http://a\n  address: http://b\n", "address"),
        ("a: [{b: 1, c: 2, 'b': 3}]", "b"),
        ("a: {1: x, '1': y}", "1"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, body: str, key: str) -> None:
    """YAML would take the last of them without a word."""
    (tmp_path / "run.yaml").write_text(body)
    with pytest.raises(ConfError, match=f"key '{key}' stands twice, again in line"):
        read_yaml(str(tmp_path / "run.yaml"))


def test_a_key_may_replace_one_that_is_merged(tmp_path: Path) -> None:
    nested = "x: {in: &b {<<: {k: 0}, k: 1}}\ny: {<<: *b, <<: {m: 2}, k: 3}\nz: [{k: 4}, {k: 5}]"
    (tmp_path / "run.yaml").write_text(nested)
    found = read_yaml(str(tmp_path / "run.yaml"))
    assert found["y"] == {"m": 2, "k": 3}


def test_no_more_is_read_than_a_configuration_has(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_text("# long\n" * 400_000)
    with pytest.raises(ConfError, match="characters"):
        read_yaml(str(tmp_path / "big.yaml"))


@pytest.mark.parametrize("text", ["2026-11-28", "2020-99-99", "2026-11-28 10:00:00", "="])
def test_a_date_is_a_text_whatever_else_is_loaded(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.yaml").write_text(f"a: {text}")
    assert read_yaml(str(tmp_path / "run.yaml")) == {"a": text}


def test_a_run_may_be_named_by_its_day(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(RUN.replace("name: x", "name: 2026-11-28"))
    assert load(str(tmp_path / "run.yaml")).name == "2026-11-28"
    assert load(str(tmp_path / "run.yaml"), ["name=2026-11-29"]).name == "2026-11-29"


def test_what_libraries_write_into_the_tables_of_yaml_does_not_reach_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.yaml").write_text("a: 5")
    tables = yaml.SafeLoader.yaml_constructors
    monkeypatch.setitem(tables, "tag:yaml.org,2002:int", tables["tag:yaml.org,2002:str"])
    assert read_yaml(str(tmp_path / "run.yaml")) == {"a": 5}
