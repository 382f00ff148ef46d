"""Models of which one worker misbehaves; importable in every worker process."""

import itertools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fakes import Echo, Lengths

from medgen.engine.data import Prediction, Request, Sample, Score
from medgen.engine.errors import AdapterError, StoreError


class Misfit(Echo):
    """The first worker that is made, of all, behaves as `how` says; the others are sound.

    raises: every unit. crashes: its process dies at every unit. unwritable: the store refuses
    whatever it does. unstartable: it cannot be made, and neither can what takes its place, while
    the others take `load_s`. stuck: its start never ends. hangs: its first unit never returns,
    unless another worker gets it.
    """

    def __init__(
        self,
        how: str,
        load_s: float = 0.0,
        prices: Mapping[str, float] | None = None,
        execution: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.how, self.folder = how, dict(execution or {})["folder"]  # of marks: it is no content
        self.number = next(n for n in itertools.count() if self._claims(f"worker-{n}"))
        if how == "unstartable":
            if self.number == 0 or self.number > 3:
                raise AdapterError("this machine has no such device")
            time.sleep(load_s)
        if how == "stuck" and self.number == 0:
            time.sleep(3600)

    def _claims(self, name: str) -> bool:
        try:
            Path(self.folder, name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        if self.number == 0 and self.how == "raises":
            raise RuntimeError("the device is broken")
        if self.number == 0 and self.how == "crashes":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.number == 0 and self.how == "unwritable":
            raise StoreError("cannot write: the disk of this machine is full")
        if self.how == "hangs" and self._claims("hung"):
            time.sleep(3600)
        time.sleep(0.02)
        return super().predict(requests)


class Hours:
    """A clock that only work moves, in one process."""

    now = 0.0

    @classmethod
    def read(cls) -> float:
        return cls.now


class Leisurely(Echo):
    """Takes `seconds` of that clock for a unit."""

    def __init__(self, seconds: float, prices: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.seconds = seconds

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        Hours.now += self.seconds
        return super().predict(requests)


class Choosy(Lengths):
    """A scorer that raises on one sample."""

    def score(
        self,
        samples: Sequence[Sample],
        predictions: Mapping[str, Sequence[Prediction]],
        wanted: Mapping[str, Sequence[str]],
    ) -> dict[tuple[str, str], list[Score]]:
        if any(s.id == "s0005" for s in samples):
            raise KeyError("s0005")
        return super().score(samples, predictions, wanted)
