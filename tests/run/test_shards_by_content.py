"""What was done once is found again: for a prefix, a longer benchmark, another name."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import SMALL, Echo, Lines, echo, recipe

from medgen.actors.local_pool import LocalPool
from medgen.engine.benchmark.importing import ImportOptions, Subset, import_benchmark
from medgen.engine.benchmark.manifest import Benchmark, Manifest
from medgen.engine.data import Prediction
from medgen.engine.errors import ConfigError
from medgen.engine.plan.graph import extent
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.run.adopting import take_over
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects


class Changed(Lines):
    """Lines of which some have another instruction, or are not there."""

    def __init__(self, count: int, changed: Mapping[str, str]) -> None:
        super().__init__(count)
        self.changed = changed

    def __iter__(self) -> Iterator[Any]:
        for sample in super().__iter__():
            words = self.changed.get(sample.id, sample.instruction)  # type: ignore[union-attr]
            yield replace(sample, instruction=words)  # type: ignore[type-var]


class Place:
    """A store, and a file with a line for every call of a model."""

    def __init__(self, folder: Path) -> None:
        self.objects: Objects = connect(str(folder / "store"))
        self.calls = folder / "calls"

    def bring(self, count: int = 96, name: str = "fake", size: int = 8, **changed: str) -> Manifest:
        return import_benchmark(Changed(count, changed), self.objects, ImportOptions(name, size))

    def plan(self, manifest: Manifest, limit: int | None = None, **how: Any) -> Plan:
        kwargs = {"execution": {"calls": str(self.calls)}}
        split = how.pop("split", 1)
        system = System("echo", Model(Spec("fakes:Echo", kwargs), SMALL, split=split), **how)
        return make_plan(recipe(system), manifest, limit)

    def run(self, plan: Plan) -> Counter[str]:
        """Carry it out; the samples that a model was asked."""
        self.calls.write_text("")
        take_over(RunReader(self.objects, plan))
        reader = RunReader(self.objects, plan)
        pool = LocalPool()
        assert carry_out(reader, survey(reader), pool, Options()).failed == {}
        pool.shutdown()
        assert survey(reader.anew(), "nothing").shards == 0
        return Counter(self.calls.read_text().split())

    def answers(self, plan: Plan) -> dict[str, str | None]:
        reader = RunReader(self.objects, plan)
        rows = [p for n in range(plan.shards) for p in reader.predictions("echo", n)]
        return {row.sample_id: row.text for row in rows}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def names(place: Place, manifest: Manifest, shards: range) -> set[str]:
    benchmark = Benchmark(place.objects, manifest.ref)
    return {s.id for n in shards for s in benchmark.samples(n)}


def test_a_prefix_then_the_whole_asks_everything_once(place: Place) -> None:
    manifest = place.bring()
    part = place.plan(manifest, limit=20)
    assert (part.shards, sum(part.samples.values()), part.left_out) == (3, 24, 72)
    assert "24 samples in 3 shards (the limit in whole shards), of 96" in extent(part)
    first = place.run(part)
    assert set(first) == names(place, manifest, range(3))
    second = place.run(place.plan(manifest))
    assert set(second) == names(place, manifest, range(3, 12))
    assert set((first + second).values()) == {1}
    assert not place.run(part), "and back again"
    assert place.answers(place.plan(manifest)) == {f"s{i:04d}": f"say {i}" for i in range(96)}


@pytest.mark.parametrize(("limit", "shards"), [(1, 1), (8, 1), (9, 2), (96, 12), (1000, 12)])
def test_a_limit_is_rounded_up_to_whole_shards(place: Place, limit: int, shards: int) -> None:
    assert place.plan(place.bring(), limit).shards == shards


def test_a_limit_of_nothing_is_refused(place: Place) -> None:
    with pytest.raises(ConfigError, match="leaves no sample"):
        place.plan(place.bring(), 0)


def test_ten_more_samples_ask_ten(place: Place) -> None:
    old = place.run(place.plan(place.bring(640, size=64)))
    assert len(old) == 640
    grown = place.bring(650, size=64)
    asked = place.run(place.plan(grown))
    assert asked == Counter({f"s{i:04d}": 1 for i in range(640, 650)})
    assert len(place.answers(place.plan(grown))) == 650


def test_a_changed_sample_asks_for_itself(place: Place) -> None:
    place.run(place.plan(place.bring()))
    new = place.bring(s0040="say it otherwise")
    assert place.run(place.plan(new)) == Counter(["s0040"])
    assert place.answers(place.plan(new))["s0040"] == "say it otherwise"


def test_names_that_are_only_labels_ask_nothing(place: Place) -> None:
    manifest = place.bring()
    place.run(place.plan(manifest))
    assert not place.run(place.plan(place.bring(name="another")))
    plan = place.plan(manifest)
    other = make_plan(
        replace(
            recipe(replace(plan.systems[0], name="renamed"), metrics=()),
            name="run-of-another-name",
            metrics={"size": Spec("fakes:length")},
        ),
        manifest,
    )
    assert {n.key for n in other.nodes.values()} == {n.key for n in plan.nodes.values()}


def test_what_a_system_gives_beyond_what_is_asked_is_in_no_name(place: Place) -> None:
    manifest = place.bring()
    plan = place.plan(manifest, gives=("text", "image", "image+text"))
    assert len(place.run(plan)) == 96
    assert not place.run(place.plan(manifest))
    assert len(place.run(place.plan(manifest, gives=("text",)))) == 32, "other rows, other files"
    assert not place.run(place.plan(manifest, gives=("choice", "text")))


def test_one_model_asked_for_different_samples_has_rows_for_each(place: Place) -> None:
    manifest = place.bring()
    model = Model(Spec("fakes:Echo"), SMALL)
    systems = [System("words", model, gives=("text",)), System("images", model, gives=("image",))]
    plan = make_plan(recipe(*systems), manifest)
    place.run(plan)
    reader = RunReader(place.objects, plan)
    for system in plan.systems:
        rows = [p for n in range(plan.shards) for p in reader.predictions(system.name, n)]
        assert len(rows) == 32
        assert {row.status for row in rows} == {"ok"}


def text_of(count: int) -> dict[str, str]:
    return {f"s{i:04d}": f"say {i}" for i in range(count)}


@pytest.mark.parametrize("split", [2, 3, 64])
def test_another_split_asks_nothing_again(place: Place, split: int) -> None:
    manifest = place.bring()
    place.run(place.plan(manifest))
    other = place.plan(manifest, split=split)
    assert take_over(RunReader(place.objects, other), write=False) == {"Echo": 96}
    assert not place.run(other)
    assert place.answers(other) == text_of(96)
    assert not place.run(place.plan(manifest))


@pytest.mark.parametrize("size", [3, 16, 500])
def test_another_shard_size_asks_nothing_again(place: Place, size: int) -> None:
    place.run(place.plan(place.bring()))
    other = place.plan(place.bring(size=size))
    assert not place.run(other)
    assert place.answers(other) == text_of(96)


def test_a_subset_first_asks_the_whole_for_the_rest(place: Place) -> None:
    edits = Subset("edits", 32, tasks=("style-transfer",))
    options = ImportOptions("fake", 8, subset=edits)
    part = import_benchmark(Lines(96), place.objects, options)
    assert len(place.run(place.plan(part))) == 32
    whole = place.plan(import_benchmark(Lines(96), place.objects, ImportOptions("all", 8)))
    assert len(place.run(whole)) == 64
    assert place.answers(whole) == text_of(96)


def test_rows_that_are_owed_are_taken_over_as_owed(place: Place) -> None:
    kwargs = {"faults": {"s0003": "timeout", "s0004": "model_error"}}
    system = System("echo", Model(Spec("fakes:Echo", kwargs), SMALL))
    place.run(make_plan(recipe(system), place.bring(16)))
    other = make_plan(recipe(system), place.bring(16, size=4))
    assert take_over(RunReader(place.objects, other)) == {"Echo": 16}
    reader = RunReader(place.objects, other)
    owed = [n for n in range(4) if survey(reader).targets[next(iter(other.nodes))].get(n)]
    benchmark = Benchmark(place.objects, other.benchmark)
    assert owed == [n for n in range(4) if "s0003" in {s.id for s in benchmark.samples(n)}]


def test_a_damaged_shard_is_not_taken_over(place: Place) -> None:
    manifest = place.bring()
    plan = place.plan(manifest)
    place.run(plan)
    (node,) = plan.predictions("echo")
    path = RunReader(place.objects, plan).stage(node).path(2)
    place.objects.replace(path, place.objects.read(path)[:-5])
    asked = place.run(place.plan(place.bring(size=96)))
    assert set(asked) == names(place, manifest, range(2, 3))


def test_two_judges_of_one_recipe_have_rows_of_their_own(place: Place) -> None:
    manifest = place.bring()
    twice = {
        n: Model(Spec("rule-judge", {"name": n, "protocol": "table-iv/1"}), SMALL) for n in "ab"
    }
    plan = make_plan(recipe(System("echo", echo()), judges=twice), manifest)
    assert len([n for n in plan.nodes.values() if n.stage == "judge"]) == 2
    alone = make_plan(recipe(System("echo", echo()), judges={"b": twice["b"]}), manifest)
    (node,) = (n for n in alone.nodes.values() if n.stage == "judge")
    assert plan.nodes[node.key].label == "a", "under another name, but the same rows"


class Neighbour(Echo):
    """Answers with the number of samples of the benchmark."""

    def use(self, benchmark: Benchmark) -> None:
        self.count = benchmark.manifest.samples

    def predict(self, requests: Any) -> list[Prediction]:
        return [Prediction(r.sample.id, text=str(self.count)) for r in requests]


def test_what_looks_at_the_whole_benchmark_is_asked_again_when_that_grew(place: Place) -> None:
    def texts(manifest: Manifest) -> set[str | None]:
        target = Spec("run.test_shards_by_content:Neighbour")
        plan = make_plan(recipe(System("echo", Model(target, SMALL))), manifest)
        place.run(plan)
        return set(place.answers(plan).values())

    assert texts(place.bring(16)) == {"16"}
    assert texts(place.bring(24)) == {"24"}
    unrelated = [
        make_plan(recipe(System("u", Model(Spec("unrelated"), SMALL))), place.bring(count))
        for count in (16, 24)
    ]
    assert not unrelated[0].nodes.keys() & unrelated[1].nodes.keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"faults": {}, "x": 0}, {"faults": {}, "x": 0.0}),
        ({"x": [1.0, {"y": 2.0}]}, {"x": [1, {"y": 2}]}),
    ],
)
def test_numbers_are_one_number_however_they_are_written(
    place: Place, one: dict[str, Any], other: dict[str, Any]
) -> None:
    manifest = place.bring(8)
    keys = [
        set(make_plan(recipe(System("e", Model(Spec("fakes:Echo", k), SMALL))), manifest).nodes)
        for k in (one, other)
    ]
    assert keys[0] == keys[1]


class Warm(Echo):
    """Says what it was given, in its rows and of itself."""

    def __init__(
        self,
        warmth: float = 0.0,
        *,
        words: tuple[str, ...] = ("say",),
        plain: bool = False,
        place: str = str(Path("here")),
        execution: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(str(warmth), execution=execution)
        self.given = {"warmth": warmth, "words": words, "plain": plain, "place": place}

    def passport(self) -> Mapping[str, Any]:
        return self.given


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ({"warmth": 1}, {"warmth": 1.0}),
        ({}, {"warmth": 0}),
        ({}, {"warmth": -0.0, "words": ["say"], "plain": False}),
        ({"plain": False, "warmth": 2}, {"warmth": 2.0}),
    ],
)
def test_what_is_given_in_another_way_asks_nothing(
    place: Place, given: dict[str, Any], again: dict[str, Any]
) -> None:
    manifest, how = place.bring(8), {"execution": {"calls": str(place.calls)}}

    def asked(**kwargs: Any) -> Counter[str]:
        target = Spec("run.test_shards_by_content:Warm", {**how, **kwargs})
        return place.run(make_plan(recipe(System("echo", Model(target, SMALL))), manifest))

    assert len(asked(**given)) == 8
    assert not asked(**again)
    assert not asked(**dict(reversed(again.items())))
    for other in ({"warmth": 3}, {"words": ["tell"]}, {"plain": True}, {"plain": 0}):
        assert len(asked(**other)) == 8, "and what is another is another"
    assert not asked(**given)


def test_a_default_that_is_no_literal_is_in_the_key_when_it_is_written(place: Place) -> None:
    manifest = place.bring(8)
    target = "run.test_shards_by_content:Warm"
    keys = {
        key
        for kwargs in ({}, {"place": "here"})
        for key in make_plan(
            recipe(System("e", Model(Spec(target, kwargs), SMALL))), manifest
        ).nodes
    }
    assert len(keys) > 2
