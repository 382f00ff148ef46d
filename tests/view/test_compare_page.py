"""Compare in a browser: the margin of the word alike, what moved either way, tables as Markdown."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from results.fake_runs import FakeRun, make_samples, steady
from view.browsing import Seen, browser, bundle, open_page, small, stored

from benchmarks.made_run import NAMES
from medgen.engine.results.certainty import pair_words
from medgen.engine.results.comparison import Side, compare
from medgen.engine.results.publishing import Summaries
from medgen.engine.run.folder import RunFolder, Status
from medgen.engine.store.connect import connect
from medgen.launch.report.verdicts import comparison_markdown
from medgen.launch.run.publish import write_tables
from medgen.launch.view.certain import field_of, format_mask, headline
from medgen.launch.view.data import StoredRun

NOW = "2026-11-29T10:00:00.000+00:00"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredRun, str]:
    """Two systems that are nearly alike, on enough samples to say so."""
    root = tmp_path_factory.mktemp("near")
    run = small(samples=360, pictures=False, fails=0.0, random=0,
                qualities={NAMES[0]: 0.6, NAMES[1]: 0.61})  # fmt: skip
    data = stored(run, root / "store")
    return data, bundle(data, root / "pages")


def visit(made: Any, url: str) -> Seen:
    seen = open_page(made)
    seen.page.goto(url)
    seen.page.wait_for_load_state("networkidle")
    return seen


def words_of(page: Any) -> dict[str, str]:
    cards = page.locator(".paircard")
    return {c.get_attribute("data-short"): c.locator(".saidword").inner_text() for c in cards.all()}


@pytest.mark.parametrize("margin", [0.02, 0.1, 0.3, 1.0, 5.0])
def test_a_margin_gives_the_words_that_the_engine_gives(
    made: Any, near: tuple[StoredRun, str], margin: float
) -> None:
    from medgen.launch.view.board import format_short

    data, files = near
    seen = visit(made, f"{files}/compare-0-1.html")
    page = seen.page
    before = words_of(page)
    page.locator("#margin").click()
    for field in page.locator("[data-margin]").all():
        field.fill(str(margin))
    wanted = {}
    for name in data.formats:
        value = headline(data, name)
        assert value is not None
        pair = field_of(data, value, NAMES[:2], format_mask(data, name))
        (one,) = pair_words(replace(pair, margin=margin), [(0, 1)])
        short = format_short(name)
        wanted[short] = "alike" if one.word == "alike" else before[short]
    assert words_of(page) == wanted
    said = page.locator("#verdict").inner_text()
    every = set(wanted.values()) == {"alike"}
    assert said.startswith("Alike: within the margin in every format.") == every
    again = visit(made, page.url).page
    assert words_of(again) == wanted
    assert again.locator("#margin").inner_text().startswith(f"Margin ±{margin:g}")
    band = again.locator("table.forest .margin").first
    assert float(str(band.get_attribute("width")).rstrip("%")) > 0
    assert seen.errors == []


def test_a_margin_that_is_taken_back_leaves_the_page_as_it_was(
    made: Any, near: tuple[StoredRun, str]
) -> None:
    page = visit(made, f"{near[1]}/compare-0-1.html").page
    before = page.locator("section[aria-label=Verdict]").inner_text()
    page.locator("#margin").click()
    field = page.locator("[data-margin]").first
    field.fill("5")
    assert page.locator("section[aria-label=Verdict]").inner_text() != before
    field.fill("")
    assert page.locator("section[aria-label=Verdict]").inner_text() == before
    assert "margin" not in page.url


def test_samples_that_moved_are_shown_either_way_with_their_pictures(
    made: Any, tmp_path: Path
) -> None:
    run = small(samples=48, fails=0.0, qualities=dict.fromkeys(NAMES[:2], 0.5))
    files = bundle(stored(run, tmp_path / "store"), tmp_path / "pages")
    page = visit(made, f"{files}/compare-0-1.html").page
    to = "rows => rows.map((row) => row.dataset.to)"
    both = page.locator(".movedrow:visible").evaluate_all(to)
    assert both == ["right"] * 3 + ["left"] * 3
    for way in ("left", "right"):
        page.locator(f"[data-way={way}]").click()
        rows = page.locator(".movedrow:visible")
        assert rows.evaluate_all(to) == [way] * 6
        assert rows.locator("img").count() >= 8  # edits and generations, four pictures each
        shown = visit(made, page.url).page.locator(".movedrow:visible").first
        assert shown.get_attribute("data-to") == way
    for picture in page.locator(".movedrow:visible img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("i => i.complete", arg=picture.element_handle())
        assert picture.evaluate("i => i.naturalWidth") > 0


def test_the_tables_are_copied_as_the_command_prints_them(made: Any, tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    reader = FakeRun(
        make_samples(48), systems=("a|b", "c"), score=steady(lambda s, x: len(s))
    ).write(url)
    folder = RunFolder(connect(url), reader.plan.run_id)
    folder.save_plan(reader.plan, "name: fake\n")
    folder.save_status(Status("success", reader.plan.run_id, NOW, NOW))
    write_tables(reader, Summaries())
    files = bundle(StoredRun(connect(url), reader.plan.run_id), tmp_path / "pages")
    page = visit(made, f"{files}/compare-0-1.html").page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#markdown").click()
    page.locator("#said:has-text('copied')").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    printed = comparison_markdown(compare(Side(reader, "a|b"), Side(reader, "c")))
    assert copied.strip() == printed.partition("## By task")[0].strip()
    assert "## By format" in copied
