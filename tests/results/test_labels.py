"""Labels of fixed lists and probabilities of options over a run, held to libraries and by hand."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from results.fake_runs import FakeRun
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from medgen.engine.chat.messages import ChatReply, Token
from medgen.engine.chat.odds import option_odds, stored_odds
from medgen.engine.data import Prediction, Sample, Score
from medgen.engine.results.calibration import (
    CALIBRATION,
    bin_sums,
    calibration_error,
    calibration_rows,
    error_if_calibrated,
)
from medgen.engine.results.labels import LABELS, auroc, kappa, label_rows, macro, of_labels, tally
from medgen.engine.results.reduced import by_source, reduced_interval
from medgen.launch.report.labels import calibration_lines, label_lines

CHOICES = ("normal", "mass", "cyst")


def ask(number: int, right: int, **more) -> Sample:
    sample = Sample(
        f"s{number:03d}",
        "choice",
        "classification",
        "X-ray",
        "What is it?",
        choices=CHOICES,
        reference_choices=(right,),
        source=f"p{number // 2}",
    )
    return replace(sample, **more)


def one_hot(places: list[int], count: int) -> np.ndarray:
    return np.eye(count)[places]


def test_counts_of_labels_by_hand() -> None:
    right, named = one_hot([0, 0, 1, 1], 2), one_hot([0, 1, 1, 1], 2)
    sums = tally(right, named).sum(axis=0, keepdims=True)
    each = of_labels(sums)
    assert each["f1"][0] == pytest.approx([2 / 3, 4 / 5])
    assert each["balanced_accuracy"][0] == pytest.approx([0.75, 0.75])
    assert macro(sums, "recall")[0] == pytest.approx(0.75)
    # A label that is never right enters no mean, one that is never named has an F1 of 0.
    right, named = one_hot([0, 0, 1, 1], 3), one_hot([0, 0, 0, 0], 3)
    sums = tally(right, named).sum(axis=0, keepdims=True)
    assert np.isnan(of_labels(sums)["f1"][0, 2])
    assert macro(sums, "f1")[0] == pytest.approx((2 / 3 + 0) / 2)
    assert macro(sums, "precision")[0] == pytest.approx(0.25)


def test_kappa_is_that_of_statsmodels() -> None:
    draw = np.random.default_rng(3)
    for _ in range(50):
        right, named = draw.integers(0, 4, 40), draw.integers(0, 4, 40)
        named = np.where(draw.random(40) < 0.5, right, named)
        sums = tally(one_hot(right, 4), one_hot(named, 4)).sum(axis=0, keepdims=True)
        table = to_table(np.stack([right, named], axis=1), bins=np.arange(5) - 0.5)[0]
        assert kappa(sums)[0] == pytest.approx(cohens_kappa(table).kappa, abs=1e-9)


def test_a_label_that_is_always_or_never_right_has_no_values() -> None:
    right = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 1.0]])
    named = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0.0]])
    found = of_labels(tally(right, named).sum(axis=0, keepdims=True))
    assert found["recall"][0] == pytest.approx([np.nan, np.nan, 0.5], nan_ok=True)
    assert found["f1"][0] == pytest.approx([np.nan, np.nan, 2 / 3], nan_ok=True)
    assert found["balanced_accuracy"][0] == pytest.approx([np.nan, np.nan, 0.75], nan_ok=True)


def test_area_and_calibration_by_hand() -> None:
    right = np.array([0, 0, 1, 1.0])
    assert auroc(right, np.array([0.1, 0.4, 0.35, 0.8])) == pytest.approx(0.75)
    assert auroc(right, np.ones(4)) == pytest.approx(0.5)
    assert auroc(np.ones(4), np.ones(4)) is None
    confidence, hit = np.array([0.9, 0.9, 0.8, 0.8]), np.array([1, 0, 1, 0.0])
    sums = bin_sums(confidence, hit).sum(axis=0, keepdims=True)
    assert calibration_error(sums)[0] == pytest.approx(0.35)
    edge = bin_sums(np.array([1 / 15, 1.0]), np.zeros(2))
    assert list(np.flatnonzero(edge[:, :15].sum(axis=0))) == [1, 14]
    assert error_if_calibrated(np.full(100, 0.5)) == pytest.approx(0.04, abs=0.01)
    assert error_if_calibrated(np.full(10_000, 0.5)) < 0.006


def test_intervals_draw_whole_sources() -> None:
    right = one_hot([0, 1] * 100, 2)
    named = one_hot([0, 1] * 60 + [1, 0] * 40, 2)
    alone = by_source(tally(right, named), np.arange(200))
    pairs = by_source(tally(right, named), np.arange(200) // 20)
    low, high = reduced_interval(alone, kappa)
    assert low < kappa(alone.sum(axis=0, keepdims=True))[0] < high
    wide = reduced_interval(pairs, kappa)
    assert wide[1] - wide[0] > 1.5 * (high - low)
    assert reduced_interval(pairs[:1], kappa) == ()


def run(tmp_path, samples, predict, label="labels", systems=("one",)):
    def score(system, name, sample, prediction):
        return Score(sample.id, values={"f1": 1.0})

    made = FakeRun(samples, systems, {label: ["f1"]}, predict=predict, score=score)
    return made.write(str(tmp_path))


def test_the_labels_of_a_run(tmp_path) -> None:
    replies = ["A. normal", "C", "It is a mass.", "no idea", "B", "A"]
    samples = [ask(n, place) for n, place in enumerate([0, 1, 1, 2, 1, 0])]
    said = dict(zip([s.id for s in samples], replies, strict=True))
    broken = samples[-1].id

    def predict(system, sample):
        failed = sample.id == broken
        return Prediction(sample.id, "timeout" if failed else "ok", text=said[sample.id])

    rows = label_rows(run(tmp_path, samples, predict))
    assert LABELS.table(rows).num_rows == 4
    mean, *each = rows
    assert (mean.label, mean.n, mean.left_out, mean.right, mean.named) == ("", 5, 1, 3, 4)
    by = {row.label: row for row in each}
    assert by["normal"].f1 == 1.0
    assert (by["mass"].precision, by["mass"].recall) == (1.0, pytest.approx(2 / 3))
    assert (by["cyst"].f1, by["cyst"].right, by["cyst"].named) == (0.0, 1, 1)
    assert mean.f1 == pytest.approx((1.0 + 0.8 + 0.0) / 3)
    assert mean.equal == pytest.approx(0.6)
    assert mean.f1_low is not None
    assert mean.f1_low <= mean.f1 <= mean.f1_high


def test_a_task_whose_predictions_all_failed_has_a_row_without_values(tmp_path) -> None:
    samples = [ask(n, n % 3) for n in range(6)]
    reader = run(tmp_path, samples, lambda system, s: Prediction(s.id, "timeout"))
    (row,) = label_rows(reader)
    assert (row.label, row.n, row.left_out, row.f1, row.kappa) == ("", 0, 6, None, None)
    assert LABELS.table([row]).num_rows == 1
    assert len(list(label_lines([row]))) == 2


def test_a_label_of_one_source_alone_has_no_interval(tmp_path) -> None:
    samples = [ask(n, 0 if n < 2 else 1 + n % 2) for n in range(40)]  # both normals are p0's
    said = {s.id: "ABC"[s.reference_choices[0]] for s in samples}
    rows = label_rows(run(tmp_path, samples, lambda system, s: Prediction(s.id, text=said[s.id])))
    ends = {row.label: (row.f1, row.f1_low, row.f1_high) for row in rows}
    assert ends["normal"] == (1.0, None, None)
    assert ends["mass"] == ends["cyst"] == (1.0, 1.0, 1.0)


def test_samples_are_read_for_calibration_only_where_probabilities_are(tmp_path) -> None:
    samples = [ask(n, 0) for n in range(4)]
    reader = run(tmp_path, samples, lambda system, s: Prediction(s.id, text="A"))

    class Unread:
        def __getattr__(self, name):
            if name.startswith("samples"):
                raise AssertionError("samples were read")
            return getattr(benchmark, name)

    benchmark, reader.benchmark = reader.benchmark, Unread()
    assert calibration_rows(reader) == []


def test_options_that_differ_have_no_labels(tmp_path) -> None:
    samples = [ask(0, 0), ask(1, 0, choices=("x", "y"))]
    reader = run(tmp_path, samples, lambda system, s: Prediction(s.id, text="A"))
    assert label_rows(reader) == []
    # Nor has a run whose metrics read no choices.
    samples = [ask(0, 0), ask(1, 1)]
    (tmp_path / "other").mkdir()
    reader = run(tmp_path / "other", samples, lambda system, s: Prediction(s.id, text="A"), "psnr")
    assert label_rows(reader) == calibration_rows(reader) == []


def token(text: str, **odds: float) -> Token:
    return Token(text, {name: float(np.log(p)) for name, p in odds.items()})


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        ([token("B", A=0.2, B=0.6, C=0.1)], [2 / 9, 6 / 9, 1 / 9]),
        ([token("The"), token(" answer")], None),
        ([Token("B", {"B": -0.1, " B": -5.0, "A": -3.0}), Token(". mass", {})], "sums"),
        ([token("B", B=0.3, A=0.1, It=0.6)], None),  # something else was more probable
        ([token("B", B=0.5, It=0.5)], [0.0, 1.0, 0.0]),  # nothing else was
        ([token("A", A=0.9), token(" or B")], None),  # two are named
        ([], None),
    ],
)
def test_probabilities_of_options(tokens, found) -> None:
    text = "".join(t.text for t in tokens)
    kept = option_odds(ask(0, 1), ChatReply(text=text, tokens=tuple(tokens)))
    odds = stored_odds(Prediction("s", details=kept))
    if found == "sums":
        assert sum(odds) == pytest.approx(1)
        assert odds[1] > 0.9
    else:
        assert odds == (found and pytest.approx(found))


def test_thoughts_before_an_answer_are_passed_over() -> None:
    tokens = (
        Token("<think>"), token("A", A=0.5, B=0.5), Token(" maybe</think>"), Token("\n"),
        token("C", C=0.8, A=0.1), Token("."),
    )  # fmt: skip
    reply = ChatReply(text="".join(t.text for t in tokens), tokens=tokens)
    assert option_odds(ask(0, 1), reply)["options"] == pytest.approx([1 / 9, 0, 8 / 9])


@pytest.mark.parametrize(("logprobs", "rows"), [(20, 1), (0, 0)])
def test_probabilities_that_were_asked_for_and_not_given_are_said(logprobs, rows, tmp_path) -> None:
    samples = [ask(n, 0) for n in range(4)]
    reader = run(tmp_path, samples, lambda system, s: Prediction(s.id, text="A"), "choice_accuracy")
    style = {"style": {"sampling": {"logprobs": logprobs}}}
    nodes = {
        key: replace(node, recipe={**node.recipe, "kwargs": style})
        for key, node in reader.plan.nodes.items()
    }
    reader.plan = replace(reader.plan, nodes=nodes)
    found = calibration_rows(reader)
    assert [(row.n, row.without, row.ece) for row in found] == [(0, 4, None)] * rows
    assert len(list(calibration_lines(found))) == 2 * rows
    assert CALIBRATION.table(found).num_rows == rows


def test_a_right_option_that_stands_as_text_counts_in_calibration_too(tmp_path) -> None:
    """MedGEN-Bench says it in words: its choices had no row at all."""
    unsaid = {"reference_choices": (), "choices": ("A. normal", "B. mass", "C. cyst")}
    texts = ("B. mass", "C", "D. none of these")
    samples = [ask(n, 0, reference_texts=(text,), **unsaid) for n, text in enumerate(texts)]
    details = {"options": [0.2, 0.7, 0.1]}
    reader = run(
        tmp_path,
        samples,
        lambda system, s: Prediction(s.id, text="B", details=details),
        "choice_accuracy",
    )
    (row,) = calibration_rows(reader)
    assert (row.n, row.without, row.accuracy) == (2, 0, 0.5)
    first, second = 0.2**2 + 0.3**2 + 0.1**2, 0.2**2 + 0.7**2 + 0.9**2
    assert row.brier == pytest.approx((first + second) / 2)


def test_the_calibration_of_a_run(tmp_path) -> None:
    samples = [ask(n, 0) for n in range(4)]
    odds = {"s000": [0.9, 0.1, 0], "s001": [0.2, 0.8, 0], "s002": [0.6, 0.3, 0.1]}

    def predict(system, sample):
        given = odds.get(sample.id)
        return Prediction(sample.id, text="A", details={"options": given} if given else {})

    (row,) = calibration_rows(run(tmp_path, samples, predict, "choice_accuracy"))
    assert (row.n, row.without) == (3, 1)
    assert row.accuracy == pytest.approx(2 / 3)
    assert row.brier == pytest.approx((0.02 + 1.28 + 0.26) / 3)
    assert row.ece == pytest.approx((0.1 + 0.8 + 0.4) / 3)
    assert row.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.6]).mean())
    pq.write_table(CALIBRATION.table([row]), tmp_path / "c.parquet")


def test_controls_are_not_calibrated(tmp_path) -> None:
    def predict(system, sample):
        return Prediction(sample.id, text="A", details={"options": [0.9, 0.1, 0]})

    samples, systems = [ask(n, 0) for n in range(4)], ("one", "copy-input")
    reader = run(tmp_path, samples, predict, "choice_accuracy", systems)
    assert [row.system for row in calibration_rows(reader)] == ["one"]
