"""The webhook: bounded tries, and its URL stays a secret."""

import pytest
from nightly.webhooks import Board

from medgen.launch.nightly.history import Night
from medgen.launch.nightly.webhook import TRIES, notify, text

NIGHT = Night("full", "2026-01-02", "regression", 4, reasons=tuple(f"r{i}" for i in range(14)))


def test_a_busy_listener_is_tried_again_and_a_refusal_is_not(board: Board) -> None:
    pauses: list[float] = []
    board.answers = [503, 429]
    assert notify(NIGHT, "NIGHT_BOARD", pauses.append) == "told, answer 200"
    assert pauses == [1.0, 2.0]
    board.answers = [403]
    assert notify(NIGHT, "NIGHT_BOARD", pauses.append) == "not told: answer 403 after 1 tries"
    board.answers = [500] * 10
    said = notify(NIGHT, "NIGHT_BOARD", pauses.append)
    assert said == f"not told: answer 500 after {TRIES} tries"
    assert len(board.posts) == 3 + 1 + TRIES


def test_a_redirect_is_not_followed(board: Board) -> None:
    board.answers = [302]
    assert notify(NIGHT, "NIGHT_BOARD", lambda s: None) == "not told: answer 302 after 1 tries"
    assert len(board.posts) == 1


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "nonsense"])
def test_only_http_is_told_and_the_url_is_not_said(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", url)
    assert notify(NIGHT, "HOOK") == "not told: HOOK holds no http or https URL"


def test_nobody_there_is_said_without_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/s3cr3t")
    said = notify(NIGHT, "HOOK", lambda s: None)
    assert said == f"not told: ConnectionRefusedError after {TRIES} tries"


def test_no_variable_tells_nobody() -> None:
    assert notify(NIGHT, "") == ""


def test_the_text_is_short() -> None:
    said = text(NIGHT)
    assert said.startswith("full 2026-01-02: regression (exit code 4)")
    assert "- and 4 more" in said
