"""What pages count and draw, without a browser: coverage, groups of samples, places in charts."""

import re
from pathlib import Path

import pytest
from view.browsing import small, stored

from medgen.launch.view import failures, flow, metricspage
from medgen.launch.view.board import Axis
from medgen.launch.view.lines import TOP, Frame
from medgen.launch.view.site import Site

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
    every = samples.codes["task"] >= 0
    groups = metricspage._groups(site.data, "task × modality", every)
    assert sum(mask.astype(int) for _, mask, _ in groups).tolist() == [1] * len(every)
    for name, mask, link in groups:
        task, modality = map(int, re.findall(r"=(\d+)", link))
        assert set(samples.codes["task"][mask]) == {task}
        assert set(samples.codes["modality"][mask]) == {modality}
        assert name.startswith(samples.words["task"][task])


def test_a_line_is_drawn_between_the_top_and_what_is_left_below() -> None:
    frame = Frame(Axis(0.0, 4.0), height=200, bottom=30)
    assert [frame.y(value) for value in (4.0, 2.0, 0.0)] == [TOP, (TOP + 170) / 2, 170]


def test_steps_are_as_high_as_their_share_of_the_largest() -> None:
    drawn = "".join(flow._steps("rows", [0.0, 5.0, 20.0], 0.0))
    low, high = (float(h) for h in re.findall(r'height="([\d.]+)"', drawn))
    assert high == pytest.approx(4 * low)
    assert flow._steps("rows", [0.0, 0.0], 0.0)


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
