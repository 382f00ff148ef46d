"""What pages count and draw, without a browser: coverage, groups of samples, what is sure."""

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from view.browsing import small, stored

from benchmarks.made_run import NAMES
from medgen.launch.view import (
    certain,
    failures,
    maps,
    metricspage,
    overview,
    pairing,
    parts,
    pictures,
    provenance,
)
from medgen.launch.view.data import StoredRun
from medgen.launch.view.sayings import cares, sayings
from medgen.launch.view.site import Site
from medgen.launch.view.terminal import _OWED, _ordered_rows, _owed_lines, result_lines

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    run = small(fails=0.2, pictures=False)
    return Site(stored(run, tmp_path_factory.mktemp("site")))


def test_coverage_is_the_share_of_what_can_have_a_value(tmp_path: Path) -> None:
    data = stored(small(fails=0.2, pictures=False), tmp_path)
    name, first = data.eligible[0].name, Site(data).boards[0]
    (row,) = (row for row in first.rows if row.entry.name == name)
    assert (row.n, row.owed, row.failed, row.coverage_word) == (3, 4, 1, "bad")
    for kept in data.summary:
        if (kept["system"], kept["format"]) == (name, first.format):
            kept["not_applicable"] = 1
    (row,) = (row for row in Site(data).boards[0].rows if row.entry.name == name)
    assert (row.n, row.owed, row.coverage_word) == (3, 3, "")
    for kept in data.summary:
        if (kept["system"], kept["format"]) == (name, first.format):
            kept["not_applicable"] = 4
    (row,) = (row for row in Site(data).boards[0].rows if row.entry.name == name)
    assert (row.owed, row.coverage_word) == (0, "bad")


def test_groups_of_two_facets_hold_each_sample_once(site: Site) -> None:
    samples = site.data.samples
    every = samples.facet("task").codes >= 0
    groups = metricspage._groups(site.data, "task × modality", every)
    assert sum(mask.astype(int) for _, mask, _ in groups).tolist() == [1] * len(every)
    for name, mask, link in groups:
        task, modality = map(int, re.findall(r"=(\d+)", link))
        assert set(samples.facet("task").codes[mask]) == {task}
        assert set(samples.facet("modality").codes[mask]) == {modality}
        assert name.startswith(samples.facet("task").words[task])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([("refused", 4)], " lost 4, all of them refused."),
        ([("refused", 3), ("timeout", 1)], " lost 4, most of them refused."),
        ([("refused", 2), ("timeout", 2)], " lost 4."),
    ],
)
def test_the_sentence_of_failures_says_of_which_kind_most_are(
    site: Site, cells: list[tuple[str, int]], words: str
) -> None:
    line = failures.StatusLine(site.data.eligible[0], tuple((*c, 0) for c in cells), 4, 12)
    before, name, behind = failures.summary_words([line], 4)
    assert (before, name) == ("All are one system's: ", site.data.eligible[0].name)
    assert behind.startswith(words)


def test_too_few_samples_are_named_by_their_number(site: Site) -> None:
    said = [x for x in sayings(site.data, site.certainty, site.boards) if x.word == "too few"]
    assert said
    assert {x.rest for x in said[1:]} == {" 2 source images cannot decide between 2 systems."}
    assert said[0].rest.startswith(" 1 source images")


def test_a_mean_over_the_easier_rest_is_to_be_read_with_care(site: Site) -> None:
    first = site.boards[0]
    told = {care.bold: care.rest for care in cares(site.data, site.certainty, site.boards)}
    lost = [row.entry.name for row in first.rows if row.n == 3]
    assert lost == [s.name for s in site.data.eligible]
    for name in lost:
        assert "has no value for 25.0 % of Editing; its means cover the easier rest." in told[name]


def test_while_a_run_goes_on_nothing_is_sure(tmp_path: Path) -> None:
    far = dict(zip(NAMES, (0.95, 0.2), strict=False))
    words = []
    for done in (True, False):
        run = small(samples=240, fails=0.0, pictures=False, done=done, qualities=far)
        made = Site(stored(run, tmp_path / str(done)))
        words.append([x.word for x in sayings(made.data, made.certainty, made.boards)])
    assert words == [["sure"] * 3, ["likely"] * 3]


def test_of_a_table_only_row_groups_that_may_hold_a_position_are_read(tmp_path: Path) -> None:
    table = pa.table({"name": ["a"] * 6, "position": [*range(6)]})
    for known, spans in ((True, [(0, 1), (2, 3), (4, 5)]), (False, [(0, 1 << 62)] * 3)):
        pq.write_table(table, tmp_path / "t", row_group_size=2, write_statistics=known)
        file = pq.ParquetFile(tmp_path / "t")
        assert [parts._span(file, group) for group in range(3)] == spans


def test_a_stage_is_drawn_as_done_when_all_of_it_is(site: Site, tmp_path: Path) -> None:
    drawn, rows = provenance.plan_graph(site.data)
    assert rows
    assert all(row["done"] == row["total"] for row in rows)
    assert str(drawn).count('class="nodebox done"') == len(rows)
    data = stored(small(pictures=False, done=False), tmp_path)
    data.objects.delete(data.place.status)
    drawn, rows = provenance.plan_graph(StoredRun(data.objects, data.run_id))
    assert {row["done"] for row in rows} == {0}
    assert 'class="nodebox done"' not in str(drawn)
    assert str(drawn).count('class="nodebox"') == len(rows)


def test_controls_keep_their_names_where_there_is_little_room(site: Site) -> None:
    assert {s.name: site.shorts[s.name] for s in site.data.controls} == {
        s.name: s.name for s in site.data.controls
    }
    assert [site.shorts[s.name] for s in site.data.eligible] == ["aster", "birch"]


def test_the_maps_that_were_looked_at_last_are_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(maps, "_KEPT", 2)
    monkeypatch.setattr(maps.Maps, "_draw", lambda self, position, *of: asked.append(position))
    made = maps.Maps(site.data)
    for position in (1, 2, 3, 3, 2, 1):
        made.drawn(position, "output-0", "absolute")
    assert asked == [1, 2, 3, 1]


def grey(level: int, side: int = 8) -> bytes:
    data = io.BytesIO()
    Pillow.new("L", (side, side), level).save(data, "PNG")
    return data.getvalue()


def colours(drawn: bytes) -> set[tuple[int, ...]]:
    with Pillow.open(io.BytesIO(drawn)) as image:
        return {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}


def test_a_map_of_differences_is_dark_where_there_is_none() -> None:
    for kind in ("absolute", "ssim"):
        drawn, mean = pictures.difference(grey(100), grey(100), kind)
        assert mean == pytest.approx(0.0, abs=1e-6)
        assert colours(drawn) == {pictures._MAGMA[0]}
    drawn, mean = pictures.difference(grey(145), grey(100), "absolute")
    assert mean == pytest.approx(45 / 255)
    assert colours(drawn) == {pictures._MAGMA[5]}, "59 % of what is brightest, of nine steps"
    drawn, mean = pictures.difference(grey(255, side=16), grey(0), "absolute")
    assert mean == pytest.approx(1.0)
    assert colours(drawn) == {pictures._MAGMA[8]}


def test_a_map_of_structure_is_that_of_another_package() -> None:
    left, right = np.random.default_rng(0).random((2, 30, 40), dtype=np.float32)
    left, right = left / 10, right / 5  # so dark that the constants count
    _, every = structural_similarity(left, right, win_size=7, data_range=1.0, full=True,
                                     use_sample_covariance=False)  # fmt: skip
    assert pictures._ssim(left, right) == pytest.approx(every, abs=1e-5)


def test_a_picture_of_a_page_is_whole_to_the_bit_and_no_larger_than_a_screen() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    data = io.BytesIO()
    Pillow.fromarray(noise).save(data, "PNG")
    with Pillow.open(io.BytesIO(pictures.whole(data.getvalue()))) as shown:
        assert np.array_equal(np.asarray(shown.convert("RGB")), noise)
    with Pillow.open(io.BytesIO(pictures.whole(grey(9, side=2 * 1024)))) as shown:
        assert shown.size == (1024, 1024)


@pytest.mark.parametrize(("word", "colour"), [("error", "bad"), ("partial", "warn")])
def test_a_run_that_ended_otherwise_says_how_and_how_to_go_on(
    site: Site, word: str, colour: str
) -> None:
    data = StoredRun(site.data.objects, site.data.run_id)
    assert data.status is not None
    data.__dict__["status"] = replace(data.status, status=word)
    found = overview.state_of(data)
    assert (found.word, found.tone) == (word, colour)
    assert found.command


def test_what_is_known_against_the_judge_is_no_doubt_of_a_metric(tmp_path: Path) -> None:
    data = stored(small(), tmp_path)
    data.__dict__["doubts"] = "the judge has random weights"
    names, mask = [s.name for s in data.eligible], np.ones(12, dtype=bool)
    found = {v.key[0]: certain.field_of(data, v, names, mask) for v in data.values}
    assert {"judge", "score"} <= found.keys()
    for kind, made in found.items():
        assert (made.against == data.doubts, made.lowest == 1.0) == (kind == "judge",) * 2


def test_the_first_line_on_a_terminal_says_how_the_run_ended_and_how_long_it_took(
    site: Site,
) -> None:
    first = next(result_lines(site.data, site.certainty, 80, plain=True)).plain
    assert re.search(r": complete in [\d.]+ (s|min|h)", first), first
    assert " failed (" in first
    data = StoredRun(site.data.objects, site.data.run_id)
    data.__dict__["status"] = None
    first = next(result_lines(data, site.certainty, 80, plain=True)).plain
    assert ": not started. " in first


@pytest.mark.parametrize(("direction", "falls"), [("higher", True), ("lower", False)])
def test_the_best_system_stands_above_the_others_on_a_terminal(
    site: Site, direction: str, falls: bool
) -> None:
    board = site.boards[0]
    turned = replace(board, value=replace(board.value, direction=direction))
    means = [row.mean for _, row in _ordered_rows(turned) if row.mean is not None]
    assert len(set(means)) > 1
    assert means == sorted(means, reverse=falls)


@pytest.mark.parametrize(("judged", "ranks"), [(2, "judge"), (1, "score")])
def test_a_judge_ranks_a_format_that_it_judged_of_every_eligible_system(
    site: Site, judged: int, ranks: str
) -> None:
    data = StoredRun(site.data.objects, site.data.run_id)
    names = [system.name for system in data.eligible][:judged]
    data.__dict__["summary"] = [
        row for row in site.data.summary if row["stage"] != "judge" or row["system"] in names
    ]
    head = certain.headline(data, "VQA")
    assert head is not None
    assert head.key[0] == ranks


@pytest.mark.parametrize(("many", "told"), [(1, []), (3, ["2 more without a value"])])
def test_what_is_owed_and_not_there_is_named_until_there_is_no_room(
    many: int, told: list[str]
) -> None:
    rows = [
        {"label": f"m{n}", "stage": "score", "n": 0, "expected": 4, "not_applicable": 0,
         "status_error": 4}
        for n in range(_OWED - 1 + many)
    ]  # fmt: skip
    data: Any = SimpleNamespace(summary=rows, objects=SimpleNamespace(url="memory://x"))
    lines = [line.plain for line in _owed_lines(data)]
    assert "m0: not one value (error 4)" in lines[0]
    assert [line.partition("owed")[2].strip().partition(":")[0] for line in lines[_OWED:]] == told


def test_two_values_agree_as_far_as_their_ranks_do() -> None:
    higher, lower = (SimpleNamespace(direction=d, title=d) for d in ("higher", "lower"))
    rows = np.arange(20.0).reshape(1, -1)
    alike = metricspage._agree(rows, rows**3, (higher, higher), 28)
    against = metricspage._agree(rows, rows**3, (higher, lower), 28)
    assert alike is not None
    assert against is not None
    assert (alike.rho, alike.n) == (pytest.approx(1.0), 20)
    assert against.rho == pytest.approx(-1.0), "the one rises where the other says it is worse"
    half = 1.96 / 5
    assert alike.low == pytest.approx(np.tanh(np.arctanh(0.999) - half))
    assert against.high == pytest.approx(-alike.low)
    few = metricspage._agree(rows[:, :4], rows[:, :4], (higher, higher), 28)
    assert few is None
    none = metricspage._agree(rows, np.ones_like(rows), (higher, higher), 28)
    assert none is None


@pytest.mark.parametrize(
    ("ends", "top"),
    [([(-0.5, 0.2, -0.1)], 0.5), ([(None, None, 0.3)], 0.3), ([(0, 0, 0)], 1), ([], 1)],
)
def test_differences_stand_on_an_axis_that_is_as_wide_on_both_sides(
    ends: list[tuple[float | None, ...]], top: float
) -> None:
    pairs = [SimpleNamespace(low=low, high=high, difference=mean) for low, high, mean in ends]
    axis = pairing._axis([SimpleNamespace(pair=pair) for pair in pairs])
    assert (axis.low, axis.high) == (-top, top)


def test_every_whole_value_is_held_against_the_one_that_ranks(tmp_path: Path) -> None:
    data = stored(small(samples=60, pictures=False), tmp_path)
    found = dict(metricspage.agreements(data))
    pixels = {"judge, no ref.", "PSNR, dB", "SSIM", "LPIPS"}
    words = {"judge, no ref.", "BERTScore", "exact match", "token F1"}
    assert [{a.title for a in lines} for lines in found.values()] == [
        pixels, pixels | {"BERTScore"}, words,
    ]  # fmt: skip
    for lines in found.values():
        assert [a.rho for a in lines] == sorted((a.rho for a in lines), reverse=True)
    page = Site(data).metrics([])
    assert page is not None
    assert all(f'<caption class="cap">{title}</caption>' in page for title in found)
    head, other = (data.grid[value.key] for value in data.values[:2])
    mask = metricspage.format_mask(data, "VQA")
    each = [
        spearmanr(head[s.place][mask], other[s.place][mask], nan_policy="omit").statistic
        for s in data.eligible
    ]
    (drawn,) = (a for a in found["VQA, against judge, with ref."] if a.title == "judge, no ref.")
    assert drawn.rho == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("slots", "shown"), [([(0, 0), (0, 1)], True), ([(1, 0)], True), ([(0, 0)], False)]
)
def test_a_run_has_pictures_where_a_sample_comes_with_one(
    site: Site, slots: list[tuple[int, int]], shown: bool
) -> None:
    data = StoredRun(site.data.objects, site.data.run_id)
    data.__dict__["picture_slots"] = slots
    assert data.has_pictures is shown
