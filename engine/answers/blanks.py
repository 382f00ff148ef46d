"""What a reply puts into the blanks of a sentence.

Every blank counts, in order. A stated answer ("the answer is ...", "blank 2: ...") wins over what
stands around it; full sentences beside short lines are reasons, not answers.
"""

import re
from collections.abc import Callable, Sequence

from medgen.engine.answers.choice import Reading
from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.forms import canonical

_SHORT = 20  # words: what is longer is an explanation
_LONGEST = 20_000  # characters of a reply that are read
_STATED = re.compile(
    r"^\s*(?:the\s+|my\s+|so,?\s+|therefore,?\s+|thus,?\s+)?(?:final\s+|correct\s+|missing\s+|"
    r"best\s+|right\s+)*"
    r"(?:answers?|response|blanks?|words?|terms?|phrase|ans)\b\s*(?:\(?\d{1,2}\)?|in the blank|"
    r"for the blank)?"
    r"\s*(?:is|are|:|=|-|would be|should be)\s*:?\s*"
    r"|^\s*(?:正确|最终)?(?:的)?(?:答案|答え|回答)\s?(?:是|为|は|:)\s?"
    r"|^\s*(?:정답|답)\s?(?:은|:)\s?|^\s*(?:la )?(?:respuesta|réponse|antwort|resposta|risposta)"
    r"(?: correcta| correcte| corretta| correta)?\s?(?:es|est|ist|é|è|:)\s?:?\s?",
    re.IGNORECASE,
)
_INSIDE = re.compile(
    r"\b(?:the\s+)?(?:(?:final|correct|missing|right|best)\s+){0,2}(?:answer|word|term|blank)\s+"
    r"(?:is|should be|would be)(?:\s*:)?\s+(?!not\b|n't\b|unclear|unknown)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?:^|(?<=[\s;,]))\(?(?:blank\s)?\d{1,2}(?:[.):](?!\d)|\)\s?)\s*", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?:\S+\s+){4,}\S+[.!?\u3002]\s*$|.{15,}\u3002\s*$")
_DOUBT = re.compile(
    r"(?:i'?m |i am |it is |it's )?(?:not sure|unsure|unknown|unclear|cannot be determined|"
    r"n/a|i don'?t know|cannot tell|can'?t tell)\b",
    re.IGNORECASE,
)


def read_blanks(text: str) -> Reading:
    """The answers of a reply, canonical and one a line; None when there is no short one."""
    words = plain_words(text)[:_LONGEST]
    if not words:
        return Reading(None, "empty")
    lines = _statements(words) or _short_lines(words)
    parts = [part for line in lines for part in _parts(line)]
    if not parts or any(len(part.split()) > _SHORT for part in parts):
        return Reading(None, "no_short_answer")
    if all(_DOUBT.match(part) for part in parts):
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
        if intro := _STATED.match(line):
            rest = line[intro.end() :].strip()
            # A label alone in its line is the heading of all that follows.
            found += [rest] if rest else [x for x in lines[index + 1 :] if not _sentence(x)]
            if not rest:
                break
    if not found:
        found = [words[m.end() :].split("\n")[0] for m in _INSIDE.finditer(words)]
    return [_first_sentence(line) for line in found]


def _short_lines(words: str) -> list[str]:
    lines = [line for line in words.split("\n") if line.strip()]
    short = [line for line in lines if not _sentence(line)]
    return short or lines[-1:]


def _sentence(line: str) -> bool:
    return bool(_SENTENCE.match(line.strip())) and not _NUMBERED.match(line)


def _first_sentence(line: str) -> str:
    """Up to the first stop that ends a sentence; a stop in a number or an initial ends none."""
    return re.split(
        r"(?<=[^\W\d_]{2})[.!?]\s+(?=[A-Z])|\u3002|,\s(?:because|since|as)\s", line, maxsplit=1
    )[0]


def _parts(line: str) -> list[str]:
    pieces = [p for numbered in _NUMBERED.split(line) for p in numbered.split(";")]
    return [part for piece in pieces if (part := canonical(piece))]


def _by_comma(parts: Sequence[str], wanted: int) -> list[str]:
    return _cut_to(parts, wanted, lambda part: re.split(r"\s*[,\u3001/]\s*(?:and\s)?", part))


def _by_and(parts: Sequence[str], wanted: int) -> list[str]:
    return _cut_to(parts, wanted, lambda part: re.split(r"\s*,\s*(?:and\s)?|\s(?:and|&)\s", part))


def _cut_to(parts: Sequence[str], wanted: int, cut: Callable[[str], list[str]]) -> list[str]:
    """The parts cut further, when that gives the number wanted; else as they are."""
    finer = [word for part in parts for word in cut(part) if word]
    return finer if len(finer) == wanted else list(parts)
