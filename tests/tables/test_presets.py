"""Every preset reads its benchmark as published, and tells what is wrong with a spoilt one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tables import published, published_more
from tables.fixtures import BROKEN, ROWS, Layout, Row, columns, facts, write

from medgen.adapters.tables.mapping import read_mapping
from medgen.adapters.tables.source import RecordsSource
from medgen.adapters.tables.wanted import read_columns
from medgen.conf.loading import benchmark_conf, group_names
from medgen.engine.benchmark.source import Problem
from medgen.engine.data import Sample

LAYOUTS = {**published.LAYOUTS, **published_more.LAYOUTS}


def read(name: str, root: Path, **changes: Any) -> list[Sample | Problem]:
    conf = benchmark_conf(name)
    assert conf is not None
    mapping = {**conf.mapping, "expect": None, **changes}
    return list(RecordsSource(str(root), read_mapping(mapping, name)))


def presets() -> list[str]:
    confs = ((name, benchmark_conf(name)) for name in group_names("benchmark"))
    return [name for name, conf in confs if conf and conf.reader == "records"]


def test_every_preset_has_a_layout() -> None:
    assert sorted(LAYOUTS) == sorted(presets())


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_what_is_published_is_read(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    write(layout, tmp_path)
    found = read(name, tmp_path, expect=layout.items)
    assert [str(item) for item in found if isinstance(item, Problem)] == []
    samples = [item for item in found if isinstance(item, Sample)]
    assert len({sample.id for sample in samples}) == len(samples) == layout.items
    for sample in samples:
        assert sample.instruction.strip()
        if sample.choices:
            assert sample.reference_choices
            assert max(sample.reference_choices) < len(sample.choices)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_spoilt_twin_is_refused_by_file_and_row(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    write(layout, tmp_path, layout.spoil or spoil_picture(layout, tmp_path))
    problems = [item for item in read(name, tmp_path) if isinstance(item, Problem)]
    assert problems
    named = layout.file.format(n=BROKEN)
    assert {problem.file for problem in problems} == {named}
    assert all(problem.row or "more row(s)" in problem.what for problem in problems)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_another_count_is_refused(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    write(layout, tmp_path)
    found = read(name, tmp_path, expect=ROWS * 1000)
    assert [str(p) for p in found if isinstance(p, Problem) and "of `expect`" in p.what]


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_no_preset_reads_a_column_that_the_facts_do_not_have(name: str) -> None:
    conf = benchmark_conf(name)
    assert conf is not None
    own = LAYOUTS[name].facts
    known = {column.split(".")[0] for column in columns(own)}
    read_, _ = read_columns(read_mapping(conf.mapping, name))
    roots = {path if path in known else path.split("[")[0].split(".")[0] for path in read_}
    assert roots - known == set()


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_what_no_source_says_is_called_unverified(name: str) -> None:
    conf = benchmark_conf(name)
    assert conf is not None
    entry = facts()[LAYOUTS[name].facts]
    assert conf.confidence == entry["confidence"]
    open_questions = [entry["licence"], entry["items"]]
    if "?" in "".join(open_questions):
        assert conf.unverified
    if entry["licence"] != "?" and not conf.licence:
        assert conf.access or conf.unverified


def spoil_picture(layout: Layout, root: Path) -> Any:
    """A picture that is none, a path that leaves the folder, or a file that is not there."""

    def spoil(row: Row) -> None:
        for column, cell in row.items():
            for broken in _broken(cell):
                row[column] = broken
                return
        assert layout.pictures is not None, layout.facts
        (root / layout.pictures(row, BROKEN)[0]).unlink()

    return spoil


def _broken(cell: Any) -> Iterator[Any]:
    if isinstance(cell, dict) and "bytes" in cell:
        yield {"bytes": b"no picture", "path": None}
    elif isinstance(cell, list) and cell:
        for broken in _broken(cell[0]):
            yield [broken, *cell[1:]]
    elif isinstance(cell, str) and (cell.endswith((".png", ".jpg", ".jpeg")) or len(cell) > 100):
        yield "../outside.png" if len(cell) < 100 else "%%%" + cell
