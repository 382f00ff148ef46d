"""The tutorials, step by step: every command, every line it prints, and the notebook's cells."""

import csv
import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import medgen
from models.loopback import Answer, Asked, Server, serve
from tables.fixtures import picture

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "your-own-data.md"
TEXT = PAGE.read_text(encoding="utf-8")
STEP = re.compile(r"```console\n\$ medgen (.*?)\n(.*?)```", re.DOTALL)
FIRST = PAGE.with_name("first-evaluation.md")
ASIDE = re.compile(r"```text\n(.*?)```", re.DOTALL)
URL = "http://127.0.0.1:8000/v1"


def reply(asked: Asked) -> Answer:
    """The right letter, but A to every fourth question."""
    if asked.path.endswith("/models"):
        return Answer({"data": [{"id": "my-model"}]})
    found = re.search(r"image (\d+) show", str(asked.json()["messages"][-1]["content"]))
    assert found is not None
    number = int(found[1])
    words = f"{'ABC'[number % 3] if number % 4 else 'A'}. It can be seen."
    message = {"role": "assistant", "content": words}
    return Answer({"model": "my-model", "choices": [{"message": message, "finish_reason": "stop"}]})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The table of the page in this folder, and its server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    with (tmp_path / "questions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "question", "A", "B", "C", "answer", "sex"])
        for n in range(40):
            (tmp_path / "images" / f"{n:02d}.png").write_bytes(picture(n))
            options = ("a fracture", "a mass", "nothing unusual")
            asked = f"What does image {n} show?"
            rows.writerow([f"{n:02d}.png", asked, *options, "ABC"[n % 3], "FM"[n % 2]])
    with serve(reply) as found:
        yield found


def shape(text: str) -> list[str]:
    """Lines without what differs from day to day: times, the run's id, and the store's place."""
    other = re.compile(r"\d+:\d\d:\d\d|in [\d.]+ m?s|eval-questions-\w+")
    lines = (other.sub("…", line) for line in text.splitlines())
    return [re.sub(r"\S*var/store", "var/store", line).rstrip() for line in lines if line.strip()]


def test_every_command_says_what_the_page_shows(server: Server) -> None:
    steps = STEP.findall(TEXT)
    assert [command.split()[0] for command, _ in steps] == ["import", "eval"]
    (aside,) = ASIDE.findall(TEXT)
    for command, printed in steps:
        done = medgen(*shlex.split(command.replace(URL, server.url)))
        assert done.returncode == 0, done.stderr
        said = shape(done.stdout)
        assert shape(printed) == said[: len(shape(printed))]
        if command.startswith("eval"):
            assert len(said) == len(shape(printed))
            assert sorted(shape(done.stderr)) == sorted(shape(aside))
    asked = [a.method for a in server.asked].count("POST")
    again = medgen(*shlex.split(steps[-1][0].replace(URL, server.url)))
    assert again.returncode == 0
    assert [a.method for a in server.asked].count("POST") == asked == 40


def test_the_notebook_gives_what_the_page_shows(server: Server) -> None:
    cells = TEXT[TEXT.index("## The same from a notebook") :].replace(URL, server.url)
    test = doctest.DocTestParser().get_doctest(cells, {}, PAGE.name, str(PAGE), 0)
    result = doctest.DocTestRunner().run(test)
    assert (result.failed, result.attempted) == (0, 8)


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def words(line: str) -> str:
    """A line by its words and values: not the time, the run's name, blanks, or zeros at an end."""
    plain = re.sub(r"(?<=complete ).*?\. |run-\w+", "", line)
    values = NUMBER.sub(lambda found: f"{float(found[0].replace(',', '')):g}", plain)
    return " ".join(values.split())


def test_the_first_evaluation_says_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = STEP.findall(FIRST.read_text(encoding="utf-8"))
    assert [command.split()[0] for command, _ in steps] == ["run", "status", "compare"]
    for command, printed in steps:
        done = medgen(*shlex.split(command))
        assert done.returncode == 0, done.stderr
        said = [words(line) for line in shape(done.stdout)]
        assert [line for line in map(words, shape(printed)) if line not in said] == []
