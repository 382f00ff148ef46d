"""Words from outside, put into a prompt as data that cannot act.

A quotation stands between two marker lines that carry a key, and every line of it begins with a
bar. The key is a digest of what is quoted, so it is the same in every run, and where any text holds
the key, another is taken. Invisible characters are made visible, and what a chat template
would read as its own control tokens is broken up.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

BAR = "| "
_KEY_DIGITS = 16
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
# Control tokens of chat templates: <|im_end|>, <end_of_turn>, </s>, <image>, [INST] and so on.
_ANGLE = re.compile(r"<(?=[|/!A-Za-z_\uff5c])")
_LOOKS_LIKE_LESS = "\u2039"
_SQUARE = re.compile(r"\[(?=/?[A-Z_]{3,}\])")
# Categories that show nothing: controls, formats, surrogates, private use, not assigned.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Letters and marks that are drawn as nothing although Unicode does not call them formats.
_BLANK = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0})


def defang(text: str) -> str:
    """The text with nothing hidden in it and no control token of a chat template.

    Line ends become newlines; tabs and newlines stay; an invisible character becomes its code
    point in white brackets; `<` before a name and `[` before a capitalised name become look-alikes.
    """
    seen = "".join(_visible(ch) for ch in _LINE_ENDS.sub("\n", text))
    return _SQUARE.sub("⟦", _ANGLE.sub(_LOOKS_LIKE_LESS, seen))


def _visible(ch: str) -> str:
    if ch in "\n\t":
        return ch
    code = ord(ch)
    variation = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    if variation or code in _BLANK or unicodedata.category(ch) in _HIDDEN:
        return f"⟨U+{code:04X}⟩"
    return ch


def shows(text: str) -> bool:
    """Whether a text has anything to see: not blanks and invisible signs alone."""
    return any(not ch.isspace() and _visible(ch) == ch for ch in text)


def storable(text: str) -> str:
    """The text without the lone surrogates that JSON may smuggle in and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def quote_key(texts: Sequence[str], others: Sequence[str] = ()) -> str:
    """A key that stands in none of the texts; 64 bits of a digest of the first ones.

    Args:
        texts: what the key is a digest of.
        others: texts that are quoted under the same key and leave it as it is, unless it stands in
            one of them: the same sample then gets the same key whoever answers it.
    """
    joined = "\x1f".join(texts)
    everything = "\x1f".join((joined, *others)).lower()
    for turn in range(1000):
        digest = hashlib.sha256(
            f"quote/2\x1f{turn}\x1f{joined}".encode("utf-8", "backslashreplace")
        )
        key = digest.hexdigest()[:_KEY_DIGITS]
        if key not in everything:
            return key
    raise AssertionError("a thousand independent 64-bit keys cannot all stand in one text")


def quote(name: str, text: str, key: str, longest: int) -> str:
    """One quotation.

    Args:
        name: what it is, in our words ("CANDIDATE").
        text: what to quote, as it came.
        key: from `quote_key` over everything that is quoted in the same prompt.
        longest: characters that are kept; the opening line says how many there were.
    """
    safe = defang(text)
    kept = safe[:longest]
    cut = f", first {longest} of {len(safe)} characters" if len(safe) > longest else ""
    body = "\n".join(f"{BAR}{line}" for line in kept.split("\n"))
    return f"=== BEGIN {name} {key}{cut} ===\n{body}\n=== END {name} {key} ==="
