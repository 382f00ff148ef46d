"""BLEU, ROUGE-L, chrF, token F1 and equality: the words of an answer and its reference."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medgen.engine.benchmark.canonical import squeeze
from medgen.metrics.port import Golden, Output, PairwiseText
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, texts_of
from medgen.metrics.samples import text_pair
from medgen.metrics.text.tokens import fold, space_apart, tokens, unify
from medgen.metrics.versions import versions_of

_ANY = "letters, digits and their marks, NFKC, no case; characters where a script has no blanks"
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)?")


def words(text: str) -> list[str]:
    """Runs of a-z and 0-9, one inner apostrophe allowed, of the lower-cased text."""
    return _WORD.findall(squeeze(text))


def token_f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """F1 of two bags of words; 1 when both are empty, 0 when one is.

    Rajpurkar et al., "SQuAD", EMNLP 2016.
    """
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


class TokenF1(PairwiseText):
    """F1 of the bags of words of two texts, see `token_f1`.

    compat: words of a-z and 0-9, so that texts in other scripts are all equal. strict: words of
    any script, see `medgen.metrics.text.tokens`.
    """

    name = "token_f1"
    outputs = (Output("token_f1", authors="Text_F1"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        split = tokens if self.profile == "strict" else words
        return {self.name: token_f1(split(text), split(reference))}

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        return (Golden(*text_pair(), {self.name: 22 / 29}),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        plain = "a-z, 0-9 and one inner apostrophe, lower case"
        signs = f"{_ANY}; signs beside words and numbers"
        return _passport(self.profile) | {"tokens": signs if self.profile == "strict" else plain}


class TextExactMatch(PairwiseText):
    """Whether two texts are equal but for case and white space; strict: and Unicode's forms."""

    name = "text_em"
    outputs = (Output("text_em", authors="Text_EM"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        plain = fold if self.profile == "strict" else squeeze
        return {self.name: float(plain(text) == plain(reference))}

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        return (Golden(*text_pair("An  Edema.", "an edema."), {self.name: 1.0}),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return _passport(self.profile)


class BLEU(PairwiseText):
    """Sentence BLEU of up to four words.

    compat: NLTK, white-space tokens, smoothing method 1 (a missing n-gram order counts 0.1).
    strict: sacreBLEU's sentence BLEU, 13a tokens, exponential smoothing and effective order, so
    punctuation does not spoil words and answers of fewer than four words are not punished for
    the orders they cannot have.
    """

    name = "bleu"
    outputs = (Output("bleu", authors="BLEU"),)

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def load(self, device: str) -> None:
        """Import the library that the profile names."""
        if self.profile == "strict":
            from sacrebleu.metrics.bleu import BLEU as SacreBLEU

            self._strict = SacreBLEU(effective_order=True)
        else:
            from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

            self._sentence_bleu, self._smoothing = sentence_bleu, SmoothingFunction().method1

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        if self.profile == "strict":
            ours, theirs = space_apart(text), space_apart(reference)
            return {"bleu": self._strict.sentence_score(ours, [theirs]).score / 100}
        value = self._sentence_bleu(
            [reference.split()], text.split(), smoothing_function=self._smoothing
        )
        return {"bleu": float(value)}

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        library, value = (
            ("sacrebleu", 0.42088563602621726)
            if self.profile == "strict"
            else ("nltk", 0.37732135663544075)
        )
        return (Golden(*text_pair(), {"bleu": value}, (library,)),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        if self.profile == "strict":
            how = {
                "tokens": "13a, characters where a script has no blanks",
                "smoothing": "exponential",
                "order": "effective, at most 4",
            }
            return _passport(self.profile, "sacrebleu") | how
        how = {"tokens": "white space", "smoothing": "method 1, epsilon 0.1", "order": "4"}
        return _passport(self.profile, "nltk") | how


class RougeL(PairwiseText):
    """ROUGE-L: F1 of the longest common subsequence of words.

    Lin, "ROUGE", 2004, as the `rouge-score` package computes it, with words of any script. The
    benchmark authors' evaluator has no such metric; the profile is strict.
    """

    name = "rouge_l"
    outputs = (Output("rouge_l"),)

    def __init__(self, profile: str = "strict", stemmer: bool = False) -> None:
        """`stemmer` reduces words to Porter stems first."""
        self.profile = choose_profile(self.name, profile, "strict")
        self.stemmer = stemmer

    def load(self, device: str) -> None:
        """Import rouge-score, whose words and F-measure these are."""
        from rouge_score.scoring import fmeasure

        self._words, self._fmeasure = _RougeWords(self.stemmer), fmeasure

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        ours, theirs = self._words.tokenize(text), self._words.tokenize(reference)
        if not ours or not theirs:
            return {"rouge_l": 0.0}
        common = longest_common(ours, theirs)
        return {"rouge_l": self._fmeasure(common / len(ours), common / len(theirs))}

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        if self.stemmer:
            return ()
        return (Golden(*text_pair(), {"rouge_l": 22 / 29}, ("rouge_score",)),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        kind = _ANY + (", Porter stems" if self.stemmer else "")
        return _passport(self.profile, "rouge_score") | {"tokens": kind}


def longest_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """How long the longest common subsequence of two lists of words is.

    A bit a word of `theirs`: the package's table of both has gigabytes where a model repeats itself
    20,000 times. Source: Hyyro, Bit-parallel LCS-length computation revisited, 2004.

    >>> longest_common(list("abcbdab"), list("bdcaba"))
    4
    """
    places: dict[str, int] = {}
    for at, word in enumerate(theirs):
        places[word] = places.get(word, 0) | 1 << at
    whole = free = (1 << len(theirs)) - 1
    for word in ours:
        matched = free & places.get(word, 0)
        free = (free + matched | free - matched) & whole
    return len(theirs) - free.bit_count()


class _RougeWords:
    """What rouge-score calls a tokenizer: on a-z and 0-9 it splits as the package does."""

    def __init__(self, stemmer: bool) -> None:
        """`stemmer` reduces words to Porter stems, where they are English."""
        from rouge_score.tokenizers import DefaultTokenizer

        self._english = DefaultTokenizer(stemmer)

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        found: list[str] = []
        for word in tokens(text):
            found += (word.isascii() and self._english.tokenize(word)) or [word]
        return found


class ChrF(PairwiseText):
    """chrF2: F-score (recall counts twice) of character n-grams up to six.

    Popovic, "chrF", WMT 2015, as sacreBLEU computes it, in [0, 1]. The benchmark authors'
    evaluator has no such metric; the profile is strict.
    """

    name = "chrf"
    outputs = (Output("chrf"),)

    def __init__(self, profile: str = "strict", word_order: int = 0) -> None:
        """`word_order` 2 gives chrF++."""
        self.profile = choose_profile(self.name, profile, "strict")
        self.word_order = word_order

    def load(self, device: str) -> None:
        """Import sacreBLEU."""
        from sacrebleu.metrics.chrf import CHRF

        self._scorer = CHRF(word_order=self.word_order)

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        ours, theirs = unify(text), unify(reference)
        return {"chrf": self._scorer.sentence_score(ours, [theirs]).score / 100}

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        if self.word_order:
            return ()
        return (Golden(*text_pair(), {"chrf": 0.6386816508443687}, ("sacrebleu",)),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return _passport(self.profile, "sacrebleu") | {"beta": 2, "word_order": self.word_order}


def _passport(profile: Profile, *libraries: str) -> dict[str, Any]:
    return {
        "profile": profile,
        "follows": FOLLOWS[profile],
        "texts": texts_of(profile),
        "versions": versions_of(*libraries),
    }
