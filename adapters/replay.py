"""Predictions that exist already: a JSON-lines file in the authors' format, as a system."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from adapters.folder import FaultyContent, Folder, public_url, strict_json
from adapters.records import field_of, images_below
from engine.answers import answer_text
from engine.errors import AdapterError, ImageError
from engine.images import open_image
from engine.nouns import Image, Prediction, PredictionStatus, Request, Sample

_STATUSES: tuple[PredictionStatus, ...] = get_args(PredictionStatus)
_FINE = frozenset({"ok", "success", "succeeded", "completed", "complete", "done"})


@dataclass(frozen=True, slots=True)
class _Place:
    row: int
    offset: int
    size: int
    twice: int = 0  # the row where the id stands again; 0 when it does not


class Replay:
    """Gives what a predictions file holds for each sample id.

    Each line is a record with `sample_id`, `response`, `raw_response` and `output_image`; image
    paths are relative to the file's folder and never leave it. A record that is marked as an
    error (`error`, `status`, `success`) gives its reason and no answer, even when an error text
    stands in its `response`. Memory holds the places of the lines, not the lines.
    """

    def __init__(self, url: str, sha256: str = "") -> None:
        """Read the file once and note where every sample stands.

        Args:
            url: The file: a path or any fsspec URL.
            sha256: The file's digest, so that a changed file is another system; checked.

        Raises:
            AdapterError: there is no such file, it is another one, or no line of it is a record.
        """
        folder, _, self._file = url.rpartition("/")
        self._folder = Folder(folder or ".")
        self._url = public_url(url)
        self._places: dict[str, _Place] = {}
        self._unread, self._first_unread = 0, "it is empty"
        try:
            self._digest = self._index()
        except FaultyContent as err:
            raise AdapterError(f"no predictions at {self._url}: {err}") from err
        if sha256 and sha256 != self._digest:
            raise AdapterError(
                f"{self._url} has sha256 {self._digest}, not {sha256}; was it edited?"
            )
        if not self._places:
            raise AdapterError(f"{self._url} holds no prediction ({self._first_unread})")

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `engine.ports.Generator`."""
        with self._folder.open(self._file) as file:
            return [self._prediction(request.sample, file) for request in requests]

    def passport(self) -> Mapping[str, Any]:
        """See `engine.ports.Generator`."""
        return {
            "system": "replay",
            "url": self._url,
            "sha256": self._digest,
            "records": len(self._places),
            "unreadable_lines": self._unread,
        }

    def _index(self) -> str:
        digest = hashlib.sha256()
        with self._folder.open(self._file) as file:
            while block := file.read(2**20):
                digest.update(block)
        for row, offset, line in self._folder.lines(self._file):
            if line is not None and not line.strip():
                continue
            try:
                name = _sample_id(strict_json(line))
            except FaultyContent as err:
                self._first_unread = self._first_unread if self._unread else f"line {row}: {err}"
                self._unread += 1
                continue
            first = self._places.get(name)
            size = len(line or b"")
            self._places[name] = (
                _Place(first.row, first.offset, first.size, twice=row)
                if first
                else _Place(row, offset, size)
            )
        return digest.hexdigest()

    def _prediction(self, sample: Sample, file: Any) -> Prediction:
        place = self._places.get(sample.id)
        if place is None:
            bad = f"; {self._unread} of its lines are unreadable, first {self._first_unread}"
            reason = f"not in {self._file}{bad if self._unread else ''}"
            return Prediction(sample.id, "missing", reason)
        if place.twice:
            reason = f"stands twice in {self._file}, lines {place.row} and {place.twice}"
            return Prediction(sample.id, "model_error", reason)
        file.seek(place.offset)
        try:
            record = strict_json(file.read(place.size))
            if _sample_id(record) == sample.id:
                return self._answer(sample, record)
        except FaultyContent as err:
            return Prediction(sample.id, "model_error", f"line {place.row}: {err}")
        return Prediction(sample.id, "model_error", f"line {place.row} changed during the run")

    def _answer(self, sample: Sample, record: Mapping[str, Any]) -> Prediction:
        raw = record.get("raw_response")
        details = {} if raw is None else {"raw_response": raw}
        if failed := _failure(record):
            return Prediction(sample.id, *failed, details=details)
        text = _text(record)
        images, fault = self._images(record)
        if fault or (sample.format != "VQA" and not images):
            reason = fault or "the record has no output_image"
            status: PredictionStatus = "invalid_image" if fault or text else "missing"
            return Prediction(sample.id, status, reason, text=text, details=details)
        if text is None and not images:
            return Prediction(sample.id, "missing", "the record has no response", details=details)
        return Prediction(sample.id, text=text, images=images, details=details)

    def _images(self, record: Mapping[str, Any]) -> tuple[tuple[Image, ...], str]:
        faults: list[str] = []
        named = field_of(record, "output_image", "output_images")
        images = images_below(self._folder, "", named, faults)
        try:
            for image in images:
                open_image(image.data)
        except ImageError as err:
            faults.append(str(err))
        return ((), "; ".join(faults)) if faults else (images, "")


def _sample_id(record: Mapping[str, Any]) -> str:
    name = record.get("sample_id")
    if not isinstance(name, str) or not name:
        raise FaultyContent("the record has no sample_id")
    return name


def _failure(record: Mapping[str, Any]) -> tuple[PredictionStatus, str] | None:
    """The status and reason of a record that its file marks as failed; None for the others."""
    status, error = record.get("status"), record.get("error")
    marked = isinstance(status, str) and status.lower() not in _FINE
    if not (marked or error or record.get("success") is False):
        return None
    reason = str(error or record.get("reason") or f"marked as {status or 'failed'} in the file")
    known: PredictionStatus = next((word for word in _STATUSES if word == status), "model_error")
    return ("model_error" if known == "ok" else known), reason[:2000]


def _text(record: Mapping[str, Any]) -> str | None:
    given = record.get("response")
    if isinstance(given, dict):
        return answer_text(given)
    if not isinstance(given, str | None):
        raise FaultyContent(f"response is {type(given).__name__}, not text")
    return given
