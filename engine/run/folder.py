"""A run's folder in the store: its plan, configuration, status, events and results.

`<root>/runs/<run id>/{plan.json, config.yaml, status.json, events/…, summary.parquet, report/}`,
and `cancel.json` while somebody asks the driver to stop.
None of it is needed to resume: what is done is what exists under `stages/`.
"""

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from medgen.engine.benchmark.manifest import with_shared_formats
from medgen.engine.codec import decode, with_seal
from medgen.engine.errors import CorruptError, StoreError
from medgen.engine.plan.plan import Plan
from medgen.engine.store.layout import RUNS, RunPlace, driver_of
from medgen.engine.store.objects import Objects

log = logging.getLogger(__name__)

LOG_CHUNK = 2000  # lines or more; a long run rewrites the last chunk of its log, not the whole

_LOG_SEAL = b'{"seal": "%s"}\n'
_SEALED = re.compile(_LOG_SEAL % rb"[0-9a-f]{64}")

RunStatus = Literal["started", "success", "partial", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a run stands: enough to answer `medgen status` with nothing but the store."""

    status: RunStatus
    run_id: str
    started: str  # ISO 8601, UTC
    updated: str
    done: Mapping[str, int] = field(default_factory=dict)  # stage key -> committed shards
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # stage -> status -> rows
    failed: Mapping[str, str] = field(default_factory=dict)  # group -> why it was given up
    reason: str = ""
    exit_code: int | None = None
    job: str = ""  # the Ray job that drives it, where there is one
    code: str = ""  # which code drives it: a commit, an upload


@dataclass(frozen=True, slots=True)
class Requests:
    """What a driver has to look at."""

    stop: bool
    orders: bool


class RunFolder:
    """Reads and writes one run's folder."""

    def __init__(self, objects: Objects, run_id: str) -> None:
        """Nothing is read or written yet."""
        self.objects = objects
        self.run_id = run_id
        self.place = RunPlace(run_id)

    def save_plan(self, plan: Plan, config: str) -> None:
        """Leave the plan and the configuration it was made from; the first driver's stay."""
        self.objects.create(self.place.plan, with_seal(plan))
        self.objects.create(self.place.config, config.encode())

    def plan(self) -> Plan:
        """The plan of the run.

        Raises:
            StoreError: there is no such run.
            CorruptError: the plan cannot be read by this version.
        """
        name = self.place.plan
        try:
            data = self.objects.read(name)
        except FileNotFoundError as err:
            raise StoreError(
                f"no run {self.run_id!r} in {self.objects.url}; `medgen list runs` names them"
            ) from err
        plan = decode(Plan, data, f"{name}: not a plan of this version")
        if plan.run_id != self.run_id:
            raise CorruptError(f"{name} is the plan of run {plan.run_id}")
        return replace(plan, content=with_shared_formats(plan.content))

    def save_status(self, status: Status) -> None:
        """Publish where the run stands."""
        self.objects.replace(self.place.status, with_seal(status))

    def status(self) -> Status | None:
        """Where the run stands, as last published; None before anything was."""
        try:
            data = self.objects.read(self.place.status)
        except FileNotFoundError:
            return None
        return decode(Status, data, f"{self.place.status}: not readable")

    def ask_to_stop(self, why: str) -> None:
        """Ask the driver, wherever it runs, to stop; it looks every few seconds."""
        request = {"id": uuid.uuid4().hex, "time": now(), "why": why}
        self.objects.replace(self.place.cancel, json.dumps(request).encode())

    def requests(self) -> Requests:
        """Which kinds of requests there are, had by one listing."""
        there = {f"{self.place.folder}/{name}" for name in self.objects.names(self.place.folder)}
        return Requests(self.place.cancel in there, self.place.control in there)

    def stop_request(self) -> str:
        """The request to stop as it stands in the store; empty when there is none."""
        try:
            return self.objects.read(self.place.cancel).decode()
        except FileNotFoundError:
            return ""

    def withdraw_stop(self) -> None:
        """Take a request to stop back, before the run is driven again."""
        self.objects.delete(self.place.cancel)

    def logs(self, but: Container[str] = ()) -> dict[str, list[str]]:
        """The lines (JSON) of each chunk of each driver's log, by the chunk's name.

        Args:
            but: chunks not to read; one of `LOG_CHUNK` lines or more never changes.
        """
        found = {}
        for name in self.objects.names(self.place.events):
            if name not in but:
                path = self.place.log(name)
                found[name] = log_lines(self.objects.read(path), path)
        return found

    def events(self) -> list[dict[str, Any]]:
        """The events of all drivers, by time; each with the `driver` that told it."""
        found: list[dict[str, Any]] = [
            {**event, "driver": driver_of(chunk)}
            for chunk, lines in self.logs().items()
            for event in events_of(lines)
        ]
        return sorted(found, key=lambda event: str(event["time"]))


def log_bytes(lines: list[str]) -> bytes:
    """A chunk of a log as it is stored: behind its lines one with the sha256 of them."""
    body = "".join(f"{line}\n" for line in lines).encode()
    return body + _LOG_SEAL % hashlib.sha256(body).hexdigest().encode()


def log_lines(data: bytes, name: str) -> list[str]:
    """The lines of a chunk, without its seal; none, and that is said, of one that is damaged."""
    lines = data.decode(errors="replace").splitlines()
    if not lines or not _SEALED.fullmatch(f"{lines[-1]}\n".encode()):
        return lines
    try:
        check_log(data, name)
    except CorruptError as err:
        log.warning("what it tells is passed over: %s", err)
        return []
    return lines[:-1]


def events_of(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The events in lines of a log; a line that is damaged is passed over, and said."""
    for line in lines:
        try:
            event = json.loads(line)
            datetime.fromisoformat(event["time"])
            event["event"]
        except (ValueError, TypeError, KeyError):
            log.warning("a line of a log is damaged and passed over: %.80r", line)
        else:
            yield event


def check_log(data: bytes, name: str) -> None:
    """Prove a chunk of a log by its last line.

    Raises:
        CorruptError: it is not what was written; names it.
    """
    body, start, _ = data.rpartition(b'{"seal"')
    if not start or data != body + _LOG_SEAL % hashlib.sha256(body).hexdigest().encode():
        raise CorruptError(f"{name}: its checksum differs; it was changed or damaged")


def now() -> str:
    """The time as it is stored: ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def heard_at(status: Status) -> datetime:
    """When a run was last heard of.

    Raises:
        CorruptError: its status says no time.
    """
    try:
        time = datetime.fromisoformat(status.updated)
    except ValueError as err:
        place = RunPlace(status.run_id).status
        raise CorruptError(f"{place}: {status.updated!r} is no time") from err
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def run_ids(objects: Objects) -> list[str]:
    """Every run in the store; what desktops leave in a folder (`.DS_Store`) is none."""
    return [name for name in objects.names(RUNS) if not name.startswith(".")]


def find_run(objects: Objects, name: str | None) -> str:
    """A run id from the whole of it, a unique beginning, or None for the last one updated.

    Raises:
        StoreError: there is none, or several begin so.
    """
    ids = run_ids(objects)
    if name is None:
        return _last_run(objects, ids)
    matches = [i for i in ids if i == name] or [i for i in ids if i.startswith(name)]
    if len(matches) != 1:
        known = ", ".join(matches or ids) or "none"
        count = len(matches) or "no"
        raise StoreError(f"{count} runs in {objects.url} begin with {name!r}; there are {known}")
    return matches[0]


def _last_run(objects: Objects, ids: Iterable[str]) -> str:
    """The run that was updated last; one whose status is damaged only where there is no other."""
    updated: dict[str, str] = {}
    damaged: list[str] = []
    for run in ids:
        try:
            status = RunFolder(objects, run).status()
        except CorruptError as err:
            log.warning("run %s is passed over: %s", run, err)
            damaged.append(run)
            continue
        if status is not None:
            updated[run] = status.updated
    if not updated and not damaged:
        raise StoreError(f"no run in {objects.url}; `medgen run` makes one")
    return max(updated, key=updated.__getitem__) if updated else damaged[-1]
