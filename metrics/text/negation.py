"""Which parts of an English report deny what they name: cues, and how far each of them reaches.

A cue governs only what it governs. It reaches forward ("no", "without", "negative for") or back
over its subject ("… is not seen", "… : none"), up to a word that opens another thought ("but",
"despite", a clause after a comma), and along a list. A denial of a change, of an exclusion or of
another denial denies nothing: "no change in", "cannot be excluded", "not without", "not only".
What "the" makes known stays stated: "no air within the cyst".

After the idea of NegEx: Chapman et al., "A simple algorithm for identifying negated findings and
diseases in discharge summaries", J Biomed Inform 34(5), 2001; cues and scopes are our own.
"""

import re
import unicodedata
from collections.abc import Iterator

Span = tuple[int, int]
# Words. No sentence is longer; what is bounds the time that a text without full stops takes.
_LONGEST = 200

_BE = r"(?:is|are|was|were|be|been|being|has|have|had|can|could|may|do|does|did)"
_NOT = rf"(?:{_BE}\s+)*(?:not|never|no longer)"
_ADVERBS = r"(?:(?:\w+ly|yet|now|since|been|be|any longer|well|further|much)\s+)*"
_SEEN = (
    r"(?:seen|present|identified|evident|visible|visuali[sz]ed|detected|noted|found|observed"
    r"|demonstrated|appreciated|apparent|shown|there|recogni[sz]ed|confirmed|suspected)"
)
_GONE = r"(?:absent|ruled out|excluded|resolved|cleared|gone|disappeared)"
_STOP = r"(?=\s*(?:$|[.,;!?)]))"
_PLACE = r"(?=\s+(?:in|on|at|from|bilaterally|today|now)\b)"

_LESSER = (
    r"(?:(?:significant|interval|appreciable|substantial|definite|obvious|relevant|major|acute"
    r"|further|gross|notable|evident|apparent|overall|clear|marked|other|any|evidence of|signs? of"
    r"|radiographic|substantive|meaningful|sizable|longer|possible to|able to|to|entirely"
    r"|completely|fully|totally|wholly|reliably|confidently|safely|definitively|definitely|be"
    r"|been|being|have|has|yet|a|an|the|with certainty)\s+)*"
)
_CHANGE = (
    r"(?:chang\w*|increas\w*|decreas\w*|enlarg\w*|growth|grown|improve\w*|worsen\w*|progress\w*"
    r"|regress\w*|differen\w*|alter\w*|larger|smaller|resol\w*|clear(?:ed|ing|ance)|disappear\w*)"
)
_DENIED = (
    r"(?:without|absence|lack|free|negative|absent|exclu\w+|rul(?:e|ed|ing) out|den(?:y|ies|ied))"
)
_IDIOM = (
    r"(?:without (?:a )?(?:doubt|question)|not (?:only|just|merely|simply|solely|least|limited to"
    r"|to mention|necessarily|unlikely)"
    r"|no (?:doubt|less than|more than|question)|whether or not)"
)
# What looks like a denial and denies nothing. Blanked out before cues are looked for.
_HARMLESS = re.compile(
    rf"\b(?:(?:(?:{_BE}\s+)*(?:not|never)|no|without|unable|impossible|difficult|nor|neither)\s+"
    rf"{_ADVERBS}{_LESSER}{_ADVERBS}(?:{_CHANGE}|{_DENIED})\b(?:\s+(?:of|for|from))?"
    rf"|{_IDIOM}\b|not-\w+|(?:previously|formerly|earlier)\s+{_SEEN})"
)
_BACK = re.compile(
    rf"\b(?:{_BE}\s+)+{_ADVERBS}(?:{_SEEN}|considered|questioned|expected),?\s+(?:but|yet)\s+{_NOT}\s+"
    rf"{_ADVERBS}{_SEEN}\b"
    rf"|\b{_BE}\s+not\b{_STOP}"
    rf"|\b{_NOT}\s+{_ADVERBS}{_SEEN}\b"
    rf"|\b{_BE}\s+(?:{_BE}\s+)*{_ADVERBS}{_GONE}\b"
    rf"|\b{_GONE}\b(?:{_STOP}|{_PLACE})"
    rf"|(?:[:=]|\s-)\s*(?:none|no|nil|absent|negative|not {_SEEN})\b{_STOP}"
    r"|\(\s*(?:-|neg(?:ative)?|absent|none)\s*\)"
    r"|\b(?:is|are|was|were|seems?|appears?)\s+(?:very\s|highly\s|most\s)?unlikely\b"
)
_FORWARD = re.compile(
    r"\b(?:no|not|without|absence of|lack of|lack(?:s|ing)|neg(?:ative|\.)? for|free (?:of|from)"
    r"|clear of|devoid of|den(?:y|ies|ied|ying)|ruled out|exclud(?:es|ed|ing)|never|neither|nor"
    r"|none of|nothing|nil|zero|absent|fail(?:s|ed)? to (?:show|demonstrate|reveal)|resolution of"
    r"|resolved|rather than|instead of|unlikely)\b"
)
_QUALIFIED = (
    r"(?:an?|mild\w*|small|moderate\w*|large|severe\w*|minimal\w*|tiny|trace|stable|unchanged"
    r"|persist\w*|new|increas\w*|known|again|likely|possibl[ey]|prominent|extensive|slight\w*"
    r"|old|healed|chronic|subtle|residual)"
)
_OTHER_THOUGHT = re.compile(
    r"\b(?:but|however|although|though|except|yet|nevertheless|nonetheless|whereas|while|despite"
    r"|aside from|apart from|other than|besides|because|since|due to|owing to|secondary to"
    rf"|instead|only|(?:and|with)\s+(?:there|the|{_QUALIFIED})"
    rf"|and\s+(?:\w+\s+){{1,3}}(?:remains?|persists?|(?:is|are|was|were)\s+(?!{_SEEN})\w+))\b|[:()]|--|\u2014|\s[-\u2013]\s"
)
_OPENER = re.compile(r"(?:and\s+)?(?:there|it|this|these|the|they|we|which|with|also)\b")
_STATING = re.compile(rf"(?:and\s+)?{_QUALIFIED}\b")
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|shows?|demonstrates?|remains?|persists?|noted|seen|present"
    r"|visible|identified|suggests?|appears?|suspected|found)\b"
)
_EITHER = re.compile(r"\b(?:or|nor)\b")
_COMMA = re.compile(r",(?!\d)")
_KNOWN = re.compile(
    r"\b(?<!evidence )(?<!sign )(?<!signs )(?:in|of|within|near|to|with|around|from|at|on|by)\s+"
    r"(?:the|this|these|that|those|known|existing)\b.*?"
    r"(?=,|$|\b(?:and|or|nor|with|to|is|are|that|which|suggest\w*)\b(?!\s+(?:the|this)\b))"
)
_BRACKETED = re.compile(r"\b(no |without |any )\((\w+)\)")  # "no (acute) fracture"
_ANSWERED = re.compile(
    r"\?\s+(?=(?:none|no|nil|absent|negative)\s*(?:[.;!?,]|$))"
)  # its own question
_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+|\n+")


def sentences(text: str) -> list[str]:
    """Lower-case sentences with contractions spelled out, ready for `denials`."""
    plain = (
        unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'").replace("w/o", "without")
    )
    plain = plain.replace("can't", "can not").replace("cannot", "can not").replace("n't", " not")
    words = [part.split() for part in _SENTENCE_END.split(_ANSWERED.sub(": ", plain))]
    return [
        " ".join(part[i : i + _LONGEST]) for part in words for i in range(0, len(part), _LONGEST)
    ]


def denials(sentence: str) -> list[Span]:
    """The stretches of a sentence in which what is named is denied."""
    plain = _HARMLESS.sub(_blank, _BRACKETED.sub(r"\1 \2 ", sentence))
    back = [(_subject(plain, m.start()), m.start()) for m in _BACK.finditer(plain)]
    plain = _BACK.sub(_blank, plain)
    forward = [
        span
        for cue in _FORWARD.finditer(plain)
        for span in _without_known(plain, cue.end(), cue.end() + _reach(plain[cue.end() :]))
    ]
    return back + forward


def _blank(found: re.Match[str]) -> str:
    return "_" * len(found[0])


def _reach(rest: str) -> int:
    """How many characters after a forward cue it governs."""
    end = found.start() if (found := _OTHER_THOUGHT.search(rest)) else len(rest)
    in_list = False
    for comma in _COMMA.finditer(rest, 0, end):
        after = rest[comma.end() : end].strip()
        closed = after.startswith("and ") and _EITHER.search(rest, 0, comma.start())
        if closed or not _continues(after, in_list):
            return comma.start()
        in_list = True
    return end


def _continues(after: str, in_list: bool) -> bool:
    """Whether what follows a comma is one more member of the list that a cue governs."""
    if _OPENER.match(after):
        return False
    if either := _EITHER.search(after):
        return not _VERB.search(after[: either.start()])
    if _STATING.match(after):
        return False
    member = _COMMA.split(after)[0]
    return not _VERB.search(member) or (in_list and member.startswith("and "))


def _subject(sentence: str, cue: int) -> int:
    """Where the subject of a cue that reaches back begins."""
    start, verb = 0, False
    for pattern in (_OTHER_THOUGHT, _VERB):
        for found in pattern.finditer(sentence, 0, cue):
            if found.end() > start:
                start, verb = found.end(), pattern is _VERB
    subject = sentence[start:cue]
    if verb:  # something else was said before: the subject is what stands next to the cue
        parts = list(re.finditer(r"\band\b|,", subject))
        return start + (parts[-1].end() if parts else 0)
    last = subject.rfind(",")
    is_list = re.search(r"\b(?:and|or|nor)\b", subject[last + 1 :])
    return start if is_list else start + last + 1  # without a comma the start as well


def _without_known(sentence: str, start: int, end: int) -> Iterator[Span]:
    for known in _KNOWN.finditer(sentence, start, end):
        yield start, known.start()
        start = known.end()
    yield start, end
