"""Text metrics in scripts without blanks, in every Unicode form, and on what is hardly a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from medgen.engine.data import Score
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.port import Metric
from medgen.metrics.samples import text_pair
from medgen.metrics.text.ngrams import (
    BLEU,
    ChrF,
    RougeL,
    TextExactMatch,
    TokenF1,
    longest_common,
)
from medgen.metrics.text.tokens import tokens, unify

METRICS = {m.name: m for m in (BLEU("strict"), RougeL(), ChrF(), TokenF1("strict"))}
EQUAL = TextExactMatch("strict")
for metric in (*METRICS.values(), EQUAL):
    metric.load("cpu")


def row(metric: Metric, text: str, reference: str) -> Score:
    return score_pairs(metric, ScoringBatch([Pair(*text_pair(text, reference))]))[0]


def value(metric: Metric, text: str, reference: str) -> float:
    return row(metric, text, reference).values[metric.name]


# the answer, one that shares a part of it, one that shares nothing
SCRIPTS = {
    "Chinese": ("左侧胸腔积液", "右侧胸腔积液", "肺炎"),
    "traditional Chinese": ("左側胸腔積液", "右側胸腔積液", "骨折"),
    "Japanese": ("左の胸水があります", "右の胸水があります", "ビタミン"),
    "Katakana": ("レントゲン", "レントケン", "アルミ"),
    "Thai": ("น้ำในช่องเยื่อหุ้มปอด", "น้ำในปอด", "หัก"),
    "Lao": ("ນ້ຳໃນປອດ", "ນ້ຳໃນທ້ອງ", "ແຂ"),
    "Khmer": ("ទឹកក្នុងសួត", "ទឹកក្នុងពោះ", "ដៃ"),
    "Burmese": ("အဆုတ်ရေဝင်", "အဆုတ်ရောင်", "ကျိုး"),
    "Tibetan": ("གློ་བའི་ཆུ", "གློ་བའི་ནད", "མིག"),
    "Korean": ("왼쪽 흉수 있음", "오른쪽 흉수 있음", "폐렴"),
    "Arabic": ("انصباب جنبي أيسر", "انصباب جنبي أيمن", "كسر"),
    "Hindi": ("बाईं ओर द्रव", "दाईं ओर द्रव", "टूटन"),
    "Russian": ("плевральный выпот слева", "плевральный выпот справа", "перелом"),
    "Greek": ("υπεζωκοτική συλλογή", "πλευριτική συλλογή", "κάταγμα"),
    "Hebrew": ("תפליט פלאורלי", "תפליט חדש", "שבר"),
    "German": ("kleiner Pleuraerguß links", "großer Pleuraerguß links", "Fraktur"),
    "Vietnamese": ("tràn dịch màng phổi", "tràn khí màng phổi", "gãy"),
    "mixed": ("CT显示3.5mm结节", "CT显示5.3mm结节", "无"),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_equal_is_one_alike_between_and_unlike_zero(script: str, name: str) -> None:
    same, alike, unlike = (
        value(METRICS[name], text, SCRIPTS[script][0]) for text in SCRIPTS[script]
    )
    assert same == pytest.approx(1.0)
    assert unlike < alike < 1.0
    assert unlike < 0.12


@pytest.mark.parametrize("unseen", "\u00ad\u034f\u200b\u200c\u200d\u2060\u206f\ufe0f\ufeff\u3164")
def test_what_nobody_sees_decides_nothing(unseen: str) -> None:
    for metric in (*METRICS.values(), EQUAL):
        assert value(metric, f"lu{unseen}ng", "lung") == pytest.approx(1.0), metric.name
    assert value(METRICS["token_f1"], f"\u2764{unseen}", "\u2764") == 1.0


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize(
    "text", [*(t[0] for t in SCRIPTS.values()), "naïve café", "ﬁne ½ ＣＴ", "Å²"]
)
def test_unicode_forms_are_equal_on_both_sides(text: str, form: str) -> None:
    other = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    for one, two in ((text, other), (other, text)):
        for metric in (*METRICS.values(), EQUAL):
            assert value(metric, one, two) == pytest.approx(1.0), metric.name


@pytest.mark.parametrize(
    "unseen", ["\u00ad", "\u200b", "\ufeff", "\u2060", "\u200e", "\u202a", "\u2066"]
)
def test_what_nobody_sees_changes_nothing(unseen: str) -> None:
    for metric in (*METRICS.values(), EQUAL):
        assert value(metric, f"pleural ef{unseen}fusion{unseen}", "pleural effusion") == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("肺炎", ["肺", "炎"]),
        ("左肺3.5厘米", ["左", "肺", "3.5", "厘", "米"]),
        ("ปอดน้ำ", ["ป", "อ", "ด", "น้", "ํา"]),
        ("don't", ["don't"]),
        ("don\u2019t", ["don't"]),
        ("3.5 mm, 1,000.", ["3.5", "mm", "1,000"]),
        ("state-of-the-art", ["state", "of", "the", "art"]),
        ("Café", ["café"]),
        ("e\u0301tat", ["état"]),
        ("Straße", ["strasse"]),
        ("हिन्दी", ["हिन्दी"]),
        ("ＣＴ１２", ["ct12"]),
        ("x_y", ["x", "y"]),
        ("+", ["+"]),
        ("!?", ["!", "?"]),
        ("👍", ["👍"]),
        ("\u0301", ["\u0301"]),
        ("'quoted' words.", ["quoted", "words"]),
        ("-5", ["-5"]),
        ("3-5", ["3", "5"]),
        ("x -5 (-6)", ["x", "-5", "-6"]),
        ("5 - 3", ["5", "3"]),
        ("B.", ["b"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    found = tokens(text)
    assert "".join(found) == "".join(words)
    if "ป" not in text:  # whose compatibility form takes the vowel am apart
        assert found == words


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=80))
def test_rouge_splits_english_as_its_package_does(text: str) -> None:
    theirs = DefaultTokenizer(use_stemmer=False).tokenize(text)
    ours = RougeL()
    ours.load("cpu")
    if theirs:
        assert ours._words.tokenize(text) == theirs


_SAID = ["lung", "5%", "<5", ".5", "-5", "HER2+", "er-", "a", "clear", "3.5", "don't", "x"]


@given(st.lists(st.sampled_from(_SAID), max_size=30), st.lists(st.sampled_from(_SAID), max_size=30))
def test_rouge_is_its_package(ours: list[str], theirs: list[str]) -> None:
    metric = RougeL()
    metric.load("cpu")
    text, reference = " ".join(ours), " ".join(theirs)
    want = RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure
    assert metric.values(text, reference)["rouge_l"] == want


def test_a_reply_that_repeats_itself_costs_no_table_of_all_pairs() -> None:
    assert longest_common(["x"] * 30_000, ["x", "y"] * 15_000) == 15_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<5", ">5"), ("< 5", "5"), ("≤5", "≥5"), ("<=5", "<5"), ("±2", "2"), ("5%", "5"),
        ("5 %", "5"), (".5", "5"), ("-.5", ".5"), ("HER2+", "HER2-"), ("HER2+", "HER2"),
        ("A+", "A-"), ("Rh-.", "Rh"), ("ER+/PR-", "ER+/PR+"), ("Ca++", "Ca"), ("-5", "5"),
        ("10^5", "105"), ("1.5", "15"), ("<-5", "<5"), ("p < .05", "p > .05"),
    ],
)  # fmt: skip
def test_a_sign_beside_a_word_decides(one: str, other: str) -> None:
    metric = TokenF1("strict")
    assert metric.values(one, other)["token_f1"] < 1
    assert metric.values(f"so {one}", f"so {one}")["token_f1"] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<= 5", "≤5"), ("5 %", "5%"), ("< 5 mm", "<5 mm"), ("+/- 2", "±2"), ("size<5", "size <5"),
        ("T1- and T2-weighted", "T1 and T2 weighted"), ("HER2+.", "HER2+"), ("(A+)", "A+"),
        ("a - b", "a b"), ("3-5", "3 5"),
    ],
)  # fmt: skip
def test_a_sign_is_the_same_wherever_blanks_stand(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)


@given(st.text(max_size=60))
def test_tokens_depend_on_the_form_alone(text: str) -> None:
    assert tokens(text) == tokens(unify(text)) == tokens(f"  {text}\n")


@pytest.mark.parametrize("reference", ["", " ", "\n\t "])
def test_an_empty_reference_is_no_reference(reference: str) -> None:
    for metric in (*METRICS.values(), EQUAL):
        found = row(metric, "effusion", reference)
        assert (found.status, found.reason) == ("not_applicable", "the reference text is empty")


@pytest.mark.parametrize("text", ["", " ", "?", "👍🏽", "\u0301\u0301", "\u200b", "、。", "🫁🫀"])
def test_a_text_of_nothing_but_signs_is_no_answer(text: str) -> None:
    for metric in (*METRICS.values(), EQUAL):
        assert value(metric, text, "Pleural effusion.") <= 0.3
        if text.strip() and unify(text):
            assert value(metric, text, text) == pytest.approx(1.0), metric.name


@pytest.mark.parametrize(
    ("one", "two"), [("+", "-"), ("👍", "👎"), ("↑", "↓"), ("?", "!"), ("3.5", "5.3")]
)
def test_signs_are_told_apart(one: str, two: str) -> None:
    assert value(TokenF1("strict"), one, one) == 1.0
    assert value(TokenF1("strict"), one, two) == 0.0


def test_a_text_of_a_hundred_thousand_words() -> None:
    long = "effusion " * 100_000
    for name in ("bleu", "chrf", "token_f1"):
        assert value(METRICS[name], long, "Pleural effusion.") < 0.2
    assert value(EQUAL, long, "x") == 0.0


def test_compat_stays_as_blind_as_the_authors() -> None:
    assert value(TokenF1("compat"), "胸腔积液", "肺炎") == 1.0
    assert value(TextExactMatch("compat"), "é", "e\u0301") == 0.0
