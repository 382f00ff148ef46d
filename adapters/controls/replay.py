"""Predictions that exist already: JSON-lines files in the authors' format, as a system."""

import hashlib
import json
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, get_args

from medgen.adapters.sources.folder import FaultyContent, Folder, public_url, strict_json
from medgen.adapters.sources.records import field_of, images_below
from medgen.engine.benchmark.reference import answer_text
from medgen.engine.benchmark.source import Problem
from medgen.engine.bounds import REPLY, Budget, too_long
from medgen.engine.data import Image, Prediction, PredictionStatus, Request, Sample
from medgen.engine.decoding.pool import examine
from medgen.engine.errors import AdapterError, ImageError

_STATUSES: tuple[PredictionStatus, ...] = get_args(PredictionStatus)
# What programs write into a field `error` when there was none.
_NO_ERROR = frozenset({"", "none", "null", "nil", "nan", "n/a", "no", "false", "0", "ok"})
_ID = re.compile(rb'"sample_id"\s*:\s*"((?:[^"\\]|\\.)*)"')
_LISTED = 1000  # unreadable lines that are kept; all are counted
_FINE = frozenset({"ok", "success", "succeeded", "completed", "complete", "done"})


@dataclass(frozen=True, slots=True)
class _Place:
    file: int
    row: int
    offset: int
    size: int
    again: str = ""  # file and line where the id stands once more
    fault: str = ""  # why the line cannot be read, although it tells its id


@dataclass(frozen=True, slots=True)
class _File:
    """One of the files, and where the paths of its pictures begin."""

    name: str
    folder: Folder
    pictures: Folder


class Replay:
    """Gives what predictions files hold for each sample id.

    Each line is a record with `sample_id`, `response`, `raw_response` and `output_image`; image
    paths are relative to the file's folder, or to a given one, and never leave it. A record that
    is marked as an error (`error`, `status`, `success`) gives its reason and no answer, even when
    an error text stands in its `response`. Memory holds the places of the lines, not the lines.
    """

    replays = True  # what a file says is the same tomorrow: nothing of it is asked for again

    def __init__(self, url: str | Sequence[str], images: str = "", sha256: str = "") -> None:
        """Read the files once and note where every sample stands.

        Args:
            url: The file, or several (one for each format): paths or any fsspec URLs.
            images: The folder that image paths are relative to; of each file its own when empty.
            sha256: The digest of the files, one after another, so that a changed file is another
                system; checked.

        Raises:
            AdapterError: there is no such file, it is another one, or no line of it is a record.
        """
        urls = [url] if isinstance(url, str) else list(url)
        self._files = [_file(each, images) for each in urls]
        self._urls = [public_url(each) for each in urls]
        self._places: dict[str, _Place] = {}
        self._unread = self._nameless = 0
        self.unreadable: list[Problem] = []  # the first of them, with file and line
        digest = hashlib.sha256()
        for at, where in enumerate(self._urls):
            try:
                self._index(at, digest)
            except FaultyContent as err:
                raise AdapterError(f"no predictions at {where}: {err}") from err
        self._digest, self._where = digest.hexdigest(), ", ".join(self._urls)
        if sha256 and sha256 != self._digest:
            raise AdapterError(
                f"{self._where} has sha256 {self._digest}, not {sha256}; was it edited?"
            )
        if all(place.fault for place in self._places.values()):
            first = next(iter(self.unreadable), None)
            why = f"line {first.row}: {first.what}" if first else "it is empty"
            raise AdapterError(f"{self._where} holds no prediction ({why})")

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `medgen.engine.ports.Generator`."""
        with ExitStack() as opened:
            files = [opened.enter_context(f.folder.open(f.name)) for f in self._files]
            return [self._prediction(request.sample, files) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Generator`."""
        return {
            "system": "replay",
            "url": self._where,
            "sha256": self._digest,
            "records": len(self._places),
            "unreadable_lines": self._unread,
            "unreadable": [str(problem) for problem in self.unreadable[:10]],
        }

    def unknown(self, known: Container[str]) -> list[Problem]:
        """The predictions for samples that a benchmark with these ids does not have."""
        what = "the benchmark has no such sample, so nothing scores this prediction"
        return [
            Problem(self._files[place.file].name, place.row, sample, what)
            for sample, place in self._places.items()
            if sample not in known
        ]

    def _index(self, at: int, digest: "hashlib._Hash") -> None:
        name, folder = self._files[at].name, self._files[at].folder
        with folder.open(name) as file:
            while block := file.read(2**20):
                digest.update(block)
        for row, offset, line in folder.lines(name):
            if line is not None and not line.strip():
                continue
            sample, fault = _identify(line)
            if fault:
                self._note_unreadable(Problem(name, row, sample or None, fault))
            if sample and (first := self._places.get(sample)):
                self._places[sample] = replace(first, again=f"line {row} of {name}")
            elif sample:
                self._places[sample] = _Place(at, row, offset, len(line or b""), fault=fault)

    def _note_unreadable(self, problem: Problem) -> None:
        self._unread += 1
        self._nameless += problem.sample_id is None
        if len(self.unreadable) < _LISTED:
            self.unreadable.append(problem)

    def _prediction(self, sample: Sample, files: Sequence[Any]) -> Prediction:
        place = self._places.get(sample.id)
        if place is None:
            names = ", ".join(f.name for f in self._files)
            return Prediction(sample.id, "missing", f"not in {names}{self._nameless_lines()}")
        file, where = self._files[place.file], f"line {place.row}"
        if place.again:
            reason = f"stands twice: {where} of {file.name} and {place.again}"
            return Prediction(sample.id, "model_error", reason)
        if place.fault:
            return Prediction(sample.id, "model_error", f"{where}: {place.fault}")
        files[place.file].seek(place.offset)
        try:
            record = strict_json(files[place.file].read(place.size))
            if _sample_id(record) == sample.id:
                return self._answer(sample, record, file.pictures)
        except FaultyContent as err:
            return Prediction(sample.id, "model_error", f"{where}: {err}")
        return Prediction(sample.id, "model_error", f"{where} changed during the run")

    def _nameless_lines(self) -> str:
        """What may be the prediction that is looked for: lines that do not tell their id."""
        first = next((p for p in self.unreadable if p.sample_id is None), None)
        if first is None:
            return ""
        shown = f"first line {first.row}: {first.what}"
        return f"; {self._nameless} of its lines are unreadable, {shown}"

    def _answer(self, sample: Sample, record: Mapping[str, Any], pictures: Folder) -> Prediction:
        raw = record.get("raw_response")
        details = {} if raw is None else {"raw_response": raw}
        if failed := _failure(record):
            return Prediction(sample.id, *failed, details=details)
        text = _text(record)
        if why := too_long(text or ""):
            return Prediction(sample.id, "model_error", why, details=details)
        images, fault = _images(record, pictures)
        if fault or (sample.form != "text" and not images):
            reason = fault or "the record has no output_image"
            status: PredictionStatus = "invalid_image" if fault or text else "missing"
            return Prediction(sample.id, status, reason, text=text, details=details)
        if text is None and not images:
            return Prediction(sample.id, "missing", "the record has no response", details=details)
        return Prediction(sample.id, text=text, images=images, details=details)


def _file(url: str, images: str) -> _File:
    folder, _, name = url.rpartition("/")
    own = Folder(folder or ".")
    return _File(name, own, Folder(images) if images else own)


def _images(record: Mapping[str, Any], folder: Folder) -> tuple[tuple[Image, ...], str]:
    faults: list[str] = []
    named = field_of(record, "output_image", "output_images")
    budget = Budget(REPLY)
    images = images_below(folder, "", named, faults, budget)
    try:
        for image in images:
            examine(image.data, budget)
    except ImageError as err:
        faults.append(str(err))
    return ((), "; ".join(faults)) if faults else (images, "")


def _identify(line: bytes | None) -> tuple[str, str]:
    """The id of a line, and why the line cannot be read; either may be empty."""
    try:
        return _sample_id(strict_json(line)), ""
    except FaultyContent as err:
        return _told_id(line or b""), str(err)


def _told_id(line: bytes) -> str:
    """The id that an unreadable line still tells; empty when it tells none, or several."""
    told = set(_ID.findall(line))
    if len(told) != 1:
        return ""
    try:
        name = str(json.loads(b'"' + told.pop() + b'"'))
    except ValueError:
        return ""
    return name if name.isprintable() else ""


def _sample_id(record: Mapping[str, Any]) -> str:
    name = record.get("sample_id")
    if not isinstance(name, str) or not name:
        raise FaultyContent("the record has no sample_id")
    return name


def _failure(record: Mapping[str, Any]) -> tuple[PredictionStatus, str] | None:
    """The status and reason of a record that its file marks as failed; None for the others."""
    # Exports of ours say `prediction_status`: a failed prediction stays one when it is replayed.
    status, error = record.get("status", record.get("prediction_status")), record.get("error")
    if isinstance(error, str) and error.strip().lower() in _NO_ERROR:
        error = None
    marked = isinstance(status, str) and status.lower() not in _FINE
    if not (marked or error or record.get("success") is False):
        return None
    reason = str(
        error
        or record.get("reason")
        or record.get("prediction_reason")
        or f"marked as {status or 'failed'} in the file"
    )
    known: PredictionStatus = next((word for word in _STATUSES if word == status), "model_error")
    return ("model_error" if known == "ok" else known), reason[:2000]


def _text(record: Mapping[str, Any]) -> str | None:
    given = record.get("response")
    if isinstance(given, dict):
        return answer_text(given)
    if not isinstance(given, str | None):
        raise FaultyContent(f"response is {type(given).__name__}, not text")
    return given
