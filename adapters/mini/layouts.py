"""Samples written in each of the three outside layouts, with the spellings seen there."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medgen.adapters.sources.hub import FOLDERS
from medgen.adapters.sources.view import FILES
from medgen.engine.benchmark.vocabulary import FORMATS
from medgen.engine.codec import plain
from medgen.engine.data import Image, Sample
from medgen.engine.store.schemas import IMAGE

_ROW_GROUP = 16
_TASK_SPELLINGS = {
    "multiple-choice": "multi-choice",
    "question-answering": "question_answer",
    "resolution-editing": "resolution_edit",
    "style-transfer": "dye-transfer",
    "organic-removal": "organ-removal",
    "3d-to-2d-projection": "3d_2d_projection",
}
_MODALITY_SPELLINGS = {
    "MRI": "Magnetic_Resonance_Imaging",
    "X-ray": "Radiograph",
    "Clinical Photography": "Clinical Photo",
}
_CATEGORIES = {"VQA": "VQA", "ImageEditing": "ImageEdit", "MultimodalGeneration": "MMGeneration"}


def write_layouts(directory: Path, samples: Iterable[Sample]) -> Mapping[str, Path]:
    """Write `hub/`, `directory/` and `view/` below a directory; gives the folder of each.

    Each holds the same samples, as far as the layout can say them: the hub has no field for
    choices, only the view has ids, and none has the name of the source picture.
    """
    kept = list(samples)
    folders = {name: directory / name for name in ("hub", "directory", "view")}
    _write_hub(folders["hub"], kept)
    _write_directory(folders["directory"], kept)
    _write_view(folders["view"], kept)
    return folders


def _write_hub(folder: Path, samples: Sequence[Sample]) -> None:
    for name, kind in FOLDERS.items():
        rows = [_hub_row(sample) for sample in samples if sample.format == kind]
        columns = [("input_images", pa.list_(IMAGE)), ("instruction", pa.string())]
        if kind != "VQA":
            columns.append(("output_images", pa.list_(IMAGE)))
        if kind != "ImageEditing":
            columns.append(("answer", pa.string()))
        columns += [(text, pa.string()) for text in ("task", "subtask", "modality")]
        half = -(-len(rows) // 2)
        for number, part in enumerate((rows[:half], rows[half:])):
            target = folder / "parquet" / name / f"train-{number:05d}-of-00002.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist(part, pa.schema(columns))
            pq.write_table(table, target, row_group_size=_ROW_GROUP)


def _hub_row(sample: Sample) -> dict[str, Any]:
    answer = _answer(sample)
    return {
        "input_images": [_image(image) for image in sample.input_images],
        "output_images": [_image(image) for image in sample.reference_images],
        "instruction": sample.instruction,
        "answer": answer if isinstance(answer, str | None) else json.dumps(answer),
        "task": sample.task,
        "subtask": sample.subtask,
        "modality": _modality(sample),
    }


def _image(image: Image) -> dict[str, Any]:
    """An image as the hub's image feature has it."""
    return {"bytes": image.data, "path": image.path}


def _write_directory(folder: Path, samples: Sequence[Sample]) -> None:
    tasks: dict[str, dict[str, int]] = {}
    table: dict[str, list[str]] = {kind: [] for kind in FORMATS}
    for place, members in _by_task(samples).items():
        kind, _, task = place.partition("/")
        table[kind].append(task)
        tasks[place] = {"record_count": len(members)}
        rows = [_directory_record(sample) for sample in members]
        _write_lines(folder / place / "data.jsonl", rows)
        for sample in members:
            _write_images(folder / place, sample)
    manifest = {
        "table_iv": table,
        "tasks": tasks,
        "validation": {"actual_record_count": len(samples)},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def _directory_record(sample: Sample) -> dict[str, Any]:
    return _without_gaps(
        {
            "task": _task(sample),
            "subtask": sample.subtask,
            "modality": _modality(sample),
            "instruction": sample.instruction,
            "choice": list(sample.choices),
            "answer": _answer(sample),
            "input_image": [image.path for image in sample.input_images],
            "ground_truth_image": [image.path for image in sample.reference_images],
        }
    )


def _write_view(folder: Path, samples: Sequence[Sample]) -> None:
    for file, kind in FILES.items():
        members = [sample for sample in samples if sample.format == kind]
        _write_lines(folder / file, [_view_record(sample) for sample in members])
        for sample in members:
            _write_images(folder, sample)


def _view_record(sample: Sample) -> dict[str, Any]:
    # Half of the records name the format only, and the task in the sub-category.
    generic = sample.id.endswith(("1", "3", "5", "7"))
    inputs = [image.path for image in sample.input_images]
    return _without_gaps(
        {
            "sample_id": sample.id,
            "category": _CATEGORIES[sample.format],
            "paper_format": sample.format,
            "paper_task": _CATEGORIES[sample.format] if generic else _task(sample),
            "sub-category": _task(sample) if generic else None,
            "paper_subtask": sample.subtask,
            "modality": _modality(sample),
            "instruction": sample.instruction,
            "choice": list(sample.choices),
            "answer": _answer(sample),
            "input_image": inputs[0] if inputs else None,
            "input_images": inputs,
            "ground_truth_images": [image.path for image in sample.reference_images],
        }
    )


def _answer(sample: Sample) -> Any:
    return plain(sample.raw.get("answer", sample.reference_text))


def _task(sample: Sample) -> str:
    return _TASK_SPELLINGS.get(sample.task, sample.task)


def _modality(sample: Sample) -> str:
    return _MODALITY_SPELLINGS.get(sample.modality, sample.modality)


def _by_task(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(f"{sample.format}/{sample.task}", []).append(sample)
    return found


def _without_gaps(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value not in (None, [])}


def _write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8")


def _write_images(folder: Path, sample: Sample) -> None:
    for image in (*sample.input_images, *sample.reference_images):
        target = folder / image.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(image.data)
