"""The table layout of the public hub: Parquet files with embedded images, a folder a format."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medgen.adapters.sources.folder import FaultyContent, Folder
from medgen.adapters.sources.records import (
    SOURCE_FIELDS,
    Checker,
    Draft,
    LayoutSource,
    raw_fields,
    source_of,
)
from medgen.engine.benchmark.source import Problem
from medgen.engine.benchmark.vocabulary import Format
from medgen.engine.bounds import RECORD, Budget
from medgen.engine.data import Image, Sample
from medgen.engine.errors import BoundsError

FOLDERS: Mapping[str, Format] = {
    "image_editing": "ImageEditing",
    "multimodal_generation": "MultimodalGeneration",
    "vqa": "VQA",
}
_FILE = re.compile(r"\w+-(\d+)-of-(\d+)\.parquet")
# Rows decoded at once. A row holds a few pictures of some hundred kilobytes.
_ROWS = 16
# A column that unpacks to more than so many bytes, and so many times its size, is no benchmark.
_SUSPICIOUS, _MOST_UNPACKED = 64 * 2**20, 100
_TOO_MUCH = "its pictures have {:,} bytes, more than {:,}; split it"
_MAX_ROW_GROUP = 4 * 2**30
_TEXT = ("instruction", "answer", "task", "subtask", "modality")
_IMAGES = ("input_images", "output_images")
_OPTIONAL = {
    "ImageEditing": {"answer", "subtask"},
    "VQA": {"output_images", "subtask"},
    "MultimodalGeneration": {"subtask"},
}


class HubSource(LayoutSource):
    """Reads `parquet/<format>/<split>-*-of-*.parquet`, a few rows at a time."""

    name: ClassVar[str] = "hub"
    marks: ClassVar[str] = f"parquet/{{{','.join(FOLDERS)}}}"

    def __init__(self, url: str) -> None:
        """`url` is the folder that holds `parquet/`, or that folder itself."""
        super().__init__(url)
        self._below = "parquet/" if self._folder.exists("parquet") else ""

    @staticmethod
    def recognises(folder: Folder) -> bool:
        """See `medgen.adapters.sources.layouts.Layout`."""
        places = [f"{place}{kind}" for place in ("", "parquet/") for kind in FOLDERS]
        return any(n.endswith(".parquet") for place in places for n in folder.names(place))

    def __iter__(self) -> Iterator[Sample | Problem]:
        """See `medgen.engine.benchmark.source.Source`."""
        checker = self._checker = Checker()
        for name, kind in FOLDERS.items():
            files = [n for n in self._folder.names(self._below + name) if n.endswith(".parquet")]
            for what in _missing_parts(files):
                yield Problem(f"{self._below}{name}", None, None, what)
            for file in files:
                path = f"{self._below}{name}/{file}"
                try:
                    yield from self._file(path, kind, checker)
                except FaultyContent as err:
                    yield Problem(path, None, None, str(err))
                except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
                    what = f"damaged or not Parquet ({err}); fetch it again"
                    yield Problem(path, None, None, what)

    def _file(self, path: str, kind: Format, checker: Checker) -> Iterator[Sample | Problem]:
        with self._folder.open(path) as file:
            head = pq.ParquetFile(file, page_checksum_verification=True)
            _check_schema(head.schema_arrow, kind)
            check_sizes(head.metadata)
            table = with_dictionaries(file, head.metadata, _contents(head.metadata))
            known = (*_TEXT, *_IMAGES, *SOURCE_FIELDS)
            columns = [name for name in known if name in table.schema_arrow.names]
            row = 0
            for batch in batches_of(table, columns, _ROWS):
                for at in range(batch.num_rows):
                    row += 1
                    part = batch.slice(at, 1)
                    if (size := _picture_bytes(part)) > RECORD.bytes:
                        yield Problem(path, row, None, _TOO_MUCH.format(size, RECORD.bytes))
                        continue
                    try:
                        (record,) = part.to_pylist()
                    except UnicodeDecodeError as err:
                        yield Problem(path, row, None, f"a text is not UTF-8 ({err.reason})")
                        continue
                    yield from checker.results(_draft(record, kind), path, row)


LAYOUT = HubSource


def _draft(record: Mapping[str, Any], kind: Format) -> Draft:
    faults, budget = list[str](), Budget()
    return Draft(
        format=kind,
        task=record["task"],
        subtask=record.get("subtask"),
        modality=record["modality"],
        instruction=record["instruction"],
        answer=record.get("answer"),
        input_images=_images(record["input_images"], "input_images", faults, budget),
        reference_images=_images(record.get("output_images"), "output_images", faults, budget),
        source=source_of(record),
        faults=tuple(faults),
        raw=raw_fields(record),
        budget=budget,
    )


def _images(
    cells: list[Mapping[str, Any] | None] | None, column: str, faults: list[str], budget: Budget
) -> tuple[Image, ...]:
    images = []
    try:
        budget.take_images(len(cells or ()))
    except BoundsError as err:
        faults.append(str(err))
        return ()
    for number, cell in enumerate(cells or ()):
        if cell is None or cell["bytes"] is None:
            # A path alone points to a file of whoever wrote the table; it is never followed.
            faults.append(f"{column}[{number}] holds no bytes; only embedded images are read")
            continue
        try:
            budget.take_bytes(len(cell["bytes"]), f"{column}[{number}]")
            images.append(Image(cell["bytes"], cell["path"] or ""))
        except BoundsError as err:
            faults.append(str(err))
    return tuple(images)


def _check_schema(schema: pa.Schema, kind: Format) -> None:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    wrong = [f"column {name!r} stands twice" for name in twice]
    for name in (*_TEXT, *_IMAGES):
        if name in twice:
            continue
        if name not in schema.names:
            if name not in _OPTIONAL[kind]:
                wrong.append(f"column {name!r} is missing")
            continue
        found = schema.field(name).type
        fits = _is_images(found) if name in _IMAGES else _is_text(found)
        # A column of nulls only has no type of its own.
        if not fits and not (pa.types.is_null(found) and name in _OPTIONAL[kind]):
            wrong.append(f"column {name!r} is {found}")
    if wrong:
        raise FaultyContent(
            f"wrong schema: {'; '.join(wrong)}. Texts are string, images are "
            "list<struct<bytes: binary, path: string>>"
        )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    )


def _is_images(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    cell = kind.value_type
    if pa.types.is_null(cell):  # all lists are empty, or hold nothing
        return True
    names = [f.name for f in cell] if pa.types.is_struct(cell) else []
    if any(names.count(name) != 1 for name in ("bytes", "path")):
        return False
    content, path = cell.field("bytes").type, cell.field("path").type
    views = (pa.binary_view(),)
    binary = pa.types.is_binary(content) or pa.types.is_large_binary(content) or content in views
    return bool(binary and (_is_text(path) or pa.types.is_null(path)))


def with_dictionaries(
    file: BinaryIO, metadata: pq.FileMetaData, leaves: Sequence[str]
) -> pq.ParquetFile:
    """A Parquet file of which some columns keep each cell that they repeat once.

    Raises:
        FaultyContent: a column of that name cannot be found, as its name is damaged.
    """
    try:
        return pq.ParquetFile(
            file, metadata=metadata, read_dictionary=leaves, page_checksum_verification=True
        )
    except KeyError as err:
        raise FaultyContent(f"damaged Parquet: no column is named {err}; fetch it again") from err


def batches_of(
    table: pq.ParquetFile, columns: Sequence[str], size: int
) -> Iterator[pa.RecordBatch]:
    """Batches of at most so many rows, none of which has rows of two row groups.

    pyarrow cannot put together what two groups hold in dictionaries inside lists or structs.
    """
    for group in range(table.metadata.num_row_groups):
        yield from table.iter_batches(batch_size=size, row_groups=[group], columns=list(columns))


def check_sizes(metadata: pq.FileMetaData) -> None:
    """Compare what a footer claims with limits, before anything is read by it.

    Raises:
        FaultyContent: a row group of too many bytes, or a column that unpacks to far too many.
    """
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if not 0 <= group.total_byte_size <= _MAX_ROW_GROUP:
            size = group.total_byte_size
            raise FaultyContent(f"row group {number} claims {size:,} bytes; split the file")
        for column in map(group.column, range(group.num_columns)):
            packed, plain = column.total_compressed_size, column.total_uncompressed_size
            if plain > _SUSPICIOUS and plain > _MOST_UNPACKED * max(packed, 1):
                where = f"column {column.path_in_schema} of row group {number}"
                raise FaultyContent(f"{where} unpacks {packed:,} bytes to {plain:,}: a bomb?")


def _contents(metadata: pq.FileMetaData) -> list[str]:
    """The columns that hold the bytes of pictures.

    They are read as the dictionaries that they may be, so that one picture which stands in every
    cell is held once, and its size is known before it is repeated.
    """
    first = metadata.row_group(0) if metadata.num_row_groups else None
    paths = [first.column(i).path_in_schema for i in range(first.num_columns)] if first else []
    return [p for p in paths if p.startswith(_IMAGES) and p.endswith(".bytes")]


def _picture_bytes(row: pa.RecordBatch) -> int:
    """Bytes that the pictures of one row have when they are written out."""
    total = 0
    for name in _IMAGES:
        cells: Any = row.column(name).flatten() if name in row.schema.names else None
        if cells is None or not pa.types.is_struct(cells.type):
            continue
        held: Any = pc.struct_field(cells, "bytes")
        if pa.types.is_dictionary(held.type):
            sizes = pc.take(pc.binary_length(held.dictionary), held.indices)
            total += int(pc.sum(sizes).as_py() or 0)
    return total


def _missing_parts(files: list[str]) -> Iterator[str]:
    numbered = [match for name in files if (match := _FILE.fullmatch(name))]
    present = {int(match.group(1)) for match in numbered}
    for total in sorted({int(match.group(2)) for match in numbered}):
        if missing := sorted(set(range(min(total, 100_000))) - present):
            yield f"part {missing[0]} of {total} is missing ({len(missing)} in all); fetch it"
