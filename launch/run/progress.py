"""What a person or a program sees while a run goes on, and what is left of it afterwards."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Self

from medgen.engine.codec import with_seal
from medgen.engine.errors import MedgenError
from medgen.engine.plan.graph import stages_of
from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.folder import LOG_CHUNK, RunFolder, Status, log_bytes, now
from medgen.engine.run.pool import Receipt
from medgen.engine.run.survey import Todo
from medgen.engine.store.layout import log_chunk
from medgen.engine.store.objects import Objects
from medgen.launch.report.escaping import visible
from medgen.launch.run.plan import who
from medgen.launch.run.stagelines import StageLine, outlook
from medgen.launch.view import numbers

_STATUS_EVERY_S = 10.0
_EVENTS_EVERY_S = 30.0
_BEAT_EVERY_S = 20.0  # who follows a run from the store takes silence for a driver that is gone


_RECEIPT = [told.name for told in fields(Receipt)]


def line(event: Event) -> dict[str, Any]:
    """An event as one JSON object."""
    body: dict[str, Any] = {"event": event.kind, "time": now(), "group": event.group}
    if event.receipt is not None:
        body |= {name: getattr(event.receipt, name) for name in _RECEIPT}
    return body | dict(event.details)


def in_words(details: Mapping[str, Any]) -> str:
    """Details of an event on one line, without what only `medgen logs --errors` shows."""
    shown = {k: v for k, v in details.items() if k not in ("traceback", "error_id")}
    return " ".join(f"{k}={v}" for k, v in shown.items())


def words_of_change(details: Mapping[str, Any]) -> str:
    """That something is another by now, what, and what follows."""
    changes = "; ".join(details["changes"])
    return (
        f"{details['label']} is not what made the rows that are there: {changes}. A new set of "
        "rows is begun; `--accept-changed` goes on in the old one"
    )


_LINE_EVERY_S = 30.0


class Lines:
    """Words where there is no terminal: a line every 30 s, and what somebody must know at once."""

    def __init__(self, plan: Plan, todo: Todo, look: str = "") -> None:
        """Shards that exist already count as done; `look` as for bars."""
        self._start = self._said = time.monotonic()
        self._plan, self._look = plan, look
        self._stages = {stage: StageLine() for stage in stages_of(plan)}
        for node in plan.nodes.values():
            total, line = plan.shards * node.split, self._stages[node.stage]
            line.total += total
            line.done += total - len(todo.targets[node.key])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._say(self._standing())

    def __call__(self, event: Event) -> None:
        """Count a receipt; say what cannot wait."""
        receipt = event.receipt
        if receipt is not None:
            if receipt.part is None:  # parts come once more with the whole
                self._stages[receipt.stage].take(receipt, time.monotonic())
            if time.monotonic() - self._said > _LINE_EVERY_S:
                self._said = time.monotonic()
                self._say(self._standing())
        elif event.kind == "found":
            self._stages[event.details["stage"]].done += event.details["shards"]
        elif event.kind in ("trouble", "gave_up", "draining"):
            self._say(trouble_line(self._plan, event))
        elif event.kind == "system_finished":
            for words in complete(event.details, self._look):
                self._say(words)
            self._look = ""

    def _standing(self) -> str:
        counts = (f"{s} {x.done:,}/{x.total:,}" for s, x in self._stages.items() if x.total)
        failed = sum(x.failures for s, x in self._stages.items() if s in ("answer", "render"))
        known, _ = outlook(self._stages, time.monotonic())
        left = f"; {known} left" if known else ""
        return ", ".join(counts) + (f"; {failed:,} failed" if failed else "") + left

    def _say(self, words: str) -> None:
        clock = numbers.clock(time.monotonic() - self._start)
        sys.stderr.write(f"{clock} {visible(words)}\n")
        sys.stderr.flush()


class Recorder:
    """Keeps `status.json` and the event log of a run up to date in the store.

    They are written by a thread, so that no loop waits for the store; what changes how the run
    stands is there when `publish` returns.
    """

    def __init__(self, folder: RunFolder, plan: Plan, todo: Todo, driver: str) -> None:
        """`driver` names this process among several that may drive the same run."""
        self.folder = folder
        self.uploads = Uploads(folder.objects)
        self.driver = driver
        self._chunk = 0
        self._lines: list[str] = []  # of the chunk that is being filled
        self._explained: set[str] = set()  # errors whose traceback is in the log
        self._rows: dict[str, Counter[str]] = {}
        self.plan, self._todo = plan, todo
        self._done = self._count()
        self._written = self._logged = 0.0
        self.status = Status("started", plan.run_id, now(), now(), dict(self._done))

    def __call__(self, event: Event) -> None:
        """Count a receipt, keep the line, publish now and then."""
        self._lines.append(json.dumps(self._explain_once(line(event))))
        if event.kind == "identity":
            self._done = self._count()
        elif event.kind == "found":
            self._done[event.details["key"]] += event.details["shards"]
        if (receipt := event.receipt) is not None and receipt.part is None:
            self._done[receipt.key] += 1
            self._rows.setdefault(receipt.stage, Counter()).update(receipt.rows)
        if self._is_full() or time.monotonic() - self._written > _STATUS_EVERY_S:
            self.publish()

    def _is_full(self) -> bool:
        return len(self._lines) >= LOG_CHUNK

    def recount(self, todo: Todo) -> None:
        """Say from now on what another look has found: a shard may have been made twice."""
        self._todo = todo
        self._done = self._count()

    def _count(self) -> dict[str, int]:
        total = {key: self.plan.shards * n.split for key, n in self.plan.nodes.items()}
        return {key: count - len(self._todo.targets[key]) for key, count in total.items()}

    def _explain_once(self, body: dict[str, Any]) -> dict[str, Any]:
        """Without a traceback that the log has already: a flaky endpoint may fail for days."""
        if body.get("error_id") in self._explained:
            body.pop("traceback", None)
        elif "traceback" in body and "error_id" in body:
            self._explained.add(body["error_id"])
        return body

    def beat(self) -> None:
        """Publish when nothing has been for a while: the driver is alive, whatever it waits for."""
        if time.monotonic() - self._written > _BEAT_EVERY_S:
            self.publish()

    def publish(self, **changes: Any) -> None:
        """Write the status, and the events when they are due or the run is over."""
        rows = {stage: dict(counts) for stage, counts in self._rows.items()}
        self.status = replace(
            self.status, updated=now(), done=dict(self._done), rows=rows, **changes
        )
        self._written = time.monotonic()
        if changes or self._is_full() or self._written - self._logged > _EVENTS_EVERY_S:
            log_path = self.folder.place.log(log_chunk(self.driver, self._chunk))
            self.uploads.put(log_path, log_bytes(self._lines))
            self._logged = self._written
            # Else a long run would write all of it again and again.
            if self._is_full():
                self._chunk, self._lines = self._chunk + 1, []
        self.uploads.put(self.folder.place.status, with_seal(self.status))
        if changes:
            self.uploads.flush()


def trouble_line(plan: Plan, event: Event) -> str:
    """What went wrong for people: whose, where and what was said of it."""
    details = event.details
    if event.kind == "draining":
        units = int(details.get("units", 0))
        what, them = ("1 shard is", "it") if units == 1 else (f"{units:,} shards are", "them")
        return f"stopping: {what} being finished (Ctrl-C again leaves {them})"
    whose = [who(plan, event.group)] if event.group in plan.groups else []
    if "shard" in details:
        whose.append(f"shard {details['shard']}")
    what = str(details.get("what", event.kind)).replace("_", " ")
    words = str(details["error"]) if "error" in details else in_words(details)
    return ": ".join(part for part in (", ".join(whose), what, words) if part)


def complete(details: Mapping[str, Any], look: str = "") -> list[str]:
    """Lines that say a system is complete: each format's first value, and how to see the rest."""
    means: Mapping[str, Mapping[str, Mapping[str, float]]] = details.get("means", {})
    firsts = []
    for format_, values in means.items():
        told = (f"{format_} {m} {v['mean']:.4g}" for m, v in values.items() if v["n"])
        firsts += [*told][:1]
    said = f"system complete: {details['system']}"
    lines = [f"{said}: {', '.join(firsts)}" if firsts else said]
    return [*lines, f"look    {look}    (what is there so far)"] if look else lines


class Uploads:
    """Replaces objects in a thread; of one that changed meanwhile only the last is written."""

    def __init__(self, objects: Objects) -> None:
        """Starts its thread with the first object."""
        self.objects = objects
        self._waiting: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._busy = False
        self._failure: MedgenError | None = None

    def put(self, path: str, data: bytes) -> None:
        """Have an object written soon.

        Raises:
            StoreError: an earlier one could not be written.
        """
        with self._changed:
            self._raise()
            self._waiting[path] = data
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._write, name="uploads", daemon=True).start()

    def flush(self) -> None:
        """Wait until everything is written.

        Raises:
            StoreError: something could not be.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._busy = False
                    self._changed.notify_all()
                    return
                path = next(iter(self._waiting))
                data = self._waiting.pop(path)
            try:
                self.objects.replace(path, data)
            except MedgenError as err:
                self._failure = err
