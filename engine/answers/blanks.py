"""What a reply puts into the blanks of a sentence.

Every blank counts, in order. A stated answer ("the answer is ...", "blank 2: ...") wins over what
stands around it; full sentences beside short lines are reasons, not answers.
"""

import re
from collections.abc import Callable, Sequence

from medgen.engine.answers.choice import Reading
from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.languages import ANSWER, COPULA_AFTER, END, ENGLISH, IS, RIGHT, SIGN

_SHORT = 20  # words: what is longer is an explanation
_LINE = 400  # characters; what is longer has more words than an answer
_LONGEST = 20_000  # characters of a reply that are read
_COUNTED = r"first|second|third|fourth|fifth|sixth|\d{1,2}(?:st|nd|rd|th)"
_STATED = re.compile(
    r"^\s*(?:(?:the\s)?(?:blanks?|gaps?|spaces?)\s(?:is|are|should be|can be|would be)\s"
    r"(?:filled|completed)\s(?:in\s)?(?:by|with)\s)"
    r"|^\s*[\"'{]?(?:(?:the|my|so|therefore|thus|la|le|die|el|a|il|de|het),?\s+)?"
    rf"(?:(?:{RIGHT}|missing)\s+){{0,3}}"
    rf"(?:(?:{ENGLISH}|{ANSWER}|blanks?|words?|terms?|phrase|fill(?:[ -]in)?)(?:{END}|(?=\d))[\"']?"
    rf"(?:\s*(?:{RIGHT}){END})?\s*(?:\(?\d{{1,2}}\)?|in the blank|for the blank)?"
    rf"\s*(?:(?:{IS}){END}|{SIGN})\s*:?\s*)"
    r"|^\s*i (?:would |'d )?(?:fill in|fill it with|say|answer)\s?:?\s"
    r"|^\s*(?:正确|最终)?(?:的)?(?:答案|答え|回答|正解)\s?(?:是|为|は|:)\s?"
    r"|^\s*(?:该|此|空格|空|处){0,4}应?填(?:入|写)?(?:为|:)?\s?"
    r"|^\s*(?:정답|답)\s?(?:은|는|:)\s?",
    re.IGNORECASE,
)
_WEAKLY = re.compile(
    r"\s*(?:i (?:think|believe|guess|would say)(?: that)?\s)?"
    r"(?:it|this|that)(?:'s| is| should be| would be| must be)\s(?:an?\s)?",
    re.IGNORECASE,
)
_EACH = re.compile(rf"\b(?:{_COUNTED})\s(?:blank|gap|word|one|answer)\b", re.IGNORECASE)
_INSIDE = re.compile(
    r"\b(?:the\s+)?(?:(?:final|correct|missing|right|best)\s+){0,2}(?:answer|word|term|blank)\s+"
    r"(?:is|should be|would be)(?:\s*:)?\s+(?!not\b|n't\b|unclear|unknown)",
    re.IGNORECASE,
)
# A blank's number, in digits, letters, Roman numerals or words. In the middle of a line it counts
# only where it is the next one.
_NUMBERED = re.compile(
    r"(?:^|(?<=[\s;,])|(?=[(\[]))(?:"
    r"(?:blank|gap)[\s_]?[#(\[]?(?P<blank>\d{1,2})[)\]]?\s?(?:[:=.)-]|is\b)"
    r"|[#(\[]?(?P<digit>\d{1,2})(?:[.):\]](?!\d)|\s-\s)\s?[:=]?"
    r"|#(?P<hash>\d{1,2})\s"
    r"|[(\[]?(?:(?P<roman>iii|ii|i|iv|v)|(?P<letter>[a-h]))[)\]]"
    r"|(?P<open>[a-h]):(?=\s)"
    rf"|(?:the\s)?(?P<word>(?:{_COUNTED})(?:\s(?:blank|gap|word|one|answer))?|blank\s(?:one|two|three|"
    r"four|five|six))\s?(?:is\b|[:=])"
    r"|(?P<han>第[一二三四五六\d]\s?(?:个|個)?(?:空|格)?)\s?(?:是|为|:))\s*",
    re.IGNORECASE,
)
_ROMAN = ("i", "ii", "iii", "iv", "v")
_CHATTER = re.compile(
    r"\W*(?:i hope|hope this|let me know|feel free|please let|is there anything|thank|"
    r"you're welcome|sure|of course|certainly|okay)\b.{0,120}$|.{1,120}:$",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r",?\s(?:because|since)\s.*$|,\sas\s.*$", re.DOTALL)
_SENTENCE = re.compile(r"(?:\S+\s+){4,}\S+[.!?\u3002][)\]\"']?\s*$|.{15,}\u3002\s*$")
_DOUBT = re.compile(
    r"(?:i'?m |i am |it is |it's )?(?:not sure|unsure|unknown|unclear|cannot be determined|"
    r"n/a|i don'?t know|cannot tell|can'?t tell)\b",
    re.IGNORECASE,
)


def read_blanks(text: str, told: bool = False) -> Reading:
    """The answers of a reply, canonical and one a line; None when there is no short one.

    `told` is for a benchmark's own answer: there "unknown" is a word like others.
    """
    words = plain_words(text)[:_LONGEST]
    if not words:
        return Reading(None, "empty")
    lines = _statements(words) or _short_lines(words)
    parts = [part for line in lines for part in _parts(line)]
    if not parts or any(len(part.split()) > _SHORT for part in parts):
        return Reading(None, "no_short_answer")
    if not told and all(_DOUBT.match(part) for part in parts):
        return Reading(None, "no_answer_given")
    return Reading("\n".join(parts))


def same_blanks(ours: str, reference: str) -> bool | None:
    """Whether two readings fill the blanks alike; None when they fill different numbers of them.

    A list in one line ("lung, heart") is the list that it would be in several.
    """
    left, right = ours.split("\n"), reference.split("\n")
    if left == right:
        return True
    for parted in (_by_comma, _by_and):
        if len(left) != len(right):
            left, right = parted(left, len(right)), parted(right, len(left))
    return left == right if len(left) == len(right) else None


def _statements(words: str) -> list[str]:
    """What follows a label at the beginning of a line, else inside a sentence."""
    lines = [line for line in words.split("\n") if line.strip()]
    found: list[str] = []
    for index, line in enumerate(lines):
        # Below an answer, "this is" begins its reasons.
        if intro := _STATED.match(line) or (index == 0 and _WEAKLY.match(line)) or None:
            rest = line[intro.end() :].strip()
            # A label alone in its line is the heading of all that follows.
            found += [rest] if rest else [x for x in lines[index + 1 :] if not _sentence(x)]
            if not rest:
                break
    if not found and not _EACH.search(words):
        ends = [m.end() for m in _INSIDE.finditer(words)]
        found = [words[end : end + _LINE].split("\n")[0] for end in ends]
    return [_first_sentence(line) for line in found]


def _short_lines(words: str) -> list[str]:
    lines = [line for line in words.split("\n") if line.strip()]
    # What announces an answer, or takes leave, is none.
    said = [line for line in lines if not _CHATTER.match(line)] or lines
    short = [line for line in said if not _sentence(line)]
    return [_BECAUSE.sub("", line) for line in short or said[-1:]]


def _sentence(line: str) -> bool:
    return bool(_SENTENCE.match(line.strip())) and not _NUMBERED.match(line)


def _first_sentence(line: str) -> str:
    """Up to the first stop that ends a sentence; a stop in a number or an initial ends none."""
    first = re.split(
        r"(?<=[^\W\d_]{2})[.!?]\s+(?=[A-Z])|\u3002|,\s(?:because|since|as)\s|\s(?:because|since)\s",
        line,
        maxsplit=1,
    )[0]
    return COPULA_AFTER.sub("", first)


def _parts(line: str) -> list[str]:
    pieces = (
        p for numbered in _at_numbers(line) for p in re.split(r";|\s\|\s|\u3002(?=.)", numbered)
    )
    return [part for piece in pieces if (part := canonical(piece))]


def _at_numbers(line: str) -> list[str]:
    """The line cut at its blanks' numbers."""
    pieces: list[str] = []
    place = count = 0
    for mark in _NUMBERED.finditer(line):
        value = _value(mark)
        opens = not line[: mark.start()].strip()
        if not (opens or mark["blank"]) and (mark["open"] or value not in (None, count + 1)):
            continue
        count = value or count + 1
        pieces.append(re.sub(r"[\s,]*(?:\band)?[\s,]*$", "", line[place : mark.start()]))
        place = mark.end()
    return [*pieces, line[place:]]


def _value(mark: re.Match[str]) -> int | None:
    """Which blank a mark numbers; None where a word does it."""
    if digits := mark["blank"] or mark["digit"] or mark["hash"]:
        return int(digits)
    if roman := mark["roman"]:
        return _ROMAN.index(roman.casefold()) + 1
    letter = mark["letter"] or mark["open"]
    return ord(letter.casefold()) - 96 if letter else None


def _by_comma(parts: Sequence[str], wanted: int) -> list[str]:
    return _cut_to(parts, wanted, lambda part: re.split(r"\s*[,\u3001/]\s*(?:and\s)?", part))


def _by_and(parts: Sequence[str], wanted: int) -> list[str]:
    return _cut_to(
        parts, wanted, lambda part: re.split(r"\s*,\s*(?:and\s)?|\s(?:and|&)\s|[和及与與と]", part)
    )


def _cut_to(parts: Sequence[str], wanted: int, cut: Callable[[str], list[str]]) -> list[str]:
    """The parts cut further, when that gives the number wanted; else as they are."""
    finer = [word for part in parts for each in cut(part) if (word := canonical(each))]
    return finer if len(finer) == wanted else list(parts)
