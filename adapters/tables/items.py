"""From a row to a sample."""

import hashlib
from collections.abc import Mapping
from sys import intern
from typing import Any

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.answers import Expectation, expectation
from medgen.adapters.tables.options import options
from medgen.adapters.tables.paths import as_text
from medgen.adapters.tables.pictures import Gallery, size_of
from medgen.adapters.tables.settings import Bins, Fields, SampleMap, Value, Variant, conditions
from medgen.adapters.tables.values import Row, evaluate, holds, is_empty, text_of
from medgen.engine.benchmark.vocabulary import canonical_modality
from medgen.engine.bounds import RECORD
from medgen.engine.codec import fingerprint
from medgen.engine.data import Asks, Image, Sample

MAX_NAME = 256  # characters of an id, a group, a bundle
_SLUG = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class ItemMaker:
    """Makes samples by a mapping."""

    def __init__(self, mapping: SampleMap, tasks: list[str], gallery: Gallery) -> None:
        """`tasks` are those that a mapped task may give."""
        self._mapping, self._tasks, self._gallery = mapping, tasks, gallery
        self._variants = [(conditions(v.when), _over(mapping, v)) for v in mapping.variants]

    @property
    def shows(self) -> bool:
        """Whether samples may have pictures, so that reading them takes time."""
        every = [fields for _, fields in self._variants] or [self._mapping]
        return any(fields.images for fields in every)

    def fields(self, row: Row) -> Fields:
        """The fields that hold for a row.

        Raises:
            FaultyContent: no variant does.
        """
        if not self._variants:
            return self._mapping
        for when, fields in self._variants:
            if holds(when, row):
                return fields
        raise FaultyContent("no variant holds for this row; one without `when` would take the rest")

    def id_of(self, row: Row) -> str:
        """The id that a row names; empty when ids are made from the content.

        Raises:
            FaultyContent: the column is empty or holds no text.
        """
        value = self._mapping.id
        return _name(value, row, "id", needed=True) if value else ""

    def instruction(self, row: Row) -> str:
        """What is asked in a row.

        Raises:
            FaultyContent: nothing is.
        """
        return _words(self.fields(row).instruction, row, "instruction")

    def sample(self, row: Row) -> Sample:
        """The sample of a row.

        Raises:
            FaultyContent: something in the row is missing or wrong.
        """
        fields = self.fields(row)
        given = self.id_of(row)
        pictures = list(self._gallery.pictures(fields.images or [], row))
        by_role: dict[str, list[Image]] = {}
        for picture, image in pictures:
            by_role.setdefault(picture.role, []).append(image)
        inputs = by_role.get("input", [])
        found = options(fields.choices, row, given or _row_name(row)) if fields.choices else None
        asks = _asks(fields, "reference" in by_role)
        for mask in (*by_role.get("region", ()), *by_role.get("reference", ()) * (asks == "mask")):
            self._gallery.check_mask(mask)
        answer = Expectation()
        if fields.answer:
            sizes = [size_of(i.data) for i in inputs] if fields.answer.boxes else []
            answer = expectation(fields.answer, row, asks, found, sizes)
        return Sample(
            id=given,
            asks=asks,
            task=self._task(fields.task, row),
            modality=_modality(fields.modality, row),
            instruction=_words(fields.instruction, row, "instruction"),
            subtask=_name(fields.subtask, row, "subtask") or None if fields.subtask else None,
            context=_words(fields.context, row, "context"),
            choices=found.texts if found else (),
            context_images=tuple(by_role.get("context", ())),
            input_images=tuple(inputs),
            reference_images=tuple(by_role.get("reference", ())),
            region_images=tuple(by_role.get("region", ())),
            reference_texts=answer.texts,
            reference_sections=dict(answer.sections),
            reference_choices=answer.choices,
            reference_number=answer.number,
            reference_boxes=answer.boxes,
            rubric=_words(fields.rubric, row, "rubric"),
            bundle=_name(fields.bundle, row, "bundle") if fields.bundle else "",
            source=_name(fields.source, row, "source") if fields.source else _first(inputs),
            groups=_groups(fields.groups or {}, row),
            language=_name(fields.language, row, "language") if fields.language else "",
        )

    def _task(self, value: Value | None, row: Row) -> str:
        if value is None:
            raise FaultyContent("the preset names no `task`")
        if isinstance(value, str):
            return value
        words = as_text(evaluate(value, row), "task").strip().lower()
        slug = "-".join("".join(c if c in _SLUG else " " for c in words).split())
        if slug not in self._tasks:
            raise FaultyContent(f"task {slug!r} is not one of `tasks` ({', '.join(self._tasks)})")
        return slug


def _over(mapping: SampleMap, variant: Variant) -> Fields:
    fields = {name: getattr(mapping, name) for name in Fields.__struct_fields__}
    for name in Fields.__struct_fields__:
        if (value := getattr(variant, name)) is not None:
            fields[name] = value
    return Fields(**fields)


def _asks(fields: Fields, has_reference: bool) -> Asks:
    if fields.asks:
        return fields.asks
    if fields.choices:
        return "choice"
    if fields.answer and fields.answer.number:
        return "number"
    if fields.answer and fields.answer.boxes:
        return "boxes"
    return "image" if has_reference and not fields.answer else "text"


def _modality(value: Value | None, row: Row) -> str:
    words = _name(value, row, "modality") if value else ""
    return intern(canonical_modality(words)) if words else "unknown"  # one text for all


def _words(value: Value | None, row: Row, what: str) -> str:
    if value is None:
        return ""
    words = text_of(value, row)
    if len(words) > RECORD.characters:
        raise FaultyContent(
            f"{what} has {len(words):,} characters, more than {RECORD.characters:,}"
        )
    try:
        words.encode()
    except UnicodeEncodeError as err:
        raise FaultyContent(f"{what} holds half a character; write it whole") from err
    if what == "instruction" and not words.strip():
        raise FaultyContent("instruction is empty")
    return words


def _name(value: Value, row: Row, what: str, *, needed: bool = False) -> str:
    words = text_of(value, row).strip()
    if needed and not words:
        raise FaultyContent(f"{what} is empty")
    _check_name(words, what)
    return words


def _check_name(words: str, what: str) -> None:
    if len(words) > MAX_NAME:
        raise FaultyContent(f"{what} {words[:40]!r} … has more than {MAX_NAME} characters")
    if unseen := next((sign for sign in words if not sign.isprintable()), ""):
        code = f"{ord(unseen):04X}"
        advice = f"`cut: '\\x{{{code}}}'` takes it away"
        raise FaultyContent(f"{what} {words!r} holds U+{code}, which nobody sees: {advice}")


def _groups(groups: Mapping[str, str | Bins], row: Row) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in groups.items():
        given = evaluate(value, row)
        if is_empty(given):
            continue
        if isinstance(value, Bins) and value.bins:
            found[name] = _bin(given, value.bins)
            continue
        words = (
            "|".join(as_text(v, f"group {name}") for v in given) if isinstance(given, list) else ""
        )
        words = words or as_text(given, f"group {name}").strip()
        _check_name(words, f"group {name}")
        found[name] = words
    return found


def _bin(value: object, bins: list[float]) -> str:
    words = as_text(value, "a group")
    digits = "".join(sign for sign in words if sign.isdigit() or sign == ".")
    try:
        number = float(digits)
    except ValueError as err:
        raise FaultyContent(f"{words[:40]!r} is no number for `bins`") from err
    below = [low for low in bins if low <= number]
    if not below:
        return f"below {bins[0]:g}"
    low = below[-1]
    above = [high for high in bins if high > low]
    return f"{low:g}-{above[0] - 1:g}" if above else f"{low:g}+"


def _first(inputs: list[Image]) -> str:
    if not inputs:
        return ""
    inner = hashlib.sha256(inputs[0].data).digest()
    return hashlib.sha256(inner).hexdigest()[:16]


def _row_name(row: Row) -> str:
    words = {k: v for k, v in row.items() if isinstance(v, str | int) and k != "_row"}
    return fingerprint(words)


def content_id(sample: Sample) -> str:
    """An id made from the words, the answer and the pictures of a sample."""
    pictures = (
        *sample.context_images, *sample.input_images,
        *sample.reference_images, *sample.region_images,
    )  # fmt: skip
    digests = [hashlib.sha256(picture.data).hexdigest() for picture in pictures]
    words: list[Any] = [
        sample.instruction, sample.context, sample.choices, sample.reference_texts,
        sample.reference_sections, sample.reference_choices, sample.reference_number,
        sample.reference_boxes, sample.modality, sample.subtask, sample.turns and len(sample.turns),
    ]  # fmt: skip
    return f"{sample.task}-{fingerprint(sample.task, words, digests)}"
