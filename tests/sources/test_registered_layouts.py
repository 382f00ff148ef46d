"""Every registered layout keeps the law of a `Source`, and what it breaks is refused whole."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hostile.outside_tables import TABLES, lay
from hostile.parsers import FOLDERS
from run.unfaithful import FAULTS, RAISED, strike, unfaithful

from medgen.adapters.mini.build import build_mini
from medgen.adapters.sources.layouts import layouts, open_source
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Problem, Source
from medgen.engine.data import Sample
from medgen.engine.errors import MedgenError
from medgen.engine.store.connect import connect

Opened = Callable[[Path], Source]
# Beside the layouts: tables of one's own by a mapping, and what is made here.
SOURCES: Mapping[str, Opened] = {
    **{name: lambda folder, name=name: open_source(str(folder), name) for name in layouts()},  # type: ignore[misc]
    **{f"records: {kind}": lambda folder, kind=kind: lay(kind, folder) for kind in TABLES},  # type: ignore[misc]
    "mini": lambda _: build_mini(),
    "synthetic": lambda _: SyntheticSource(30),
}
# The miniature draws its pictures anew each time.
EACH = [pytest.param(n, marks=[pytest.mark.trial] if n == "mini" else []) for n in SOURCES]
HOOKS = ("__iter__", "expected_counts", "describe")


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    name = request.param
    if name in FOLDERS:
        FOLDERS[name](tmp_path)
    return SOURCES[name](tmp_path)


@pytest.mark.parametrize("source", EACH, indirect=True)
def test_a_source_gives_samples_with_ids_of_their_own_the_same_each_time(source: Source) -> None:
    found = list(source)
    samples = [item for item in found if isinstance(item, Sample)]
    assert samples == found, [str(i) for i in found if isinstance(i, Problem)]
    assert len({s.id for s in samples}) == len(samples) > 0
    assert list(source) == found
    counts = source.expected_counts()
    assert sum(counts.values()) in (0, len(samples))
    assert json.loads(json.dumps(source.describe()))["layout"]


@pytest.mark.parametrize("source", EACH, indirect=True)
def test_what_a_source_breaks_is_refused_whole_or_taken_whole(
    source: Source, memory_url: str
) -> None:
    objects = connect(memory_url)
    whole = len(list(source))
    for hook in HOOKS:
        for fault in (*RAISED[:1], *FAULTS):
            samples = 0
            with suppress(MedgenError):
                broken: Any = Over(source, hook, fault)
                samples = import_benchmark(broken, objects, ImportOptions("bad")).samples
            assert samples >= whole - 1 or objects.names("benchmarks") == [], (hook, fault)
            objects.delete("benchmarks")


class Over:
    """A source that breaks its law in one way at one hook."""

    def __init__(self, source: Source, hook: str, fault: str) -> None:
        self._source, self._hook, self._fault = source, hook, fault

    def __iter__(self) -> Iterator[Any]:
        yield from self._broken("__iter__", list(self._source)) or ()

    def expected_counts(self) -> Any:
        return self._broken("expected_counts", self._source.expected_counts())

    def describe(self) -> Any:
        return self._broken("describe", self._source.describe())

    def _broken(self, hook: str, given: Any) -> Any:
        if hook != self._hook:
            return given
        strike(self._fault, [])
        return unfaithful(self._fault, given if isinstance(given, list) else [given, given])
