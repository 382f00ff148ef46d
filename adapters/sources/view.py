"""The evaluation view: `vqa.jsonl`, `edit.jsonl` and `gen.jsonl`, one record a line."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

from medgen.adapters.sources.folder import FaultyContent, Folder, strict_json
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
from medgen.engine.benchmark.vocabulary import Format, canonical_format
from medgen.engine.bounds import Budget
from medgen.engine.data import Sample

FILES: Mapping[str, Format] = {
    "vqa.jsonl": "VQA",
    "edit.jsonl": "ImageEditing",
    "gen.jsonl": "MultimodalGeneration",
}


class ViewSource(LayoutSource):
    """Reads whichever of the three files are there; image paths are relative to their folder."""

    name: ClassVar[str] = "view"
    marks: ClassVar[str] = ", ".join(FILES)

    @staticmethod
    def recognises(folder: Folder) -> bool:
        """See `medgen.adapters.sources.layouts.Layout`."""
        return bool(set(folder.names()) & set(FILES))

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        checker = self._checker = Checker()
        for file in FILES:
            if not self._folder.exists(file):
                continue
            try:
                read = partial(self._record, file, checker)
                yield from ahead(read, self._folder.records(file))
            except FaultyContent as err:
                yield Problem(file, None, None, str(err))

    def _record(
        self, file: str, checker: Checker, place: tuple[int, bytes | None]
    ) -> list[Sample | Problem]:
        row, line = place
        try:
            record = strict_json(line)
        except FaultyContent as err:
            return [Problem(file, row, None, str(err))]
        faults, budget = list[str](), Budget()
        kind = field_of(record, "paper_format", "category")
        if kind is not None and canonical_format(str(kind)) != FILES[file]:
            faults.append(f"category {kind!r} does not belong into {file}")
        # `input_images` holds every picture; `input_image` may be a sheet made of them.
        inputs = field_of(record, "input_images", "input_image")
        references = field_of(record, "ground_truth_images", "ground_truth_image")
        draft = Draft(
            sample_id="" if record.get("sample_id") is None else record["sample_id"],
            format=FILES[file],
            task=field_of(record, "paper_task", "task", "category"),
            subtask=field_of(record, "paper_subtask", "subtask"),
            sub_category=field_of(record, "sub-category", "sub_category"),
            modality=record.get("modality"),
            source=source_of(record),
            instruction=record.get("instruction"),
            answer=record.get("answer"),
            choices=field_of(record, "choice", "choices") or [],
            input_images=images_below(self._folder, "", inputs, faults, budget),
            reference_images=images_below(self._folder, "", references, faults, budget),
            faults=tuple(faults),
            raw=raw_fields(record),
            budget=budget,
        )
        return list(checker.results(draft, file, row))


LAYOUT = ViewSource
