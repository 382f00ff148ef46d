"""The batch interfaces of two vendors on loopback, as their documentation has them, and faults.

Replies to requests are a test's own; what is answered is counted, as what would be paid for.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from models.loopback import Answer, Asked, Server, serve

Lines = list[dict[str, Any] | bytes]
# What a request of a batch comes to: HTTP status and body, as the model's own endpoint answers it.
Model = Callable[[dict[str, Any]], tuple[int, Any]]


@dataclass
class Made:
    """A batch that was accepted."""

    name: str
    requests: dict[str, dict[str, Any]]
    metadata: dict[str, str]
    status: str = "in_progress"
    looks: int = 0
    created: float = field(default_factory=time.time)


@dataclass
class Vendor:
    """Both interfaces at once. Attributes are what a test has it do."""

    model: Model
    looks: int = 2  # after so many a batch has ended
    ends: str = "completed"  # or failed, expired, cancelled
    done: int | None = None  # of its requests that are answered; None: all
    hang_up: bool = False  # once, in the reply that names the batch
    errors: list[dict[str, Any]] = field(default_factory=list)  # of a batch that is refused
    change: Callable[[Lines], Lines] = lambda lines: lines  # of a file of results
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Made] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)  # by the words that were asked
    lists: int = 0

    def __call__(self, asked: Asked) -> Answer:
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if path == "/v1/chat/completions":
            return self._answer(asked.json())
        if path == "/v1/files":
            return self._upload(asked)
        if found := re.fullmatch(r"/v1/files/(.+)/content", path):
            return Answer(self.files[found[1]])
        if found := re.fullmatch(r"/v1/(?:messages/)?batches(?:/([^/]+))?(?:/(\w+))?", path):
            return self._of_batches(asked, found[1], found[2], query)
        return Answer({"error": {"message": "no such path"}}, status=404)

    def _answer(self, body: dict[str, Any]) -> Answer:
        status, said = self._ask(body)
        return Answer(said, status=status)

    def _ask(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.answered[json.dumps(body["messages"])] += 1
        return self.model(body)

    def _upload(self, asked: Asked) -> Answer:
        head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + asked.body)
        assert isinstance(parts, EmailMessage)
        named = {p.get_param("name", header="content-disposition"): p for p in parts.iter_parts()}
        assert str(named["purpose"].get_payload()).strip() == "batch"
        name = f"file-{len(self.files)}"
        sent = named["file"].get_payload(decode=True)
        assert isinstance(sent, bytes)
        self.files[name] = sent
        return Answer({"id": name, "object": "file", "purpose": "batch"})

    def _of_batches(
        self, asked: Asked, name: str | None, what: str | None, query: dict[str, list[str]]
    ) -> Answer:
        native = "/messages/" in asked.path
        if native:
            assert asked.headers["anthropic-version"]
        if name is None and asked.method == "POST":
            return self._create(asked, native)
        if name is None:
            self.lists += 1
            return self._page(native, (query.get("after") or query.get("after_id") or [""])[0])
        made = self.batches.get(name)
        if made is None:
            return Answer({"error": {"message": "no such batch"}}, status=404)
        if what == "results":
            return Answer(self._results(made, native))
        if what == "cancel":
            made.status, self.done = "cancelled", self.done or 0
        elif made.status == "in_progress":
            made.looks += 1
            made.status = self.ends if made.looks >= self.looks else made.status
        return Answer(self._shown(made, native))

    def _create(self, asked: Asked, native: bool) -> Answer:
        body = asked.json()
        if native:
            requests = {r["custom_id"]: r["params"] for r in body["requests"]}
            assert len(requests) == len(body["requests"])
        else:
            assert body["completion_window"] == "24h"
            lines = [json.loads(n) for n in self.files[body["input_file_id"]].splitlines()]
            assert {(n["method"], n["url"]) for n in lines} == {("POST", body["endpoint"])}
            requests = {n["custom_id"]: n["body"] for n in lines}
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in requests)
        made = Made(f"batch_{len(self.batches)}", requests, body.get("metadata", {}))
        self.batches[made.name] = made
        hang_up, self.hang_up = self.hang_up, False
        return Answer(self._shown(made, native), hang_up_after=5 if hang_up else None)

    def _page(self, native: bool, after: str) -> Answer:
        """One batch a page, the newest first, so that pages are turned."""
        names = list(self.batches)[::-1]
        at = names.index(after) + 1 if after else 0
        page = [self._shown(self.batches[n], native) for n in names[at : at + 1]]
        return Answer({"data": page, "has_more": at + 1 < len(names)})

    def _shown(self, made: Made, native: bool) -> dict[str, Any]:
        if native:
            ended = made.status != "in_progress"
            counts = {"processing": 0 if ended else len(made.requests)}
            counts["succeeded"] = len(made.requests) if ended else 0
            return {
                "id": made.name,
                "type": "message_batch",
                "processing_status": "ended" if ended else "in_progress",
                "request_counts": counts,
                "created_at": datetime.fromtimestamp(made.created, UTC).isoformat(),
            }
        shown: dict[str, Any] = {
            "id": made.name,
            "object": "batch",
            "status": made.status,
            "metadata": made.metadata,
            "created_at": int(made.created),
        }
        if made.status == "failed":
            return {**shown, "errors": {"object": "list", "data": self.errors}}
        if made.status != "in_progress":
            self._write(made)
            shown |= {"output_file_id": f"out-{made.name}", "error_file_id": f"err-{made.name}"}
        return shown

    def _write(self, made: Made) -> None:
        """The two files of an ended batch: what was answered, and errors by line."""
        if f"out-{made.name}" in self.files:
            return
        good: Lines = []
        bad: Lines = []
        for number, (name, body) in enumerate(made.requests.items()):
            if self.done is not None and number >= self.done:
                kind = "batch_expired" if made.status == "expired" else "batch_cancelled"
                bad.append({"custom_id": name, "response": None, "error": {"code": kind}})
                continue
            status, said = self._ask(body)
            response = {"status_code": status, "request_id": "r", "body": said}
            line = {"id": "b", "custom_id": name, "response": response, "error": None}
            (good if status < 400 else bad).append(line)
        self.files[f"out-{made.name}"] = written(self.change(good))
        self.files[f"err-{made.name}"] = written(bad)

    def _results(self, made: Made, native: bool) -> bytes:
        assert native
        if f"out-{made.name}" not in self.files:
            lines: Lines = []
            for number, (name, body) in enumerate(made.requests.items()):
                if self.done is not None and number >= self.done:
                    kind = "canceled" if made.status == "cancelled" else "expired"
                    lines.append({"custom_id": name, "result": {"type": kind}})
                    continue
                status, said = self._ask(body)
                result = {"type": "succeeded", "message": said}
                if status >= 400:
                    result = {"type": "errored", "error": {"type": "error", "error": said}}
                lines.append({"custom_id": name, "result": result})
            self.files[f"out-{made.name}"] = written(self.change(lines[::-1]))
        return self.files[f"out-{made.name}"]


def written(lines: Lines) -> bytes:
    return b"\n".join(n if isinstance(n, bytes) else json.dumps(n).encode() for n in lines) + b"\n"


@contextmanager
def vendor(model: Model, **given: Any) -> Iterator[tuple[Vendor, Server]]:
    """Both interfaces at a free port."""
    made = Vendor(model, **given)
    with serve(made) as server:
        yield made, server
