"""Commands that a person is told to run find the store that was meant."""

from pathlib import Path

import pytest

from medgen.launch.hints import view_command


@pytest.mark.parametrize(
    ("unasked", "store", "said"),
    [
        ("", "var/store", ""),
        ("", "{here}/var/store", ""),
        ("", "s3://b/x", " --store s3://b/x"),
        ("", "a b", " --store 'a b'"),
        ("s3://b/x", "s3://b/x", ""),
        ("s3://b/x", "var/store", " --store var/store"),
        ("s3://b/x", "{here}/var/store", " --store {here}/var/store"),
        ("kept", "{here}/kept", ""),
    ],
)
def test_a_store_is_named_where_the_command_would_take_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unasked: str, store: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDGEN_STORE", unasked)
    here = str(tmp_path)
    assert view_command("r", store.format(here=here)) == f"medgen view r{said.format(here=here)}"
