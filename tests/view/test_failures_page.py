"""Failures in a browser: tabs, cells that filter, the table as CSV; and when failures gathered."""

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from view.browsing import Seen, browser, bundle, open_page, small, stored

from medgen.launch.view.data import StoredRun
from medgen.launch.view.failures import _last_keys, by_time, failures, status_lines

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredRun, str]:
    root = tmp_path_factory.mktemp("failing")
    data = stored(small(samples=60, fails=0.2, pictures=False), root / "store")
    return data, bundle(data, root / "pages")


def visit(made: Any, url: str) -> Seen:
    seen = open_page(made)
    seen.page.goto(url)
    seen.page.wait_for_load_state("networkidle")
    return seen


def test_each_tab_shows_its_part_and_the_link_keeps_it(
    made: Any, run: tuple[StoredRun, str]
) -> None:
    seen = visit(made, f"{run[1]}/failures.html")
    parts = ("predictions", "scores", "verdicts", "workers")
    for part in parts:
        seen.page.locator(f"[data-part={part}]").click()
        again = visit(made, seen.page.url)
        for page in (seen.page, again.page):
            assert [page.locator(f"#{p}").is_visible() for p in parts] == [p == part for p in parts]
    assert seen.errors == []


def test_a_cell_filters_the_causes_and_the_table_is_a_csv(
    made: Any, run: tuple[StoredRun, str], tmp_path: Path
) -> None:
    data, files = run
    found = failures(data)
    seen = visit(made, f"{files}/failures.html")
    page = seen.page
    cell = page.locator("button[data-status]").first
    system, status = cell.get_attribute("data-sys"), cell.get_attribute("data-status")
    own = [f for f in found if f.entry.place == int(str(system)) and f.status == status]
    assert cell.inner_text() == str(len(own)) != "0"
    whole = page.locator("details.cause:visible").count()
    cell.click()
    left = page.locator("details.cause[data-status]:visible")
    assert 0 < left.count() < whole
    assert set(left.evaluate_all("c => c.map((x) => x.dataset.status)")) == {status}
    again = visit(made, page.url).page
    assert again.locator("details.cause[data-status]:visible").count() == left.count()
    assert status in again.locator("#only").inner_text()
    again.locator("#only").click()
    assert again.locator("details.cause[data-status]:visible").count() == whole
    with page.expect_download() as waiting:
        page.locator("#csv").click()
    kept = tmp_path / "failures.csv"
    waiting.value.save_as(kept)
    rows = list(csv.reader(kept.read_text(encoding="utf-8").splitlines()))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[-2] for row in rows[1:]] == [
        *(str(line.total) for line in status_lines(data, found)[1]), str(len(found)),
    ]  # fmt: skip
    assert seen.errors == []


def test_what_makes_a_systems_predictions_is_its_drawing_where_it_draws() -> None:
    made = [
        ("a", "answer", "one"),
        ("r", "render", "one"),
        ("s", "score", "one"),
        ("b", "answer", "two"),
    ]
    nodes = {key: SimpleNamespace(stage=stage, systems=(of,)) for key, stage, of in made}
    data: Any = SimpleNamespace(plan=SimpleNamespace(nodes=nodes))
    assert [_last_keys(data, name) for name in ("one", "two")] == [["r"], ["b"]]


def test_failures_by_time_are_those_of_the_answers(
    run: tuple[StoredRun, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = run[0]
    name = data.eligible[0].name
    key = next(k for k, n in data.plan.nodes.items() if n.stage == "answer" and name in n.systems)
    body = {"event": "receipt", "group": f"answer/{key}", "stage": "answer", "key": key}
    made = [
        body | {"time": f"2026-11-29T02:{at:02}:00.000+00:00", "shard": at, "rows": rows}
        for at, rows in enumerate(({"ok": 30}, {"ok": 30}, {"ok": 10, "timeout": 20}))
    ]
    scored = body | {"stage": "score", "key": "psnr", "time": made[0]["time"], "rows": {"error": 9}}
    monkeypatch.setattr(StoredRun, "events", lambda self: [*made, scored])
    _, lines = status_lines(data, failures(data))
    groups, axis, rate = by_time(data, lines)
    assert [(g.name, g.failed, g.owed, g.above) for g in groups] == [
        ("02:00:00", 0, 30, False), ("02:01:00", 0, 30, False), ("02:01:45", 20, 30, True),
    ]  # fmt: skip
    assert [g.at for g in groups] == [axis.at(0.0), axis.at(0.0), axis.at(100 * 20 / 30)]
    assert rate == pytest.approx(20 / 90)
