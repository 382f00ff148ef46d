"""A name from outside becomes a part of a path only through one function."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import benchmark, recipe

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError, StoreError
from medgen.engine.plan.plan import make_plan
from medgen.engine.store.clouds import check_signs
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import LONGEST_NAME, path_name
from medgen.launch.cli import main
from medgen.launch.nightly.history import History

WRONG = [
    "", ".", "..", "...", "../x", "../../x", "/x", "/etc/x", "a/b", "a b", " a", "a ", "a\n",
    "a\\b", "a\0b", "~", "~root", "$HOME", "%2e%2e", "a%2fb", "a:b", "s3://x", "a*", "a?", "{a",
    "-a", "--help", ".a", ".git", "a#b", "a&b", "a;b", "a|b", "a'b", 'a"b', "a<b", "a\u202eb",
    "a\u0301", "a\u200bb", "\ud800", "a" * (LONGEST_NAME + 1), "ä" * LONGEST_NAME,
]  # fmt: skip
RIGHT = ["a", "run", "night-20260131", "v1.2", "a_b", "A", "0", "Prüfung", "日本語", "a..b", "a."]


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_name_is_refused(name: str, memory_url: str) -> None:
    objects = connect(memory_url)
    with pytest.raises(ConfigError, match="is no name"):
        path_name(name, "name")
    with pytest.raises(ConfigError, match="is no name"):
        History(objects, name)
    manifest = benchmark(objects)
    with pytest.raises(ConfigError, match="is no name"):
        make_plan(replace(recipe(), name=name), manifest)


@pytest.mark.parametrize("name", RIGHT)
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert path_name(name, "name") == name


@pytest.mark.parametrize("command", ["plan", "run", "nightly"])
def test_a_run_named_out_of_the_store_writes_nothing(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "deep" / "er" / "store"
    words = ["nightly.systems=[oracle]"] if command == "nightly" else []
    words += ["benchmark=mini", "systems=[oracle]", "protocol=weight-free", "cluster=in-process"]
    with pytest.raises(SystemExit) as end:
        main([command, "--store", str(store), *words, "name=../../../x"])
    assert end.value.code == 2
    assert "is no name" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} <= {"deep"}
    assert not list(tmp_path.rglob("plan.json"))


@pytest.mark.parametrize("name", ["../../x", "a/b", ".x", "-x", ""])
def test_an_import_under_a_name_that_is_none_is_refused(name: str, memory_url: str) -> None:
    class Nothing:
        def samples(self) -> list[object]:
            raise AssertionError("nothing is read")

    with pytest.raises(ConfigError, match="is no name"):
        import_benchmark(Nothing(), connect(memory_url), ImportOptions(name=name))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["?", "exp?", "#", "a#b", "a\\b", "a\tb", "a?versionId=1"])
def test_a_name_that_azures_client_reads_as_another_is_refused(name: str) -> None:
    """Seen with adlfs 2026.8 and Azurite 3.37: `exp?` is written, and deleted, as `exp`."""
    with pytest.raises(StoreError, match="cannot be a name in az://"):
        check_signs("az", f"runs/{name}")
    check_signs("gs", f"runs/{name}")
    check_signs("az", "runs/exp[1]/a b+c%2Fd/\u00e4*&;")
