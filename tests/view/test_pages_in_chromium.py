"""Every page in a real browser: from a disk and a server, wide and narrow, light and dark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from view.browsing import HOSTILE, Seen, axe, browser, bundle, open_page, server, small, stored

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
PAGES = ("index", "metrics", "gallery", "sample", "compare", "failures", "provenance", "runs")


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("made")
    return bundle(stored(small(), root / "store"), root / "pages")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("hostile")
    run = small(
        samples=6,
        text=lambda system, n: HOSTILE,
        instruction=lambda n: HOSTILE,
        sample_id=lambda task, n: f"{n}{HOSTILE}",
        judge="judge",
    )
    return bundle(stored(run, root / "store"), root / "pages")


def visit(seen: Seen, url: str) -> Seen:
    seen.page.goto(url)
    seen.page.wait_for_load_state("networkidle")
    return seen


def is_quiet(seen: Seen, start: str) -> None:
    assert seen.errors == []
    outside = [u for u in seen.requests if not u.startswith((start, "data:"))]
    assert outside == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_page_from_a_disk_is_whole_and_quiet(
    made: Any, files: str, page: str, width: int, dark: bool
) -> None:
    seen = visit(open_page(made, width, dark), f"{files}/{page}.html")
    assert seen.page.locator("h1").count() == 1
    assert seen.page.locator(".problem").count() == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    if page == "provenance":  # its graph is broader than a phone
        assert seen.page.locator("svg.chart").first.is_visible()
    is_quiet(seen, "file://")


def test_the_server_trades_its_token_and_shows_the_same(made: Any, tmp_path: Path) -> None:
    data = stored(small(samples=6), tmp_path)
    with server(data) as (url, token):
        seen = open_page(made)
        visit(seen, f"{url}/?token={token}")
        assert token not in seen.page.url
        assert seen.page.locator("table.lead tbody.rows tr").count() > 0
        for page in PAGES:
            visit(seen, f"{seen.page.url.rpartition('/')[0]}/{page}.html")
            assert seen.page.locator(".problem").count() == 0
        is_quiet(seen, url)


def test_filters_keys_and_links_of_the_gallery(made: Any, files: str) -> None:
    from playwright.sync_api import expect

    seen = visit(open_page(made), f"{files}/gallery.html")
    page = seen.page
    page.wait_for_selector(".strip .sid")
    assert page.locator("#found").inner_text() == "12 samples"
    page.locator("#facets label", has_text="Image editing").locator("input").check()
    assert page.locator("#found").inner_text() == "4 of 12 samples"
    kept = page.url
    page.locator("main").press("j")
    page.locator("main").press("j")
    first = page.locator(".strip.on .sid").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector("#sid:has-text('-')")
    assert page.locator("#sid").inner_text() == first
    assert "/ 4 samples" in page.locator("#place").inner_text()
    page.keyboard.press("j")
    expect(page.locator("#sid")).not_to_have_text(first)
    again = visit(open_page(made), kept)
    again.page.wait_for_selector(".strip .sid")
    assert again.page.locator("#found").inner_text() == "4 of 12 samples"
    page.go_back()
    is_quiet(seen, "file://")


def test_search_and_sort(made: Any, files: str) -> None:
    from playwright.sync_api import expect

    page = visit(open_page(made), f"{files}/gallery.html#sort=worst").page
    page.wait_for_selector(".strip .sid")
    page.keyboard.press("/")
    page.keyboard.type("section 7 of")
    expect(page.locator("#found")).to_have_text("1 of 12 samples")
    assert "0007" in page.locator(".strip .sid").first.inner_text()
    page.locator("#search").fill("sample 3 is seen")  # only answers say so
    expect(page.locator("#found")).to_have_text("1 of 12 samples")
    page.locator("#search").fill("nothing of the kind")
    page.wait_for_selector("text=No sample is left")


def test_a_sample_has_scores_judges_and_pictures_that_move_together(made: Any, files: str) -> None:
    page = visit(open_page(made), f"{files}/gallery.html#f=0").page
    page.locator(".strip .sid").first.click()
    page.wait_for_selector(".pane.lens img")
    assert page.locator("#scores tbody tr").count() >= 4
    assert page.locator(".viewcol").count() == 2
    before = page.locator(".pane.lens img").first.get_attribute("style")
    page.locator(".pane.whole").first.press("ArrowRight")
    styles = {i.get_attribute("style") for i in page.locator(".pane.lens img").all()}
    assert len(styles) == 1
    assert before not in styles
    page.keyboard.press("2")
    slider = page.locator(".swiper input")
    slider.press("ArrowRight")
    assert page.locator(".over").get_attribute("style")


def test_hostile_words_stay_words(made: Any, hostile: str) -> None:
    seen = open_page(made)
    for page in (*PAGES, "gallery", "sample"):
        visit(seen, f"{hostile}/{page}.html")
        assert "owned" not in seen.page.title()[:5]
        assert seen.page.locator("img[src*=evil]").count() == 0
        assert seen.page.locator("a[href^='javascript:']").count() == 0
    assert "U+202E" in seen.page.locator("#ask").inner_text()
    is_quiet(seen, "file://")


def test_a_page_without_its_data_says_so(made: Any, files: str, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "pages"
    shutil.copytree(files.removeprefix("file://"), copied)
    (copied / "data" / "gallery.js").unlink()
    page = visit(open_page(made), f"{copied.as_uri()}/gallery.html").page
    assert "data/gallery.js is missing" in page.locator("[role=alert]").inner_text()


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_serious(made: Any, files: str, page: str) -> None:
    script = axe()
    context = made.new_context(bypass_csp=True, viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto(f"{files}/{page}.html")
    tab.wait_for_load_state("networkidle")
    tab.evaluate(script)
    found = tab.evaluate("axe.run().then(r => r.violations)")
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in serious] == []
