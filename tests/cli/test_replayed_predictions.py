"""Predictions that exist already, held against a benchmark: nothing of them vanishes silently."""

import json
from pathlib import Path

import pytest
import yaml
from sources.outside import picture

from medgen.launch.cli import main

SAMPLES = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(picture((0, 200, 0)))
    records = [
        {
            "sample_id": f"s{n}",
            "category": "VQA",
            "paper_task": "question-answering",
            "modality": "CT",
            "instruction": f"question {n}",
            "answer": "a mass",
            "input_image": "images/a.png",
        }
        for n in range(SAMPLES)
    ]
    (tmp_path / "vqa.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return tmp_path


def predictions(folder: Path, names: list[str], *more: str) -> str:
    path = folder.parent / f"{folder.name}-predictions.jsonl"
    lines = [json.dumps({"sample_id": name, "response": "a mass"}) for name in names]
    path.write_text("\n".join([*lines, *more]) + "\n")
    return str(path)


def medgen(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(str(end.value.code or 0)), *capfd.readouterr()


CASES = [
    # ids predicted, further lines, exit code of validate, what it and a run say
    ([f"s{n}" for n in range(8)], (), 0, ()),
    ([f"s{n}" for n in range(7)], (), 0, ("1 samples have no prediction: s7",)),
    ([f"s{n}" for n in range(9)], (), 2, ("s8",)),
    (["s0", "x1", "x2"], (), 2, ("x1", "x2", "7 samples have no prediction")),
    ([f"s{n}" for n in range(8)], ("{broken",), 2, (":9", "not JSON")),
    ([f"s{n}" for n in range(7)], ('{"sample_id": "s7", "response": "\\ud800"}',), 2, ("s7",)),
]


@pytest.mark.parametrize(("names", "more", "code", "said"), CASES)
def test_validate_holds_predictions_against_the_benchmark(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    names: list[str],
    more: tuple[str, ...],
    code: int,
    said: tuple[str, ...],
) -> None:
    file = predictions(folder, names, *more)
    found, out, err = medgen(capfd, "validate", str(folder), "--predictions", file)
    assert found == code
    assert all(words in out + err for words in said)
    assert f"{'no' if code == 0 else ''} problem(s)" in err or code


@pytest.mark.parametrize(("names", "more", "code", "said"), CASES)
def test_a_run_says_what_became_of_predictions(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    names: list[str],
    more: tuple[str, ...],
    code: int,
    said: tuple[str, ...],
) -> None:
    store = str(folder / "store")
    url = predictions(folder, names, *more)
    system = {"name": "theirs", "answer": {"target": "replay", "kwargs": {"url": url}}}
    protocol = {"name": "p", "metrics": {"token_f1": {}}}
    body = {"name": "r", "benchmark": {"name": "view"}, "systems": [system], "protocol": protocol}
    config = folder / "run.yaml"
    config.write_text(yaml.safe_dump(body | {"cluster": "in-process"}))
    medgen(capfd, "import", str(folder), "--name", "view", "--store", store)
    _, _, err = medgen(capfd, "run", "--config", str(config), "--store", store)
    assert ("predictions: theirs: " in err) == bool(said)
    assert all(words in err for words in said)


def test_json_lines_say_it_too(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = predictions(folder, ["s0", "x"])
    _, out, _ = medgen(capfd, "validate", str(folder), "--predictions", file, "--json")
    said = [json.loads(line) for line in out.splitlines()]
    assert [line["sample_id"] for line in said if line["event"] == "problem"] == ["x"]
    assert [line["samples"] for line in said if line["event"] == "missing"] == [
        [f"s{n}" for n in range(1, SAMPLES)]
    ]


def test_a_repeated_id_can_be_numbered_as_the_sentence_says(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "vqa.jsonl").read_text()
    (folder / "vqa.jsonl").write_text(lines + lines.splitlines()[0] + "\n")
    code, out, _ = medgen(capfd, "validate", str(folder))
    assert code == 2
    assert "s0: the id occurs again" in out
    assert "--number-repeats" in out
    store = str(folder / "store")
    words = ("--name", "view", "--store", store, "--number-repeats")
    assert medgen(capfd, "validate", str(folder), "--number-repeats")[0] == 0
    code, out, _ = medgen(capfd, "import", str(folder), *words)
    assert code == 0
    assert "9 samples" in out


def test_a_number_that_is_taken_is_not_offered(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in (folder / "vqa.jsonl").read_text().splitlines()]
    lines[1]["sample_id"] = "s0-2"
    lines[2]["sample_id"] = "s0"
    (folder / "vqa.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    code, out, _ = medgen(capfd, "validate", str(folder), "--number-repeats")
    assert code == 2
    assert "'s0-2' is the id of another sample" in out
    assert "--number-repeats" not in out
