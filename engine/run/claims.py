"""Claims of ranges of shards, so that drivers that share rows do not do the same twice.

What is claimed is all shards under a key whose digests begin with one digit: a range is the same
for every run that makes these rows, however much of a benchmark it takes. A claim is an object that
is created if it does not exist, says whose it is, and holds while that driver lives
(`engine/run/presence.py`). In place of a void one stands the next number. It is removed when the
range is done. After it was made the folder is listed once: whoever finds another's claim of the
range there, or a claim of somebody who cuts the samples otherwise, takes his own back.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medgen.engine.errors import ConfigError, StoreError
from medgen.engine.run.presence import Presence, Watch, Who
from medgen.engine.store.layout import CLAIMS, RunPlace, claim, claim_folder, path_name
from medgen.engine.store.objects import Objects

_MOST = 1000  # claims of one range, one in place of the other
_FEW = 2  # scopes whose claims are listed by themselves


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """What is claimed as one."""

    scope: str  # a stage's key, or what stands for all keys that are scored together
    span: str  # how the digests of its shards begin
    cut: str = ""  # how samples are cut into shards, where rows of another cut are taken over


@dataclass(slots=True)
class Claims:
    """The claims of one driver."""

    objects: Objects
    presence: Presence
    watch: Watch
    own: dict[Range, int] = field(default_factory=dict)  # and the number
    met: bool = False  # whether another driver's claim was ever seen

    def holds(self, place: Range) -> bool:
        """Whether units of a range may be handed out now."""
        return place in self.own and self.presence.is_sure()

    def take(self, place: Range) -> bool:
        """Claim a range; False while another driver has it.

        Raises:
            StoreError: the store cannot be written.
        """
        return bool(self.take_all((place,)))

    def take_all(self, places: Iterable[Range]) -> list[Range]:
        """Claim ranges; returns those that no other driver has.

        Raises:
            StoreError: the store cannot be written.
        """
        claimed = {place: number for place in places if (number := self._first_free(place))}
        others = self._others(claimed)
        contested = [place for place in claimed if self._is_contested(place, others)]
        for place in contested:
            self._remove(place, claimed.pop(place))
        self.own |= claimed
        return list(claimed)

    def _first_free(self, place: Range) -> int:
        """The number of a claim of this driver's that stands there now; 0 while another has it."""
        number = 1  # mostly nobody has it, and that is asked by the very write
        while number and not self._create(place, number):
            self.met = True
            number = self._next(place, number)
        return number

    def is_free(self, place: Range) -> bool:
        """Whether a range that another had could be claimed by now."""
        number = self._next(place, 1)
        if not (number and place.cut):
            return bool(number)
        return not self._is_contested(place, self._others({place: number}))

    def drop(self, place: Range) -> None:
        """Give a range back: done, or left to others. Not now, if somebody may have it already."""
        if not self.presence.is_sure():
            return
        number = self.own.pop(place, 0)
        for void in range(1, number + 1):  # the own one last: until then nobody can be first
            self._remove(place, void)

    def begin_anew(self, presence: Presence) -> None:
        """Others have taken this driver for dead, and what it had: it goes on as another."""
        self.presence, self.own = presence, {}

    def end(self) -> None:
        """Give everything back, with what says that this driver lives."""
        for place in list(self.own):
            self.drop(place)
        self.presence.end()

    def _create(self, place: Range, number: int) -> bool:
        who = self.presence.who
        body = json.dumps({"run": who.run, "driver": who.driver, "cut": place.cut}).encode()
        return self.objects.create(claim(place.scope, place.span, number), body)

    def _next(self, place: Range, number: int) -> int:
        """The first number from this one on that nobody has; 0 when somebody who lives has one."""
        while number < _MOST:
            path = claim(place.scope, place.span, number)
            try:
                found = self._read(path)
            except FileNotFoundError:
                return number
            if found[0] == self.presence.who:
                return number
            self.met = True
            if not self.watch.is_gone(found[0]):
                return 0
            number += 1
        return 0

    def _is_contested(self, place: Range, others: Iterable[str]) -> bool:
        folder = claim_folder(place.scope)
        beside = (path for path in others if path.startswith(f"{folder}/"))
        return any(self._speaks_against(place, path) for path in beside)

    def _others(self, claimed: Mapping[Range, int]) -> list[str]:
        """Claims beside these and the own ones: of several scopes they are had by one listing."""
        folders = {claim_folder(place.scope) for place in claimed}
        if len(folders) > _FEW:
            listed = self.objects.walk(CLAIMS)
        else:
            listed = [f"{at}/{name}" for at in folders for name in self.objects.names(at)]
        mine = {claim(p.scope, p.span, n) for p, n in {**self.own, **claimed}.items()}
        return [path for path in listed if path not in mine]

    def _speaks_against(self, place: Range, path: str) -> bool:
        try:
            who, cut = self._read(path)
        except FileNotFoundError:
            return False
        same = path.startswith(f"{claim_folder(place.scope)}/{place.span}-")
        if who == self.presence.who or not (same or cut != place.cut):
            return False
        self.met = True
        return not self.watch.is_gone(who)

    def _read(self, path: str) -> tuple[Who, str]:
        return _read(self.objects, path)

    def _remove(self, place: Range, number: int) -> None:
        with contextlib.suppress(StoreError):  # it is void when this driver ends, at the latest
            self.objects.remove(claim(place.scope, place.span, number))


def remove_void(objects: Objects) -> int:
    """Remove the claims of drivers that left no sign of life; how many there were."""
    count = 0
    for path in objects.walk(CLAIMS):
        with contextlib.suppress(FileNotFoundError):  # given back meanwhile
            who, _ = _read(objects, path)
            try:
                if who.run:
                    objects.read(RunPlace(who.run).presence(who.driver))
            except FileNotFoundError:
                objects.remove(path)
                count += 1
    return count


def _read(objects: Objects, path: str) -> tuple[Who, str]:
    """Whose claim it is, and of which cut. Of one that cannot be read, nobody knows."""
    data = objects.read(path)
    try:
        said = json.loads(data)
        run = path_name(said["run"], "run")
        return Who(run, path_name(said["driver"], "driver")), str(said.get("cut", ""))
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return Who("", path), ""
