"""A secret sign by sign: in either case, escaped in any way, with breaks and blanks between.

Logs wrap lines, servers fold the case of headers, templates escape signs one by one, and models
spell out what they are told not to say.
"""

import re
from html.entities import html5

# What may stand between two signs: blanks, breaks with their marks, invisible signs, strokes, dots.
_BETWEEN = r"(?:=\r?\n|[\s\0\u200b-\u200d\u2060\ufeff\u00ad\\\"'`+|,._*~:;-]){0,6}"
_BREAKS = r"(?:\s|\\[rn]){0,4}"  # in what is packed
_HEX_BETWEEN = r"(?:\\{0,4}x|0[xX]|[\s:,-]){0,4}"
_NUMBERS_BETWEEN = r"[\s,;]{1,4}"

# Names of each sign in HTML.
_NAMED: dict[str, list[str]] = {}
for _name, _meant in html5.items():
    if _name.endswith(";"):
        _NAMED.setdefault(_meant, []).append(_name[:-1])

_NEITHER = {
    code: None
    for code in (*range(128), *range(0x200B, 0x200E), 0x2060, 0xFEFF, 0xAD)
    if not chr(code).isalnum()
}
_ESCAPES = re.compile(
    r"[%=][0-9A-Fa-f]{2}|&#|&amp;|&[A-Za-z]{2,24};|\\[uxU0-7]|[\uff01-\uff5e]"
    r"|(?:[0-9a-fA-F]{2,3}(?:[\s:,;-]|0x){1,2}){3}"
)


def condense(text: str) -> str:
    """Letters and digits alone, in one case."""
    return text.translate(_NEITHER).lower()


def has_escapes(text: str) -> bool:
    """Whether signs are written by their numbers somewhere."""
    return _ESCAPES.search(text) is not None


def loose_expression(secret: str) -> str:
    """A pattern without groups for every such spelling, also as its bytes in hex or as numbers."""
    raw = secret.encode("utf-8", "surrogatepass")
    signs = _BETWEEN.join(map(_sign, secret))
    in_hex = _HEX_BETWEEN.join(_hex(byte) for byte in raw)
    numbers = _NUMBERS_BETWEEN.join(str(byte) for byte in raw)
    return f"{signs}|{in_hex}|(?<!\\d){numbers}(?!\\d)"


def broken_expression(packed: str) -> str:
    """A pattern without groups for base64 or its kin, also where it was wrapped into lines."""
    return _BREAKS.join(map(re.escape, packed))


def _sign(sign: str) -> str:
    if sign.isspace():  # as it is, it is one of those that may stand between
        return f"(?:{'|'.join(_escapes_of(sign))})?"
    cases = dict.fromkeys((sign, sign.lower(), sign.upper()))
    plain = [re.escape(case) for case in cases]
    return f"(?:{'|'.join(plain)}|{'|'.join(form for case in cases for form in _escapes_of(case))})"


def _escapes_of(sign: str) -> list[str]:
    """As URLs, mail, HTML, JSON and programs write a sign by its number."""
    raw = sign.encode("utf-8", "surrogatepass")
    forms = [
        "".join(f"%(?:25){{0,3}}{_hex(byte)}" for byte in raw),
        "".join(f"={_hex(byte)}" for byte in raw),
        "".join(rf"\\{{1,4}}x{_hex(byte)}" for byte in raw),
        "".join(rf"\\{{1,4}}{byte:03o}" for byte in raw),
    ]
    if named := _NAMED.get(sign):
        forms.append(f"&(?:amp;)?(?:{'|'.join(named)});")
    if "!" <= sign <= "~":  # as wide as an ideograph
        forms.append(chr(ord(sign) + 0xFEE0))
    for code in map(ord, sign):
        digits = "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{code:x}")
        forms += [
            rf"\\{{1,4}}[uU]\{{?0{{0,6}}{digits}\}}?",
            f"&(?:amp;)?#(?:0{{0,4}}{code}|[xX]0{{0,4}}{digits});",
        ]
    return forms


def _hex(byte: int) -> str:
    """Two digits in either case."""
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{byte:02x}")
