"""Which mention of a thing is taken back by the words around it.

A cue governs the rest of its clause (or what stands right before it): "no mass", "rather than a
mass", "a mass is excluded". A clause ends at a stop, a semicolon, a contrast ("but", "however").
"""

import re

_CLAUSE_END = re.compile(
    r"[.;:!?\n\u3002\uff1b]|,(?=[\u4e00-\u9fff])|"
    r",?\s\b(?:but|however|although|though|yet|whereas|while|so|therefore|and it is)\b"
)
_BEFORE = re.compile(
    r"\b(?:no(?!\s(?:doubt|question|longer\sin))|not(?!\s(?:only|just|merely|doubt))|n't|never|"
    r"without|neither|nor|rather than|instead of|unlike|except|excludes?|excluding|"
    r"rul(?:es?|ed|ing) out|unlikely|lacks?|lack of|absence of|absent|negative for|free of|denies|"
    r"against|incorrect|wrong|cannot be|can't be|less likely(?! than)|versus|vs)\b"
    r"|(?<=[a-z])n't\b|不是|没有|并非|未见|排除|无|非"
)
_AFTER = re.compile(
    r"(?:['\")\]*]|\s)*(?:(?:is|are|was|were|can be|has been|would be|seems?|looks?|appears?|"
    r"must be|"
    r"should be)\s)?(?:also\s|therefore\s|clearly\s|definitely\s|most\s|very\s|completely\s)*"
    r"(?:not\b|n't\b|isn't\b|aren't\b|wasn't\b|cannot\b|can't\b|incorrect|wrong|false|unlikely|"
    r"less likely|excluded|ruled out|eliminated|absent|impossible|out of the question|does not|"
    r"doesn't|do not|don't|would not|wouldn't|is no\b|不正确|错误|不对)"
)
_REACH = 60  # characters before a mention in which a cue is looked for


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether what stands at `start` to `end` of a text (folded, lower case) is taken back."""
    before = text[max(0, start - _REACH) : start]
    clause = [*_CLAUSE_END.finditer(before)]
    if _BEFORE.search(before[clause[-1].end() :] if clause else before):
        return True
    return bool(_AFTER.match(text[end : end + _REACH]))
