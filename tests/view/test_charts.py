"""What charts draw stands where it can be read: labels apart, marks inside, groups in order."""

import random
import re
from collections.abc import Sequence
from itertools import combinations

import pytest
from view.browsing import small, stored

from medgen.launch.view import charts, flow, numbers, pairing, provenance
from medgen.launch.view.board import Axis, format_short
from medgen.launch.view.data import StoredRun
from medgen.launch.view.lines import TOP, Frame
from medgen.launch.view.site import Site
from medgen.launch.view.trends import changes

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    run = small(fails=0.2, pictures=False)
    return Site(stored(run, tmp_path_factory.mktemp("site")))


def test_a_line_is_drawn_between_the_top_and_what_is_left_below() -> None:
    frame = Frame(Axis(0.0, 4.0), height=200, bottom=30)
    assert [frame.y(value) for value in (4.0, 2.0, 0.0)] == [TOP, (TOP + 170) / 2, 170]


def test_steps_are_as_high_as_their_share_of_the_largest() -> None:
    drawn = "".join(flow._steps("rows", [0.0, 5.0, 20.0], 0.0))
    low, high = (float(h) for h in re.findall(r'height="([\d.]+)"', drawn))
    assert high == pytest.approx(4 * low)
    assert flow._steps("rows", [0.0, 0.0], 0.0)


@pytest.mark.parametrize(
    ("low", "high", "at"),
    [
        (0.0, 400.0, [0, 100, 200, 300, 400]),
        (0.0, 0.04, [0, 0.01, 0.02, 0.03, 0.04]),
        (-1.0, 1.4, [-1, -0.5, 0, 0.5, 1]),
        (0.0, 6.0, [0, 2, 4, 6]),
        (2.0, 2.0, [2]),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, at: list[float]) -> None:
    assert numbers.ticks(low, high) == at


def test_a_judges_scale_has_its_odd_numbers() -> None:
    assert [label for _, label in Axis(1.0, 10.0).ticks] == ["1", "3", "5", "7", "9"]


def places(drawn: Sequence[str]) -> list[tuple[float, float, float]]:
    """Of each label where it begins and ends, and its height, as charts count them."""
    found = []
    label = r'<text class="(\w*)" x="([-\d.]+)" y="([-\d.]+)">([^<]*)'
    for kind, x, y, words in re.findall(label, "".join(drawn)):
        wide = 6.2 * len(words)
        start = {"start": float(x), "end": float(x) - wide}.get(kind, float(x) - wide / 2)
        found.append((start, start + wide, float(y)))
    return found


@pytest.mark.parametrize("count", [2, 10, 40])
def test_names_in_a_chart_lie_beside_each_other_and_inside_of_it(count: int) -> None:
    chance = random.Random(1)
    dots = [charts.Dot(0, 0, f"system-{n}", n + 1) for n in range(count)]
    at = [(chance.uniform(44, 510), chance.uniform(20, 200)) for _ in dots]
    found = places(charts._with_names([*zip(at, dots, strict=True)], (44, 510)))
    assert min(count, 8) <= len(found) <= count
    assert all(start > 44 and end < 510 + 12 for start, end, _ in found)
    for one, other in combinations(found, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) >= 12


def test_the_picture_of_the_stages_is_as_wide_as_they_are(site: Site) -> None:
    drawn = str(provenance.plan_graph(site.data)[0])
    (width,) = map(int, re.findall(r'viewBox="0 0 (-?\d+) ', drawn))
    ends = [float(x) + 190 for x in re.findall(r'<rect class="[^"]*" x="([\d.]+)"', drawn)]
    assert max(ends) < width < max(ends) + 190


def test_work_lies_inside_of_the_timeline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"event": "receipt", "time": "2026-11-29T02:20:15.547+00:00", "part": None, "key": "k"}
    one |= {"group": "score", "stage": "score", "shard": 0, "seconds": 8.0}
    later = one | {"time": "2026-11-29T02:20:25.547+00:00", "shard": 1, "seconds": 4.0}
    monkeypatch.setattr(StoredRun, "events", lambda self: [one, later])
    drawn = str(provenance.timeline(site.data))
    (width,) = map(int, re.findall(r'viewBox="0 0 (\d+) ', drawn))
    block = r'<rect class="work \w+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"'
    found = sorted((float(x), float(wide)) for x, wide in re.findall(block, drawn))
    (first, eight), (second, four) = found
    assert eight == pytest.approx(2 * four, abs=0.2)
    assert second + four == pytest.approx(width - 10, abs=0.2)
    assert second - first == pytest.approx(14 * four / 4, abs=0.5)


def test_groups_of_a_pair_stand_by_how_much_the_right_one_is_ahead(site: Site) -> None:
    page = pairing.pair_page(site.data, site.certainty, *site.first_pair)
    for card in page.cards:
        turn = -1 if card.lower else 1
        for lines in (page.tasks, page.modalities):
            own = [c for c in lines if c.short == card.short and not c.whole]
            ahead = [turn * (c.pair.difference or 0.0) for c in own]
            assert ahead == sorted(ahead, reverse=True)
    every = [c.pair.difference for c in page.modalities if not c.whole]
    assert len({*every}) > 2


def test_other_values_of_a_pair_are_those_of_their_format(site: Site) -> None:
    page = pairing.pair_page(site.data, site.certainty, *site.first_pair)
    found = {(c.value.key, c.short) for c in page.values}
    cards = {(c.value.key, c.short) for c in page.cards}
    owed = {
        (v.key, format_short(f))
        for v in site.data.values
        for f in v.formats
        if v.direction and f in site.data.formats
    }
    assert found
    assert found <= owed - cards


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(6.75, 6.93, "6.75–6.93"), (-0.5, 0.25, "−0.50 to 0.25"), (1.0, None, ""), (None, 1.0, "")],
)
def test_an_interval_has_both_ends_or_none(low: float, high: float, words: str) -> None:
    assert numbers.span(low, high, 2) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "$0"), (0.004, "under 1 cent"), (0.01, "$0.01"), (1.0, "$1.00"), (1234.5, "$1,234.50")],
)
def test_what_costs_less_than_a_cent_is_not_free(value: float, words: str) -> None:
    assert numbers.dollars(value) == words


def test_a_night_is_another_where_its_interval_lies_beside_that_of_the_night_before() -> None:
    means = {
        "d1": (5.0, 4.0, 6.0),
        "d2": (7.0, 6.0, 8.0),
        "d4": (9.0, 8.5, 9.5),
        "d5": (3.0, 2.0, 4.0),
    }
    values = {date: {"one": mean} for date, mean in means.items()}
    assert changes(["d1", "d2", "d3", "d4", "d5"], values) == [("d4", "one"), ("d5", "one")]
    assert changes(["d2", "d1"], values) == [], "they touch"
