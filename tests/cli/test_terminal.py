"""Nothing that comes from outside can steer the terminal of who runs a command."""

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sources.outside import RECORDS, write_view

from medgen.launch.cli import main

ROOT = Path(__file__).resolve().parents[2]
SIGNS = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u200b"


def medgen(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(str(end.value.code or 0)), "".join(capfd.readouterr())


def steers(text: str) -> set[str]:
    return {sign for sign in text if not sign.isprintable() and sign not in "\n\t"}


@pytest.mark.parametrize("place", ["folder", "record", "picture", "task"])
def test_names_from_outside_are_written_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    folder = tmp_path / (f"b{SIGNS}" if place == "folder" else "b")
    folder.mkdir()
    records = json.loads(json.dumps(RECORDS))
    spoil = {"record": "sample_id", "picture": "input_image", "task": "paper_task"}
    if place in spoil:
        records[0][spoil[place]] = SIGNS
    else:
        records[0].pop("instruction")
    write_view(folder, records)
    code, said = medgen(capfd, "validate", str(folder))
    assert code == 2
    assert "problem(s)" in said
    assert steers(said) == set()


def test_a_store_and_a_run_with_such_names_are_written_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, said = medgen(capfd, "report", f"r{SIGNS}", "--store", str(tmp_path / f"s{SIGNS}"))
    assert code
    assert steers(said) == set()


KEY = "a-key-that-nobody-may-see-0123456789"


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--store", f"foo://{KEY}"),
        ("status", "--store", f"s3://AKIA0123:{KEY}@bucket/x"),
        ("export", "--format", KEY, "--to", "x"),
        (KEY,),
        ("plan", f"{KEY}"),
    ],
)
def test_no_sentence_of_a_command_shows_a_key(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MY_MODEL_API_KEY", KEY)
    code, said = medgen(capfd, *words)
    assert code in (2, 6)
    assert "***" in said
    assert KEY not in said


def test_no_traceback_of_a_command_shows_a_key(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(url: str) -> None:
        raise RuntimeError(f"nobody foresaw {KEY}")

    monkeypatch.setenv("MY_MODEL_API_KEY", KEY)
    monkeypatch.setattr("medgen.engine.store.connect._place", explode)
    code, said = medgen(capfd, "report", "x", "--store", "y")
    assert code == 1
    assert "Traceback" in said
    assert "RuntimeError: nobody foresaw ***" in said
    assert KEY not in said


def test_only_one_function_prints() -> None:
    """What is printed by another would not be written out."""
    found = [
        f"{file.relative_to(ROOT)}:{ast.unparse(node.func)}"
        for file in sorted((ROOT / "launch").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("click.echo", "print")
    ]
    assert found == ["launch/commands/options.py:click.echo"]


def test_a_run_warns_before_its_model_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    day = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    write_view(tmp_path, RECORDS)
    system = {"name": "o", "answer": {"target": "oracle"}, "ends": day, "successor": "o2"}
    body = {
        "name": "w", "store": str(tmp_path / "store"), "cluster": "in-process", "report": False,
        "benchmark": {"name": "b", "source": str(tmp_path)}, "systems": [system],
        "protocol": {"name": "t", "metrics": {"token_f1": {}}},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    _, said = medgen(capfd, "run", "--config", str(tmp_path / "run.yaml"))
    assert f"withdraws this model on {day}; its successor is o2" in said
    assert "warning: " in said
