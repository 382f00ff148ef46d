"""Zips that lie about what is in them, or are none that can be read."""

import zipfile
from pathlib import Path

import pytest
from tables.reading import read

from medgen.adapters.tables import archives


def test_a_member_of_a_zip_unpacks_by_what_is_there_and_not_by_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 2**16)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("r.jsonl", b"\n" * 2**20)
    whole = bytearray((tmp_path / "z.zip").read_bytes())
    for sign, at in ((b"PK\3\4", 18), (b"PK\1\2", 20)):
        begin = whole.find(sign) + at
        whole[begin : begin + 4] = (0xFFFFFF00).to_bytes(4, "little")
    (tmp_path / "z.zip").write_bytes(whole)
    found = read(tmp_path, {}, files={"glob": "*.jsonl", "in": "z.zip"})
    assert any("a bomb?" in str(problem) for problem in found), found


@pytest.mark.parametrize("version", [64, 110, 255])
def test_a_zip_of_a_version_that_is_none_is_damaged(tmp_path: Path, version: int) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr("r.jsonl", '{"q": "?"}')
    whole = bytearray((tmp_path / "z.zip").read_bytes())
    whole[whole.find(b"PK\1\2") + 6] = version
    (tmp_path / "z.zip").write_bytes(whole)
    found = read(tmp_path, {}, files={"glob": "*.jsonl", "in": "z.zip"})
    assert any("is damaged (zip file version" in str(problem) for problem in found), found
