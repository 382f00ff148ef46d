"""What was read is remembered, and never for what may have been written since."""

from pathlib import Path

import pytest

from medgen.engine import digests


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_what_was_read_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.bin").write_text("one")
    monkeypatch.setattr(digests, "_SETTLED_S", -3600.0)
    found = digests.digest_of(folder)
    monkeypatch.setattr(digests, "sha256", lambda file: pytest.fail(f"{file} was read again"))
    assert digests.digest_of(folder) == found


def test_where_times_are_whole_seconds_what_was_just_written_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = digests._mark  # of a disk on which the second writing has the time of the first

    def mark(file: Path) -> str:
        return ":".join(marks(file).split(":")[:3])

    monkeypatch.setattr(digests, "_mark", mark)
    (folder / "a.bin").write_text("one")
    found = digests.digest_of(folder)
    (folder / "a.bin").write_text("two")
    assert digests.digest_of(folder) != found
