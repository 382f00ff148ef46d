"""One outside record, whatever its layout, checked and turned into a sample."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from medgen.adapters.sources.depths import UnusedDepth
from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path, strict_json
from medgen.engine.answers.closed import is_closed, reference_fault
from medgen.engine.answers.options import options_in
from medgen.engine.benchmark.reference import answer_text
from medgen.engine.benchmark.source import Problem
from medgen.engine.benchmark.vocabulary import (
    TASKS,
    Format,
    asks_of,
    canonical_format,
    canonical_modality,
    canonical_task,
)
from medgen.engine.bounds import RECORD, Budget
from medgen.engine.codec import fingerprint
from medgen.engine.data import Image, Sample
from medgen.engine.decoding.pool import examine
from medgen.engine.errors import BoundsError, ImageError
from medgen.engine.guard import guard_row

_THREADS = 8
_Place = TypeVar("_Place")
_Read = TypeVar("_Read")
# Fields whose spelling is made canonical or whose form is changed.
_RAW = (
    *("task", "paper_task", "category", "paper_format", "subtask", "paper_subtask"),
    *("sub-category", "sub_category", "modality", "answer"),
)
# What items share that makes them dependent, the widest first.
SOURCE_FIELDS = ("patient", "patient_id", "study", "study_id", "source")


@dataclass(frozen=True, slots=True)
class Draft:
    """A record as a layout found it: fields in place, nothing believed yet."""

    task: object
    modality: object
    instruction: object
    input_images: Sequence[Image]
    reference_images: Sequence[Image] = ()
    answer: object = None
    choices: object = None  # the record's own list; None: its layout cannot hold one
    subtask: object = None
    sub_category: object = None  # holds the task when `task` is a generic name
    format: object = None  # a category spelling; None when the task alone decides
    folder_task: str | None = None  # the task that the record's folder stands for
    sample_id: object = None  # None: made from the content
    source: object = None  # patient, study or image that items share; None: the first input image
    faults: tuple[str, ...] = ()  # what the layout already found wrong
    raw: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)  # what reading it has left of its bounds


class LayoutSource:
    """What the layouts of MedGEN-Bench share: a folder, and no more about them than their notes."""

    name: ClassVar[str]

    def __init__(self, url: str) -> None:
        """`url` is the folder that holds what `marks` names."""
        self._folder = Folder(url)
        self._checker = Checker()

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """Nothing, unless a layout has a manifest."""
        return {}

    def describe(self) -> Mapping[str, Any]:
        """See `medgen.engine.benchmark.source.Source`."""
        notes = self._checker.depths.notes()
        return {"layout": self.name, "url": self._folder.url, "notes": notes}


class Checker:
    """Turns drafts into samples; remembers which pictures it has decoded already."""

    def __init__(self) -> None:
        self._decoded: set[bytes] = set()
        self.depths = UnusedDepth()

    def results(self, draft: Draft, file: str, row: int) -> Iterator[Sample | Problem]:
        """The sample, or one problem for everything that is wrong with the record."""
        faults = list(draft.faults)
        raised = list[str]()
        sample = guard_row(lambda: self._sample(draft, faults), lambda f: raised.append(f.reason))
        faults += raised
        if sample and not faults:
            yield sample
            return
        name = draft.sample_id if isinstance(draft.sample_id, str) else None
        yield from (Problem(file, row, name, fault) for fault in faults)

    def _sample(self, draft: Draft, faults: list[str]) -> Sample | None:
        named = _task(draft, faults)
        instruction = _text(draft.instruction, "instruction", faults)
        modality = _text(draft.modality, "modality", faults)
        given = draft.subtask or draft.sub_category
        subtask = _text(given, "subtask", faults) if given else None
        choices = _choices(draft.choices, faults)
        self._check_images(draft.input_images, "input image", faults, draft.budget)
        self._check_images(draft.reference_images, "reference image", faults, draft.budget)
        if not draft.input_images and not draft.faults:
            faults.append("no input image; every item of the benchmark has one")
        if named is None:
            return None
        kind, task = named
        answer = _answer(draft.answer, kind, task, faults)
        if kind != "VQA" and not draft.reference_images and not draft.faults:
            faults.append(f"no ground-truth image; an item of {kind} is scored by its image")
        found: Mapping[str, Any] = {}
        if task == "multiple-choice" and not choices:
            choices = options_in(instruction)
            found = {} if draft.choices is None else {"choice": []}
        sample = Sample(
            id="",
            asks=asks_of(task),
            task=task,
            modality=canonical_modality(modality),
            instruction=instruction,
            # A sub-category that only repeats the task is no subtask.
            subtask=None if subtask and canonical_task(subtask) == task else subtask,
            choices=choices,
            input_images=tuple(draft.input_images),
            reference_texts=() if answer is None else (answer,),
            reference_images=tuple(draft.reference_images),
            source=_source(draft.source, faults) or _digest(draft.input_images[:1])[:16],
            raw={**draft.raw, **found},
        )
        _check_reference(sample, faults)
        return replace(sample, id=_id(draft.sample_id, sample, faults))

    def _check_images(
        self, images: Sequence[Image], what: str, faults: list[str], budget: Budget
    ) -> None:
        for image in images:
            digest = hashlib.sha256(image.data).digest()
            if digest in self._decoded:
                continue
            try:
                self.depths.see(examine(image.data, budget), image.path)
                self._decoded.add(digest)
            except ImageError as err:
                faults.append(f"{what} {image.path!r}: {err}; replace or drop it")


def ahead(read: Callable[[_Place], list[_Read]], places: Iterable[_Place]) -> Iterator[_Read]:
    """What `read` gives for each place, in order, read by a few threads a little ahead.

    Pictures come one by one from a disk or an object store: waiting and decoding overlap, while
    no more than a handful of records is held.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[list[_Read]]] = deque()
        try:
            for place in places:
                waiting.append(pool.submit(read, place))
                if len(waiting) > 2 * _THREADS:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def field_of(record: Mapping[str, Any], *names: str) -> object:
    """The first of several spellings of a field that is there and not empty."""
    found = (record[name] for name in names if record.get(name) not in (None, "", []))
    return next(found, None)


def source_of(record: Mapping[str, Any]) -> Any:
    """The patient, study or source that a record names, the widest of them; None without any."""
    return field_of(record, *SOURCE_FIELDS)


def raw_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """What canonical names replace, as it came: kept with the sample."""
    return {name: record[name] for name in _RAW if record.get(name) is not None}


def images_below(
    folder: Folder, place: str, references: object, faults: list[str], budget: Budget
) -> tuple[Image, ...]:
    """The pictures that a path or a list of paths names, read from below `place`."""
    if references in (None, ""):
        return ()
    listed = references if isinstance(references, list) else [references]
    found: dict[str, Image] = {}
    named = []
    try:
        budget.take_images(len(listed))
    except BoundsError as err:
        faults.append(str(err))
        return ()
    for reference in listed:
        try:
            path = safe_path(reference)
            if path not in found:  # a file that is named again is not read again
                full = f"{place}/{path}" if place else path
                found[path] = Image(folder.read(full, budget), path)
            named.append(found[path])
        except (FaultyContent, BoundsError) as err:
            faults.append(str(err))
    return tuple(named)


def _source(value: object, faults: list[str]) -> str:
    if isinstance(value, float):  # a table's whole numbers, where some rows have none
        value = int(value) if value.is_integer() else None if math.isnan(value) else value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        named = ", ".join(SOURCE_FIELDS)
        faults.append(f"source {value!r} is no text or whole number ({named})")
        return ""
    text = str(value).strip()
    if len(text) > 256 or not text.isprintable():
        faults.append("source is longer than 256 characters or not printable")
        return ""
    return text


def _task(draft: Draft, faults: list[str]) -> tuple[Format, str] | None:
    named = draft.task if isinstance(draft.task, str) else ""
    subs = [sub for sub in (draft.sub_category, draft.subtask) if isinstance(sub, str)]
    known = (canonical_task(named, sub) for sub in [*subs, None])
    task = next((name for name in known if name), None)
    if draft.folder_task is not None:
        if task not in (None, draft.folder_task):
            faults.append(f"task {named!r} in the folder of {draft.folder_task!r}; move it")
        task = draft.folder_task
    if task is None:
        names = ", ".join(TASKS)
        faults.append(f"unknown task {draft.task!r} (sub-category {subs}); known are {names}")
        return None
    if draft.format is not None and canonical_format(str(draft.format)) != TASKS[task]:
        faults.append(f"task {task!r} belongs to {TASKS[task]}, not to {draft.format!r}")
    return TASKS[task], task


def _text(value: object, name: str, faults: list[str]) -> str:
    if not isinstance(value, str):
        faults.append(f"{name} is {type(value).__name__}, not text")
    elif not value.strip():
        faults.append(f"{name} is empty")
    elif len(value) > RECORD.characters:
        faults.append(f"{name} has {len(value):,} characters, more than {RECORD.characters:,}")
    else:
        return value
    return ""


def _choices(value: object, faults: list[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
        faults.append("choice is not a list of texts")
        return ()
    return tuple(value)


def _answer(value: object, kind: Format, task: str, faults: list[str]) -> str | None:
    if isinstance(value, str | dict | None) and len(value or "") <= RECORD.characters:
        sections = _sections(value) if task == "report-generation" else value
        text = answer_text(sections) if isinstance(sections, dict) else sections or ""
        if not text.strip() and kind != "ImageEditing":
            faults.append(f"no answer; an item of {kind} is scored by its text")
        return text if text.strip() else None
    what = "is too long" if isinstance(value, str | dict) else f"is {type(value).__name__}"
    faults.append(f"answer {what}; it is a text, or an object of report sections")
    return None


def _check_reference(sample: Sample, faults: list[str]) -> None:
    """Whether somebody could be right about a closed item: its own answer must be readable."""
    if not is_closed(sample) or not sample.reference_text:
        return
    if why := reference_fault(sample.reference_text, sample.choices, sample.task):
        given = _brief(repr(sample.reference_text), 120)
        listed = _brief(", ".join(map(repr, sample.choices)), 300)
        among = f" among {listed}" if listed else ""
        faults.append(f"answer {given} cannot be read{among} ({why}); correct the record")


def _brief(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} …"


def _sections(answer: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    # The table layout can hold an object of report sections only as its JSON text.
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        try:
            return strict_json(answer.encode())
        except (FaultyContent, UnicodeEncodeError):
            return answer
    return answer


def _id(given: object, sample: Sample, faults: list[str]) -> str:
    if given is None:
        # The pictures belong to the identity: items with the same words about other pictures
        # are other items. The same content has the same id in every layout.
        words = [sample.instruction, sample.reference_text, sample.modality, sample.subtask]
        images = [_digest(sample.input_images), _digest(sample.reference_images)]
        return f"{sample.task}-{fingerprint(sample.task, words, images)}"
    if not isinstance(given, str) or not given.isprintable():
        faults.append(f"sample_id {given!r} is not a printable text")
        return ""
    if not 0 < len(given.strip()) <= 256:
        faults.append("sample_id is empty or longer than 256 characters")
    return given


def _digest(images: Sequence[Image]) -> str:
    hashed = hashlib.sha256()
    for image in images:
        hashed.update(hashlib.sha256(image.data).digest())
    return hashed.hexdigest()
