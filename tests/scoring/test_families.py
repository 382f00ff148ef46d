"""What the metrics of families say of answers whose worth is known."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from answers.tables import rows
from PIL import Image as Pillow
from scoring.families import (
    GIVEN,
    OPTIONS,
    OUTSIDE,
    WANTED,
    boxes,
    choosing,
    edit,
    marked,
    mask,
    number,
    short,
    square,
)

from medgen.engine.answers.several import read_choices
from medgen.engine.data import Image, Prediction, Sample, Score
from medgen.engine.errors import ConfigError
from medgen.metrics.batch import Pair, ScoringBatch
from medgen.metrics.eligible import score_pairs
from medgen.metrics.image.masks import Masks
from medgen.metrics.image.region import RegionEdit
from medgen.metrics.port import Metric
from medgen.metrics.samples import square_pair
from medgen.metrics.text.choices import ChoiceAccuracy, Labels, Vote
from medgen.metrics.text.measures import Boxes, NumberError, read_number
from medgen.metrics.text.ngrams import TokenF1
from medgen.metrics.text.short import ShortAnswer, answer_in, normal


def one(metric: Metric, pair: Pair) -> Score:
    metric.load("cpu")
    (score,) = score_pairs(metric, ScoringBatch([pair]))
    return score


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", {"correct": 1, "correct_or_wrong": 1, "unread": 0}),
        ("The answer is (A).", {"correct": 0, "correct_or_wrong": 0, "unread": 0}),
        ("<think>A?</think>mass", {"correct": 1, "correct_or_wrong": 1, "unread": 0}),
        ("It might be A or B.", {"correct_or_wrong": 0, "unread": 1}),
        ("", {"correct_or_wrong": 0, "unread": 1}),
    ],
)
def test_an_answer_that_cannot_be_read_is_wrong_only_where_that_is_said(
    text: str, expected: dict[str, float]
) -> None:
    assert one(ChoiceAccuracy(), choosing(text)).values == expected


@pytest.mark.parametrize(
    ("reading", "text", "correct", "guessed"),
    [
        ("official:mmmu", "First (A), no: (B)", 1, 0),
        ("official:mmmu", "A then B then A", 0, 0),
        ("official:mmmu", "I would say that this is surely a mass in there", 1, 0),
        ("official:first-letter", "B or A", 1, 0),
        ("official:first-letter", "no idea", 0, 1),
    ],
)
def test_an_official_reading_reads_as_its_authors_do(
    reading: str, text: str, correct: float, guessed: float
) -> None:
    values = one(ChoiceAccuracy(reading=reading), choosing(text)).values
    assert (values["correct"], values["guessed"]) == (correct, guessed)


def test_a_guess_is_the_same_again_and_is_counted() -> None:
    metric = ChoiceAccuracy(reading="official:mmmu")
    values = [one(metric, choosing("nothing")).values for _ in range(3)]
    assert values[0] == values[1] == values[2]
    assert values[0]["guessed"] == 1


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(ConfigError, match="official:mmmu"):
        ChoiceAccuracy(reading="official:nobody")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("A, C", "ac"), ("AC", "ac"), ("A and C", "ac"), ("mass\nfracture", "bc"), ("B", "b"),
        ("(A), (B).", "ab"), ("The answers are: A; D", "ad"), ("A. effusion\nB. mass", "ab"),
        ("A cat sat", ""), ("A. mass", ""), ("", ""), ("A, E", ""),
    ],
)  # fmt: skip
def test_several_options_are_read_as_a_set(text: str, keys: str) -> None:
    found, why = read_choices(text, OPTIONS)
    assert found == set(keys)
    assert bool(why) == (not keys)


def test_labels_are_compared_as_sets() -> None:
    values = one(Labels(), choosing("A, C", "choices", (0, 1))).values
    assert values == {"f1": 0.5, "precision": 0.5, "recall": 0.5, "equal": 0}
    assert one(Labels(), choosing("A, B", "choices", (0, 1))).values["equal"] == 1


def test_a_vote_applies_to_preferences_alone() -> None:
    assert one(Vote(), choosing("B", "preference")).values["correct"] == 1
    assert one(Vote(), choosing("B")).status == "not_applicable"


@pytest.mark.parametrize(
    ("text", "references", "equal"),
    [
        ("The Left Lung.", ("left lung",), 1), ("two", ("2",), 1), ("\uff23\uff34", ("CT",), 1),
        ("\u662f\u7684", ("yes",), 1), ("aorta", ("heart", "the aorta"), 1),
        ("liver", ("lung",), 0),
        ("so <answer>lung</answer>", ("lung",), 1), ("\\boxed{3.5} cm", ("3.5",), 1),
    ],
)  # fmt: skip
def test_short_answers_are_equal_in_all_their_spellings(
    text: str, references: tuple[str, ...], equal: float
) -> None:
    assert one(ShortAnswer(), short(text, *references)).values["equal"] == equal


@pytest.mark.parametrize(
    ("reply", "reference", "equal"),
    [
        ("Answer: kidney", "kidney", 1.0), ("The answer is kidney", "kidney", 1.0),
        ("The answer is the kidney.", "Kidney", 1.0), ("**Final answer:** kidney", "kidney", 1.0),
        ("答案：肾脏", "肾脏", 1.0), ("Die Antwort ist Niere.", "niere", 1.0),
        ("kidney\n\nIts cortex is thin on both of the sides.", "kidney", 1.0),
        ("The answer is 10⁵", "100000", 1.0), ("The answer is -5", "5", 0.0),
        ("The answer is not kidney", "kidney", 0.0), ("kidney or liver", "kidney", 0.0),
        ("The answer is kidney or liver", "kidney", 0.0), ("1. kidney\n2. liver", "kidney", 0.0),
        ("Yes, it is.", "yes", 1.0), ("No, the heart is not enlarged.", "no", 1.0),
        ("Yes, it is.", "no", 0.0), ("是的，可见。", "yes", 1.0), ("Yes, but no.", "yes", 0.0),
        ("There is no effusion.", "no", 0.0), ("unknown", "unknown", 1.0), ("yes", "Yes.", 1.0),
        ("Yes, it is.", "yes, it is", 1.0), ("no", "not", 0.0),
    ],
)  # fmt: skip
def test_what_a_reply_states_is_its_short_answer(reply: str, reference: str, equal: float) -> None:
    sample = Sample("s", "text", "open-vqa", "CT", "?", reference_texts=(reference,))
    score = one(ShortAnswer(), Pair(sample, Prediction("s", text=reply)))
    assert score.values["equal"] == equal


def test_the_best_alias_counts() -> None:
    values = one(ShortAnswer(), short("left lung", "heart", "left upper lung")).values
    assert values["token_recall"] == pytest.approx(2 / 3)
    assert values["token_f1"] == pytest.approx(0.8)
    assert one(ShortAnswer(), short(" . ", "x")).status == "unparseable"


@pytest.mark.parametrize(
    ("text", "value", "unit", "error"),
    [
        ("2 cm", 20, "mm", 0), ("about 1,200 mL", 1.2, "l", 0),
        ("3 or 4? The answer is 4.", 4, "", 0),
        ("\u22125", -5, "", 0), ("12", 10, "mm", 2), ("5 nodules", 5, "", 0),
    ],
)  # fmt: skip
def test_numbers_are_compared_in_one_unit(text: str, value: float, unit: str, error: float) -> None:
    score = one(NumberError(), number(text, value, unit))
    assert score.values["absolute_error"] == pytest.approx(error)


@pytest.mark.parametrize("text", ["3 or 4", "none", "", "5 ml"])
def test_a_number_that_nobody_can_tell_has_no_value(text: str) -> None:
    assert one(NumberError(), number(text, 5, "mm")).status == "unparseable"


def test_a_reference_of_zero_has_no_relative_error() -> None:
    assert one(NumberError(), number("0.5", 0)).values == {"absolute_error": 0.5}


def test_boxes_are_matched_best_first() -> None:
    pair = boxes("[0,0,10,10]\n[20,0,30,10]\n[90,90,95,95]", (20, 0, 30, 5), (0, 0, 10, 10))
    values = one(Boxes(), pair).values
    assert values == {"iou": 0.75, "hit": 1, "missed": 0, "extra": 1}
    assert one(Boxes(), boxes("no box", (0, 0, 1, 1))).status == "unparseable"
    corners = boxes("<|box_start|>(0,0),(10, 10)<|box_end|>", (0, 0, 10, 10))
    assert one(Boxes(), corners).values["hit"] == 1
    assert one(Boxes(), boxes("2: [0,0,10,10]", (0, 0, 10, 10))).values["hit"] == 0


def test_an_edit_in_its_region_is_told_from_one_outside() -> None:
    right = one(RegionEdit(), edit(WANTED)).values
    wrong = one(RegionEdit(), edit(square((48, 48), OUTSIDE, 255))).values
    assert right["ssim_outside"] > 0.99 > wrong["ssim_outside"]
    assert right["change_inside"] == 1
    assert right["ssim_inside"] == pytest.approx(1)
    assert wrong["change_inside"] < 0.9


def test_an_edit_that_changes_nothing_has_no_share_of_change() -> None:
    values = one(RegionEdit(), edit(GIVEN)).values
    assert "change_inside" not in values
    assert values["ssim_outside"] == pytest.approx(1)


def test_an_edit_needs_no_reference_but_a_region_that_is_a_part() -> None:
    assert "ssim_inside" not in one(RegionEdit(), edit(WANTED, reference=False)).values
    whole = one(RegionEdit(), edit(WANTED, mask((0, 0, 47, 47))))
    assert whole.status == "not_applicable"


def test_a_number_is_read_in_its_unit_or_not_at_all() -> None:
    table = list(rows("numbers", Path(__file__).parent))
    read = []
    for _, unit, reply in table:
        found = read_number(answer_in(reply), unit)
        read.append(("-" if isinstance(found, str) else f"{found:g}", unit, reply))
    assert read == table


@pytest.mark.parametrize(
    ("reply", "reference", "equal"),
    [
        ("+", "+", 1.0), ("+", "-", 0.0), ("-", "-", 1.0), ("👍", "👍", 1.0),
        ("👍", "👎", 0.0), ("❤️", "❤", 1.0), ("positive", "+", 0.0),
        ("!!!", "lung", "no word"), ("👍", "lung", "no word"), ("", "+", "empty"),
    ],
)  # fmt: skip
def test_signs_are_an_answer_where_the_reference_is_signs(reply, reference, equal) -> None:
    sample = Sample("s", "text", "open-vqa", "CT", "?", reference_texts=(reference,))
    found = one(ShortAnswer(), Pair(sample, Prediction("s", text=reply)))
    assert (found.values["equal"] if found.values else found.reason) == equal


def test_signs_exponents_and_relations_decide_over_short_answers() -> None:
    table = list(rows("short", Path(__file__).parent))
    read = []
    for _, reply, reference in table:
        same = normal(answer_in(reply)) == normal(reference)
        read.append(("yes" if same else "no", reply, reference))
    assert read == table


@pytest.mark.parametrize(
    ("text", "reference"), [("\u22125", "5"), ("10\u2075", "105"), ("肺炎", "胸水")]
)
def test_no_sign_power_or_script_is_lost_to_token_f1(text: str, reference: str) -> None:
    assert TokenF1("strict").values(text, reference)["token_f1"] == 0
    assert TokenF1("strict").values(text, text)["token_f1"] == 1


def picture(size: tuple[int, int] = (48, 48), level: int = 0) -> Image:
    sink = io.BytesIO()
    Pillow.new("L", size, level).save(sink, "PNG")
    return Image(sink.getvalue(), "flat.png")


def test_a_mask_that_was_moved_has_the_values_of_its_definition() -> None:
    """As MONAI gives them for a square of 20 pixels beside its place by two."""
    found = one(Masks(tolerance_px=1.0), Pair(*square_pair()))
    assert found.values == pytest.approx(
        {"dice": 0.9, "iou": 0.8181818, "hd95": 2.0, "assd": 1.0, "nsd": 0.5263158}
    )
    same = one(Masks(), Pair(*square_pair(0)))
    assert same.values == {"dice": 1, "iou": 1, "hd95": 0, "assd": 0, "nsd": 1}


@pytest.mark.parametrize("shift", [1, 3, 7])
def test_masks_are_compared_alike_from_both_sides(shift: int) -> None:
    sample, prediction = square_pair(shift)
    turned = Pair(
        replace(sample, reference_images=prediction.images),
        replace(prediction, images=sample.reference_images),
    )
    assert one(Masks(), Pair(sample, prediction)).values == one(Masks(), turned).values


def test_a_mask_that_is_empty_has_no_border_and_two_have_no_value() -> None:
    for pair in (marked(picture(), mask()), marked(mask(), picture())):
        assert one(Masks(), pair).values == {"dice": 0, "iou": 0, "nsd": 0}
    neither = one(Masks(), marked(picture(), picture()))
    assert (neither.status, neither.reason) == ("not_applicable", "both masks are empty")
    whole = one(Masks(), marked(picture(level=255), picture(level=255)))
    assert whole.values["hd95"] == 0


def test_a_mask_of_another_size_is_brought_to_the_reference_by_its_pixels() -> None:
    large = Pillow.open(io.BytesIO(mask().data)).resize((96, 96), Pillow.Resampling.NEAREST)
    sink = io.BytesIO()
    large.save(sink, "PNG")
    assert one(Masks(), marked(Image(sink.getvalue(), "large.png"), mask())).values["dice"] == 1


def test_masks_are_compared_where_masks_are_asked_for() -> None:
    assert "does not apply to samples that ask for image" in one(Masks(), edit(WANTED)).reason
    refused = replace(marked(mask(), mask()).prediction, status="refused", images=())
    row = one(Masks(), Pair(marked(mask(), mask()).sample, refused))
    assert (row.status, row.reason) == ("error", "prediction: refused")
    with pytest.raises(ConfigError):
        Masks(profile="compat")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("It weighs 5 kg.", "another unit"),
        ("Nobody can tell.", "no number"),
        ("It is 5 mm, or else 7 mm.", "several different numbers"),
    ],
)
def test_why_a_reply_gives_no_number_is_said(reply: str, why: str) -> None:
    assert read_number(reply, "mm") == why
