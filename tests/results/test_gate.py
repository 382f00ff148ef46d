import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from results.fake_runs import FakeRun, make_samples, steady

from benchmarks.gate import SCENARIOS, Scenario, measure
from medgen.engine.data import VIEWS, Prediction, Verdict
from medgen.engine.errors import ConfigError
from medgen.engine.results.coded import Coded
from medgen.engine.results.columns import Column, Context
from medgen.engine.results.comparison import Cell, PairedColumn, Side, cells
from medgen.engine.results.gate import GateRules, _least_clusters, decide, gate
from medgen.engine.results.summary import summarize
from medgen.engine.results.thresholds import Threshold
from medgen.launch.report.verdicts import gate_json, gate_markdown

LOSSES = {"monday": 0.0, "tuesday": 0.0, "wednesday": 2.5}


def value(system, sample):
    """Night after night the same system, but for one answer in eight; on Wednesday it is worse."""
    steady_part = 30.0 + 3 * random.Random(sample.id).gauss(0, 1)
    number = random.Random(f"{sample.id}/{system}")
    jitter = number.gauss(0, 0.5) if number.random() < 0.125 else 0.0
    hurt = LOSSES.get(system, 0.0) if sample.task == "style-transfer" else 0.0
    return steady_part + jitter - hurt


def nights(count, folder, **more):
    asked = {"systems": tuple(LOSSES), "score": steady(value), "shard_size": 60, **more}
    reader = FakeRun(make_samples(count), **asked).write(str(folder))
    return [Side(reader, night) for night in LOSSES]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The three nights over 480 samples."""
    return nights(480, tmp_path_factory.mktemp("nights"))


def test_three_nights_with_a_planted_regression_in_the_third(three):
    monday, tuesday, wednesday = three
    good, bad = gate(monday, tuesday), gate(tuesday, wednesday)
    assert (good.word, good.exit_code) == ("pass", 0)
    assert (bad.word, bad.exit_code) == ("regression", 4)
    assert {(f.group, f.metric) for f in bad.regressions if f.kind == "task"} == {
        ("style-transfer", "psnr")
    }
    assert any("style-transfer, psnr: the loss is beyond" in r for r in bad.reasons)


def test_too_few_samples_are_inconclusive(tmp_path):
    monday, tuesday, _ = nights(16, tmp_path)
    verdict = gate(monday, tuesday)
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 5)
    assert "independent pairs, 10 needed" in verdict.reasons[0]


def test_better_is_never_a_regression(three):
    _, tuesday, wednesday = three
    assert gate(wednesday, tuesday).word == "pass"


def test_a_declared_tolerance_decides(three):
    _, tuesday, wednesday = three
    assert gate(tuesday, wednesday, GateRules(margins={"psnr": 4.0})).word == "pass"


def test_direction_turns_the_verdict(three):
    _, tuesday, wednesday = three
    turned = GateRules(directions={"psnr": "lower"})
    assert gate(tuesday, wednesday, turned).word == "pass"
    assert gate(wednesday, tuesday, turned).word == "regression"


def test_more_failures_are_a_regression_though_the_rest_scores_the_same(tmp_path):
    def predict(system, sample):
        failed = system == "wednesday" and int(sample.id[1:]) % 5 == 0
        return Prediction(sample.id, "model_error", "boom") if failed else Prediction(sample.id)

    losses = steady(lambda system, sample: 30.0 + random.Random(sample.id).gauss(0, 1))
    run = FakeRun(
        make_samples(480), systems=tuple(LOSSES), score=losses, predict=predict, shard_size=60
    )
    reader = run.write(str(tmp_path))
    verdict = gate(Side(reader, "tuesday"), Side(reader, "wednesday"))
    assert verdict.word == "regression"
    assert {f.metric for f in verdict.regressions} == {"answered"}


def test_missing_rows_make_it_inconclusive_not_passed(tmp_path):
    gone = frozenset(("tuesday", "score", shard) for shard in range(0, 60, 8))
    monday, tuesday, _ = nights(480, tmp_path, without=gone, shard_size=8)
    verdict = gate(monday, tuesday)
    assert verdict.word == "inconclusive"
    assert any("of the pairs are complete" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_a_constant_value_passes_against_itself_and_better_against_worse(tolerance, tmp_path):
    constant = {"monday": 0.1, "tuesday": 0.3, "wednesday": 0.1}
    score = steady(lambda system, sample: constant[system])
    run = FakeRun(make_samples(480), systems=tuple(constant), score=score, shard_size=60)
    reader = run.write(str(tmp_path))
    monday, tuesday, wednesday = (Side(reader, s) for s in constant)
    rules = GateRules(margin_sd=tolerance, margin_answered=0.0)
    assert gate(monday, wednesday, rules).word == "pass"
    assert gate(monday, tuesday, rules).word == "pass"
    assert gate(tuesday, monday, rules).word == "regression"
    assert {f.margin for f in gate(monday, monday, rules).findings} == {0.0}


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        (0.8, 0.1), (0.3, 0.1), (0.7, 0.1), (0.9, 0.3), (33.3, 0.1), (28.4, 0.7), (0.6, 0.2),
        (1.1, 0.1), (5.6, 1.1), (100.0, 0.3), (0.05, 0.01), (7.0, 0.6), (0.35, 0.05), (2.2, 0.7),
        (64.2, 0.9), (0.123, 0.003), (1e-5, 3e-6), (1e6, 0.1), (0.45, 0.15), (9.9, 3.3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_a_loss_as_large_as_is_tolerated_is_none_beyond_it(before, lost, direction):
    rules = GateRules(margins={"psnr": lost})
    nothing = np.zeros(40, dtype=np.int16)
    one = Coded(("ImageEditing",), nothing)
    context = Context(one, one, one, Coded(("ok",), nothing), np.arange(40, dtype=np.int32))

    def word(after):
        left, right = (
            Column(
                "",
                "score",
                "psnr",
                "psnr",
                "psnr",
                np.full(40, x),
                Coded(("ok",), nothing),
                context,
            )
            for x in (before, after)
        )
        paired = PairedColumn(left, right, np.arange(40), Threshold(direction=direction))
        return {f.word for f in decide(list(cells(paired)), rules).findings if f.kind == "all"}

    sign = 1 if direction == "higher" else -1
    assert word(before) == {"sound"}
    assert word(before - sign * lost) == {"open"}
    assert word(before - sign * 1.01 * lost) == {"regressed"}


def test_with_nothing_tolerated_the_same_or_better_passes_and_one_worse_pair_does_not(tmp_path):
    rises = {"monday": 0.0, "tuesday": 0.1, "wednesday": 0.1}

    def score(system, sample):
        worse = 5.0 if (system, sample.id) == ("wednesday", "s00000") else 0.0
        return 0.1 * int(sample.id[1:]) + rises[system] * (int(sample.id[1:]) % 2) - worse

    run = FakeRun(make_samples(480), systems=tuple(rises), score=steady(score), shard_size=60)
    reader = run.write(str(tmp_path))
    monday, tuesday, wednesday = (Side(reader, s) for s in rises)
    rules = GateRules(margin_sd=0, metrics=("psnr",))
    assert gate(monday, monday, rules).word == "pass"
    better = gate(monday, tuesday, rules)
    assert (better.word, {f.why for f in better.findings}) == (
        "pass",
        {"every value is the same or better"},
    )
    assert gate(monday, wednesday, rules).word == "inconclusive"


def test_every_dimension_of_a_judge_is_gated_and_none_is_left_unsaid(tmp_path):
    dimensions = ("accuracy", "compliance", "consistency", "control", "anatomy", "overall_score")

    def judge(system, label, sample, view, repeat):
        lost = 3.0 if system == "wednesday" and sample.task == "style-transfer" else 0.0
        scores = {d: 7.0 - (lost if d == "control" else 0) for d in dimensions}
        return Verdict(sample.id, view, label, scores=scores)

    more = {"metrics": {}, "judges": ("q",), "judge": judge}
    monday, _, wednesday = nights(480, tmp_path, **more)
    verdict = gate(monday, wednesday)
    gated = {f.metric for f in verdict.findings}
    assert gated == {"answered", *(f"{d}/{v}" for d in dimensions for v in VIEWS)}
    assert verdict.not_gated == ()
    assert {f.metric for f in verdict.regressions} == {f"control/{v}" for v in VIEWS}
    summary = summarize(monday.reader).to_pylist()
    assert {r["direction"] for r in summary if r["stage"] == "judge"} == {"higher"}


CONSTANT = {"base": 0.0, "candidate": 2.5}


def flat(folder, **more):
    """The same loss in every sample, of values that spread."""
    spread = steady(lambda system, s: 30 + random.Random(s.id).gauss(0, 5) - CONSTANT[system])
    asked = {"systems": tuple(CONSTANT), "score": spread, "shard_size": 60, **more}
    reader = FakeRun(make_samples(480), **asked).write(str(folder))
    return [Side(reader, name) for name in CONSTANT]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A baseline, and a candidate that loses the same everywhere."""
    return flat(tmp_path_factory.mktemp("flat"))


def test_a_margin_is_what_it_says_in_its_unit_and_no_more(sides):
    words = {m: gate(*sides, GateRules(margins={"psnr": m})).word for m in (1.3, 2.4, 2.6)}
    assert words == {1.3: "regression", 2.4: "regression", 2.6: "pass"}
    assert gate(*sides, GateRules(margins={"psnr.psnr": 2.6})).word == "pass"


def test_a_margin_in_deviations_is_of_the_baselines_values(sides):
    for share in (0.1, 0.4, 0.6):
        verdict = gate(*sides, GateRules(margin_sd=share))
        for finding in (f for f in verdict.findings if f.metric == "psnr"):
            values = [
                30 + random.Random(s.id).gauss(0, 5)
                for s in make_samples(480)
                if s.format == finding.format and finding.group in ("all", s.task)
            ]
            assert finding.margin == pytest.approx(share * np.std(values))
            assert finding.loss == pytest.approx(2.5)
            assert finding.baseline == pytest.approx(np.mean(values))
            assert finding.candidate == pytest.approx(np.mean(values) - 2.5)


@pytest.mark.parametrize(("margin", "word"), [(0.05, "regression"), (0.3, "pass")])
def test_the_margin_of_answered_is_its_own(margin, word, tmp_path):
    def predict(system, sample):
        failed = system == "candidate" and int(sample.id[1:]) % 7 == 0
        return Prediction(sample.id, "model_error", "no") if failed else Prediction(sample.id)

    level = steady(lambda system, s: 30 + random.Random(s.id).gauss(0, 5))
    sides = flat(tmp_path, predict=predict, score=level)
    rules = GateRules(margin_answered=margin, least_coverage=0.5)
    verdict = gate(*sides, rules)
    assert verdict.word == word
    assert {f.margin for f in verdict.findings if f.metric == "answered"} == {margin}
    default = {f.margin for f in gate(*sides).findings if f.metric == "answered"}
    assert default == {0.02}


def test_least_pairs_and_coverage_leave_it_open(sides):
    calm = GateRules(margins={"psnr": 9.0})
    assert gate(*sides, calm).word == "pass"
    found = gate(*sides, replace(calm, least_pairs=121))
    assert found.word == "inconclusive"
    assert "120 pairs, 121 needed" in " ".join(found.reasons)
    assert gate(*sides, replace(calm, least_pairs=120)).word == "pass"


def test_a_gate_on_random_weights_says_so(sides, tmp_path):
    assert gate(*sides).random_weights is False
    for part in ("psnr", "Model(candidate)"):
        verdict = gate(*flat(tmp_path / part, passports={part: {"random_weights": True}}))
        assert verdict.random_weights is True
        assert "random weights: plumbing, not results" in gate_markdown(verdict)
        assert json.loads(gate_json(verdict))["random_weights"] is True


def test_draws_are_enough_for_holms_smallest_threshold_and_no_p_is_zero(sides, monkeypatch):
    monkeypatch.setattr("medgen.engine.results.gate.FLIPS", 99)
    verdict = gate(*sides)
    assert verdict.word == "regression"
    psnr = [f for f in verdict.findings if f.metric == "psnr"]
    assert all(0 < f.regression_p <= 0.05 / len(verdict.findings) for f in psnr)
    assert all(0 < f.regression_holm <= 1 and 0 < f.sound_p <= 1 for f in verdict.findings)


def test_tasks_are_gated_unless_the_rules_say_no(sides):
    kinds = {
        r: {f.kind for f in gate(*sides, GateRules(by_task=r)).findings} for r in (True, False)
    }
    assert kinds == {True: {"all", "task"}, False: {"all"}}


def test_nothing_to_gate_is_inconclusive(tmp_path):
    monday, tuesday, _ = nights(48, tmp_path, thresholds={})
    verdict = gate(monday, tuesday, GateRules(ignore=("answered",)))
    assert (verdict.word, verdict.not_gated) == ("inconclusive", ("psnr",))


def test_rules_that_make_no_sense_are_refused():
    for wrong in (
        *(
            {"alpha": 0.0},
            {"alpha": math.nan},
            {"least_coverage": 2.0},
            {"margins": {"psnr": -1.0}},
        ),
        *({"margins": {"psnr": math.nan}}, {"margins": {"psnr": math.inf}}, {"flips": 0}),
        *({"margin_sd": math.nan}, {"margin_sd": math.inf}, {"margin_answered": math.nan}),
        *({"directions": {"psnr": "up"}}, {"least_pairs": -1}, {"least_clusters": -1}),
    ):
        with pytest.raises(ConfigError, match="gate"):
            GateRules(**wrong)


@pytest.mark.parametrize("field", ["metrics", "margins", "directions"])
def test_rules_for_a_value_that_nobody_has_are_refused_with_the_name_that_was_meant(field, three):
    names = {"metrics": ("pnsr",), "margins": {"pnsr": 1.0}, "directions": {"pnsr": "higher"}}
    with pytest.raises(ConfigError, match=f"{field} names .*'pnsr'. Did you mean 'psnr'"):
        gate(*three[:2], GateRules(**{field: names[field]}))


def test_a_value_that_is_asked_for_and_that_one_side_lacks_is_no_pass(three, tmp_path):
    monday, plain = three[0], GateRules(metrics=("answered",), by_task=False)
    (other, *_) = nights(480, tmp_path, metrics={"ssim": ["ssim"]})
    for sides in ((monday, other), (other, monday)):
        assert gate(*sides, plain).word == "pass"
        verdict = gate(*sides, GateRules(metrics=("psnr",), by_task=False))
        assert verdict.word == "inconclusive"
        assert verdict.reasons[0].startswith("psnr: asked for by the rules and not gated")


def test_verdict_can_be_shown_and_stored(three):
    _, tuesday, wednesday = three
    verdict = gate(tuesday, wednesday)
    stored = json.loads(gate_json(verdict))
    assert (stored["schema"], stored["exit_code"], stored["word"]) == ("gate/1", 4, "regression")
    text = gate_markdown(verdict)
    assert text.startswith("## Gate: regression\n")
    assert len(text) < 65_536
    assert "regressed" in text


@pytest.mark.parametrize(
    "scenario",
    [s for s in SCENARIOS if s.samples == 480 and s.loss <= 1.0 and s.named],
    ids=lambda s: s.name,
)
def test_false_alarms_stay_within_the_level(scenario):
    """A small version of `benchmarks/gate`: more than 8 alarms of 50 has a chance below 0.1 %."""
    found = measure(scenario, 50, None, np.random.default_rng(3))
    assert found["pairs"] == 50
    assert found["verdicts"].get("regression", 0) <= 8


def test_siblings_that_no_digest_can_see_need_their_patients_name():
    """Three images of a patient, no two alike: flipped together they keep the level."""
    scenario = Scenario("siblings", 480, tolerated=0.0)
    named, alone = (
        measure(replace(scenario, named=named), 60, None, np.random.default_rng(5))
        for named in (True, False)
    )
    assert named["verdicts"].get("regression", 0) <= 8  # more have a chance below 1 %
    assert alone["verdicts"].get("regression", 0) > named["verdicts"].get("regression", 0)


def test_a_large_planted_loss_is_found_where_it_was_planted():
    scenario = Scenario("planted", 960, loss=12.0, task="noise-reconstruction")
    found = measure(scenario, 10, None, np.random.default_rng(4))
    assert found["names_the_planted_cell"] >= 0.8


@pytest.mark.parametrize(
    ("sizes", "least"),
    [
        ([20, 12, 4, 3], 12),  # 2^-4 is above 0.05 / 3, 2^-12 below 0.05 / 2
        ([20, 12, 6], 6),  # 2^-6 is below 0.05 / 3
        ([4, 4, 3], 2),  # none of them ever could
        ([], 2),
    ],
)
def test_a_cell_that_could_not_regress_costs_the_others_no_level(
    sizes: list[int], least: int
) -> None:
    tested = [
        Cell(None, None, np.zeros(2 * n), np.zeros(2 * n), np.repeat(np.arange(n), 2))
        for n in sizes
    ]
    assert _least_clusters(tested, GateRules(least_clusters=2, alpha=0.05)) == least
