"""Short answers: equal to the reference or one of its aliases, and how many words they share."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.answers.blanks import read_blanks
from medgen.engine.answers.choice import read_choice
from medgen.engine.answers.dressing import plain_words
from medgen.engine.answers.forms import canonical
from medgen.engine.answers.reasoning import part_thoughts
from medgen.engine.data import Prediction, Sample, Score
from medgen.metrics.port import AnswerMetric, Golden, Output
from medgen.metrics.profiles import Profile, choose_profile
from medgen.metrics.text.ngrams import token_f1
from medgen.metrics.text.tokens import fold, tokens

_ARTICLES = frozenset(("a", "an", "the"))
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_WORDS += " thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_NUMBERS = {word: str(value) for value, word in enumerate(_WORDS.split(" "))}
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split(" "), 2)}
_UNIT = "|".join(_WORDS.split(" ")[1:10])
_TEN = re.compile(rf"\b({'|'.join(_TENS)})(?:[ -]([1-9]|{_UNIT})(?!\w))?\b")
_SAME = {
    **dict.fromkeys(("\u662f", "\u662f\u7684", "\u6709", "\u5bf9", "\u306f\u3044"), "yes"),
    **dict.fromkeys(
        ("\u5426", "\u4e0d\u662f", "\u6ca1\u6709", "\u4e0d", "\u65e0", "\u3044\u3044\u3048"), "no"
    ),
}
_CLOSED = ("yes", "no")
_CLAUSE_END = re.compile("[,.;:!\uff0c\u3002\uff1b\uff01\u3001]")
_MEANT = ".-+<>=^%/~\u00b1\u00d7\u00b0"  # signs that may be a part of a value
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")


def normal(text: str) -> str:
    """A short text as it is compared: one spelling, no case, articles or marks, numbers as digits.

    Signs, exponents, relations and units decide, as in every answer (docs/metrics.md). An article
    stands before a word: the last of "vitamin A" is none.
    """
    plain = _TEN.sub(_two_digits, canonical(plain_words(text)))
    signs = (sign if sign.isalnum() or sign in _MEANT else " " for sign in plain)
    words = [word for word in map(_bare, "".join(signs).split()) if word]
    named = [word for word in words[:-1] if word not in _ARTICLES] + words[-1:]
    kept = [_NUMBERS.get(word, word) for word in named]
    joined = " ".join(kept)
    return _SAME.get(joined, joined)


def _two_digits(found: re.Match[str]) -> str:
    unit = found[2] or "0"
    return str(_TENS[found[1]] + int(_NUMBERS.get(unit, unit)))


def _words_or_signs(text: str) -> str:
    """What of a text is compared: `normal`, or its signs where it has no words ("+", an emoji)."""
    return normal(text) or fold(text).replace(" ", "")


def _bare(word: str) -> str:
    """A word without signs that mean nothing there: a sign counts beside a digit or another."""
    bare = word.strip("./=~")
    if not any(sign.isalnum() for sign in bare):
        return ""
    if not re.match(r"[-+<>]+=?\.?\d", bare):
        bare = bare.lstrip("-+<>^")
    return bare if re.search(r"[\d+]-?$", bare) else bare.rstrip("-")


def answer_in(text: str) -> str:
    """What a reply gives as its answer: what a tag or a box holds, else all without thoughts."""
    words = part_thoughts(text).answer
    for pattern in (_TAGGED, _BOXED):
        if found := pattern.findall(words):
            return str(found[-1]).strip()
    return words.strip()


def stated_in(answer: str) -> str:
    """The one short answer that a reply states, as for blanks; empty where it states several."""
    found = read_blanks(answer, told=True).answer or ""
    return "" if "\n" in found else found


def _yes_or_no(answer: str, reference: str) -> str:
    """Which of the two a reply says, where the reference is one of them."""
    if reference not in _CLOSED:
        return ""
    key = read_choice(answer, _CLOSED).answer
    said = dict(zip("ab", _CLOSED, strict=True)).get(key or "", "")
    return said or _SAME.get(_CLAUSE_END.split(answer, maxsplit=1)[0], "")


class ShortAnswer(AnswerMetric):
    """Equality after `normal`, and the words that both share; the best of the aliases counts.

    What a reply states ("The answer is the lung.", "Answer: lung", a line before its reasons) is
    compared as well as the whole, and where yes or no is wanted the one that it says ("No, it
    is not."): the better of them counts.

    `token_f1` is SQuAD's (Rajpurkar et al., EMNLP 2016), `token_recall` the share of the
    reference's words that occur, `bleu_1` the clipped precision of single words with the brevity
    penalty of Papineni et al., "BLEU", ACL 2002.
    """

    name = "short_answer"
    outputs = (Output("equal"), Output("token_f1"), Output("token_recall"), Output("bleu_1"))

    def __init__(self, profile: str = "strict") -> None:
        """`profile` can only be strict."""
        self.profile: Profile = choose_profile(self.name, profile, "strict")

    def applies(self, sample: Sample) -> str:
        """Where words are asked for and there is an answer in words."""
        if sample.asks != "text":
            return f"{self.name} does not apply to samples that ask for {sample.asks}"
        if sample.reference_sections:
            return f"{self.name} does not apply to reports in sections"
        return "" if sample.reference_texts else "the sample has no reference text"

    def one(self, sample: Sample, text: str) -> Score:
        """See `AnswerMetric`."""
        answer = answer_in(text)
        ours, theirs = normal(answer), [_words_or_signs(r) for r in sample.reference_texts]
        if not ours and not all(map(normal, sample.reference_texts)):
            ours = _words_or_signs(answer)  # signs are an answer where the reference is signs
        if not ours:
            return Score(sample.id, "unparseable", "no word" if answer else "empty")
        said = {ours, normal(stated_in(answer)), *(_yes_or_no(answer, ref) for ref in theirs)}
        each = [_values(one, reference) for one in said if one for reference in theirs]
        return Score(sample.id, values={n: max(v[n] for v in each) for n in each[0]})

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        sample = Sample(
            "short", "text", "open-vqa", "CT", "Where?", reference_texts=("The left lung", "lung")
        )
        half = {"equal": 0.0, "token_f1": 2 / 3, "token_recall": 1.0, "bleu_1": 0.5}
        return (Golden(sample, Prediction("short", text="right lung"), half),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile,
            "text": "NFKC, no case, articles, marks; numbers as digits",
        }


def _values(ours: str, theirs: str) -> dict[str, float]:
    said, wanted = tokens(ours), tokens(theirs)
    shared = sum((Counter(said) & Counter(wanted)).values())
    precision = shared / len(said) if said else 0.0
    brevity = (
        1.0
        if len(said) >= len(wanted)
        else 2.718281828459045 ** (1 - len(wanted) / max(1, len(said)))
    )
    return {
        "equal": float(ours == theirs),
        "token_f1": token_f1(said, wanted),
        "token_recall": shared / len(wanted) if wanted else 0.0,
        "bleu_1": precision * brevity,
    }
