"""What a reply supposes only: how a thing would look, and when it would be the answer."""

import re

_LOOKS = re.compile(
    r"\s(?:would|wouldn't)\s(?:not\s)?(?:typically\s|usually\s|normally\s|also\s|instead\s)?"
    r"(?:show|cause|produce|present|have|appear|look|give|demonstrate|display|require|need|"
    r"manifest|create|lead|shift|be(?!\s(?:the|my|our|most|more|likely|an?|best|consistent|"
    r"favou?red|suspected|expected|right|correct|true)\b))\b"
)
_CONDITION = re.compile(
    r"\bif\b(?!\s(?:i|we|you|one|forced|pressed|asked|necessary|needed|pushed|only|any|not)\b)"
    r"|\bunless\b|\bwere\s(?:it|this|there|the)\b|\bhad\s(?:it|this|there|the)\b"
    r"|\bprovided\sthat\b|\b(?:normally|usually|ordinarily|otherwise|typically)\b"
)
_MODAL = re.compile(r"\b(?:would|could|might)\b|'d\b|\bif\b[^,;.]{0,80}\b(?:were|had been)\b")
_CLAUSE_END = re.compile(
    r"[.;!?\n]|,?\s(?<!\w)(?:but|however|yet|whereas|so|therefore)(?!\w)|,\s(?=(?:it|this) is\b)"
)
_REACH = 160  # characters around a statement in which its condition is looked for


def tells_looks(after: str) -> bool:
    """Whether the words after a thing (folded, lower case) only say how it would look."""
    return bool(_LOOKS.match(after))


def is_supposed(text: str, start: int, end: int) -> bool:
    """Whether what a text (folded, lower case) says from `start` to `end` is supposed only.

    Its clause says under which condition it would be so: "A would be right if ...".
    """
    before, after = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    ends = [*_CLAUSE_END.finditer(before)]
    stop = _CLAUSE_END.search(after)
    begin = ends[-1].end() if ends else 0
    clause = before[begin:] + text[start:end] + after[: stop.start() if stop else len(after)]
    return bool(_MODAL.search(clause) and _CONDITION.search(clause))
