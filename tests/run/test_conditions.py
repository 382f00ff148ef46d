"""Runs under conditions: what changes is run again, and is paired with what it was."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import SMALL, plan
from run.sighted import WORDS, Choices, sample

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import find_benchmark
from medgen.engine.benchmark.source import Source
from medgen.engine.conditions.kinds import CONDITIONS, find_condition
from medgen.engine.conditions.models import _exchange, shuffle_options
from medgen.engine.conditions.shown import Shown
from medgen.engine.data import Image, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.results.conditions import ConditionEffect, condition_effects
from medgen.engine.results.gaps import prediction_statuses
from medgen.engine.results.publishing import Summaries
from medgen.engine.results.summary import summarize
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.report.conditions import condition_lines
from medgen.launch.run.publish import failed_predictions, failed_share

COUNT = 48


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def plan_of(
    objects: Objects, *conditions: str, calls: str = "", source: Source | None = None
) -> Plan:
    given = source or Choices(COUNT)
    manifest = import_benchmark(given, objects, ImportOptions("choices", 12))
    how = {"execution": {"calls": calls}} if calls else {}
    recipe = Recipe(
        name="test",
        systems=(System("sighted", Model(Spec("run.sighted:Sighted", how), SMALL)),),
        metrics={"choice_accuracy": Spec("choice_accuracy")},
        scoring=SMALL,
        conditions=conditions,
    )
    return make_plan(recipe, manifest)


def go(objects: Objects, work: Plan, **options: Any) -> RunReader:
    pool = LocalPool()
    reader = RunReader(objects, work)
    carry_out(reader, survey(reader), pool, Options(**options))
    pool.shutdown()
    return RunReader(objects, work)


def correct(reader: RunReader) -> Mapping[str, ConditionEffect]:
    found = condition_effects(reader)
    return {e.condition: e for e in found if e.output == "correct"}


def test_only_what_a_condition_changes_is_run_again(objects: Objects, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    go(objects, plan_of(objects, calls=str(calls)))
    assert Counter(calls.read_text().split()) == {sample(n).id: 1 for n in range(COUNT)}
    more = plan_of(objects, "no-image", "shuffled-options", calls=str(calls))
    go(objects, more)
    assert Counter(calls.read_text().split()) == {sample(n).id: 3 for n in range(COUNT)}
    go(objects, more)
    assert Counter(calls.read_text().split()) == {sample(n).id: 3 for n in range(COUNT)}
    answers = [n for n in more.nodes.values() if n.stage == "answer"]
    assert len({n.key for n in answers}) == 3
    assert len({n.group for n in answers}) == 1  # the model is loaded once


def test_each_condition_is_paired_with_the_system_without_it(objects: Objects) -> None:
    reader = go(objects, plan_of(objects, "no-image", "other-image", "shuffled-options"))
    found = correct(reader)
    blind = found["no-image"]
    assert (blind.n, blind.full, blind.under, blind.drop) == (COUNT, 1.0, 0.25, 0.75)
    assert (blind.harmful, blind.helpful, blind.flips) == (0.75, 0.0, 0.75)
    assert (blind.chance, blind.kept) == (0.25, 0.0)  # the words give nothing away
    assert blind.wilcoxon_holm is not None
    assert blind.wilcoxon_holm < 0.001
    order = found["shuffled-options"]
    # The right one moves, and so does the answer: by what it says it is the same.
    assert (order.under, order.drop, order.flips) == (1.0, 0.0, 0.0)
    other = found["other-image"]
    assert other.drop is not None
    assert other.drop > 0.3
    assert other.harmful == other.drop
    assert other.flips == other.drop


class HalfBlind(Choices):
    """Each second question has no image."""

    def __iter__(self) -> Iterator[Sample]:
        for number, one in enumerate(super().__iter__()):
            words = one.instruction.replace("<image>", "")
            bare = replace(one, input_images=(), instruction=words, source=f"s{number}")
            yield bare if number % 2 else one


def test_items_that_a_condition_leaves_as_they_are_say_nothing_of_it(objects: Objects) -> None:
    """A drop that was measured where there is no image was half as large."""
    reader = go(objects, plan_of(objects, "no-image", "no-context", source=HalfBlind(COUNT)))
    found = condition_effects(reader)
    blind = {e.format: e for e in found if (e.condition, e.output) == ("no-image", "correct")}
    seen = blind["VQA"]
    assert (seen.n, seen.left_out, seen.full, seen.drop) == (COUNT // 2, 0, 1.0, 0.5)
    bare = blind["TextOnly"]
    assert (bare.n, bare.left_out, bare.drop, bare.flips) == (0, COUNT // 2, None, None)
    assert {e.n for e in found if e.condition == "no-context"} == {0}
    said = [*condition_lines(found)]
    assert "no-image: no item of TextOnly is another under it, so none is compared" in said
    assert "no-context: no item of VQA is another under it, so none is compared" in said
    assert not any("no item of VQA" in line for line in said if line.startswith("no-image"))


def test_what_a_condition_leaves_as_it_is_is_not_asked_again(
    objects: Objects, tmp_path: Path
) -> None:
    """Half of the questions have no image: under no-image all of them were asked once more."""
    calls, given = tmp_path / "calls", HalfBlind(COUNT)
    work = plan_of(objects, "no-image", "no-context", calls=str(calls), source=given)
    reader = go(objects, work)
    asked = Counter(calls.read_text().split())
    assert asked == {sample(n).id: 1 if n % 2 else 2 for n in range(COUNT)}
    found = prediction_statuses(reader, "sighted@no-image", 0)
    assert Counter(found.values()) == {"ok": 6, "not_applicable": 6}
    assert failed_predictions(reader, Summaries()) == 0.0
    assert not any(survey(reader).targets.values())


def test_verdicts_of_what_was_not_asked_are_no_failures(objects: Objects) -> None:
    work = plan_of(objects, "no-image", source=HalfBlind(12))
    rule = Model(Spec("rule-judge", {"name": "rule", "protocol": "table-iv/1"}), SMALL)
    systems = tuple(s for s in work.systems if not s.condition)
    asked = Recipe(
        name="judged",
        systems=systems,
        metrics={"choice_accuracy": Spec("choice_accuracy")},
        judges={"rule": rule},
        judged={"rule": ("*",)},
        scoring=SMALL,
        conditions=("no-image",),
    )
    manifest = find_benchmark(objects, work.benchmark).manifest
    summary = summarize(go(objects, make_plan(asked, manifest)))
    of_judge = [r for r in summary.to_pylist() if r["stage"] == "judge" and r["group"] == "all"]
    assert any(row["status_skipped"] for row in of_judge)
    assert failed_share(summary) == 0.0


class Lonely(Choices):
    """One of the questions is about the only image of its modality."""

    def __iter__(self) -> Iterator[Sample]:
        for number, one in enumerate(super().__iter__()):
            yield replace(one, modality="Ultrasound") if not number else one


def test_a_sample_that_nobody_lends_an_image_is_left_out_and_owed_by_nobody(
    objects: Objects,
) -> None:
    """Its row was missing, so every start took it up again, and the run never was complete."""
    reader = go(objects, plan_of(objects, "other-image", source=Lonely(COUNT)))
    assert (correct(reader)["other-image"].n, correct(reader)["other-image"].left_out) == (47, 1)
    rows = [p for s in range(4) for p in reader.predictions("sighted@other-image", s)]
    (alone,) = [row for row in rows if row.status != "ok"]
    assert (alone.status, alone.reason) == (
        "not_applicable",
        "no Ultrasound image of another source to borrow",
    )
    assert failed_predictions(reader, Summaries()) == 0.0
    assert not any(survey(reader).targets.values())
    assert any(line.endswith(", 1 left out") for line in condition_lines(condition_effects(reader)))


def test_models_are_given_what_conditions_say(objects: Objects) -> None:
    work = plan_of(objects)
    shown = Shown(RunReader(objects, work).benchmark)
    given = sample(6)

    def under(condition: str) -> Sample:
        found = shown.sample(condition, given)
        assert isinstance(found, Sample)
        assert (found.id, found.reference_text is None) == (given.id, False)
        return found

    assert under("no-image").input_images == ()
    assert under("no-image").instruction == " What is seen in 6?"
    blank, other = under("blank-image").input_images[0], under("other-image").input_images[0]
    assert {(i.label, i.place) for i in (blank, other)} == {("Now:", "<image>")}
    assert blank.data != given.input_images[0].data
    number = int(other.path.removesuffix(".png"))
    assert sample(number).modality == given.modality
    assert sample(number).source != given.source
    assert under("no-question").instruction == ""
    moved = under("shuffled-options")
    assert sorted(moved.choices) == sorted(WORDS)
    assert all(a != b for a, b in zip(moved.choices, WORDS, strict=True))
    assert moved.reference_text == given.reference_text


def test_options_that_the_question_lists_are_listed_in_the_new_order() -> None:
    asked = Sample(
        id="m",
        asks="choice",
        task="multiple-choice",
        modality="CT",
        instruction="Is it a mass? A. Mass B. Pleural\n effusion C. Cyst",
        choices=("A. Mass", "B. Pleural effusion", "C. Cyst"),
        reference_texts=("B",),
        raw={"choice": ["A. Mass"], "answer": "B"},
    )
    moved = shuffle_options(asked)
    assert isinstance(moved, Sample)
    listed = {"A. Cyst", "B. Mass", "C. Pleural effusion"}
    others = {"A. Pleural effusion", "B. Cyst", "C. Mass"}
    assert set(moved.choices) in (listed, others)
    assert moved.instruction == "Is it a mass? " + " ".join(moved.choices)
    assert moved.reference_text in moved.choices
    assert (moved.reference_text or "").endswith("Pleural effusion")
    assert moved.raw == {}


def test_a_condition_that_changes_nothing_of_a_run_is_refused(objects: Objects) -> None:
    with pytest.raises(ConfigError, match=r"no condition 'no-images'.*'no-image'"):
        plan_of(objects, "no-images")
    with pytest.raises(ConfigError, match="about what judges are shown, and the run has none"):
        plan_of(objects, "blank")
    with pytest.raises(ConfigError, match="no system of the run is asked for one"):
        plan(objects, conditions=("shuffled-options",))


def test_every_condition_says_what_it_is_for() -> None:
    assert [find_condition(name).name for name in CONDITIONS] == list(CONDITIONS)
    of_judges = [c.name for c in CONDITIONS.values() if c.of == "judge"]
    # The rows of the authors' table, in their order.
    assert of_judges == [
        "blank", "unrelated", "same-modality", "image-shuffle", "instruction-shuffle",
    ]  # fmt: skip


def test_borrowed_images_go_round_and_keep_label_and_place() -> None:
    own = [Image(bytes([n]), f"a{n}", label=f"view {n}") for n in range(5)]
    lent = [Image(b"x", "x"), Image(b"y", "y")]
    found = _exchange(own, lent)
    assert [image.data for image in found] == [b"x", b"y", b"x", b"y", b"x"]
    assert [image.label for image in found] == [image.label for image in own]
