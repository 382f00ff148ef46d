"""Tables of facts stand as YAML beside the one module that reads them."""

from pathlib import Path

import msgspec
import pytest

from medgen.engine import environment
from medgen.engine.beside import read_beside

ROOT = Path(__file__).parents[2]
FOLDERS = ("engine", "actors", "adapters", "metrics", "launch/setup")


def test_every_table_has_the_name_of_the_module_that_reads_it() -> None:
    tables = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.yaml")]
    assert len(tables) > 5
    for table in tables:
        reader = table.with_suffix(".py").read_text(encoding="utf-8")
        assert f'read_beside(__package__, "{table.name}"' in reader, table


def test_a_table_that_is_something_else_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        read_beside("medgen.engine.benchmark", "vocabulary.yaml", dict[str, int])


def test_another_table_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run wrote down of its code tells a changed word from none."""
    (tmp_path / "engine").mkdir()
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "engine" / "environment.py"))
    table = tmp_path / "engine" / "words.yaml"
    digests = set()
    for words in ("[a]", "[a, b]"):
        table.write_text(words)
        environment.code_digest.cache_clear()
        digests.add(environment.code_digest(("engine",)))
    environment.code_digest.cache_clear()
    assert len(digests) == 2
