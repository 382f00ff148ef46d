"""docs/your-own.md as it stands, from another folder; and what `plan` says of what does not fit."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import medgen
from models.loopback import Answer, Asked, serve

import medgen as package

PAGE = (Path(__file__).parents[2] / "docs" / "your-own.md").read_text(encoding="utf-8")
PYTHON = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files, seen from elsewhere; the path of Python is put back."""
    own = tmp_path / "own"
    own.mkdir()
    assert PYTHON is not None
    (own / "mine.py").write_text(PYTHON[1])
    (own / "run.yaml").write_text(YAML[0])
    (own / "first.yaml").write_text(YAML[1])
    (own / "bedside.yaml").write_text(YAML[2])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield own
    sys.modules.pop("mine", None)


def test_the_page_runs_as_it_stands_from_any_folder(folder: Path, tmp_path: Path) -> None:
    given = ("--config", str(folder / "run.yaml"), "--store", str(tmp_path / "store"))
    planned = medgen("plan", *given)
    assert planned.returncode == 0, planned.stderr
    done = medgen("run", *given, "allowed_failures=1.0")
    assert done.returncode == 0, done.stderr
    reported = medgen("report", "--all", "--store", str(tmp_path / "store"))
    for name in ("words", "overall", "first"):
        assert name in reported.stdout


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("def predict(", "def answer(", "has no method 'predict'; a system has predict(requests)"),
        ("def predict(self, requests", "def predict(self", "it is called as predict(requests)"),
        ("def __init__(self, word", "def __init__(self, words", "has no argument 'word'"),
        ("class FirstOption", "class Other", "has no 'FirstOption'"),
        (
            "def values(",
            "def value(",
            "has no method 'values'; what it inherits from calls values(",
        ),
        ("text: str, reference: str)", "text: str)", "called as values(text, reference): too many"),
        ("word: str =", "word: int =", "argument 'word' is 'normal', and should be int"),
        ("class Brevity:", "1 / 0\n\n\nclass Brevity:", "division by zero ({folder}/mine.py:46)"),
        ("from typing import Any", "import nowhere_to_be", "'nowhere_to_be' ({folder}/mine.py:4)"),
        (
            "class Brevity:",
            "raise SystemExit(3)\n\n\nclass Brevity:",
            "ends Python when it is",
        ),
        (
            '{"words": 2.0}',
            '{"words": 3.0}',
            "words of golden pair 'report' is 2.0, not 3.0 within 1e-06. What it must be stands in "
            "`golden` ({folder}/mine.py:39): either that is wrong, or the metric is",
        ),
        ('{"words": 2.0}', '{"word": 2.0}', "golden values that are no outputs: word ({folder}/"),
        ("self.most = most", "self.most = most // 0", "by zero ({folder}/mine.py:34)"),
        ("len(text.split())))}", "len(text.split(chr(0) * 0))))}", "empty separator [mine.py:37"),
        ('return {"words": float(', 'return {"words": str(', "not numbers by name"),
        ('"most": self.most}', '"most": self}', "Object of type Length is not JSON"),
        ('(Output("words", high=None),)', '("words",)', "`outputs` are not all Output(name, …)"),
    ],
)
def test_plan_says_what_a_class_lacks(
    folder: Path, tmp_path: Path, before: str, after: str, said: str
) -> None:
    text = (folder / "mine.py").read_text()
    assert before in text
    (folder / "mine.py").write_text(text.replace(before, after))
    store = str(tmp_path / "store")
    planned = medgen("plan", "--config", str(folder / "run.yaml"), "--store", store)
    assert said.format(folder=folder) in planned.stderr


FEW = ("systems=[first]", "judges=[]", "benchmark.limit=16")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Prediction(sample.id, text=", "str(", "a str came back where a Prediction belongs"),
        ("for request in requests]", "for request in requests[1:]]", " predictions came back for "),
        ("Prediction(sample.id,", 'Prediction("x",', "a prediction for 'x' came back where 'mini-"),
        ("self._answer(request.sample)", "{}[1]", "of first (FirstOption): KeyError: 1"),
    ],
)
def test_a_run_says_how_a_model_broke_its_contract(
    folder: Path, tmp_path: Path, before: str, after: str, said: str
) -> None:
    """All of these were "other ids or another order", and a KeyError only its key."""
    text = (folder / "mine.py").read_text()
    assert before in text
    (folder / "mine.py").write_text(text.replace(before, after))
    given = ("--config", str(folder / "run.yaml"), "--store", str(tmp_path / "store"))
    done = medgen("run", *given, *FEW[:2])
    assert done.returncode == 3
    assert said in done.stderr


def test_a_complete_run_that_ends_with_3_says_whose_values_lack(
    folder: Path, tmp_path: Path
) -> None:
    """It said `complete`, `0 failed` and exit code 3, and not one word of why."""
    text = (folder / "mine.py").read_text()
    changed = text.replace('text="A" if sample.choices else self.word', "text=None")
    assert changed != text
    (folder / "mine.py").write_text(changed)
    given = ("--config", str(folder / "run.yaml"), "--store", str(tmp_path / "store"))
    done = medgen("run", *given, *FEW)
    assert done.returncode == 3
    assert "complete in" in done.stdout
    assert "not ok: first, VQA: exact_match lacks 4 of 6 values (error 4)" in done.stderr


def test_a_metric_that_fails_costs_no_other_metric(folder: Path, tmp_path: Path) -> None:
    """A wrong golden of a user's own took the values of all metrics, and blamed the libraries."""
    text = (folder / "mine.py").read_text()
    (folder / "mine.py").write_text(text.replace('{"words": 2.0}', '{"words": 3.0}'))
    few = ("systems=[oracle]", "judges=[]", "allowed_failures=1.0", "benchmark.limit=16")
    given = ("--config", str(folder / "run.yaml"), "--store", str(tmp_path / "store"))
    done = medgen("run", *given, *few)
    assert done.returncode == 3
    assert "exact match" in done.stdout
    assert "owed    length: not one value (missing 16)" in done.stdout
    assert f"({folder}/mine.py:39)" in done.stderr
    assert "pyproject.toml" not in done.stderr


def test_plan_names_a_file_that_a_package_hides(folder: Path, tmp_path: Path) -> None:
    (folder / "mine.py").rename(folder / "random.py")
    for name in ("run.yaml", "first.yaml"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("mine:", "random:"))
    store = str(tmp_path / "store")
    done = medgen("plan", "--config", str(folder / "run.yaml"), "--store", store)
    assert done.returncode == 2
    hidden = f"{folder}/random.py is hidden by another 'random': call the file otherwise"
    assert done.stderr.count(hidden) == 3


def test_a_file_that_is_called_like_a_preset_of_ours_is_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It lay beside the run's file, and ours was taken in silence."""
    given = ("plan", "--config", str(folder / "run.yaml"), "--store", str(tmp_path / "store"))
    (folder / "first.yaml").rename(folder / "oracle.yaml")
    run = (folder / "run.yaml").read_text()
    (folder / "run.yaml").write_text(run.replace("[first, oracle]", "[oracle]"))
    said = f"{folder}/oracle.yaml is not read: system 'oracle' is a preset of ours"
    medgen(*given)
    assert said in caplog.text
    caplog.clear()
    (folder / "system").mkdir()
    (folder / "oracle.yaml").rename(folder / "system" / "oracle.yaml")
    planned = medgen(*given)
    assert "is not read" not in caplog.text
    assert "FirstOption" in planned.stdout


def test_plan_refuses_a_module_that_is_nowhere(folder: Path, tmp_path: Path) -> None:
    (folder / "mine.py").rename(folder / "other.py")
    store = str(tmp_path / "store")
    done = medgen("plan", "--config", str(folder / "run.yaml"), "--store", store)
    assert done.returncode == 2
    assert "there is no module 'mine'. Its file lies beside the run's file" in done.stderr


def test_names_are_those_of_files_of_this_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "t.csv").write_text("q,a\nWhich?,x\n")
    sample = "{instruction: q, modality: {is: CT}, asks: text, task: open-vqa, answer: {text: a}}"
    (folder / "tiny.yaml").write_text(f"reader: records\nfiles: t.csv\nsample: {sample}\n")
    store = str(tmp_path / "store")
    assert medgen("import", "tiny", "--store", store).returncode == 0
    given = ("benchmark=tiny", "systems=[first]", "protocol=short-answers", f"store={store}")
    planned = medgen("plan", *given, "cluster=in-process")
    assert planned.returncode == 0, planned.stderr
    assert "first" in planned.stdout


def verdict(asked: Asked) -> Answer:
    """What the schema asks for, with a score of 4 everywhere."""
    if not asked.body:
        return Answer({"data": [{"id": "served"}]})
    body = asked.json()
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    names = [*schema["properties"]["scores"]["properties"]]
    scores = dict.fromkeys(names, 4)
    reply = {"analysis": "x", "explanations": dict.fromkeys(names, "x"), "scores": scores}
    choice = {"message": {"content": json.dumps(reply)}, "finish_reason": "stop"}
    return Answer({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})


def test_the_pages_rubric_judges_as_it_stands(folder: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    given = ("--config", str(folder / "run.yaml"), "--store", store, "judges=[bedside]")
    with serve(verdict) as server:
        text = (folder / "bedside.yaml").read_text()
        (folder / "bedside.yaml").write_text(text.replace("http://127.0.0.1:8000/v1", server.url))
        done = medgen("run", *given, "systems=[oracle]", "--limit", "8")
    assert done.returncode == 0, done.stderr
    verdicts = package.open(store).run().verdicts().to_pylist()
    assert {(row["scale"], row["value"]) for row in verdicts if row["status"] == "ok"} == {
        ("truth", 4.0), ("tone", 4.0), ("overall_score", 4.0),
    }  # fmt: skip
    (folder / "bedside.yaml").write_text(text.replace("    low: 1", "    lowest: 1"))
    planned = medgen("plan", *given)
    assert planned.returncode == 2
    assert "a judge protocol does not know lowest" in planned.stderr
