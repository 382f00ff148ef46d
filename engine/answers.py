"""Answers that are objects of report sections, as the text that metrics compare."""

from collections.abc import Mapping

# The order in which a radiology report is read; a name's case does not matter.
SECTIONS = (
    "study",
    "examination",
    "modality",
    "history",
    "indication",
    "technique",
    "comparison",
    "findings",
    "impression",
    "recommendation",
    "notification",
)
_RANK = {name: rank for rank, name in enumerate(SECTIONS)}


def serialize_answer(value: object) -> str:
    """One `NAME: text` a line, sections in reading order, then the other names A-Z.

    An object within a section is indented by two spaces, a list is joined with `; `. What is not
    an object is its own text.
    """
    return "\n".join(_lines(value, "")) if isinstance(value, Mapping) else str(value)


def _lines(sections: Mapping[str, object], indent: str) -> list[str]:
    lines: list[str] = []
    for name in sorted(sections, key=_reading_order):
        value = sections[name]
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}: {'; '.join(map(str, value))}")
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def _reading_order(name: str) -> tuple[int, str, str]:
    return _RANK.get(name.strip().lower(), len(SECTIONS)), name.lower(), name
