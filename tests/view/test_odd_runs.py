"""Runs that are not as usual: nothing came, half has come, many names that are nearly alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from results.fake_runs import FakeRun, make_samples, steady
from view.browsing import browser, open_page, server, small, stored

from benchmarks import made_run
from medgen.engine.data import Prediction, Sample
from medgen.engine.results.publishing import Summaries
from medgen.engine.run.folder import RunFolder, Status
from medgen.engine.store.connect import connect
from medgen.launch.run.publish import write_tables
from medgen.launch.view import certain, failures
from medgen.launch.view.data import StoredRun
from medgen.launch.view.overview import failed_of, so_far
from medgen.launch.view.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
NOW = "2026-11-30T10:00:00.000+00:00"
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


def test_predictions_count_though_no_metric_compares_their_format(tmp_path: Path) -> None:
    def predict(system: str, sample: Sample) -> Prediction:
        if sample.format != "VQA":
            return Prediction(sample.id, text="x")
        return Prediction(
            sample.id, "timeout" if system == "slow" else "not_applicable", "a reason"
        )

    samples = make_samples(48)
    asked = sum(sample.format == "VQA" for sample in samples)
    url = str(tmp_path / "store")
    reader = FakeRun(
        samples, systems=("slow", "editor"), predict=predict, score=steady(lambda s, x: 1.0)
    ).write(url)
    folder = RunFolder(connect(url), reader.plan.run_id)
    folder.save_plan(reader.plan, "name: fake\n")
    folder.save_status(Status("success", reader.plan.run_id, NOW, NOW))
    write_tables(reader, Summaries())
    data = StoredRun(connect(url), reader.plan.run_id)
    assert "VQA" not in {row["format"] for row in data.summary}
    owed = 2 * len(samples) - asked  # the editor is asked nothing there
    told = failed_of(data, certain.write_certainty(data))
    assert (told.total, told.owed, told.by_status) == (asked, owed, (("timeout", asked),))
    _, lines = failures.status_lines(data, failures.failures(data))
    assert sum(line.owed for line in lines) == owed
    groups, _, rate = failures.gatherings(data, failures.failures(data), lines, "format")
    assert rate == asked / owed
    assert {g.name: (g.failed, g.owed) for g in groups}["VQA"] == (asked, asked)
