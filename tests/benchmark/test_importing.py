import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._counted import CountedObjects
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import (
    ImportOptions,
    Subset,
    import_benchmark,
    validate,
)
from medgen.engine.benchmark.laying import stratify
from medgen.engine.benchmark.manifest import Benchmark, Manifest, benchmark_refs, find_benchmark
from medgen.engine.benchmark.source import Problem
from medgen.engine.benchmark.spool import Spool, SpoolEntry, entry_of
from medgen.engine.data import Box, Image, Number, Sample, Turn, Values
from medgen.engine.errors import BenchmarkError, ConfigError, StoreError
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import sample_shard
from medgen.engine.store.objects import Objects
from medgen.engine.store.sample_rows import ROLES


class Given:
    """A source of samples that a test has."""

    def __init__(self, samples: Sequence[Sample | Problem]) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Sample | Problem]:
        return iter(self.samples)

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {"layout": "given"}


class Interrupted(Exception):
    pass


class Stopping:
    """Objects that fail after some creations, as a lost connection does."""

    def __init__(self, objects: Objects, after: int) -> None:
        self._objects, self._left, self.url = objects, after, objects.url

    def create(self, path: str, data: bytes) -> bool:
        if not self._left:
            raise Interrupted
        self._left -= 1
        return self._objects.create(path, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


def _samples(count: int, images: bool = True) -> list[Sample]:
    source = SyntheticSource(count, images=images)
    return [item for item in source if isinstance(item, Sample)]


def _stored(objects: Objects, manifest: Manifest) -> list[Sample]:
    benchmark = Benchmark(objects, manifest.ref)
    return [s for number in range(len(manifest.shards)) for s in benchmark.samples(number)]


def _rich() -> list[Sample]:
    """Samples with everything a sample can hold."""
    picture = Image(b"a", "in/ä.png", "Current:", "<image 1>", Values(2.0, -1024.0, "HU", (-10, 9)))
    return [
        replace(
            sample,
            choices=("A. x", "B. y"),
            subtask="sub",
            input_images=(*sample.input_images, picture),
            raw={"answer": {"FINDINGS": ["x", None, 1.5]}, "task": "übung", "n": 10**30},
            context="a history",
            turns=(Turn("user", "and this?", (picture,)), Turn("assistant", "a cyst")),
            context_images=(picture,),
            region_images=(Image(b"b"), Image(b"c", values=Values())),
            reference_texts=("x", "y"),
            reference_sections={"findings": "clear", "IMPRESSION": ""},
            reference_choices=(0, 1),
            reference_number=Number(0.1, "mm"),
            reference_boxes=(Box(0, 1, 2.5, 3, 4),),
            rubric="what is right",
            bundle="pair",
            groups={"sex": "F", "age": "0-18"},
            language="zh",
        )
        for sample in _samples(40)
    ]


def test_what_was_given_is_stored_in_every_kind_of_place(store_url: str) -> None:
    objects, samples = connect(store_url), _rich()
    manifest = import_benchmark(Given(samples), objects, ImportOptions("x", shard_size=7))
    stored = _stored(objects, manifest)
    assert sorted(stored, key=lambda s: s.id) == samples
    assert [shard.samples for shard in manifest.shards] == [7, 7, 7, 7, 7, 5]
    assert find_benchmark(objects, "x").manifest == manifest
    in_words = Benchmark(objects, manifest.ref).samples_in_words(0)
    bare: dict[str, Any] = {f"{role}_images": () for role in ROLES}
    assert in_words == [replace(sample, **bare) for sample in stored[:7]]
    assert manifest.formats == dict(sorted(Counter(s.format for s in samples).items()))
    assert manifest.tasks == dict(sorted(Counter(s.task for s in samples).items()))
    assert manifest.modalities == dict(sorted(Counter(s.modality for s in samples).items()))
    for number, shard in enumerate(manifest.shards):
        held = Counter(s.asks for s in Benchmark(objects, manifest.ref).samples(number))
        assert shard.asks == dict(sorted(held.items()))


def test_shards_that_ask_for_the_same_share_what_they_say(memory_url: str) -> None:
    objects = connect(memory_url)
    manifest = import_benchmark(Given(_samples(100)), objects, ImportOptions("x", shard_size=4))
    read = Benchmark(objects, manifest.ref).manifest
    said = [repr(shard.formats) for shard in read.shards]
    assert read == manifest
    assert len({id(shard.formats) for shard in read.shards}) == len({*said}) < len(said)


def test_a_disk_without_room_is_said_with_what_to_do() -> None:
    words = r"No space left on device.*another folder in TMPDIR"
    with (
        open("/dev/full", "r+b", buffering=0) as file,
        pytest.raises(StoreError, match=words),
    ):
        Spool(file).add(_samples(1)[0])


def test_the_order_of_the_source_does_not_matter(memory_url: str) -> None:
    samples = _samples(100)
    shuffled = random.Random(1).sample(samples, len(samples))
    one, two = (
        import_benchmark(Given(s), connect(f"{memory_url}/{n}"), ImportOptions("x"))
        for n, s in enumerate((samples, shuffled))
    )
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, instruction="other"),
        lambda s: replace(s, choices=("A",)),
        lambda s: replace(s, reference_texts=("other",)),
        lambda s: replace(s, raw={"a": 1}),
        lambda s: replace(s, source="other"),
        lambda s: replace(s, input_images=(Image(b"other", s.input_images[0].path),)),
        lambda s: replace(s, input_images=s.input_images + s.reference_images, reference_images=()),
        lambda s: replace(s, id="other"),
        lambda s: replace(s, asks="text"),
        lambda s: replace(s, context="c"),
        lambda s: replace(s, turns=(Turn("user", "a"),)),
        lambda s: replace(s, context_images=s.input_images, input_images=()),
        lambda s: replace(s, region_images=s.reference_images),
        lambda s: replace(s, input_images=tuple(replace(i, label="a") for i in s.input_images)),
        lambda s: replace(s, input_images=tuple(replace(i, place="a") for i in s.input_images)),
        lambda s: replace(
            s, input_images=tuple(replace(i, values=Values()) for i in s.input_images)
        ),
        lambda s: replace(s, reference_sections={"a": "b"}),
        lambda s: replace(s, reference_choices=(0,)),
        lambda s: replace(s, reference_number=Number(0.0)),
        lambda s: replace(s, reference_boxes=(Box(0, 0, 0, 1, 1),)),
        lambda s: replace(s, rubric="r"),
        lambda s: replace(s, bundle="b"),
        lambda s: replace(s, groups={"sex": "F"}),
        lambda s: replace(s, language="zh"),
    ],
)
def test_the_fingerprint_covers_every_field(memory_url: str, change: Any) -> None:
    samples = _samples(30)
    at = next(i for i, s in enumerate(samples) if s.format == "ImageEditing")
    changed = [*samples[:at], change(samples[at]), *samples[at + 1 :]]
    objects = connect(memory_url)
    one, two = (import_benchmark(Given(s), objects, ImportOptions("x")) for s in (samples, changed))
    assert one.fingerprint != two.fingerprint


def test_the_fingerprint_covers_the_cut_and_the_seed(memory_url: str) -> None:
    source, objects = SyntheticSource(50), connect(memory_url)
    options = [
        ImportOptions("x", shard_size=size, seed=seed) for size in (8, 16) for seed in (0, 1)
    ]
    assert len({import_benchmark(source, objects, o).fingerprint for o in options}) == 4
    assert len(benchmark_refs(objects)) == 4


@pytest.mark.parametrize("after", range(5))
def test_an_interrupted_import_is_not_a_benchmark_and_is_finished_later(
    memory_url: str, after: int
) -> None:
    objects, options = connect(memory_url), ImportOptions("x", shard_size=8)
    source = SyntheticSource(30, images=True)
    with pytest.raises(Interrupted):
        import_benchmark(source, Stopping(objects, after), options)
    with pytest.raises(BenchmarkError, match="no benchmark"):
        find_benchmark(objects, "x")
    manifest = import_benchmark(source, objects, options)
    assert len(_stored(objects, manifest)) == 30
    assert import_benchmark(source, objects, options) == manifest


@pytest.mark.parametrize("damage", ["missing", "changed", "manifest"])
def test_importing_again_repairs(memory_url: str, damage: str) -> None:
    objects, source = connect(memory_url), SyntheticSource(30, images=True)
    manifest = import_benchmark(source, objects, ImportOptions("x", shard_size=8))
    victim = sample_shard(manifest.shards[1].digest)
    if damage == "missing":
        objects.delete(victim)
    elif damage == "changed":
        objects.replace(victim, b"not a table")
    else:
        objects.replace(f"benchmarks/{manifest.ref}/manifest.json", b"{")
    with pytest.raises(StoreError):
        _stored(objects, find_benchmark(objects, "x").manifest)
    assert import_benchmark(source, objects, ImportOptions("x", shard_size=8)) == manifest
    assert len(_stored(objects, manifest)) == 30


# ---- subsets and counts -------------------------------------------------------------------------


def test_a_subset_is_a_filter_with_a_count(memory_url: str) -> None:
    objects, source = connect(memory_url), SyntheticSource(160)
    subset = Subset("without-one", 150, without_tasks=("disease-prediction",))
    manifest = import_benchmark(source, objects, ImportOptions("x", subset=subset))
    assert (manifest.samples, manifest.subset) == (150, "without-one")
    assert "disease-prediction" not in manifest.tasks
    only = Subset("ct-noise", 2, tasks=("noise-reconstruction",), modalities=("CT",))
    assert import_benchmark(source, objects, ImportOptions("y", subset=only)).samples == 2


def test_a_subset_of_another_size_is_refused_loudly(memory_url: str) -> None:
    subset = Subset("paper-6422", 6422, without_tasks=("disease-prediction",))
    with pytest.raises(BenchmarkError, match=r"'paper-6422' has 150 samples, not the 6422"):
        import_benchmark(
            SyntheticSource(160), connect(memory_url), ImportOptions("x", subset=subset)
        )


def test_an_expected_count_is_checked_before_the_subset() -> None:
    subset = Subset("s", 10, tasks=("style-transfer",))
    source = SyntheticSource(160)
    assert validate(source, ImportOptions("x", subset=subset, expected_count=160)) == []
    (problem,) = validate(source, ImportOptions("x", subset=subset, expected_count=161))
    assert "160 samples, not the 161 expected" in problem.what


def test_repeats_are_numbered_when_asked(memory_url: str) -> None:
    samples = _samples(3)
    repeated = [*samples, samples[0], samples[0]]
    options = ImportOptions("x", number_repeats=True)
    manifest = import_benchmark(Given(repeated), connect(memory_url), options)
    ids = {s.id for s in _stored(connect(memory_url), manifest)}
    assert ids == {*(s.id for s in samples), f"{samples[0].id}-2", f"{samples[0].id}-3"}


def test_a_number_that_is_another_id_is_still_refused() -> None:
    first = _samples(1)[0]
    clash = [first, replace(first, id=f"{first.id}-2"), first]
    assert validate(Given(clash), ImportOptions("x", number_repeats=True))


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "-x", "a b"])
def test_a_name_that_is_no_folder_is_refused(memory_url: str, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name"):
        import_benchmark(SyntheticSource(3), connect(memory_url), ImportOptions(name))


def test_nothing_at_all_is_refused(memory_url: str) -> None:
    with pytest.raises(BenchmarkError, match="there is no sample in it"):
        import_benchmark(SyntheticSource(0), connect(memory_url), ImportOptions("x"))


def test_very_many_problems_are_counted_and_the_first_are_shown(memory_url: str) -> None:
    problems = [Problem("f.jsonl", row, None, "bad") for row in range(1, 1501)]
    with pytest.raises(BenchmarkError) as caught:
        import_benchmark(Given(problems), connect(memory_url), ImportOptions("x"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("1501 problem(s)")
    assert len(lines) == 1002
    assert "501 more" in lines[-1]


# ---- the order of samples -----------------------------------------------------------------------


def _entries(counts: Mapping[tuple[str, str], int]) -> list[SpoolEntry]:
    return [
        entry_of(Sample(f"{task}-{modality}-{n}", "text", task, modality, ""))
        for (task, modality), count in counts.items()
        for n in range(count)
    ]


_COUNTS = st.dictionaries(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["CT", "MRI", "US"])),
    st.integers(1, 60),
    min_size=1,
)


@given(_COUNTS, st.integers(0, 10**6))
def test_every_prefix_holds_its_share_of_every_stratum(
    counts: dict[tuple[str, str], int], seed: int
) -> None:
    entries = _entries(counts)
    order = stratify(entries, seed)
    assert sorted(e.id for e in order) == sorted(e.id for e in entries)
    tasks = Counter(e.task for e in entries)
    seen: Counter[Any] = Counter()
    for length, entry in enumerate(order, 1):
        seen[entry.task] += 1
        seen[entry.task, entry.modality] += 1
        share = length / len(order)
        assert all(abs(seen[place] - share * count) < 3 for place, count in counts.items())
        assert all(abs(seen[task] - share * count) < 3 for task, count in tasks.items())


def test_the_order_follows_the_seed_and_nothing_else() -> None:
    entries = _entries({("a", "CT"): 30, ("b", "CT"): 30})
    assert stratify(entries, 1) == stratify(list(reversed(entries)), 1)
    assert stratify(entries, 1) != stratify(entries, 2)


def test_every_sample_is_as_likely_to_come_first() -> None:
    entries = _entries({("a", "CT"): 3, ("a", "MRI"): 5, ("b", "CT"): 12})
    trials = 2000
    early: Counter[str] = Counter()
    for seed in range(trials):
        early.update(entry.id for entry in stratify(entries, seed)[:5])
    # A share of 5/20; the standard deviation of each count is about 19.
    assert all(abs(early[entry.id] - trials / 4) < 100 for entry in entries)


# ---- memory ----------------------------------------------------------------------------------


class Heavy:
    """Many samples with a large picture each, made while they are read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Sample | Problem]:
        for sample in SyntheticSource(self.count):
            assert isinstance(sample, Sample)
            pixels = random.Random(sample.id).randbytes(200_000)
            yield replace(sample, input_images=(Image(pixels, "x"),))

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        return {}

    def describe(self) -> Mapping[str, Any]:
        return {}


def test_memory_is_that_of_one_part_whatever_the_size(tmp_path: Any) -> None:
    peaks = []
    for count in (400, 900):  # 80 and 180 megabytes: more than a part of the table of samples
        tracemalloc.start()
        import_benchmark(Heavy(count), connect(str(tmp_path)), ImportOptions("x", shard_size=8))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.3


@pytest.mark.parametrize("few", [0, 100])
def test_shards_that_stand_there_are_read_whether_they_are_listed_or_asked_for(
    memory_url: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("medgen.engine.benchmark.importing._FEW", few)
    objects = connect(memory_url)
    manifest = import_benchmark(SyntheticSource(40), objects, ImportOptions("x", shard_size=8))
    lost, damaged, *_ = (sample_shard(shard.digest) for shard in manifest.shards)
    objects.remove(lost)
    objects.replace(damaged, objects.read(damaged)[:-20])
    written: list[str] = []

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(objects, name)

        def create(self, path: str, data: bytes) -> bool:
            written.append(path)
            return objects.create(path, data)

    options = ImportOptions("y", shard_size=8)
    again = import_benchmark(SyntheticSource(40), Noting(), options)
    assert {path for path in written if path.startswith("samples/")} == {lost, damaged}
    assert again.shards == manifest.shards
    assert len(_stored(objects, again)) == 40


def test_an_import_asks_for_no_shard_of_many_that_are_not_there() -> None:
    counted = CountedObjects()
    manifest = import_benchmark(SyntheticSource(120), counted, ImportOptions("x", shard_size=1))
    of_shards = {kind: n for (what, kind), n in counted.seen.items() if what == "samples"}
    assert len(manifest.shards) == 120
    assert of_shards == {"PUT": 120, "LIST": 1}
