"""Components that break one law of their port at one hook, at every sample or at one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fakes import Echo, FixedJudge, Lengths, Lines

from medgen.engine.benchmark.source import Problem
from medgen.engine.chat.messages import ChatReply, ChatRequest
from medgen.engine.data import Sample

STRUCK = "s0006"
FAULTS: Mapping[str, Callable[[list[Any]], Any]] = {
    "too few": lambda rows: rows[:-1],
    "too many": lambda rows: [*rows, rows[-1]],
    "one twice": lambda rows: [rows[0], *rows[:-1]],
    "none": lambda rows: None,
    "a None among them": lambda rows: [None, *rows[1:]],
    "another type": lambda rows: "rows",
    "others in it": lambda rows: [object() for _ in rows],
    "turned round": lambda rows: rows[::-1],
}
RAISED = ("raises", "raises at one")
HUGE = "huge"  # 20 MB of text in one row
ALL = (*RAISED, *FAULTS, HUGE)


def strike(fault: str, ids: Sequence[str]) -> None:
    """Raise, where the fault is to raise."""
    if fault == "raises" or (fault == "raises at one" and STRUCK in ids):
        raise ValueError(f"{fault}: {len(ids)} samples")


def unfaithful(fault: str, rows: list[Any]) -> Any:
    """The rows, with the law broken."""
    return FAULTS[fault](rows) if fault in FAULTS and rows else rows


class Model(Echo):
    """`hook` is one of the methods of `Generator`."""

    def __init__(self, hook: str, fault: str) -> None:
        super().__init__()
        self.hook, self.fault = hook, fault

    def predict(self, requests: Any) -> Any:
        rows = super().predict(requests)
        if self.hook != "predict":
            return rows
        strike(self.fault, [r.sample.id for r in requests])
        if self.fault == HUGE:
            from dataclasses import replace

            rows = [replace(r, text="x" * 20_000_000) if r.sample_id == STRUCK else r for r in rows]
        return unfaithful(self.fault, rows)

    def passport(self) -> Any:
        return _other(self, "passport", super().passport())


class Scores(Lengths):
    """`hook` is one of the methods of `Scorer`."""

    def __init__(self, hook: str, fault: str, metrics: Mapping[str, Any]) -> None:
        super().__init__(metrics)
        self.hook, self.fault = hook, fault

    def score(self, samples: Any, predictions: Any, wanted: Any) -> Any:
        found: Any = super().score(samples, predictions, wanted)
        if self.hook != "score":
            return found
        strike(self.fault, [s.id for s in samples])
        return {place: unfaithful(self.fault, rows) for place, rows in found.items()}

    def outputs(self, metric: str) -> Any:
        return _other(self, "outputs", list(super().outputs(metric)))

    def passport(self, metric: str) -> Any:
        return _other(self, "passport", super().passport(metric))


class Judging(FixedJudge):
    """`hook` is one of the methods of `Judge`."""

    def __init__(self, hook: str, fault: str, name: str) -> None:
        super().__init__(name)
        self.hook, self.fault = hook, fault

    def judge(self, samples: Any, predictions: Any) -> Any:
        rows = super().judge(samples, predictions)
        if self.hook != "judge":
            return rows
        strike(self.fault, [s.id for s in samples])
        return unfaithful(self.fault, rows)

    def passport(self) -> Any:
        return _other(self, "passport", super().passport())


class Talk:
    """`hook` is one of the methods of `Chat`."""

    def __init__(self, hook: str, fault: str) -> None:
        self.hook, self.fault = hook, fault

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> Any:
        if self.hook != "chat":
            return [[ChatReply(text="yes") for _ in chain] for chain in chains]
        strike(self.fault, [r.sample_id for chain in chains for r in chain])
        words = "x" * 20_000_000 if self.fault == HUGE else "yes"
        return unfaithful(self.fault, [[ChatReply(text=words) for _ in c] for c in chains])

    def passport(self) -> Any:
        return _other(self, "passport", {"model": "talk"})


class Records(Lines):
    """`hook` is one of the methods of `Source`."""

    def __init__(self, hook: str, fault: str) -> None:
        super().__init__(24)
        self.hook, self.fault = hook, fault

    def __iter__(self) -> Iterator[Sample | Problem]:
        rows: list[Any] = []
        for item in super().__iter__():
            rows.append(item)
            if self.hook == "__iter__":
                strike(self.fault, [getattr(item, "id", "")])
        yield from (unfaithful(self.fault, rows) or ()) if self.hook == "__iter__" else rows

    def expected_counts(self) -> Any:
        return _other(self, "expected_counts", {})

    def describe(self) -> Any:
        return _other(self, "describe", dict(super().describe()))


def _other(component: Any, hook: str, given: Any) -> Any:
    if component.hook != hook:
        return given
    strike(component.fault, [STRUCK])
    return unfaithful(component.fault, [given, given]) if component.fault in FAULTS else given
