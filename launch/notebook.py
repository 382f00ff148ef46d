"""Runs from Python: what a store holds, as Arrow tables."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import pyarrow as pa

from medgen.engine.errors import BenchmarkError, ConfigError
from medgen.engine.results.aside import Aside
from medgen.engine.results.calibration import CALIBRATION
from medgen.engine.results.conditions import CONDITIONS
from medgen.engine.results.labels import LABELS
from medgen.engine.results.long_tables import VERDICT_ROWS
from medgen.engine.results.repeats import REPEATS
from medgen.engine.results.subgroups import SUBGROUPS
from medgen.engine.results.summary import read_summary
from medgen.engine.run.folder import RunFolder, find_run, run_ids
from medgen.engine.stages import JUDGE
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_table
from medgen.launch.quick import Quick, quick_run

log = logging.getLogger(__name__)


class Run:
    """One run in a store. Polars and pandas take its tables as they are: `pl.from_arrow(…)`.

    >>> import medgen
    >>> run = medgen.evaluate(table, "classical", store=store)
    >>> run.id.startswith("eval-")
    True
    >>> run.predictions().num_rows == 3 * run.samples  # two controls run along
    True
    >>> run.values().schema.field("value").type
    DataType(double)
    >>> run.verdicts().num_rows, run.conditions().num_rows
    (0, 0)
    >>> run.report.endswith("report/index.md")
    True
    """

    def __init__(self, objects: Objects, run_id: str) -> None:
        """`run_id` is one that the store has."""
        self._objects, self.id = objects, run_id

    @cached_property
    def samples(self) -> int:
        """How many samples the run is about."""
        return sum(RunFolder(self._objects, self.id).plan().samples.values())

    def summary(self) -> pa.Table:
        """One row a system, group and value: mean, interval, n, coverage, passes."""
        path = RunPlace(self.id).summary
        return read_summary(self._objects.read(path), path)

    def values(self) -> pa.Table:
        """One row a system, sample and value; the value is null where there is none, with why."""
        return self._table("values")

    def predictions(self) -> pa.Table:
        """One row a system and sample: what was answered, with its status and cost."""
        return self._table("predictions")

    def verdicts(self) -> pa.Table:
        """One row a system, sample, judge and scale; none of a run that nobody judges."""
        nodes = RunFolder(self._objects, self.id).plan().nodes.values()
        if not any(node.stage == JUDGE.name for node in nodes):
            return pa.Table.from_pylist([], VERDICT_ROWS)
        return self._table("verdicts")

    def conditions(self) -> pa.Table:
        """One row a system, condition and value: what the condition did. Empty without any."""
        return self._aside(CONDITIONS)

    def repeats(self) -> pa.Table:
        """One row a value of systems asked again: spread of seeds and of samples, pass@k."""
        return self._aside(REPEATS)

    def subgroups(self) -> pa.Table:
        """One row a system, value and group (age, sex …), with gap and worst group."""
        return self._aside(SUBGROUPS)

    def labels(self) -> pa.Table:
        """One row a system, task and label of a fixed list, and one for their mean."""
        return self._aside(LABELS)

    def calibration(self) -> pa.Table:
        """One row a system and task: how its probabilities of the options fit."""
        return self._aside(CALIBRATION)

    @property
    def report(self) -> str:
        """Where the report lies."""
        return f"{self._objects.url}/{RunPlace(self.id).report('index.md')}"

    def _aside(self, kind: Aside[Any]) -> pa.Table:
        return kind.table(kind.read(self._objects, self.id))

    def _table(self, kind: str) -> pa.Table:
        """The parts of all systems.

        Raises:
            BenchmarkError: no system of the run has finished yet.
        """
        plan = RunFolder(self._objects, self.id).plan()
        parts: list[pa.Table] = []
        for system in plan.systems:
            folder = RunPlace(self.id).table(kind, system.name)
            parts += [self._part(f"{folder}/{name}") for name in self._names(folder)]
        if not parts:
            raise BenchmarkError(
                f"run {self.id} has no {kind} yet; `medgen report` writes the tables of an old run"
            )
        return pa.concat_tables(parts)

    def _names(self, folder: str) -> Sequence[str]:
        return sorted(n for n in self._objects.names(folder) if n.endswith(".parquet"))

    def _part(self, name: str) -> pa.Table:
        return parquet_table(self._objects.read(name), name)


@dataclass(frozen=True)
class Store:
    """What runs left at a URL.

    >>> import medgen
    >>> found = medgen.open(store)
    >>> found.run(found.runs()[-1]).id in found.runs()
    True
    """

    url: str

    def runs(self) -> list[str]:
        """The ids of all runs."""
        return run_ids(connect(self.url))

    def run(self, run_id: str | None = None) -> Run:
        """A run by its id or a beginning of it; the latest without one.

        Raises:
            MedgenError: there is none, or several begin so.
        """
        objects = connect(self.url)
        return Run(objects, find_run(objects, run_id))


def as_words(name: str, value: object) -> str:
    """A path or name as text.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(value, str | PathLike):
        return str(fspath(value))
    advice = "; write it as a file, such as questions.parquet" if name == "data" else ""
    raise ConfigError(f"`{name}` is {type(value).__name__}, and should be a path or a name{advice}")


def run_quickly(asked: Quick) -> Run:
    """Carry out what `medgen eval` would, and give the run.

    Raises:
        MedgenError: it could not be started.
    """
    from medgen.launch import exits
    from medgen.launch.run.evaluation import RunOptions, evaluate
    from medgen.launch.run.plan import who
    from medgen.launch.run.publish import publish, why_incomplete
    from medgen.launch.run.stop import Stop
    from medgen.launch.view.data import StoredRun

    conf = quick_run(asked)
    stop = Stop()
    result = evaluate(conf, RunOptions(quiet=True), stop, lambda event: None)
    code = publish(result, conf, stop, shown=False)
    for group, reason in result.ending.failed.items():
        log.warning("given up: %s: %s", who(result.plan, group), reason)
    if not result.complete:
        log.warning("run %s is not complete; the same call goes on", result.plan.run_id)
    elif code == exits.INCOMPLETE:
        stored = StoredRun(result.reader.objects, result.plan.run_id, result.reader)
        for words in why_incomplete(result, stored, conf.allowed_failures) or ["answers failed"]:
            log.warning("not ok: %s", words)
    return Run(result.reader.objects, result.plan.run_id)
