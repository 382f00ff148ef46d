import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from sources.outside import RECORDS, write_directory, write_hub, write_view

from medgen.adapters.mini.build import build_mini
from medgen.adapters.mini.layouts import write_layouts
from medgen.adapters.sources.layouts import layouts, open_source
from medgen.adapters.sources.records import ahead
from medgen.conf.loading import benchmark_conf
from medgen.engine.answers.options import options_in
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark, validate
from medgen.engine.benchmark.reference import answer_text
from medgen.engine.benchmark.vocabulary import TASKS
from medgen.engine.data import Sample
from medgen.engine.store.connect import connect


def _samples(url: object) -> list[Sample]:
    items = list(open_source(str(url)))
    assert [item for item in items if not isinstance(item, Sample)] == []
    return [item for item in items if isinstance(item, Sample)]


def _content(sample: Sample) -> tuple[object, ...]:
    """All that every layout can say; ids, file names and spellings aside."""
    return (
        *(sample.format, sample.task, sample.subtask, sample.modality, sample.instruction),
        *(sample.reference_text, sample.choices),
        tuple(image.data for image in sample.input_images),
        tuple(image.data for image in sample.reference_images),
    )


@pytest.mark.parametrize("layout", list(layouts()))
def test_each_layout_gives_back_the_same_samples(
    mini_samples: list[Sample], mini_layouts: Mapping[str, Path], layout: str
) -> None:
    found = _samples(mini_layouts[layout])
    assert Counter(map(_content, found)) == Counter(map(_content, mini_samples))


def test_the_view_keeps_ids_and_the_others_agree_on_theirs(
    mini_samples: list[Sample], mini_layouts: Mapping[str, Path]
) -> None:
    assert {s.id for s in _samples(mini_layouts["view"])} == {s.id for s in mini_samples}
    hub, directory = (_samples(mini_layouts[name]) for name in ("hub", "directory"))
    assert {s.id for s in hub} == {s.id for s in directory}
    assert len({s.id for s in hub}) == len(mini_samples)


def test_raw_spellings_are_kept(mini_layouts: Mapping[str, Path]) -> None:
    for sample in _samples(mini_layouts["view"]):
        if sample.modality == "X-ray":
            assert sample.raw["modality"] == "Radiograph"
        if sample.task == "style-transfer":
            assert "dye-transfer" in (sample.raw["paper_task"], sample.raw.get("sub-category"))


def test_an_object_as_answer_is_kept_and_read_as_text(mini_layouts: Mapping[str, Path]) -> None:
    for layout in ("directory", "view"):
        reports = [s for s in _samples(mini_layouts[layout]) if s.task == "report-generation"]
        objects = [s for s in reports if isinstance(s.raw["answer"], dict)]
        assert len(objects) >= 4
        assert all(s.reference_text == answer_text(s.raw["answer"]) for s in objects)
        assert any(isinstance(value, dict) for s in objects for value in s.raw["answer"].values())


@pytest.mark.parametrize("layout", list(layouts()))
def test_samples_of_one_picture_share_a_source(
    mini_layouts: Mapping[str, Path], layout: str
) -> None:
    found = _samples(mini_layouts[layout])
    pictures = {sample.source: sample.input_images[0].data for sample in found}
    assert all(pictures[sample.source] == sample.input_images[0].data for sample in found)
    assert len(pictures) == len({sample.input_images[0].data for sample in found}) < len(found)


def test_ids_that_leave_out_the_picture_would_collide(hub_layout: Path) -> None:
    found = _samples(hub_layout)
    assert len({s.instruction for s in found}) == 1
    assert len({s.id for s in found}) == 4


def test_ids_depend_on_content_only(tmp_path: Path) -> None:
    write_directory(tmp_path / "one", RECORDS)
    write_directory(tmp_path / "two", list(reversed(RECORDS)))
    one, two = (_samples(tmp_path / name) for name in ("one", "two"))
    assert [s.id for s in one] == [s.id for s in reversed(two)]


def test_a_root_with_or_without_the_parquet_folder(hub_layout: Path) -> None:
    assert [s.id for s in _samples(hub_layout)] == [s.id for s in _samples(hub_layout / "parquet")]


def test_wide_arrow_types_and_null_columns_are_read(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
    schema = pa.schema(
        [
            ("input_images", pa.large_list(image)),
            ("output_images", pa.large_list(image)),
            ("instruction", pa.large_string()),
            ("task", pa.dictionary(pa.int32(), pa.string())),
            ("subtask", pa.null()),
            ("modality", pa.string()),
            ("extra", pa.int64()),
        ]
    )
    write_hub(tmp_path, schema=schema)
    assert len(_samples(tmp_path)) == 4


def test_any_place_will_do(mini_samples: list[Sample], tmp_path: Path, store_url: str) -> None:
    few = mini_samples[::10]
    for layout, folder in write_layouts(tmp_path / "out", few).items():
        fs, root = fsspec.core.url_to_fs(f"{store_url}/{layout}")
        for file in folder.rglob("*"):
            if file.is_file():
                target = f"{root}/{file.relative_to(folder)}"
                fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                fs.pipe_file(target, file.read_bytes())
        found = _samples(f"{store_url}/{layout}")
        assert Counter(map(_content, found)) == Counter(map(_content, few))


@pytest.mark.parametrize("layout", list(layouts()))
def test_each_layout_can_be_imported(
    mini_layouts: Mapping[str, Path], layout: str, tmp_path: Path
) -> None:
    source = open_source(str(mini_layouts[layout]))
    manifest = import_benchmark(source, connect(str(tmp_path)), ImportOptions("mini"))
    assert manifest.samples == 144
    assert manifest.tasks == {task: n for (_, task), n in build_mini().expected_counts().items()}
    assert manifest.source["layout"] == layout


def test_the_input_list_is_taken_before_the_single_picture(tmp_path: Path) -> None:
    records = json.loads(json.dumps(RECORDS))
    for record in records:
        record["input_image"], record["input_images"] = "sheet.png", record["input_image"]
    write_view(tmp_path, records)
    assert [s.input_images[0].path for s in _samples(tmp_path)] == [
        f"images/in{number}.png" for number in range(4)
    ]


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"paper_task": "noise_reconstruction"}, "noise-reconstruction"),
        ({"paper_task": "dye-transfer"}, "style-transfer"),
        ({"paper_task": "resolution-edit"}, "resolution-editing"),
        (
            {"paper_task": "image-edit", "sub-category": "contrast-enhancement"},
            "contrast-enhancement",
        ),
        ({"paper_task": None, "sub-category": "Artifact Removal"}, "artifact-removal"),
        ({"paper_task": "ImageEdit", "paper_subtask": "resolution_edit"}, "resolution-editing"),
        (
            {"paper_task": "edit", "sub_category": "style-transfer", "paper_subtask": "stain"},
            "style-transfer",
        ),
    ],
)
def test_every_way_to_name_a_task(tmp_path: Path, fields: dict[str, str], task: str) -> None:
    write_view(tmp_path, [RECORDS[0] | fields])
    (sample,) = _samples(tmp_path)
    assert sample.task == task
    assert sample.subtask == ("stain" if "stain" in fields.values() else None)


@pytest.mark.parametrize(
    ("instruction", "choices"),
    [
        ("Which?\nA. one\nB. two", ("A. one", "B. two")),
        ("Which?\n(A) one\n (B) two\nC: three", ("(A) one", "(B) two", "C: three")),
        ("Which?\nB. two\nA. one", ()),
        ("Which?\nA. one", ()),
        ("Which?\nA. one\nC. three", ()),
        ("Is vitamin A. or B. better?", ()),
    ],
)
def test_options_are_read_from_the_question_when_no_field_has_them(
    instruction: str, choices: tuple[str, ...]
) -> None:
    assert options_in(instruction) == choices


def test_an_unknown_modality_is_kept_and_noted_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_view(tmp_path / "in", [record | {"modality": "Sonar"} for record in RECORDS])
    source = open_source(str(tmp_path / "in"))
    manifest = import_benchmark(source, connect(str(tmp_path)), ImportOptions("x"))
    assert manifest.modalities == {"Sonar": 4}
    assert manifest.notes == ("unknown modality 'Sonar' in 4 samples, kept as it came",)
    assert [record.message for record in caplog.records] == list(manifest.notes)


def test_validating_writes_nothing(hub_layout: Path) -> None:
    before = sorted(hub_layout.rglob("*"))
    assert validate(open_source(str(hub_layout))) == []
    assert sorted(hub_layout.rglob("*")) == before


def test_equal_samples_differ_by_their_picture_only_in_id(hub_layout: Path) -> None:
    first, second, *_ = _samples(hub_layout)
    alike = replace(
        first,
        id=second.id,
        input_images=second.input_images,
        reference_images=second.reference_images,
        source=second.source,
    )
    assert alike == second


@pytest.mark.parametrize(("name", "count"), [("paper-6422", 6422), ("table-iv-6623", 6623)])
def test_the_named_subsets_are_settings(name: str, count: int) -> None:
    conf = benchmark_conf(name)
    assert conf is not None
    assert conf.subset is not None
    assert (conf.name, conf.subset.name, conf.subset.expected_count) == (name, name, count)
    assert set(conf.subset.without_tasks) <= set(TASKS)


def test_threads_keep_the_order_and_pass_errors_on() -> None:
    def read(number: int) -> list[int]:
        time.sleep(0.002 * (number % 3))
        if number == 70:
            raise OSError("gone")
        return [number] * (number % 3)

    assert list(ahead(read, range(60))) == [n for n in range(60) for _ in range(n % 3)]
    with pytest.raises(OSError, match="gone"):
        list(ahead(read, range(100)))
    asked = []
    few = ahead(lambda number: asked.append(number) or [number], itertools.count())  # type: ignore[func-returns-value]
    assert list(itertools.islice(few, 5)) == [0, 1, 2, 3, 4]
    few.close()  # type: ignore[attr-defined]
    assert len(asked) < 60
