"""BERTScore says of each row what it left out."""

from pathlib import Path

import pytest

from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.samples import text_pair
from medgen.metrics.text.bertscore import BERTScore

LIMIT = 512
PROFILES = ["compat", "compat-newer", "strict"]


def text(words: int, tail: str = "") -> str:
    return " ".join(["effusion"] * words) + tail


@pytest.fixture(params=PROFILES)
def metric(request: pytest.FixtureRequest, with_weights: Path) -> BERTScore:
    made = BERTScore(request.param)
    made.load("cpu")
    return made


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (3, 3, ""),
        (LIMIT - 2, 5, ""),
        (LIMIT - 1, 5, "cut to 512 word pieces: prediction of 513"),
        (5, LIMIT - 1, "cut to 512 word pieces: reference of 513"),
        (900, 700, "cut to 512 word pieces: prediction of 902, reference of 702"),
        (LIMIT - 2, LIMIT - 2, ""),
    ],
)
def test_where_it_cut(metric: BERTScore, ours: int, theirs: int, reason: str) -> None:
    [row] = score_pairs(metric, ScoringBatch([Pair(*text_pair(text(ours), text(theirs)))]))
    assert (row.status, row.reason) == ("ok", reason)


def test_a_difference_behind_the_cut_is_not_seen_and_is_said(metric: BERTScore) -> None:
    pairs = [Pair(*text_pair(text(600, tail), text(600))) for tail in (" edema", "")]
    first, second = score_pairs(metric, ScoringBatch(pairs))
    assert first.values == pytest.approx(second.values)
    assert first.reason == "cut to 512 word pieces: prediction of 603, reference of 602"


def test_the_passport_says_it_of_all(metric: BERTScore) -> None:
    assert "first 512 word pieces" in metric.passport()["cut"]


def test_a_text_of_a_hundred_thousand_words(metric: BERTScore) -> None:
    pair = Pair(*text_pair(text(100_000), "Pleural effusion."))
    [row] = score_pairs(metric, ScoringBatch([pair]))
    assert row.reason == "cut to 512 word pieces: prediction of 100002"
