"""What the design says of each page, in a browser: tables, pins, wide and narrow looks."""

from collections.abc import Iterator
from typing import Any

import pytest
from view.browsing import Seen, browser, bundle, open_page, small, stored

from medgen.launch.view.charts import short_names
from medgen.launch.view.data import StoredRun
from medgen.launch.view.flow import flow

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredRun, str]:
    root = tmp_path_factory.mktemp("looked")
    data = stored(small(systems=3, samples=24), root / "store")
    return data, bundle(data, root / "pages")


def visit(made: Any, url: str, width: int = 1440) -> Seen:
    seen = open_page(made, width)
    seen.page.goto(url)
    seen.page.wait_for_load_state("networkidle")
    return seen


def first_of(data: StoredRun, format_: str) -> str:
    """The key of the first sample of a format."""
    at = data.samples.column("format").index(format_)
    return data.samples.digests[at]


def test_short_names_tell_systems_apart() -> None:
    names = ["aster-30b+aster-edit", "birch-omni", "birch-8b", "x", "averyverylongname.2"]
    found = short_names(names)
    assert [found[n] for n in names] == ["aster", "birch-omni", "birch-8b", "x", "averyve…name.2"]


def test_below_the_timeline_stand_speed_and_what_is_left(
    run: tuple[StoredRun, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"event": "receipt", "stage": "answer", "group": "answer", "seconds": 10.0}
    made = [
        body | {"time": f"2026-11-29T02:00:{at}.000+00:00", "shard": n, "rows": {"ok": rows}}
        for n, (at, rows) in enumerate((("20", 60), ("49", 30), ("49", 30)))
    ]
    monkeypatch.setattr(StoredRun, "events", lambda self: made)
    drawn = str(flow(run[0]))
    assert "rows a second, at most 120; shards left, 3 at first" in drawn
    monkeypatch.setattr(StoredRun, "events", lambda self: made[:1])
    assert flow(run[0]) is None


def test_metrics_as_a_table_shows_intervals_and_keeps_it_in_the_link(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    page = visit(made, f"{run[1]}/metrics.html").page
    assert not page.locator("#by0 .fine").first.is_visible()
    page.locator("[data-name=table]").click()
    again = visit(made, page.url).page
    cell = again.locator("#by0 tr.whole .heatcell").first
    assert "–" in cell.locator(".fine").inner_text()
    assert cell.evaluate("c => getComputedStyle(c).backgroundColor") == "rgba(0, 0, 0, 0)"
    again.locator("[data-name=distributions]").click()
    assert not again.locator("#heat").is_visible()
    assert again.locator("#spread svg").first.is_visible()


@pytest.mark.parametrize(("width", "many"), [(1440, 4), (2560, 5)])
def test_two_more_values_where_there_is_room(
    made: Any, run: tuple[StoredRun, str], width: int, many: int
) -> None:
    page = visit(made, f"{run[1]}/index.html", width).page
    board = page.locator("section.board", has_text="Multimodal generation")
    row = board.locator("tbody.rows tr").first
    assert row.locator("td.val:visible").count() == many
    board.locator("details.columns summary").click()
    boxes = board.locator("[data-col]")
    assert boxes.evaluate_all("c => c.filter((x) => x.checked).length") == many
    boxes.last.set_checked(width == 1440)
    assert row.locator("td.val:visible").count() == (5 if width == 1440 else 4)


def test_the_gallerys_table_says_whose_each_number_is(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    data, files = run
    page = visit(made, f"{files}/gallery.html#as=table").page
    page.wait_for_selector(".trow .sid")
    heads = page.locator("#columns .num")
    assert heads.evaluate_all("h => h.map((x) => x.title)") == [s.name for s in data.systems[:4]]
    place = "e => Math.round(e.getBoundingClientRect().right)"
    cells = page.locator("#rows .trow").first.locator(".num")
    for at in range(4):
        assert abs(heads.nth(at).evaluate(place) - cells.nth(at).evaluate(place)) <= 1


def test_a_pin_stands_in_the_link(made: Any, run: tuple[StoredRun, str]) -> None:
    page = visit(made, f"{run[1]}/index.html").page
    page.locator("tbody.rows th a").nth(1).focus()
    page.keyboard.press("p")
    row = page.locator("tbody.rows tr").nth(1).get_attribute("data-system")
    assert f"pin={row}" in page.url
    again = visit(made, page.url).page
    pinned = again.locator("section.board").first.locator("tr.pin")
    assert pinned.evaluate_all("r => r.map((x) => x.dataset.system)") == [row]


def test_all_scores_of_a_sample_are_seen_and_its_provenance_names_the_shard(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    data, files = run
    page = visit(made, f"{files}/sample.html#s={first_of(data, 'ImageEditing')}").page
    region = page.locator("#scores .scroll")
    assert region.evaluate("r => r.scrollWidth <= r.clientWidth")
    assert "oracle" in region.locator("thead").inner_text()
    page.locator("#prov dd", has_text="shard 0").wait_for()
    page.locator("#judges .seg button").nth(1).click()
    assert data.systems[1].name in page.locator("#prov").inner_text()
    assert "null" not in page.locator("main").inner_text()


def test_a_phone_shows_pairs_differences_and_one_view_at_a_time(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    data, files = run
    seen = visit(made, f"{files}/sample.html#s={first_of(data, 'ImageEditing')}", 390)
    page = seen.page
    page.wait_for_selector(".couple img")
    assert [t.strip() for t in page.locator("#look .looktools .seg button").all_inner_texts()] == [
        "Pair", "Swipe", "Blink", "Difference",
    ]  # fmt: skip
    assert page.locator(".couple img").count() == 2
    page.locator(".choose").nth(2).click()
    assert page.locator(".choose").nth(2).get_attribute("aria-pressed") == "true"
    shown = page.locator(".couple img").nth(1).get_attribute("src")
    assert shown.endswith("-s1-whole.webp")
    page.locator("#look button", has_text="Difference").click()
    assert "mean " in page.locator(".couple").inner_text()
    assert page.locator(".viewcol").count() == 1
    page.locator(".viewtabs button").nth(1).click()
    assert "Without the reference" in page.locator(".viewcol").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert seen.errors == []


@pytest.mark.parametrize("width", [320, 800])
def test_nothing_scrolls_sideways_at_four_times_the_size_and_between(
    made: Any, run: tuple[StoredRun, str], width: int
) -> None:
    page = open_page(made, width).page
    for name in (
        "index", "metrics", "gallery", "sample", "compare", "failures", "provenance", "runs",
    ):  # fmt: skip
        for look in ("", "#as=table") if name in ("gallery", "metrics") else ("",):
            page.goto("about:blank")
            page.goto(f"{run[1]}/{name}.html{look}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name + look


def test_on_paper_there_are_no_controls_and_the_whole_table(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    page = open_page(made, 700).page  # A4 within its margins
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(f"{run[1]}/index.html")
    assert not page.locator("header.bar").is_visible()
    assert page.locator("footer.foot").is_visible()
    assert page.locator("section.board:visible").count() == 3
    for table in page.locator("table.lead").all():
        card = table.locator("xpath=ancestor::section")
        right = "e => e.getBoundingClientRect().right"
        assert table.evaluate(right) <= card.evaluate(right)
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert colour == "rgb(20, 24, 29)", "the light text"
    page.goto(f"{run[1]}/compare.html")
    assert not page.locator("#left").is_visible()
    assert page.locator(".onpaper").all_inner_texts()
    assert page.locator(".onpaper").first.is_visible()
