"""Which mention of a thing is taken back by the words around it.

A cue governs the rest of its clause (or what stands right before it): "no mass", "rather than a
mass", "a mass is excluded". A clause ends at a stop, a semicolon, a contrast ("but", "however").
"""

import re

from medgen.engine.answers.languages import (
    CONTRAST,
    CONTRAST_HAN,
    DENIED_AFTER,
    DENYING,
    DENYING_HAN,
)
from medgen.engine.answers.supposed import tells_looks

_CLAUSE_END = re.compile(
    rf"[.;:!?\n\u3002\uff1b]|,(?=[\u4e00-\u9fff])|,?\s(?<!\w)(?:{CONTRAST})(?!\w)|{CONTRAST_HAN}"
)
_BEFORE = re.compile(
    r"\b(?:no(?!\s(?:doubt|question|longer\sin)|\s?,)|not(?!\s(?:only|just|merely|doubt))|n't|"
    r"never|without|neither|nor|rather than|instead of|unlike|except|excludes?|excluding|"
    r"rul(?:es?|ed|ing) out|unlikely|lacks?|lack of|absence of|absent|negative for|free of|denies|"
    r"against|incorrect|wrong|"
    r"(?<!no\s)(?<!a\s)(?<!any\s)(?<!of\s)(?<!beyond\s)(?<!not\s)(?<!n't\s)(?<!little\s)doubt(?:ful)?|"
    r"cannot be|can't be|(?:less|least) likely(?! than)|"
    r"as opposed to|(?:more|better|greater|rather)\s(?:[a-z]+\s){0,3}than|other than|"
    r"anything but|everything but|all but)\b"
    rf"|(?<=[a-z])n't\b|(?<!\w)(?:{DENYING})(?!\w|\s?,)|{DENYING_HAN}"
)
_ASIDE = r"(?:,\s(?:which|that|who|as|although|though|while|if|when)\s[^,.;\n]{1,120},\s?)?"
_SUSPECTED = r"(?:(?:is|are|was|were)\s(?:[a-z]+\s){1,3}(?:but|yet)\s)?"
_AFTER = re.compile(
    rf"(?:['\")\]*]|\s)*{_ASIDE}{_SUSPECTED}"
    r"(?:(?:is|are|was|were|c(?:an|ould)(?:\sall|\sboth)?\sbe|has been|would be|seems?|looks?|"
    r"appears?|must be|"
    r"should be)\s)?(?:both\s|also\s|therefore\s|clearly\s|definitely\s|most\s|very\s|completely\s|"
    r"the\s)*"
    r"(?:not\b|n't\b|isn't\b|aren't\b|wasn't\b|cannot\b|can't\b|incorrect|wrong|false|unlikely|"
    r"(?:less|least) likely|excluded|ruled out|eliminated|absent|impossible|out of the question|"
    r"does not|doesn't|do not|don't|would not|wouldn't|is no\b)"
    # "A: incorrect", where nothing else is said.
    r"|\s?(?::|-|,)\s?(?:is\s)?(?:incorrect|wrong|false|excluded|ruled out|unlikely|absent)\b"
    r"|\s?(?:[:=?]|-\s)\s?(?:no|negative|none)(?=\s*(?:[.,;|\n]|$))|\s?\(-\)"
    r"|\s?\(\s?(?:incorrect|wrong|false|excluded|ruled out|unlikely)\s?[),]"
    rf"|{DENIED_AFTER}"
)
_BEFORE_REACH, _AFTER_REACH = 160, 200  # characters around a mention in which a cue is looked for


def is_denied(text: str, start: int, end: int, floor: int = 0) -> bool:
    """Whether what stands at `start` to `end` of a text (folded, lower case) is taken back.

    Nothing before `floor` is looked at: an introduction that states is not governed by what
    stands before it.
    """
    before = text[max(floor, start - _BEFORE_REACH) : start]
    clause = [*_CLAUSE_END.finditer(before)]
    if _BEFORE.search(before[clause[-1].end() :] if clause else before):
        return True
    after = text[end : end + _AFTER_REACH]
    return bool(_AFTER.match(after)) or tells_looks(after)
