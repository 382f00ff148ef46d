"""Following a run to its end: through the job API while it answers, else from the store alone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from medgen.engine.errors import StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.folder import LOG_CHUNK, RunFolder, Status, events_of
from medgen.engine.run.forecast import Forecast
from medgen.launch import exits
from medgen.launch.cluster.jobs import TERMINAL, Cluster, NoDashboard
from medgen.launch.run.plan import forecast_line
from medgen.launch.run.progress import in_words

Tell = Callable[[str], None]
_LOOK_EVERY_S = 2.0  # at the job API
_READ_EVERY_S = 2.0  # the status, from the store
_SILENCE_S = 300.0  # a driver publishes three times a minute at least
_QUIET_S = 25.0  # after which a driver's silence is said: with two looks, half a minute
_DOUBT_S = 10.0  # of a driver's silence, before it is asked whether it lives
_ENDING_S = 30.0  # from the end of the log to Ray's word that the job is over


# What kinds of events are called; others keep the name that they have in the log.
_KINDS = {
    "opened": "workers start",
    "released": "workers released",
    "closed": "done",
    "gave_up": "given up",
    "draining": "stopping: what runs is finished",
    "system_finished": "system complete:",
}


def names_of(plan: Plan) -> Mapping[str, str]:
    """What the keys of a plan's stages are called: the label, and of scores whose they are."""
    return {
        n.key: f"{n.label} of {n.systems[0]}"
        if n.stage == "score" and len(n.systems) == 1
        else n.label
        for n in plan.nodes.values()
    }


def sentence(event: Mapping[str, Any], names: Mapping[str, str] = MappingProxyType({})) -> str:
    """An event of the log as a line for people; `names` as `names_of` gives them."""
    at = str(event.get("time", ""))[11:19]
    kind, group = str(event.get("event", "")), _group(str(event.get("group", "")), names)
    if kind == "receipt":
        rows = ", ".join(f"{n} {status}" for status, n in dict(event["rows"]).items())
        name = names.get(str(event["key"]), event["key"])
        words = f"{event['stage']:<6} {name}, shard {event['shard']}: {rows}"
        return f"{at} {words} in {float(event['seconds']):.1f} s"
    known = ("event", "time", "group")
    details = {k: v for k, v in event.items() if k not in known}
    if kind == "system_finished":
        return " ".join(w for w in (at, _KINDS[kind], str(details.get("system", ""))) if w)
    if kind == "forecast":
        return f"{at} foretold: {_foretold(details)}"
    said = f"{group}: {_KINDS.get(kind, kind)}" if group else _KINDS.get(kind, kind)
    return " ".join(word for word in (at, said, in_words(details)) if word)


def _foretold(details: Mapping[str, Any]) -> str:
    """A forecast as `medgen plan` says it."""
    known = {f.name: details[f.name] for f in fields(Forecast) if f.name in details}
    try:
        return forecast_line(Forecast(**known)).removeprefix("takes").strip()
    except TypeError:  # a log of another version
        return in_words(details)


def _group(group: str, names: Mapping[str, str]) -> str:
    """A group of workers, `stage/key`, by the name of what it makes."""
    stage, slash, key = group.partition("/")
    return f"{stage:<6} {names.get(key, key)}" if slash else group


def readable(line: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """A line of a driver's output: events as sentences, everything else as it is."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    return sentence(event, names) if isinstance(event, dict) and "event" in event else line


@dataclass(slots=True)
class StoredLog:
    """The events in a run's folder, each told once."""

    folder: RunFolder
    _told: dict[str, int] = field(default_factory=dict)  # chunk of a log -> lines
    _names: Mapping[str, str] = field(default_factory=dict)

    def news(self) -> list[str]:
        """What is there that was not told before, as sentences in the order of time."""
        if not self._names:
            with suppress(StoreError):  # who follows may be there before the plan
                self._names = names_of(self.folder.plan())
        full = {name for name, lines in self._told.items() if lines >= LOG_CHUNK}
        fresh: list[dict[str, Any]] = []
        for name, lines in self.folder.logs(but=full).items():
            fresh += events_of(lines[self._told.get(name, 0) :])
            self._told[name] = len(lines)
        ordered = sorted(fresh, key=lambda e: str(e["time"]))
        return [sentence(e, self._names) for e in ordered if e.get("part") is None]


@dataclass(slots=True)
class Follower:
    """One run, watched from outside."""

    folder: RunFolder
    tell: Tell
    cluster: Cluster | None = None
    job: str = ""  # whose ending counts; empty: whatever driver there is
    silence_s: float = _SILENCE_S
    doubt_s: float = _DOUBT_S
    _names: Mapping[str, str] = field(default_factory=dict)

    def follow(self) -> int:
        """Tell what happens until the run ends; its exit code.

        A driver of which nothing is heard for too long is gone: exit code 3, and the next
        submission goes on where it stopped.
        """
        if self.cluster is not None and self.job:
            try:
                asyncio.run(self._tail(self.cluster))
                code = self._exit_code(self.cluster)
            except NoDashboard as err:
                self.tell(f"the job is out of sight ({err}); following the store")
                self.cluster = None
            else:
                if code is not None:
                    return code
        return self._follow_store()

    async def _tail(self, cluster: Cluster) -> None:
        rest = ""
        async for piece in self._pieces(cluster):
            *lines, rest = (rest + piece).split("\n")
            for line in lines:
                self.tell(readable(line, self._find_names()))
        if rest:
            self.tell(readable(rest, self._find_names()))

    def _find_names(self) -> Mapping[str, str]:
        """What the keys of the plan are called, once the plan is there."""
        if not self._names:
            with suppress(StoreError):
                self._names = names_of(self.folder.plan())
        return self._names

    async def _pieces(self, cluster: Cluster) -> AsyncIterator[str]:
        """What the driver writes, until it ends.

        A connection that was lost looks like a driver that is silent, so after a while of silence
        the job API is asked.
        """
        source = cluster.tail(self.job)
        coming = asyncio.ensure_future(anext(source, None))
        try:
            while True:
                if not (await asyncio.wait({coming}, timeout=self.doubt_s))[0]:
                    state, _ = await asyncio.to_thread(cluster.state, self.job)
                    if state in TERMINAL:
                        return
                    continue
                if (piece := coming.result()) is None:
                    return
                yield piece
                coming = asyncio.ensure_future(anext(source, None))
        finally:
            coming.cancel()

    def _exit_code(self, cluster: Cluster) -> int | None:
        """The exit code when Ray says that the job is over; None when it does not."""
        until = time.monotonic() + _ENDING_S
        while time.monotonic() < until:
            state, code = cluster.state(self.job)
            if state in TERMINAL:
                return self._code(state, code)
            time.sleep(_LOOK_EVERY_S / 4)
        return None

    def _code(self, state: str, driver: int | None) -> int:
        status = self.folder.status()
        if status is not None and status.job == self.job and status.exit_code is not None:
            return status.exit_code
        if state == "STOPPED":
            return exits.TERMINATED
        if driver is not None and driver < 0:  # a signal that no driver can answer
            self.tell(
                f"the driver was killed by signal {-driver}. Everything committed is kept; submit "
                "it again to go on"
            )
            return exits.INCOMPLETE
        return exits.INTERNAL if driver is None else driver

    def _follow_store(self) -> int:
        log, heard, updated, said = StoredLog(self.folder), time.monotonic(), "", False
        while True:
            status = self.folder.status()
            if status is None or status.updated != updated:  # else there is no news
                for line in log.news():
                    self.tell(line)
            if status is not None and self._over(status):
                return exits.INTERNAL if status.exit_code is None else status.exit_code
            if status is not None and status.updated != updated:
                heard, updated, said = time.monotonic(), status.updated, False
            if not said and time.monotonic() - heard > _QUIET_S:
                said = True
                self.tell(
                    f"nothing was heard of the run for {_QUIET_S:.0f} s: its driver or the "
                    f"cluster's head may be gone; waiting {self.silence_s:.0f} s in all"
                )
            if time.monotonic() - heard > self.silence_s:
                self.tell(
                    f"nothing was heard of the run for {self.silence_s:.0f} s: its driver is gone. "
                    "Everything committed is kept; submit it again to go on"
                )
                return exits.INCOMPLETE
            time.sleep(min(_READ_EVERY_S, self.silence_s / 10))

    def _over(self, status: Status) -> bool:
        # An exit code of an earlier attempt is no news of this one.
        return status.exit_code is not None and self.job in ("", status.job)
