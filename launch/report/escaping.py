"""Foreign text made harmless where it is shown: terminal, Markdown, spreadsheets, file names.

What a model wrote and what a benchmark says is data. It must not become markup, a link, a
formula, a control sequence or a path. HTML is escaped by the template engine.
"""

import hashlib
import re

# Every sign that begins or ends markup within a line; dot and colon only where they make a link.
_MARKDOWN = re.compile(r"([\\`*_\[\]#!|~@$]|:(?=//)|(?i:(?<=www))\.)")
_UNSAFE_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_LETTERS = 60  # of a text in the name of a file
# What spreadsheet programs read as the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def visible(text: str, lines: bool = False) -> str:
    """Text with every unprintable character written out, so that it cannot steer a terminal.

    Direction overrides and zero-width characters are unprintable. `lines` keeps line breaks and
    tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else _spell(c) for c in text)


def _spell(char: str) -> str:
    return " " if char in "\n\r\t" else char.encode("unicode_escape").decode("ascii")


def markdown(text: str) -> str:
    """Text on one line of Markdown, showing as itself: no markup, no HTML, no table border."""
    plain = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", plain)


def fence(text: str, language: str = "text") -> str:
    """Text as a Markdown code block that it cannot close."""
    shown = visible(text, lines=True)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def shorten(text: str, limit: int = 1500) -> str:
    """Text of at most `limit` characters, saying how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def spreadsheet(text: str) -> str:
    """A cell that spreadsheet programs show and do not compute."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def file_name(text: str) -> str:
    """A name for a file: plain letters, never a path, different for different texts."""
    plain = _UNSAFE_IN_NAMES.sub("-", text)[:_LETTERS].strip("-") or "x"
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"
