"""Faults on purpose, the same ones for the same seed: a rehearsal of what clusters do.

    store_errors   calls to the store that fail before or after they took effect
    slow_store     calls to the store that take 20 ms longer
    worker_kill    shards whose worker dies just before or just after it writes them
    node_loss      shards whose machine is said to be lost when they are finished, once
    corrupt_image  predictions whose picture comes back damaged
    api_errors     predictions and verdicts whose endpoint fails to the end
    judge_rubbish  judge replies that are rubbish

Each is a share in 0..1. The first four change no row: they lie in the store's URL and in the
pool, and no key knows of them. The others change rows, so they become part of the recipe of the
models and judges they strike (`inject_faults`): such rows have keys of their own, and no run
without the same faults ever meets them.
"""

import time
from dataclasses import dataclass, fields
from uuid import uuid4

from medgen.engine.codec import fingerprint
from medgen.engine.errors import BusyError, ConfigError, EngineDied
from medgen.engine.store.layout import DEATHS, commit_of, death
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import commit_of_pack

_SLOW_S = 0.02


@dataclass(frozen=True, slots=True)
class Chaos:
    """Which faults, and how often."""

    seed: int = 0
    worker_kill: float = 0.0
    node_loss: float = 0.0
    store_errors: float = 0.0
    slow_store: float = 0.0
    corrupt_image: float = 0.0
    judge_rubbish: float = 0.0
    api_errors: float = 0.0

    def strikes(self, fault: str, *place: object) -> bool:
        """Whether a fault happens at a place: the same answer in every process."""
        rate: float = getattr(self, fault)
        return rate > 0 and draw(self.seed, fault, *place) < rate

    def __str__(self) -> str:
        """As it is written on the command line."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return ",".join(f"{k}={v:g}" for k, v in given.items() if v or k == "seed")


def draw(seed: int, *place: object) -> float:
    """A number in [0, 1) that only the seed and the place decide."""
    return int(fingerprint(seed, *map(str, place)), 16) / 2**64


def parse_chaos(text: str) -> Chaos:
    """Read `seed=1,worker_kill=0.2,…`.

    Raises:
        ConfigError: an unknown fault, or a share that is not in 0..1.
    """
    given: dict[str, float] = {}
    known = {f.name for f in fields(Chaos)}
    for entry in filter(None, text.split(",")):
        name, _, value = entry.strip().partition("=")
        if name not in known:
            raise ConfigError(f"chaos knows no {name!r}; there are {', '.join(sorted(known))}")
        try:
            given[name] = int(value) if name == "seed" else float(value)
        except ValueError as err:
            raise ConfigError(f"chaos: {entry!r} is not of the form name=number") from err
        if name != "seed" and not 0 <= given[name] <= 1:
            raise ConfigError(f"chaos: {name} is a share in 0..1, not {value}")
    return Chaos(**given)  # type: ignore[arg-type]


def chaotic_url(url: str, chaos: Chaos) -> str:
    """The URL of the same store with these faults, for `medgen.engine.store.connect.connect`."""
    return f"chaos:{chaos}::{url}"


def forget_deaths(objects: Objects) -> None:
    """Remove the marks of the deaths that have happened, when a rehearsal is over."""
    objects.delete(DEATHS)


class ChaoticObjects:
    """A store that fails as object storage does, and in which those who write shards may die."""

    def __init__(self, inner: Objects, chaos: Chaos) -> None:
        """`url` leads another process to the same store with the same faults."""
        self.inner, self.chaos = inner, chaos
        self.url, self.tells_md5 = chaotic_url(inner.url, chaos), inner.tells_md5
        self._failures: dict[tuple[str, str], int] = {}  # in a row

    def create(self, path: str, data: bytes) -> bool:
        """See `Objects.create`."""
        self._death("before", path)
        late = self._trouble("create", path)
        created = self.inner.create(path, data)
        if late:
            raise BusyError(f"chaos: no answer to the writing of {path}")
        self._death("after", path)
        return created

    def replace(self, path: str, data: bytes) -> None:
        """See `Objects.replace`."""
        late = self._trouble("replace", path)
        self.inner.replace(path, data)
        if late:
            raise BusyError(f"chaos: no answer to the writing of {path}")

    def read(self, path: str) -> bytes:
        """See `Objects.read`."""
        if self._trouble("read", path):
            raise BusyError(f"chaos: {path} broke off")
        return self.inner.read(path)

    def read_end(self, path: str, most: int) -> bytes:
        """See `Objects.read_end`."""
        if self._trouble("read", path):
            raise BusyError(f"chaos: {path} broke off")
        return self.inner.read_end(path, most)

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """See `Objects.read_range`."""
        if self._trouble("read", path):
            raise BusyError(f"chaos: {path} broke off")
        return self.inner.read_range(path, start, size)

    def names(self, folder: str) -> list[str]:
        """See `Objects.names`."""
        if self._trouble("names", folder):
            raise BusyError(f"chaos: the listing of {folder} broke off")
        return self.inner.names(folder)

    def walk(self, folder: str) -> list[str]:
        """See `Objects.walk`."""
        if self._trouble("walk", folder):
            raise BusyError(f"chaos: the listing below {folder} broke off")
        return self.inner.walk(folder)

    def md5s(self, folder: str) -> dict[str, str]:
        """See `Objects.md5s`."""
        if self._trouble("md5s", folder):
            raise BusyError(f"chaos: the listing of {folder} broke off")
        return self.inner.md5s(folder)

    def delete(self, path: str) -> None:
        """See `Objects.delete`."""
        late = self._trouble("delete", path)
        self.inner.delete(path)
        if late:
            raise BusyError(f"chaos: no answer to the deletion of {path}")

    def remove(self, path: str) -> None:
        """See `Objects.remove`."""
        late = self._trouble("remove", path)
        self.inner.remove(path)
        if late:
            raise BusyError(f"chaos: no answer to the deletion of {path}")

    def _trouble(self, action: str, path: str) -> bool:
        """Fail now, or (True) after the call took effect; be slow before either."""
        number = self._failures.get((action, path), 0)
        place = (action, path, number)
        if self.chaos.strikes("slow_store", *place):
            time.sleep(_SLOW_S)
        if not self.chaos.strikes("store_errors", *place):
            self._failures.pop((action, path), None)
            return False
        self._failures[action, path] = number + 1
        if draw(self.chaos.seed, "early", *place) < 0.5:
            raise BusyError(f"chaos: {action} {path} refused, slow down")
        return True

    def _death(self, moment: str, path: str) -> None:
        """End this process at a shard's commit, if it is to happen and has not happened yet.

        The moment is drawn for each shard. Marks in the store make it happen twice at most, once
        to the whole and once to a part, so that no single sample is blamed for it.
        """
        if (commit := commit_of(path) or commit_of_pack(path)) is None:
            return
        mine = "before" if draw(self.chaos.seed, "moment", path) < 0.5 else "after"
        if mine != moment or not self.chaos.strikes("worker_kill", *commit):
            return
        mark = death(fingerprint(str(self.chaos), *commit))
        if self.inner.create(mark, uuid4().hex.encode()):
            raise EngineDied(f"chaos: killed {moment} writing {path}")
