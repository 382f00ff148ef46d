"""Tables, report and escaping, with text that wants to be something else."""

import io
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from results.fake_runs import FakeRun, make_samples, picture, steady
from rich.console import Console

from medgen.engine.data import Image, Prediction, Score, Verdict
from medgen.engine.images import open_image
from medgen.engine.plan.graph import mermaid, stages_saved, terminal
from medgen.engine.results.summary import summarize
from medgen.launch.report.escaping import (
    fence,
    file_name,
    markdown,
    shorten,
    spreadsheet,
    visible,
)
from medgen.launch.report.pages import page
from medgen.launch.report.pictures import Panel, panel_sheet
from medgen.launch.report.report import make_report, write_report
from medgen.launch.report.tables import PLUMBING, _headlines, format_tables, terminal_tables

HOSTILE = (
    "</pre><script>alert(1)</script> ```\n# Owned\n[x](http://evil.example) ![p](//evil.example/p)"
    " | cell | \x1b[31mred \u202e reversed {{ 7 * 7 }} <img src=x onerror=alert(1)>"
)


def predict(system, sample):
    if system == "bad" and sample.format == "VQA":
        return Prediction(sample.id, "refused", HOSTILE)
    images = (picture(int(sample.id[1:])),) if sample.format != "VQA" else ()
    return Prediction(sample.id, text=HOSTILE, images=images)


def judge(system, label, sample, view, repeat):
    scores = {"overall_score": 7.0, "instruction_compliance": 5.0}
    return Verdict(sample.id, view, label, scores=scores)


def value(system, sample):
    return 20.0 + int(sample.id[1:])


@pytest.fixture
def run():
    samples = make_samples(24, pictures=True)
    hostile = [
        type(s)(**{n: getattr(s, n) for n in s.__slots__} | {"instruction": HOSTILE})
        for s in samples
    ]
    return FakeRun(hostile, predict=predict, score=steady(value), judges=("q",), judge=judge)


def printed(tables):
    sink = io.StringIO()
    console = Console(file=sink, width=200)
    for table in tables:
        console.print(table)
    return sink.getvalue()


def test_a_terminal_table_never_shows_a_mean_without_its_n(run, tmp_path):
    run.without = frozenset({("bad", "score", 1)})
    text = printed(terminal_tables(summarize(run.write(str(tmp_path))), 160))
    assert "ImageEditing" in text
    assert "judge's dimensions" not in text, "they are the report's"
    assert "pass >= 28" in text
    assert "n 8/12" in text
    assert "4 missing" in text
    assert "n 12/12" in text
    assert "overall score" in text


def test_a_system_without_rows_adds_no_columns(run, tmp_path):
    run.without = frozenset((system, "score", n) for system in ("bad",) for n in range(3))
    tables = {t.title: t for t in format_tables(summarize(run.write(str(tmp_path))))}
    assert all("psnr" not in title for title in tables["VQA"].titles.values())
    (line,) = [x for x in tables["ImageEditing"].lines if x.system == "bad"]
    assert "score/psnr/psnr" in tables["ImageEditing"].metrics
    assert line.cells["score/psnr/psnr"]["status_missing"] == 12


def test_every_mean_cell_names_its_n(run, tmp_path):
    from medgen.launch.report.tables import cell_lines

    for table in format_tables(summarize(run.write(str(tmp_path)))):
        for line in table.lines:
            for key in table.metrics:
                cell = "\n".join(cell_lines(line, key))
                assert cell == "-" or re.search(r"^n \d+/\d+$", cell, re.MULTILINE)


def test_plumbing_is_labelled_wherever_it_is_shown(run, tmp_path):
    run.passports = {"Model(bad)": {"weights": {"random_weights": True}}}
    reader = run.write(str(tmp_path))
    summary = summarize(reader)
    assert "random weights" in printed(terminal_tables(summary, 160))
    report = make_report(reader, summary)
    text = page("index.md.j2", report=report)
    assert PLUMBING in text
    assert "bad †" in text or "† " + PLUMBING in text


def test_the_report_stands_in_the_store_with_six_pictures(run, store_url):
    reader = run.write(store_url)
    paths = write_report(reader, summarize(reader))
    folder = f"runs/{reader.plan.run_id}/report"
    assert paths[0] == f"{folder}/index.md"
    assert len(paths) == 7
    text = reader.objects.read(paths[0]).decode()
    for path in paths[1:]:
        sheet = open_image(reader.objects.read(path))
        assert sheet.width > sheet.height > 200
        assert f"]({path.removeprefix(f'{folder}/')})" in text
    assert text.count("### s0") == 6
    shown = {line.split(": ")[1].split(",")[0] for line in text.splitlines() if "### s0" in line}
    assert len(shown) == 4  # every task of this benchmark
    again = write_report(reader, summarize(reader))
    assert again == paths
    assert reader.objects.read(paths[0]).decode() == text


def outside_fences(text):
    """The Markdown that is not inside a code block."""
    kept, fence = [], None
    for line in text.splitlines():
        opened = re.match(r"`{3,}", line)
        if fence is None and opened:
            fence = opened[0]
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            kept.append(line)
    assert fence is None
    return "\n".join(kept)


def test_hostile_text_stays_text_in_the_markdown(run, tmp_path):
    reader = run.write(str(tmp_path))
    text = page("index.md.j2", report=make_report(reader, summarize(reader)))
    assert "alert" in text
    plain = outside_fences(text)
    assert "<script" not in plain
    assert "<img" not in plain
    assert "# Owned" not in plain.splitlines()
    assert not re.search(r"(?<!\\)\]\(http", plain)
    assert "\x1b" not in text
    assert "\u202e" not in text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_fence_cannot_be_closed_from_inside(text):
    block = fence(text)
    lines = block.split("\n")
    opening = re.match(r"`+", lines[0])[0]
    assert lines[-1] == opening
    assert all(line.strip() != opening for line in lines[1:-1])
    assert len(opening) > max((len(r) for r in re.findall("`+", text)), default=0)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_markdown_is_one_line_without_tags_or_open_cells(text):
    line = markdown(text)
    assert "\n" not in line
    assert "<" not in line
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", line)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_visible_text_steers_no_terminal(text):
    assert visible(text).isprintable()


@given(st.text(max_size=100), st.text(max_size=100))
def test_file_names_are_plain_and_differ_when_texts_differ(one, other):
    allowed = set(string.ascii_letters + string.digits + "_-")
    assert set(file_name(one)) <= allowed
    assert 0 < len(file_name(one)) <= 71
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0"])
def test_spreadsheets_see_no_formula(cell):
    assert spreadsheet(cell) == f"'{cell}"
    assert spreadsheet("plain = text") == "plain = text"


def test_long_text_says_what_was_cut():
    assert shorten("x" * 30, 10) == "x" * 10 + " … (20 more characters)"


def encoded(image, kind="PNG"):
    sink = io.BytesIO()
    image.save(sink, kind)
    return Image(sink.getvalue())


def test_every_kind_of_picture_fits_a_panel():
    gradient = Pillow.linear_gradient("L")
    shapes = [
        gradient.convert("I;16"),
        gradient.convert("1"),
        gradient.convert("RGBA"),
        gradient.convert("P"),
        Pillow.new("LA", (3, 900), (10, 40)),
        gradient.resize((900, 3)),
    ]
    panels = [Panel(image.mode, encoded(image)) for image in shapes]
    sheet = open_image(panel_sheet(panels))
    assert sheet.mode == "RGB"
    assert len(sheet.getcolors(10**6)) > 50


def test_every_picture_of_a_sheet_is_there_in_full():
    red = Panel("x", encoded(Pillow.new("RGB", (224, 224), (255, 0, 0))))
    sheet = open_image(panel_sheet([red] * 7))  # five and two
    assert (7 * 224 * 224, (255, 0, 0)) in sheet.getcolors(10**6)


def test_a_broken_picture_becomes_words():
    broken = panel_sheet([Panel("a", Image(b"\x89PNG not really"))])
    blank = panel_sheet([Panel("a", text="")])
    assert broken != blank


def test_the_graph_shows_sharing(run, tmp_path):
    plan = run.write(str(tmp_path)).plan
    text = mermaid(plan)
    assert text.startswith("flowchart LR\n")
    assert text.count("-->") == len(plan.nodes)
    stages, saved = stages_saved(plan)
    assert (stages, saved) == (6, 0)
    assert terminal(plan).endswith("6 stages; sharing saves 0")


def test_names_cannot_break_the_graph(tmp_path):
    names = ('a"]; click x "javascript:alert(1)"', "b</br><script>")
    run = FakeRun(make_samples(8), systems=names, score=steady(value))
    text = mermaid(run.write(str(tmp_path)).plan)
    assert "<script" not in text
    for line in text.splitlines()[2:]:
        assert re.fullmatch(r'  n\w+\["[^"]*"\]|  \w+ --> n\w+', line)


def test_a_damaged_answer_costs_its_own_place_in_the_report_and_no_table(run, tmp_path):
    """It is named with the cure; everything that needs it not still comes."""
    reader = run.write(str(tmp_path))
    summary = summarize(reader)
    (file,) = [
        file
        for node in reader.plan.predictions("bad")
        for file in [tmp_path / reader.stage(node).path(0)]
    ]
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x10
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=r"without shard 0: .*/shard-.*--repair"):
        paths = write_report(reader.anew(), summary)
    assert [path for path in paths if path.endswith("index.md")]
    (page_,) = tmp_path.glob("runs/*/report/index.md")
    assert "ImageEditing" in page_.read_text()
    assert "--repair" in page_.read_text()


def test_on_a_terminal_a_metric_has_one_column_and_a_judge_all_of_its_own(run, tmp_path):
    def score(system, metric, sample, prediction):
        return Score(sample.id, values={"a": 1.0, "b": 2.0})

    run.metrics, run.score = {"m": ["a", "b"]}, score
    for table in format_tables(summarize(run.write(str(tmp_path)))):
        judged = [c for c in table.titles if c.startswith("judge/")]
        assert len(judged) == 2
        own = [] if table.title.endswith("dimensions") else ["score/m/a"]
        assert _headlines(table) == [*own, *judged]
