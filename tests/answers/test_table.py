"""The page shows what the code reads."""

from answers.table import PAGE, REPLIES, page


def test_the_page_shows_what_is_read() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(REPLIES) >= 50
    assert page(text) == text, "python tests/answers/table.py writes the table anew"
