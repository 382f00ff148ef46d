"""A benchmark that grew keeps its shards; every sample is in exactly one of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from benchmark.given import Given
from hypothesis import given
from hypothesis import strategies as st

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.laying import Cut, Standing, lay_out
from medgen.engine.benchmark.manifest import Benchmark, Manifest, find_benchmark
from medgen.engine.benchmark.spool import SpoolEntry, entry_of
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects

TASKS = ("a", "b", "c")


def made(numbers: Sequence[int]) -> list[Sample]:
    return [
        Sample(f"s{n:04d}", "text", TASKS[n % 3], ("CT", "MRI")[n % 2], f"{n}") for n in numbers
    ]


def bring(objects: Objects, samples: Sequence[Sample], size: int = 8, **more: Any) -> Manifest:
    return import_benchmark(Given(samples), objects, ImportOptions("x", size, **more))


def ids(objects: Objects, manifest: Manifest) -> list[list[str]]:
    benchmark = Benchmark(objects, manifest.ref)
    return [[s.id for s in benchmark.samples(n)] for n in range(len(manifest.shards))]


def digests(manifest: Manifest) -> list[str]:
    return [shard.digest for shard in manifest.shards]


def test_a_grown_benchmark_appends_shards_and_shares_the_old_ones(memory_url: str) -> None:
    objects = connect(memory_url)
    old = bring(objects, made(range(64)))
    before = {name: objects.read(f"samples/{name}") for name in objects.names("samples")}
    new = bring(objects, made(range(74)))
    assert digests(new)[:8] == digests(old)
    assert ids(objects, new)[:8] == ids(objects, old)
    assert [shard.samples for shard in new.shards] == [8] * 9 + [2]
    assert new.grown_from == old.ref
    assert {name: objects.read(f"samples/{name}") for name in before} == before
    assert len(objects.names("samples")) == 10, "the old shards lie there once"
    assert find_benchmark(objects, "x").manifest == new, "the last of them has the name"
    assert bring(objects, made(range(74))) == new


def test_a_changed_sample_changes_its_own_shard_alone(memory_url: str) -> None:
    objects, samples = connect(memory_url), made(range(40))
    old = bring(objects, samples)
    samples[17] = replace(samples[17], instruction="another")
    new = bring(objects, samples)
    changed = [a != b for a, b in zip(digests(old), digests(new), strict=True)]
    assert changed.count(True) == 1
    assert ids(objects, new) == ids(objects, old), "it stays where it was"


def test_a_changed_sample_whose_id_is_its_content_stays_in_its_shard(memory_url: str) -> None:
    objects, samples = connect(memory_url), made(range(40))
    old = bring(objects, samples)
    samples[17] = replace(samples[17], id="other", instruction="another")
    new = bring(objects, samples)
    assert sum(a != b for a, b in zip(digests(old), digests(new), strict=True)) == 1


def test_what_is_gone_leaves_its_shard_shorter_or_the_shard_away(memory_url: str) -> None:
    objects, samples = connect(memory_url), made(range(24))
    old = bring(objects, samples)
    first = set(ids(objects, old)[0])
    kept = [s for s in samples if s.id not in first]
    assert digests(bring(objects, kept)) == digests(old)[1:]
    lost = ids(objects, old)[1][3]
    shorter = bring(objects, [s for s in samples if s.id != lost])
    assert [shard.samples for shard in shorter.shards] == [8, 7, 8]
    assert [a == b for a, b in zip(digests(old), digests(shorter), strict=True)] == [1, 0, 1]


def test_the_order_of_the_source_changes_nothing_of_a_grown_one(memory_url: str) -> None:
    one, two = connect(f"{memory_url}/1"), connect(f"{memory_url}/2")
    bring(one, made(range(20))), bring(two, made(range(20)))
    assert bring(one, made(range(50))) == bring(two, made(range(50))[::-1])


@pytest.mark.parametrize("other", [{"size": 16}, {"seed": 3}])
def test_another_cut_shares_nothing(memory_url: str, other: dict[str, int]) -> None:
    objects = connect(memory_url)
    old = bring(objects, made(range(64)))
    new = bring(objects, made(range(65)), **other)
    assert new.grown_from == ""
    assert not set(digests(old)) & set(digests(new))
    with pytest.raises(BenchmarkError, match="is one of"):
        find_benchmark(objects, "x")


def test_benchmarks_of_other_names_share_what_is_equal(memory_url: str) -> None:
    objects = connect(memory_url)
    one = import_benchmark(Given(made(range(16))), objects, ImportOptions("one", 8))
    two = import_benchmark(Given(made(range(16))), objects, ImportOptions("two", 8))
    assert digests(one) == digests(two)
    assert (one.ref, two.ref) != (two.ref, one.ref)
    assert len(objects.names("samples")) == 2


ENTRY = st.tuples(st.integers(0, 300), st.sampled_from("abc"), st.integers(0, 2))


def entries(rows: Mapping[int, tuple[str, int]]) -> list[SpoolEntry]:
    return [
        entry_of(Sample(f"s{n}", "text", task, "CT", f"version {version}"))
        for n, (task, version) in rows.items()
    ]


@given(
    st.dictionaries(st.integers(0, 80), st.tuples(st.sampled_from("abc"), st.integers(0, 1))),
    st.dictionaries(st.integers(0, 80), st.tuples(st.sampled_from("abc"), st.integers(0, 1))),
    st.integers(1, 9),
)
def test_the_old_order_is_kept_and_every_sample_is_in_one_shard(
    old: dict[int, tuple[str, int]], new: dict[int, tuple[str, int]], size: int
) -> None:
    cut = Cut(size, 0)
    first = lay_out(entries(old), cut)
    standing = Standing(
        "x-0",
        tuple(tuple(e.id for e in shard) for shard in first),
        {e.id: (e.format, e.task, e.modality) for shard in first for e in shard},
    )
    now = entries(new)
    second = lay_out(now, cut, standing)
    assert Counter(e.id for shard in second for e in shard) == Counter(e.id for e in now)
    assert all(shard and len(shard) <= size for shard in second)
    known = standing.strata
    kept = [[e.id for e in shard if e.id in known] for shard in second]
    there = {e.id for e in now}
    assert [ids for ids in kept if ids] == [
        left for shard in standing.shards if (left := [n for n in shard if n in there])
    ]
    if old.items() <= new.items():  # it only grew
        assert [[e.digest for e in shard] for shard in second[: len(first)]] == [
            [e.digest for e in shard] for shard in first
        ]
