"""Runs that are not as usual: nothing came, half has come, many names that are nearly alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from view.browsing import browser, open_page, server, small, stored

from benchmarks import made_run
from medgen.launch.view.overview import so_far
from medgen.launch.view.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
ALIKE = tuple(
    f"a-system-with-a-very-long-name-of-sixty-letters-and-more-{i:02d}-x" for i in range(25)
)


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


def page_of(site: Site, name: str) -> str:
    return (site.file(name) or b"").decode()


def test_a_run_in_which_everything_failed_says_so(tmp_path: Path) -> None:
    site = Site(stored(small(fails=1.0, random=0, pictures=False), tmp_path))
    first = page_of(site, "index.html")
    assert "Controls only" not in first
    assert "No system has one here: floor" in first
    assert "No system has a value</b> in Editing, Generation and VQA" in first
    assert "do not surely beat" not in first
    pair = page_of(site, "compare-0-1.html")
    assert "Nothing can be compared: no sample has a value of both systems." in pair
    assert "- against -" not in pair
    assert "Both systems have a value" not in pair


def test_a_run_that_goes_on_says_how_far_it_is_and_can_be_read_again(
    made: Any, tmp_path: Path
) -> None:
    data = stored(small(done=False), tmp_path)
    assert so_far(data).startswith("So far: all systems answered 12 of 12 samples")
    assert so_far(stored(small(name="over"), tmp_path)) == ""
    with server(data) as (url, token):
        seen = open_page(made)
        seen.page.goto(f"{url}/?token={token}")
        assert "So far" in seen.page.locator(".head").inner_text()
        seen.page.evaluate("window.before = true")
        seen.page.locator("#refresh").click()
        seen.page.wait_for_function("() => window.before === undefined")
        assert seen.errors == []


def test_long_names_that_are_nearly_alike_are_told_apart(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_run, "NAMES", ALIKE)
    data = stored(small(systems=25, samples=24, pictures=False), tmp_path)
    with server(data) as (url, token):
        seen = open_page(made)
        page = seen.page
        page.goto(f"{url}/?token={token}")
        names = page.locator("section.board").first.locator("tbody.rows .name")
        assert len(set(names.all_inner_texts())) == 25
        cut = names.evaluate_all("n => n.filter((x) => x.scrollWidth > x.clientWidth).length")
        assert cut == 0
        for name in ("metrics", "compare", "failures", "provenance", "gallery"):
            page.goto(f"{page.url.rpartition('/')[0]}/{name}.html")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 1440, name
        assert seen.errors == []
