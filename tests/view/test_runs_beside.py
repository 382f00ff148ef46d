"""Runs: what each reached and took, months, and two runs of one benchmark side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from view.browsing import browser, open_page, server, small, stored

from benchmarks.made_run import NAMES
from medgen.engine.results.certainty import pair_words
from medgen.launch.view.beside import BesideRun
from medgen.launch.view.certain import field_of, format_mask, headline
from medgen.launch.view.data import StoredRun
from medgen.launch.view.runs import RunLine, by_month, run_lines
from medgen.launch.view.samples import sample_digest
from medgen.launch.view.serving import COOKIE, Viewer
from medgen.launch.view.site import Site

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]


def two_runs(root: Path) -> tuple[StoredRun, StoredRun]:
    """The same systems on the same samples twice; the first system became better."""
    runs = [
        stored(
            small(
                systems=2,
                samples=240,
                fails=0.0,
                side=16,
                name=f"night{n}",
                qualities={NAMES[0]: q},
            ),
            root,
        )
        for n, q in ((1, 0.4), (2, 0.7))
    ]
    return runs[0], runs[1]


def test_a_line_says_coverage_and_cost(tmp_path: Path) -> None:
    data = stored(small(samples=48, fails=0.2), tmp_path)
    (line,) = run_lines(data.objects)
    assert line.coverage.endswith(" %")
    assert float(line.coverage[:-2]) < 100
    assert line.cost.startswith("$")
    page = (Site(data).file("runs.html") or b"").decode()
    assert line.coverage in page
    assert line.cost in page


def test_many_runs_stand_by_month() -> None:
    def line(n: int) -> RunLine:
        day = f"2026-{12 - n // 40:02}-01 00:00"
        return RunLine(f"r{n}", "", "", "", "", "", 1, day, ())

    assert [month for month, _ in by_month([line(n) for n in range(60)])] == [""]
    found = by_month([line(n) for n in range(100)])
    assert [(m, len(own)) for m, own in found] == [
        ("2026-12", 40), ("2026-11", 40), ("2026-10", 20),
    ]  # fmt: skip


def test_two_runs_are_paired_as_one_would_be(tmp_path: Path) -> None:
    one, two = two_runs(tmp_path)
    both = BesideRun(one.objects, one.run_id, two.run_id)
    both.check()
    facing = both.facing
    assert facing is not None
    right = facing[1]
    assert both.systems[right].name == f"{two.run_id}/{NAMES[0]}"
    for format_ in both.formats:
        value = headline(one, format_)
        assert value is not None
        mask = format_mask(one, format_)
        names = [both.systems[p].name for p in facing]
        found = field_of(both, value, names, mask)
        apart = [field_of(d, value, [NAMES[0]], mask).values[0] for d in (one, two)]
        assert np.array_equal(found.values, np.array(apart), equal_nan=True)
        assert (pair_words(found, [(0, 1)])[0].difference or 0) > 0
    page = (Site(both).file("compare.html") or b"").decode()
    assert f"{two.run_id}/{NAMES[0]} is better" in page
    assert f'href="../{sample_digest(one.run_id)}/index.html"' in page
    assert Site(both).file("index.html") is None
    assert (Site(both).file(f"p/{one.samples.digests[0]}-s{right}-thumb.webp") or b"")[
        :4
    ] == b"RIFF"


def test_runs_of_two_benchmarks_are_refused_in_a_sentence(tmp_path: Path) -> None:
    one = stored(small(name="a"), tmp_path)
    two = stored(small(name="b", seed=8), tmp_path)
    made = Viewer(one.objects, one.run_id, "t", ("testserver",))
    client = TestClient(made.app(), cookies={COOKIE: "t"})
    pair = f"{sample_digest(one.run_id)}-{sample_digest(two.run_id)}"
    answer = client.get(f"/{pair}/compare.html")
    assert answer.status_code == 500
    assert "other samples cannot be paired" in answer.text
    assert client.get(f"/{pair[:12]}-000000000000/compare.html").status_code == 404


def test_a_lead_compares_with_last_month_in_two_clicks(tmp_path: Path) -> None:
    _, two = two_runs(tmp_path)
    with browser() as made, server(two) as (url, token):
        seen: Any = open_page(made)
        page = seen.page
        page.goto(f"{url}/?token={token}")
        page.locator("nav.pages >> text=Runs").click()
        page.locator("a.btn", has_text="Compare").first.click()
        page.wait_for_load_state("networkidle")
        assert "is better" in page.locator("#verdict").inner_text()
        page.locator("aside a[href^='sample.html']").first.click()
        page.wait_for_selector("#scores td")
        assert page.locator(".problem").count() == 0
        page.locator("nav.pages >> text=Overview").click()
        assert page.locator("h1").inner_text().startswith("night")
        assert seen.errors == []
