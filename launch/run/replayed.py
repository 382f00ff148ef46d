"""What became of predictions that existed already: used, unknown to the benchmark, unreadable."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from medgen.adapters.controls.replay import Replay
from medgen.engine import registry
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Request, Sample
from medgen.engine.errors import MedgenError
from medgen.engine.plan.plan import Plan
from medgen.engine.results.columns import More, system_columns
from medgen.engine.run.reader import RunReader

_NAMED = 5  # of each kind, in one sentence


def say_of_replays(reader: RunReader) -> Iterator[tuple[str, str]]:
    """For every system that replays predictions with something amiss: its name and a sentence."""
    for system in reader.plan.answering:
        arguments = _replay_arguments(reader.plan, system.name)
        if arguments is None:
            continue
        try:
            replay = Replay(**arguments)
        except MedgenError as err:  # the run is over, the files may be gone
            yield system.name, f"its predictions cannot be looked through any more: {err}"
            continue
        owed = _missing_by_sample(reader, system.name)
        # Rows tell what a system owes without a picture being read; the benchmark has more only
        # when the system is asked for some samples alone.
        known = set(owed)
        if replay.unknown(known):
            known |= set(_sample_ids(reader))
        missing = [sample for sample, gone in owed.items() if gone]
        if said := sentence(replay, known, missing):
            yield system.name, said


def examine_predictions(
    items: Iterable[Sample | Problem], replay: Replay, missing: list[str]
) -> Iterator[Problem]:
    """What is wrong with predictions for the samples of a source, beside the source's own problems.

    The ids of samples without a prediction are added to `missing`: they need not be wrong.
    """
    known: set[str] = set()
    for item in items:
        if isinstance(item, Problem):
            yield item
            continue
        known.add(item.id)
        (given,) = replay.predict([Request(item)])
        if given.status == "missing":
            missing.append(item.id)
        elif given.status != "ok":
            yield Problem("predictions", None, item.id, f"{given.status}: {given.reason}")
    yield from (problem for problem in replay.unreadable if problem.sample_id not in known)
    yield from replay.unknown(known)


def sentence(replay: Replay, known: Collection[str], missing: Sequence[str]) -> str:
    """What is amiss, counted and named; empty when every prediction found its sample."""
    unknown = replay.unknown(known)
    unreadable = replay.passport()["unreadable_lines"]
    parts: list[tuple[int, str, Sequence[str | Problem]]] = [
        (len(missing), "samples have no prediction", missing),
        (len(unknown), "predictions are for samples that the benchmark does not have", unknown),
        (unreadable, "lines cannot be read", replay.unreadable),
    ]
    return "; ".join(f"{n} {words}: {name_some(which, n)}" for n, words, which in parts if n)


def name_some(which: Sequence[str | Problem], count: int) -> str:
    """The first of them by name, and how many more."""
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return ", ".join(map(_name, which[:_NAMED])) + more


def _name(what: str | Problem) -> str:
    if isinstance(what, str):
        return what
    return f"{what.sample_id or what.what} ({what.file}:{what.row})"


def _replay_arguments(plan: Plan, system: str) -> dict[str, Any] | None:
    for node in plan.predictions(system):
        spec = plan.groups[node.group].spec
        if registry.find(spec.target).name == "replay":
            return dict(spec.kwargs)
    return None


def _sample_ids(reader: RunReader) -> Iterator[str]:
    for shard in range(reader.plan.shards):
        yield from reader.benchmark.table(shard)["sample_id"].to_pylist()


def _missing_by_sample(reader: RunReader, system: str) -> dict[str, bool]:
    """Every sample that a system owes: is its prediction missing?"""
    column = next(system_columns(reader, system, More(ids=True)), None)
    if column is None or column.context.ids is None:  # no metric and no judge has rows of it
        rows = (p for shard in range(reader.plan.shards) for p in reader.predictions(system, shard))
        return {p.sample_id: p.status == "missing" for p in rows}
    gone = column.context.prediction.where("missing").tolist()
    return dict(zip(column.context.ids.to_pylist(), gone, strict=True))
