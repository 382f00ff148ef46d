"""Foreign text in a table on the terminal: in a plain `str` rich would read its own markup."""

from rich.text import Text

from medgen.launch.report.escaping import visible


def cell(text: str) -> Text:
    """Text that shows as itself, whatever stands in brackets; line breaks are kept."""
    return Text(visible(text, lines=True))
