"""Whether a run's driver lives, told from what changes and not from two machines' clocks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medgen.engine.run.folder import RunFolder, RunStatus, Status
from medgen.engine.store.connect import connect
from medgen.launch.cli import main
from medgen.launch.run.standing import LISTEN_S, standing


def beat(ago: timedelta, word: RunStatus = "started") -> Status:
    at = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds")
    return Status(word, "r", at, at)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(connect(str(tmp_path / "store")), "r")


def never(seconds: float) -> None:
    raise AssertionError("nobody need wait")


@pytest.mark.parametrize("ago", [timedelta(seconds=30), timedelta(0)])
def test_a_run_that_was_just_heard_of_is_not_doubted(folder: RunFolder, ago: timedelta) -> None:
    folder.save_status(beat(ago))
    assert standing(folder, print, never) == folder.status()


@pytest.mark.parametrize("word", ["success", "partial", "error", "cancelled"])
def test_a_run_that_is_over_is_not_doubted(folder: RunFolder, word: RunStatus) -> None:
    folder.save_status(beat(timedelta(days=9), word))
    found = standing(folder, print, never)
    assert found is not None
    assert found.status == word


@pytest.mark.parametrize("off", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_driver_with_another_clock_lives_as_long_as_it_beats(
    folder: RunFolder, off: timedelta
) -> None:
    folder.save_status(beat(off))
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            folder.save_status(beat(off - timedelta(seconds=30)))

    found = standing(folder, print, pause)
    assert found is not None
    assert (found.status, len(waited)) == ("started", 3)
    assert folder.status() == found


@pytest.mark.parametrize("off", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_driver_that_was_killed_leaves_an_error(folder: RunFolder, off: timedelta) -> None:
    left = beat(off)
    folder.save_status(left)
    waited: list[float] = []
    told: list[str] = []
    found = standing(folder, told.append, waited.append)
    assert found is not None
    assert found == replace(left, status="error", reason=found.reason, exit_code=3)
    assert found.reason.startswith(
        f"its driver is gone: nothing was heard of it since {left.updated}"
    )
    assert folder.status() == found
    assert sum(waited) == LISTEN_S
    assert min(waited) >= 10, "nobody asks the store more often"
    assert len(told) == 1


def test_no_status_is_none(folder: RunFolder) -> None:
    assert standing(folder, print, never) is None


@pytest.mark.parametrize(("ago", "doubted"), [(0, False), (2, True)])
def test_a_list_says_what_is_doubtful(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], ago: int, doubted: bool
) -> None:
    folder.save_status(beat(timedelta(hours=ago)))
    with pytest.raises(SystemExit) as over:
        main(["list", "runs", "--store", folder.objects.url])
    assert over.value.code == 0
    assert ("not heard of lately" in capsys.readouterr().out) == doubted
