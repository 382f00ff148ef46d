"""A store in memory that counts requests as an S3 client would make them, and parts without work.

The parts answer, score and judge without a model, so that a sweep of any size is carried out with
all its objects.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Prediction, Request, Sample, Score, Verdict
from medgen.engine.store.shards import md5_of

PAGE = 1000  # objects that one LIST tells of


class CountedObjects:
    """See `Objects`. `seen` counts requests by what they were for and by kind."""

    url = "counted://store"
    tells_md5 = True

    def __init__(self) -> None:
        """Nothing is there."""
        self.seen: Counter[tuple[str, str]] = Counter()
        self._held: dict[str, bytes] = {}
        self._sorted: list[str] | None = []
        self._lock = threading.Lock()

    def _count(self, kind: str, path: str, times: int = 1) -> None:
        self.seen[purpose(path), kind] += times

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`: one that is refused is read back."""
        with self._lock:
            self._count("PUT", path)
            if path in self._held:
                self._count("GET", path)
                return self._held[path] == data
            self._held[path], self._sorted = data, None
            return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        with self._lock:
            self._count("PUT", path)
            self._held[path], self._sorted = data, None

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        with self._lock:
            self._count("GET", path)
            if path not in self._held:
                raise FileNotFoundError(path)
            return self._held[path]

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        return self.read(path)[-most:]

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        return self.read(path)[start : start + size]

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        begin = f"{folder}/" if folder else ""
        with self._lock:
            found = {key[len(begin) :].partition("/")[0] for key in self._below(folder)}
            self._count("LIST", folder, max(1, -(-len(found) // PAGE)))
        return sorted(found)

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        with self._lock:
            found = self._below(folder)
            self._count("LIST", folder, max(1, -(-len(found) // PAGE)))
        return found

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`."""
        begin = len(folder) + 1
        return {path[begin:]: md5_of(self._held[path]) for path in self.walk(folder)}

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        with self._lock:
            below = self._below(path)
            near = len(self._beginning(path))
            self._count("LIST", path, 1 if near <= PAGE else 2 + -(-len(below) // PAGE))
            gone = [key for key in (*below, path) if key in self._held]
            self._count("DELETE", path, len(gone))
            for key in gone:
                del self._held[key]
            self._sorted = None

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        with self._lock:
            self._count("DELETE", path)
            if self._held.pop(path, None) is not None:
                self._sorted = None

    def _below(self, folder: str) -> list[str]:
        return self._beginning(f"{folder}/" if folder else "")

    def _beginning(self, begin: str) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self._held)
        low = bisect_left(self._sorted, begin)
        return self._sorted[low : bisect_left(self._sorted, f"{begin}\U0010ffff")]

    def sizes(self) -> dict[str, list[int]]:
        """Bytes of each object, by purpose."""
        found: dict[str, list[int]] = {}
        for path, data in self._held.items():
            found.setdefault(purpose(path), []).append(len(data))
        return found


def purpose(path: str) -> str:
    """What an object is for: rows of stages, or the folder that it is in."""
    top, _, rest = path.partition("/")
    if "/parts-" in path:  # of one key, or a pack of several
        return "parts"
    if top == "runs":
        return rest.partition("/")[2].partition("/")[0] or top
    return top


class Items:
    """A source of short questions that ask for text."""

    def __init__(self, count: int) -> None:
        """Nothing is made until it is read."""
        self._count = count

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        for n in range(self._count):
            yield Sample(
                id=f"item-{n:07d}",
                asks="text",
                task=f"task-{n % 5}",
                modality=("CT", "MRI")[n % 2],
                instruction=f"What is item {n}?",
                reference_texts=(f"reference {n}",),
            )

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """Nothing is held against anything."""
        return {}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        return {"layout": "items", "count": self._count}


class Parrot:
    """A model that says the question again."""

    def __init__(self, name: str) -> None:
        """`name` is in the recipe, so that no two systems are one."""
        self.name = name

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        """See `Generator.predict`."""
        return [Prediction(r.sample.id, text=r.sample.instruction) for r in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        return {"model": self.name}


class Flat:
    """A scorer that gives everything the same value."""

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        """The metrics' names are enough."""

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> dict[tuple[str, str], list[Score]]:
        """See `Scorer.score`."""
        return {
            (system, metric): [Score(s.id, values={metric: 0.5}) for s in samples]
            for system, metrics in wanted.items()
            for metric in metrics
        }

    def outputs(self, metric: str) -> tuple[str, ...]:
        """See `Scorer.outputs`."""
        return (metric,)

    def passport(self, metric: str) -> Mapping[str, Any]:
        """See `Scorer.passport`."""
        return {"metric": metric}


class Content:
    """A judge that gives everything the same mark."""

    def judge(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[Verdict]:
        """See `Judge.judge`."""
        return [
            Verdict(s.id, "reference_free", "content", scores={"overall": 5.0}) for s in samples
        ]

    def passport(self) -> Mapping[str, Any]:
        """See `Judge.passport`."""
        return {"judge": "content"}
