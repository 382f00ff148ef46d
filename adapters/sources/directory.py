"""The canonical directory: a manifest, and a `data.jsonl` in a folder for every task."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from medgen.adapters.sources.folder import FaultyContent, Folder, safe_path, strict_json
from medgen.adapters.sources.records import (
    Checker,
    Draft,
    LayoutSource,
    ahead,
    field_of,
    images_below,
    raw_fields,
    source_of,
)
from medgen.engine.benchmark.source import Problem
from medgen.engine.benchmark.vocabulary import Format, canonical_format, canonical_task
from medgen.engine.bounds import Budget
from medgen.engine.data import Sample
from medgen.engine.errors import BoundsError

MANIFEST = "manifest.json"


class DirectorySource(LayoutSource):
    """Reads `<format>/<task>/data.jsonl`; image paths are relative to that folder."""

    name: ClassVar[str] = "directory"
    marks: ClassVar[str] = MANIFEST

    @staticmethod
    def recognises(folder: Folder) -> bool:
        """See `medgen.adapters.sources.layouts.Layout`."""
        return MANIFEST in folder.names()

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`. Tasks come in the order of their names."""
        try:
            tasks = self._tasks()
        except FaultyContent as err:
            yield Problem(MANIFEST, None, None, str(err))
            return
        yield from self._structure(tasks)
        checker = self._checker = Checker()
        for place in sorted(tasks):
            if named := _format_and_task(place):
                yield from self._task(place, named[1], checker)

    def expected_counts(self) -> Mapping[tuple[str, str], int]:
        """The `record_count` of every task; empty when the manifest cannot be read."""
        try:
            tasks = self._tasks()
        except FaultyContent:
            return {}
        counts: dict[tuple[str, str], int] = {}
        for place, count in tasks.items():
            if named := _format_and_task(place):
                counts[named] = counts.get(named, 0) + count
        return counts

    def _manifest(self) -> dict[str, Any]:
        try:
            return strict_json(self._folder.read(MANIFEST))
        except BoundsError as err:
            raise FaultyContent(str(err)) from err

    def _tasks(self) -> dict[str, int]:
        manifest = self._manifest()
        tasks = manifest.get("tasks")
        if not isinstance(tasks, dict) or not tasks:
            raise FaultyContent("'tasks' is not an object of \"format/task\": {record_count}")
        counts = {}
        for place, entry in tasks.items():
            count = entry.get("record_count") if isinstance(entry, dict) else None
            if type(count) is not int or count < 0:
                raise FaultyContent(f"tasks[{place!r}].record_count is not a whole number")
            counts[safe_path(place)] = count
        return counts

    def _structure(self, tasks: Mapping[str, int]) -> Iterator[Problem]:
        """What the manifest says about itself, compared."""
        manifest = self._manifest()
        for place in tasks:
            if _format_and_task(place) is None:
                yield Problem(MANIFEST, None, None, f"unknown task {place!r}; is it misspelt?")
        yield from (Problem(MANIFEST, None, None, what) for what in _disagreements(manifest, tasks))
        for place in sorted(self._places() - set(tasks)):
            what = "the manifest does not name this task; add it there, or remove the folder"
            yield Problem(f"{place}/data.jsonl", None, None, what)

    def _places(self) -> set[str]:
        places = {
            f"{kind}/{task}"
            for kind in self._folder.names()
            if canonical_format(kind)
            for task in self._folder.names(kind)
        }
        return {place for place in places if self._folder.exists(f"{place}/data.jsonl")}

    def _task(self, place: str, task: str, checker: Checker) -> Iterator[Sample | Problem]:
        file = f"{place}/data.jsonl"
        try:
            read = partial(self._record, place, task, checker)
            yield from ahead(read, self._folder.records(file))
        except FaultyContent as err:
            yield Problem(file, None, None, str(err))

    def _record(
        self, place: str, task: str, checker: Checker, numbered: tuple[int, bytes | None]
    ) -> list[Sample | Problem]:
        file, (row, line) = f"{place}/data.jsonl", numbered
        try:
            record = strict_json(line)
        except FaultyContent as err:
            return [Problem(file, row, None, str(err))]
        faults: list[str] = []
        budget = Budget()
        below = partial(images_below, self._folder, place, faults=faults, budget=budget)
        draft = Draft(
            task=field_of(record, "task", "paper_task"),
            folder_task=task,
            subtask=field_of(record, "subtask", "paper_subtask"),
            sub_category=field_of(record, "sub-category", "sub_category"),
            modality=record.get("modality"),
            source=source_of(record),
            instruction=record.get("instruction"),
            answer=record.get("answer"),
            choices=field_of(record, "choice", "choices") or [],
            input_images=below(record.get("input_image")),
            reference_images=below(record.get("ground_truth_image")),
            faults=tuple(faults),
            raw=raw_fields(record),
            budget=budget,
        )
        return list(checker.results(draft, file, row))


LAYOUT = DirectorySource


def _format_and_task(place: str) -> tuple[Format, str] | None:
    kind, _, name = place.partition("/")
    known, task = canonical_format(kind), canonical_task(name)
    return (known, task) if known and task else None


def _disagreements(manifest: Mapping[str, Any], tasks: Mapping[str, int]) -> Iterator[str]:
    table = manifest.get("table_iv", {})
    if isinstance(table, dict) and all(isinstance(names, list) for names in table.values()):
        listed = {f"{kind}/{name}" for kind, names in table.items() for name in names}
        for place in sorted(listed ^ set(tasks)) if listed else ():
            where = "table_iv" if place in listed else "tasks"
            yield f"{place!r} stands in {where!r} only; name it in both or in neither"
    else:
        yield "'table_iv' is not an object of format: [task, ...]"
    validation = manifest.get("validation", {})
    total = validation.get("actual_record_count") if isinstance(validation, dict) else None
    if total is not None and total != sum(tasks.values()):
        counted = sum(tasks.values())
        yield f"validation.actual_record_count is {total}, but the tasks add up to {counted}"
