"""Somebody's own table: its preset is guessed, shown and used, by command and from Python."""

import csv
import doctest
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tables.fixtures import encode, picture

import medgen
from medgen.adapters.tables.guess import Named
from medgen.conf import load
from medgen.engine.data import Sample
from medgen.engine.errors import BenchmarkError, ConfigError
from medgen.launch import notebook
from medgen.launch.cli import cli
from medgen.launch.own_data import first_samples, is_own, own_data
from medgen.launch.presets import known_benchmarks, refuse_hosted
from medgen.launch.quick import lay_starter


def table(folder: Path, rows: list[dict[str, object]], name: str = "questions.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for number in range(len(rows)):
        (folder / "images").mkdir(exist_ok=True)
        (folder / f"images/{number}.png").write_bytes(picture(number))
    return folder / name


def rows(**more: object) -> list[dict[str, object]]:
    return [
        {
            "id": f"q{n}", "image": f"{n}.png", "question": f"What, {n}?",
            "A": f"lung {n}", "B": "heart", "answer": "AB"[n % 2], **more,
        }
        for n in range(4)
    ]  # fmt: skip


def samples(path: Path, named: Named | None = None) -> list[Sample]:
    found, problems = first_samples(own_data(str(path), named).conf, 10)
    assert problems == []
    return found


def test_a_table_of_choices_needs_no_word(tmp_path: Path) -> None:
    found = samples(table(tmp_path, rows(sex="F")))
    assert [s.asks for s in found] == ["choice"] * 4
    assert [s.reference_choices for s in found] == [(0,), (1,), (0,), (1,)]
    assert found[0].choices == ("lung 0", "heart")
    assert found[0].groups == {"sex": "F"}
    assert found[2].id == "q2"
    assert found[0].input_images[0].data == picture(0)


@pytest.mark.parametrize(
    ("answers", "asks", "protocol"),
    [
        (["yes", "No", "yes", "no"], ["choice"] * 4, "choices"),
        (["yes", "a mass", "no", "left"], ["choice", "text", "choice", "text"], "short-answers"),
        (["lung", "liver", "3", "4"], ["text"] * 4, "short-answers"),
        ([f"{'word ' * 30}{n}" for n in range(4)], ["text"] * 4, "reports"),
    ],
)
def test_what_is_asked_follows_from_the_answers(
    tmp_path: Path, answers: list[str], asks: list[str], protocol: str
) -> None:
    plain = [
        {"image": f"{n}.png", "prompt": f"{n}?", "label": answer}
        for n, answer in enumerate(answers)
    ]
    own = own_data(str(table(tmp_path, plain)))
    assert own.conf.protocol == protocol
    assert [s.asks for s in first_samples(own.conf, 4)[0]] == asks


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (json.dumps(["lung", "heart"]), "heart"),
        ("['lung', 'heart']", "B"),
        (json.dumps({"A": "lung", "B": "heart"}), "b"),
        ("A. lung B. heart", "(B)"),
        ("['lung', 'heart']", "2"),
    ],
)
def test_options_in_one_cell_are_read_in_any_form(
    tmp_path: Path, options: str, answer: str
) -> None:
    listed = [
        {"image": encode(n), "question": f"{n}?", "options": options, "answer": answer}
        for n in range(2)
    ]
    (one, _) = samples(table(tmp_path, listed))
    assert one.choices == ("lung", "heart")
    assert one.reference_choices == (1,)
    assert one.input_images[0].data == picture(0)


def test_columns_that_are_named_are_taken(tmp_path: Path) -> None:
    file = table(tmp_path, [{"pic": f"{n}.png", "q": f"{n}?", "gold": "x"} for n in range(2)])
    with pytest.raises(BenchmarkError, match="--question"):
        own_data(str(file))
    found = samples(file, Named("pic", "q", "gold"))
    assert found[1].instruction == "1?"
    with pytest.raises(BenchmarkError, match="no column 'nope'"):
        own_data(str(file), Named("nope", "q", "gold"))


def test_a_preset_that_stands_there_is_used_and_never_overwritten(tmp_path: Path) -> None:
    file = table(tmp_path, rows())
    own = own_data(str(file))
    own.file.write_text(own.file.read_text().replace("is: unknown", "is: CT"))
    again = own_data(str(tmp_path))
    assert not again.fresh
    assert first_samples(again.conf)[0][0].modality == "CT"
    with pytest.raises(BenchmarkError, match="stands there already"):
        own_data(str(file), Named("image", "question", "answer"))


def test_a_folder_of_pairs_is_a_benchmark_of_edits(tmp_path: Path) -> None:
    for side, shift in (("input", 0), ("output", 50)):
        (tmp_path / side).mkdir()
        for number in range(3):
            (tmp_path / side / f"{number}.png").write_bytes(picture(number + shift))
    assert is_own(str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"prompt\.txt is missing"):
        own_data(str(tmp_path))
    (tmp_path / "prompt.txt").write_text("Take the noise out.\n")
    found = samples(tmp_path)
    assert [s.format for s in found] == ["ImageEditing"] * 3
    assert found[1].reference_images[0].data == picture(51)
    assert found[1].instruction == "Take the noise out."


def test_what_is_no_table_is_left_to_the_layouts(tmp_path: Path) -> None:
    assert not is_own(str(tmp_path / "nothing"))
    (tmp_path / "vqa.jsonl").touch()
    assert not is_own(str(tmp_path))
    table(tmp_path / "two", rows())
    table(tmp_path / "two", rows(), "other.csv")
    assert not is_own(str(tmp_path / "two"))


def test_import_shows_the_mapping_and_the_first_samples(tmp_path: Path) -> None:
    file = table(tmp_path, rows())
    columns = ["--image", "image", "--question", "question", "--answer", "answer"]
    said = CliRunner().invoke(
        cli, ["import", str(file), *columns, "--choices", "A,B", "--store", str(tmp_path / "s")]
    )
    assert said.exit_code == 0, said.output
    assert "choices:" in said.output
    assert said.output.count("options: lung") == 3
    assert "4 samples" in said.output


def test_the_starter_is_sound_and_overwrites_nothing(tmp_path: Path) -> None:
    lay_starter(tmp_path)
    table(tmp_path / "data", [{**row, "C": "bone", "D": "none"} for row in rows()])
    said = CliRunner().invoke(cli, ["validate", str(tmp_path / "benchmark/mine.yaml")])
    assert said.exit_code == 0, said.output
    conf = load(str(tmp_path / "run.yaml"))
    assert conf.benchmark.source == str(tmp_path / "benchmark/../data")
    assert conf.protocol.name == "choices"
    assert list(conf.system) == ["mine", "oracle", "blank"]
    with pytest.raises(ConfigError, match="there already"):
        lay_starter(tmp_path)


def test_python_says_what_the_command_line_does(tmp_path: Path) -> None:
    names = {"table": str(table(tmp_path, rows())), "store": str(tmp_path / "store")}
    finder = doctest.DocTestFinder()
    modules = (medgen, notebook)
    found = [test for module in modules for test in finder.find(module, extraglobs=names)]
    runner = doctest.DocTestRunner()
    for test in found:
        runner.run(test)
    assert runner.tries > 12
    assert runner.failures == 0


def test_every_known_benchmark_says_who_may_have_it() -> None:
    known = {entry["name"]: entry for entry in known_benchmarks()}
    assert len(known) > 60
    assert known["mimic-cxr"]["access"] == "PhysioNet, credentialed"
    assert known["vqa-rad"]["count"] == "451"
    assert all(entry["family"] for entry in known.values())


@pytest.mark.parametrize(
    ("benchmark", "url", "refused"),
    [
        ("mimic-cxr", "https://api.openai.com/v1", True),
        ("chexpert", "https://api.openai.com/v1", True),
        ("mimic-cxr", "http://127.0.0.1:8000/v1", False),
        ("mimic-cxr", "http://10.1.2.3:8000/v1", False),
        ("vqa-rad", "https://api.openai.com/v1", False),
    ],
)
def test_restricted_data_goes_to_no_hosted_model(benchmark: str, url: str, refused: bool) -> None:
    where = "system.served-vlm.answer.kwargs.chat.kwargs.endpoint.base_url"
    conf = load(
        None,
        [f"benchmark={benchmark}", "store=x", "systems=[served-vlm]", f"{where}={url}",
         "cluster=in-process"],
    )  # fmt: skip
    if refused:
        with pytest.raises(ConfigError, match="allow_hosted"):
            refuse_hosted(conf, conf.benchmark.access)
    conf.allow_hosted = refused
    refuse_hosted(conf, conf.benchmark.access)


def test_the_preset_of_the_documentation_reads_its_table(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/benchmarks.md").read_text(encoding="utf-8")
    example = next(part for part in text.split("```yaml\n") if part.startswith("# skin.yaml"))
    made = [
        {
            "number": n, "photo": f"{n}.png", "question": f"What, {n}?", "A": f"naevus {n}",
            "B": "wart", "C": "scar", "D": "", "right": "ABC"[n % 3], "sex": "F", "age": 17 + n,
        }
        for n in range(40)
    ]  # fmt: skip
    table(tmp_path, made, "skin.csv")
    (tmp_path / "images").rename(tmp_path / "photos")
    (tmp_path / "skin.yaml").write_text(example.partition("```")[0], encoding="utf-8")
    said = CliRunner().invoke(cli, ["validate", str(tmp_path / "skin.yaml")])
    assert said.exit_code == 0, said.output


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [("my table (1).csv", "my-table--1"), ("-x.csv", "x"), ("表.csv", "表"), ("a.b.csv", "a.b")],
)
def test_a_table_may_be_called_as_it_likes(tmp_path: Path, name: str, benchmark: str) -> None:
    (tmp_path / name).write_text("question,answer\nWhich?,x\n")
    assert own_data(str(tmp_path / name)).conf.name == benchmark
    again = own_data(str(tmp_path / name))
    assert (again.conf.name, again.fresh) == (benchmark, False)


def test_what_keeps_the_preset_from_being_written_is_said(tmp_path: Path) -> None:
    """It ended in a traceback."""
    (tmp_path / "a[1].csv").write_text("question,answer\nWhich?,x\n")
    with pytest.raises(BenchmarkError, match="has signs of patterns"):
        own_data(str(tmp_path / "a[1].csv"))
    (tmp_path / "q.csv").write_text("question,answer\nWhich?,x\n")
    (tmp_path / "q.yaml").symlink_to(tmp_path / "nowhere" / "q.yaml")
    with pytest.raises(BenchmarkError, match=r"q\.yaml cannot be written: No such file"):
        own_data(str(tmp_path / "q.csv"))
    (tmp_path / "q.yaml").unlink()
    (tmp_path / "q.yaml").write_bytes(b"reader: records\n\xff")
    with pytest.raises(BenchmarkError, match="stands there already and says something else"):
        own_data(str(tmp_path / "q.csv"), Named(answer="answer"))


def test_a_table_where_nothing_can_be_written_has_its_preset_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, here = tmp_path / "data", tmp_path / "here"
    data.mkdir()
    here.mkdir()
    (data / "q.csv").write_text("question,answer\nWhich?,x\n")
    monkeypatch.chdir(here)
    # As of a disk that is mounted to be read: whoever is root may write in any folder.
    monkeypatch.setattr("os.access", lambda place, mode: Path(place) != data)
    own = own_data(str(data / "q.csv"))
    assert own.file == here / "q.yaml"
    assert [*data.iterdir()] == [data / "q.csv"]
    (sample,) = first_samples(own.conf)[0]
    assert sample.instruction == "Which?"
    assert not own_data(str(data / "q.csv")).fresh
