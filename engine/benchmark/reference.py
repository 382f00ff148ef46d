"""Reference answers as text: reports that come as nested sections become one string.

The order of sections and the layout follow the authors' evaluator (`tests/goldens/serialize.json`
holds what it gives), so that a serialised reference means the same here and there.
"""

from collections.abc import Mapping

_SECTIONS = (
    "STUDY",
    "EXAMINATION",
    "MODALITY",
    "CLINICAL_HISTORY",
    "INDICATION",
    "HISTORY",
    "TECHNIQUE",
    "COMPARISON",
    "FINDINGS",
    "IMPRESSION",
    "RECOMMENDATION",
    "NOTIFICATION",
)
_RANK = {name: rank for rank, name in enumerate(_SECTIONS)}


def answer_text(answer: object) -> str:
    """One string for an answer of any JSON shape.

    A string keeps its words, white space collapsed. An object becomes one line a section in the
    order of a report, then the other keys A-Z; inner objects are indented by two spaces, lists
    are joined with semicolons, empty values leave no line.
    """
    if isinstance(answer, Mapping):
        return "\n".join(_lines(answer, 0))
    return _squeeze(answer)


def _lines(sections: Mapping[object, object], depth: int) -> list[str]:
    lines = []
    for key in sorted(sections, key=_order):
        value, head = sections[key], f"{'  ' * depth}{key}:"
        if isinstance(value, Mapping):
            lines += [head, *_lines(value, depth + 1)]
            continue
        text = "; ".join(map(_squeeze, value)) if isinstance(value, list) else _squeeze(value)
        # A list of empty strings still shows that the section was there; an empty list does not.
        if text or (isinstance(value, list) and value):
            lines.append(f"{head} {text}")
    return lines


def _order(key: object) -> tuple[int, str]:
    name = str(key)
    return _RANK.get(name.upper(), len(_SECTIONS)), name.lower()


def _squeeze(value: object) -> str:
    return " ".join(str(value).split())
