"""Every row of the table in docs/view.md, walked in a browser from the first page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import medgen
from view.browsing import Seen, browser, bundle, open_page, small, stored

from medgen.engine.run.folder import RunFolder, find_run
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.report.sets import set_rows
from medgen.launch.view.data import StoredRun
from medgen.metrics.image.sets import SetFeatures
from medgen.metrics.tiny import make_vision_encoder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "view.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \| ([\d, ]+) \|$", re.MULTILINE)

# Question -> what is clicked, then what must be there and say something.
WALKS: dict[str, tuple[list[str], list[str]]] = {
    "Who is best at a format, by how much, is it sure?": (
        [], [".saying b", ".saying .pill", "table.lead tbody.rows .mean"],
    ),
    "Is it better than doing nothing? How far from perfect?": (
        [],
        ["table.lead .axis text:has-text('floor')", "table.lead .axis text:has-text('ceiling')"],
    ),
    "Can I trust the means, did anything fail?": (
        [], ["table.lead td.cov", "table.lead td.fail", "#wfailed"],
    ),
    # What costs nothing has no chart of cost, and says so at the top.
    "What does it cost, and is it worth it?": ([], ["#cost, dd:has-text('no dollars spent')"]),
    "Which rows are only plumbing?": ([], [".ctlhead"]),
    "Does the judge know good from bad?": ([], [".ctlwords"]),
    "Why did it fail, show me one": (
        ["nav.pages >> text=Failures", "details.cause summary"], ["details.cause[open] pre.raw"],
    ),
    "Which tasks, which modalities are weak?": (
        ["nav.pages >> text=Metrics", "[data-part=by1]"], ["#by1 .heatcell"],
    ),
    "Do judge and metrics agree, do the views?": (
        ["nav.pages >> text=Metrics"], ["table.agree td.num"],
    ),
    "How near are all its pictures together (FID, KID)?": (
        ["nav.pages >> text=Metrics"], ["table.sets td.num"],
    ),
    "Show me its worst outputs": (
        ["table.lead tbody.rows th.sys a >> nth=0"], [".strip .sid"],
    ),
    "Who said a word or two?": (["nav.pages >> text=Gallery", "#search"], [".strip .sid"]),
    "Where do judge and metric, two judges, the views disagree?": (
        ["nav.pages >> text=Gallery", "#sort"], ["#sort option[value=judgemetric]"],
    ),
    "Is B better than A, and in which tasks?": (
        ["nav.pages >> text=Compare"], ["h1", "table.forest td.num"],
    ),
    "Where do two systems differ most?": (
        ["nav.pages >> text=Compare", "aside a[href^='sample.html'] >> nth=0"],
        ["#sid", "#scores td"],
    ),
    "Why did the judge give 3? What was asked, word for word?": (
        ["nav.pages >> text=Gallery", ".strip .sid >> nth=0"], ["#ask", "#judges"],
    ),
    "What exactly is this number? What took so long?": (
        ["nav.pages >> text=Provenance"], ["table.passports td", "#timeline", "#cost"],
    ),
    "Did last night break something? When did it begin?": (
        ["nav.pages >> text=Runs"], ["h1", "#allruns"],
    ),
    "How do I show this to someone?": (["nav.pages >> text=Failures"], ["[data-copy]"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module", params=["made-up", "demo"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pages of made-up values, or of the demo's first samples."""
    root = tmp_path_factory.mktemp("asked")
    store = str(root / "store")
    if request.param == "made-up":
        return bundle(stored(small(samples=24), root / "store"), root / "pages")
    asked = (
        "run",
        "--config",
        "demo-small",
        "--limit",
        "48",
        f"store={store}",
        "cluster=in-process",
    )
    assert medgen(*asked).returncode == 0
    objects = connect(store)
    make_vision_encoder(root / "encoder")
    reader = RunReader(objects, RunFolder(objects, find_run(objects, None)).plan())
    assert len(list(set_rows(reader, SetFeatures(str(root / "encoder"))))) > 2
    return bundle(StoredRun(objects, find_run(objects, None)), root / "pages")


def rows() -> list[tuple[str, int]]:
    """Each question of the table, and the most clicks that it says."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return [
        (question, max(map(int, clicks.split(",")))) for question, _, clicks in ROW.findall(text)
    ]


def test_every_question_has_a_walk_of_two_clicks_at_most() -> None:
    assert {question for question, _ in rows()} == set(WALKS)
    for question, most in rows():
        assert len(WALKS[question][0]) <= most <= 2, question


def walk(seen: Seen, files: str, clicks: list[str], answers: list[str]) -> None:
    """From the first page over the clicks to answers that say something."""
    page = seen.page
    page.goto(f"{files}/index.html")
    for selector in clicks:
        if selector == "details.cause summary" and not page.locator(selector).count():
            assert "Nothing failed." in page.locator("main").inner_text()
            return
        page.locator(selector).first.click()
        page.wait_for_load_state("networkidle")
    for selector in answers:
        page.locator(selector).first.wait_for(state="attached")
        said = page.locator(selector).first.text_content() or ""
        assert said.strip(), f"{selector} says nothing"
    assert page.locator(".problem").count() == 0
    assert seen.errors == []


@pytest.mark.parametrize("question", WALKS)
def test_a_question_is_answered_where_the_table_says(made: Any, files: str, question: str) -> None:
    seen = open_page(made)
    seen.page.set_default_timeout(8000)
    walk(seen, files, *WALKS[question])


def test_a_walk_over_a_page_without_its_data_fails(made: Any, files: str, tmp_path: Path) -> None:
    import shutil

    from playwright.sync_api import TimeoutError as Late

    copied = tmp_path / "pages"
    shutil.copytree(files.removeprefix("file://"), copied)
    (copied / "data" / "gallery.js").unlink()
    seen = open_page(made)
    seen.page.set_default_timeout(1500)
    question = "Why did the judge give 3? What was asked, word for word?"
    with pytest.raises(Late):
        walk(seen, copied.as_uri(), *WALKS[question])
