"""The pages as files and answers: names, escaping, tokens, headers, numbers, words of certainty."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient
from view.browsing import HOSTILE, small, stored

from benchmarks.made_run import NAMES
from medgen.engine.data import FORMATS
from medgen.engine.results.certainty import Field, pair_words, samples_needed, standing
from medgen.engine.results.sets import SetNote, SetRow, keep_set_note, prediction_digest
from medgen.engine.results.statistics import binomial_interval
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.view import numbers, provenance, scripts
from medgen.launch.view.board import SHORTEST, format_short
from medgen.launch.view.bundle import write_bundle
from medgen.launch.view.data import StoredRun
from medgen.launch.view.failures import general
from medgen.launch.view.runs import run_lines
from medgen.launch.view.sayings import sayings
from medgen.launch.view.serving import COOKIE, Viewer
from medgen.launch.view.site import STATIC, Site, data_script
from medgen.launch.view.terminal import result_lines
from medgen.launch.view.trends import trends
from medgen.metrics import tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    run = small(sample_id=lambda task, n: f"../{task}/{n}{HOSTILE}")
    return Site(stored(run, tmp_path_factory.mktemp("site")))


def test_every_name_has_content_and_is_no_path(site: Site) -> None:
    names = list(site.names())
    assert len(names) == len(set(names))
    for name in names:
        assert ".." not in name
        assert name.count("/") <= 1
        assert name.isascii()
    pages = [n for n in names if n.endswith(".html")]
    assert all(site.file(n) for n in pages)


FIRST_PAGE = """
import sys
from medgen.engine.store.connect import connect
from medgen.launch.view.data import StoredRun
from medgen.launch.view.site import Site, warm_up
warm_up()
before = {name.partition(".")[0] for name in sys.modules}
assert Site(StoredRun(connect(sys.argv[1]), sys.argv[2])).file("index.html")
print({name.partition(".")[0] for name in sys.modules} - before)
"""


def test_whoever_waits_for_the_first_page_waits_for_no_library(site: Site) -> None:
    """Nor for one that pyarrow brings along: pandas made three quarters of that time."""
    command = [sys.executable, "-c", FIRST_PAGE, site.data.objects.url, site.data.run_id]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("set()", "{'_strptime'}")


@pytest.mark.parametrize(
    "name",
    [
        "../x.html", "index-1.html", "compare-0-0.html", "compare-0-99.html", "metrics-999.html",
        "p/000000000000-s0-thumb.webp", "p/../../etc-s0-thumb.webp", "data/sample-99999.js",
        "data/x.js", "style.css/..", "",
    ],
)  # fmt: skip
def test_a_name_that_is_none_has_no_content(site: Site, name: str) -> None:
    assert site.file(name) is None


def test_pages_hold_no_foreign_markup_and_no_style(site: Site) -> None:
    for name in ("index.html", "failures.html", "compare.html", "provenance.html", "runs.html"):
        text = (site.file(name) or b"").decode()
        assert "<img src=http" not in text
        assert " style=" not in text
        assert text.count("<script") == text.count(f'nonce="{site.nonce}"')


def test_maps_of_lpips_are_drawn_where_its_weights_are(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lpips_maps() -> tuple[Site, list[str]]:
        made = Site(site.data)
        return made, [n for n in made.names() if n.endswith("-lpips.webp")]

    monkeypatch.setenv("MEDGEN_WEIGHTS", str(tmp_path))
    assert lpips_maps()[1] == []
    tiny.make_alexnet(tmp_path / "lpips-alex-trunk")
    made, names = lpips_maps()
    assert len(names) > 10
    assert (made.file(names[0]) or b"")[:4] == b"RIFF"
    at = site.data.samples.digests.index(names[0][2:14])
    assert (
        '"kinds":["absolute","ssim","lpips"]' in (made.file(f"data/sample-{at}.js") or b"").decode()
    )


def test_a_data_script_cannot_be_ended_by_its_data() -> None:
    text = data_script("x", {"a": "</script><!--\u2028\u2029"})
    assert "<" not in text
    assert "\u2028" not in text
    inner = text.removeprefix('medgen.data("x",').removesuffix(");\n")
    assert json.loads(inner) == {"a": "</script><!--\u2028\u2029"}


@pytest.fixture
def client(site: Site) -> TestClient:
    made = Viewer(site.data.objects, site.data.run_id, "token", ("testserver",))
    return TestClient(made.app(), follow_redirects=False)


def test_without_the_token_nothing_is_shown(client: TestClient) -> None:
    assert client.get("/").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    assert client.get("/abc/index.html").status_code == 403
    assert client.get("/?token=token", headers={"host": "evil.example"}).status_code == 421


def test_the_token_becomes_a_strict_cookie_and_pages_have_a_new_nonce(client: TestClient) -> None:
    entered = client.get("/?token=token")
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    client.cookies.set(COOKIE, "token")
    where = entered.headers["location"]
    first, second = client.get(where), client.get(where)
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy != second.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert f'nonce="{nonce}"' in first.text
    assert first.headers["x-content-type-options"] == "nosniff"
    assert client.post(where).status_code == 405
    assert client.get("/000000000000/index.html").status_code == 404


@pytest.mark.parametrize(
    ("half", "places"),
    [
        (0.093, 2), (0.13, 2), (0.02, 2), (0.0193, 3), (1.4, 1), (2.4, 0), (34.0, 0), (0.0, 3),
        (None, 3), (1e-7, 4),
    ],
)  # fmt: skip
def test_decimals_follow_the_interval(half: float | None, places: int) -> None:
    assert numbers.decimals(half) == places


def test_a_share_says_all_and_none_only_of_all_and_none() -> None:
    assert numbers.percent(10_000, 10_000) == "100 %"
    assert numbers.percent(99_999, 100_000) == "99.9 %"
    assert numbers.percent(1, 100_000) == "< 0.1 %"
    assert numbers.percent(0, 10) == "0 %"


def field(gap: float, n: int = 200, missing: int = 0, **more: Any) -> Field:
    rng = np.random.default_rng(1)
    base = rng.normal(5, 1, n)
    values = np.stack([base, base + gap + rng.normal(0, 0.5, n)])
    values[1, :missing] = np.nan
    clusters = np.arange(n) // more.pop("each", 2)
    return Field(("a", "b"), values, clusters, lowest=1.0, highest=10.0, **more)


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (field(0.5), "sure"),
        (field(0.0), "not shown"),
        (field(0.5, against="the judge moved"), "likely"),
        (field(0.5, missing=30), "likely"),
        (field(0.5, n=20), "too few"),
        (field(0.5, n=60, each=10), "too few"),
        (field(0.0, margin=1.0), "alike"),
    ],
)
def test_a_word_is_earned_by_its_rule(made: Field, word: str) -> None:
    (pair,) = pair_words(made, [(0, 1)])
    assert pair.word == word


def test_the_words_do_not_depend_on_the_order_of_systems() -> None:
    rng = np.random.default_rng(3)
    values = (
        rng.normal(5, 1, 120)
        + np.array([[0.0], [0.4], [0.9], [0.95]])
        + rng.normal(0, 0.6, (4, 120))
    )
    one = Field(tuple("abcd"), values, np.arange(120))
    turned = Field(tuple("dcba"), values[::-1], np.arange(120))
    first, second = standing(one), standing(turned)
    assert first is not None
    assert second is not None
    assert first.order == second.order
    assert first.ranks == second.ranks
    assert first.word == second.word


def test_lower_is_better_turns_the_leader() -> None:
    up, down = standing(field(0.5)), standing(field(0.5, direction="lower"))
    assert up is not None
    assert down is not None
    assert (up.order[0], down.order[0]) == ("b", "a")


def test_four_times_the_precision_takes_sixteen_times_the_samples() -> None:
    (pair,) = pair_words(field(0.0), [(0, 1)])
    near, far = samples_needed(pair, 0.01), samples_needed(pair, 0.04)
    assert near is not None
    assert far is not None
    assert near / far == pytest.approx(16, rel=0.02)


def test_messages_that_differ_in_particulars_are_one_cause() -> None:
    assert general("file /a/b/c.png is truncated (12 bytes)") == general(
        "file /x/y/z/w.png is truncated (9,876 bytes)"
    )
    assert general("refused") != general("timeout")
    low, high = binomial_interval(5, 100, "wilson")
    assert 0.02 < low < 0.05 < high < 0.12


def test_every_format_has_a_name_that_fits_where_there_is_little_room() -> None:
    names = [format_short(name) for name in FORMATS]
    assert all(len(name) <= SHORTEST for name in names), names
    assert len(set(names)) == len(FORMATS)


def test_the_results_of_a_terminal_fit_eighty_columns(site: Site, tmp_path: Path) -> None:
    lines = [x.plain for x in result_lines(site.data, site.certainty, 80, plain=True)]
    # A command is never cut: it must be copied whole.
    assert max(len(line) for line in lines if "medgen view" not in line) <= 80
    assert any(line.startswith("floor") for line in lines)
    told = " ".join(" ".join(lines).split())
    notes = [x.note for x in sayings(site.data, site.certainty, site.boards) if x.word != "sure"]
    assert notes
    assert all(note in told for note in notes)  # why it is no surer
    assert lines[-1].startswith(("why", "files"))
    # Under --protected no word of a sample, an answer or a reason may reach a terminal.
    assert "evil.example" not in "".join(lines)


def test_intervals_of_few_sources_say_so_wherever_they_stand(tmp_path: Path) -> None:
    made = Site(stored(small(samples=24, fails=0.0, random=0), tmp_path))
    rows = [row for board in made.boards for row in (*board.rows, *board.controls)]
    noted = [row for row in rows if row.mean is not None]
    assert noted
    lines = [x.plain for x in result_lines(made.data, made.certainty, 80, plain=True)]
    page = made.overview()
    for row in noted:
        assert row.remark in {str(r["ci_note"]) for r in made.data.summary}
        assert "covers less than 95 %" in row.remark
        assert f"‡ interval: {row.remark}" in page
        assert f"({row.remark})" in row.said
    assert "       ‡ interval: 4 sources: covers less than 95 %" in lines
    assert all("]‡" in line for line in lines if line.endswith("100 %"))


def test_a_system_that_answered_alone_is_held_against_the_floor(tmp_path: Path) -> None:
    for quality, words in ((0.9, "above the floor"), (0.34, "not shown to be above the floor")):
        run = small(systems=1, samples=240, fails=0.0, random=0, qualities={NAMES[0]: quality})
        made = Site(stored(run, tmp_path / str(quality)))
        for said in sayings(made.data, made.certainty, made.boards):
            assert said.bold == NAMES[0]
            assert f", {words}, " in said.rest
            assert "of copy-input; ceiling" in said.rest
            assert bool(said.note) == (said.word != "sure")
        words = [said.word for said in sayings(made.data, made.certainty, made.boards)]
        assert [word for _, word, _ in run_lines(made.data.objects)[0].leaders] == words


def test_work_on_several_keys_at_once_took_its_time_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"event": "receipt", "time": "2026-11-29T02:20:15.547+00:00", "part": None}
    one |= {"group": "score", "stage": "score", "shard": 0, "seconds": 8.0, "prompt_tokens": 3}
    part = one | {"part": [0, 4], "seconds": 2.0}
    merged = one | {"shard": 1, "seconds": 1.0}
    made = [one, one | {"key": "other", "seconds": 8.01}, part, merged]
    monkeypatch.setattr(StoredRun, "events", lambda self: made)
    (line,) = provenance.stage_costs(site.data)
    assert (line["shards"], line["seconds"], line["tokens"]) == (3, 11.0, 9)
    drawn = str(provenance.timeline(site.data))
    assert drawn.count('class="idle"') == 3  # a lane a unit: they end at once


def test_stages_stand_in_the_order_of_the_work(site: Site) -> None:
    layers = [row["stage"] for row in provenance.plan_graph(site.data)[1]]
    for earlier, later in (("answer", "score"), ("score", "judge")):
        assert max(at for at, s in enumerate(layers) if s == earlier) < layers.index(later)


def test_one_system_stands_against_the_floor_and_nothing_failed_is_not_hot(tmp_path: Path) -> None:
    made = Site(stored(small(systems=1, fails=0.0, random=0), tmp_path))
    left, right = (made.data.systems[place].name for place in made.first_pair)
    assert (left, right) == (made.certainty.formats[0].floor, NAMES[0])
    page = (made.file("failures.html") or b"").decode()
    assert "Nothing failed." in page
    assert "hot" not in page.partition("</header>")[2]


def test_a_column_is_rounded_alike_and_one_without_a_system_comes_last(site: Site) -> None:
    for board in site.boards:
        for at in range(len(board.columns)):
            cells = [row.cells[at].text for row in (*board.rows, *board.controls)]
            assert len({len(c.partition(".")[2]) for c in cells if c != "-"}) <= 1
        for axis in (board.full, board.fit):
            places = [(x, y) for _, x, y in board.stands(axis)]
            near = [(a, b) for a, b in pairwise(places) if b[0] - a[0] < 5]
            assert all(a[1] != b[1] for a, b in near)
        empty = [all(row.cells[at].text == "-" for row in board.rows)
                 for at in range(len(board.columns))]  # fmt: skip
        assert empty == sorted(empty)


def test_a_trend_marks_the_night_whose_interval_lies_beside_the_last(tmp_path: Path) -> None:
    objects = connect(str(tmp_path))
    nights = []
    for day, quality in enumerate((0.5, 0.5, 0.9), start=1):
        run = small(
            systems=1,
            samples=240,
            fails=0.0,
            random=0,
            name=f"night{day}",
            seed=day,
            qualities={NAMES[0]: quality},
            pictures=False,
        )
        nights.append((f"2026-11-0{day}", run.write(str(tmp_path))))
    found = trends(objects, nights)
    assert [t.title.rpartition(", ")[2] for t in found] == ["editing", "generation", "vqa"]
    for trend in found:
        assert f"{NAMES[0]} changed on 2026-11-03" in trend.changes
        assert not [c for c in trend.changes if c.startswith(NAMES[0]) and "11-02" in c]
        assert " style=" not in trend.svg


def test_latex_escapes_names_and_never_prints_a_failure_as_a_number(tmp_path: Path) -> None:
    from results.fake_runs import FakeRun, make_samples, steady

    from medgen.engine.results.summary import summarize
    from medgen.launch.report.latex import latex_tables, tex

    run = FakeRun(make_samples(16), systems=("a_b%", "c"), score=steady(lambda s, x: 3.0))
    text = latex_tables(summarize(run.write(str(tmp_path))), "run_1", "table-iv")
    assert r"a\_b\%" in text
    assert "a_b%" not in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 0
    assert tex("50 % of $x_1$ {y}") == r"50 \% of \$x\_1\$ \{y\}"


def test_samples_that_a_limit_leaves_out_are_not_missing(tmp_path: Path) -> None:
    data = stored(small(side=16), tmp_path)
    part = tmp_path / data.sample_parts[0]
    table = pq.read_table(part)
    rows = table.slice(0, 5).to_pylist()
    more = [row | {"position": 12 + at, "sample": f"more-{at}"} for at, row in enumerate(rows)]
    further = pa.Table.from_pylist(more, table.schema)
    pq.write_table(further, part.with_name("part-more.parquet"))
    limited = StoredRun(data.objects, data.run_id)
    assert len(limited.sample_parts) == 2
    shown = Site(limited)
    columns = (shown.file("data/gallery.js") or b"").decode()
    assert len(json.loads(columns.partition(",")[2].removesuffix(");\n"))["ids"]) == 12
    assert len(limited.picture_slots) == 12
    assert [len(scripts.text_block(limited, 0)), len(scripts.search_words(limited))] == [12, 12]
    assert shown.file("data/sample-12.js") is None


def test_a_bundle_writes_its_first_page_before_data_and_maps_last(
    site: Site, tmp_path: Path
) -> None:
    told: list[str] = []
    count, size = write_bundle(site.data, connect(str(tmp_path)), lambda _, name: told.append(name))
    assert told[: len(STATIC) + 1] == [*STATIC, "index.html"]
    pages = [at for at, name in enumerate(told) if name.endswith(".html")]
    assert max(pages) < min(at for at, name in enumerate(told) if name.startswith("p/"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (count, len(written)) == (len(told), len(told) + 1)
    assert size == sum(p.stat().st_size for p in written if p.name != "medgen-bundle.json")


def test_distances_of_whole_sets_stand_on_the_page_of_metrics(tmp_path: Path) -> None:
    data = stored(small(), tmp_path)
    data.objects.delete(data.place.sets)
    assert "Whole sets" not in (Site(data).file("metrics.html") or b"").decode()
    reader = RunReader(data.objects, data.plan)
    far, near, none = (s.name for s in data.systems[:3])
    found = {far: {"fid": 12.345, "kid": 0.25}, near: {"fid": 3.21, "kid": -1.5e-05}, none: None}
    rows = [
        SetRow(name, values, 40, 2, False, f"enc{HOSTILE}", prediction_digest(reader, name))
        for name, values in found.items()
    ]
    stale = SetRow(data.systems[3].name, {"fid": 777.0, "kid": 1.0}, 1, 0, False, "enc", "older")
    keep_set_note(reader, SetNote({"model": "enc"}, (*rows, stale)))
    page = (Site(StoredRun(data.objects, data.run_id)).file("metrics.html") or b"").decode()
    shown = page.split("Whole sets of pictures</h2>")[1]
    assert [shown.index(name) for name in (near, far, none)] == sorted(
        shown.index(name) for name in found
    )
    for text in (">12.3<", ">3.21<", f">{numbers.MINUS}1.5e-05<", ">40<"):
        assert text in shown
    assert "777" not in shown, "its pictures are others by now"
    assert HOSTILE not in page
