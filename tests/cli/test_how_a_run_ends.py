"""The exit code with controls beside a model: its failures count, and what controls lack does not.

`medgen eval`, `run` and the demo go by one rule, over real servers that fail in their ways.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from commands import Done, medgen
from models.loopback import Answer, Asked, serve

import medgen as package
from medgen.conf import load
from medgen.engine.results.summary import SUMMARY
from medgen.launch.commands.running import carry_out
from medgen.launch.quick import Quick, quick_run
from medgen.launch.run.evaluation import RunOptions
from medgen.launch.run.publish import failed_share, owing_lines

COUNT = 8
BERT = Path(__file__).parents[1] / "goldens" / "tiny_bert12"
QUICKLY = {"attempts": 1, "backoff_s": 0.01}
# Answers as `good` does, until it dies of the fifth question as a killed server does.
MORTAL = """
import http.server, json, os, re
class Mortal(http.server.BaseHTTPRequestHandler):
    left = 4
    def do_GET(self):
        self.say({"data": [{"id": "mine"}]})
    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not Mortal.left:
            os._exit(9)
        Mortal.left -= 1
        words = "thing " + re.search(r"number (\\d+) here", asked)[1]
        message = {"role": "assistant", "content": words}
        self.say({"model": "mine", "choices": [{"message": message, "finish_reason": "stop"}]})
    def say(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        return
server = http.server.HTTPServer(("127.0.0.1", 0), Mortal)
print(server.server_port, flush=True)
server.serve_forever()
"""


def completion(words: str) -> Answer:
    message = {"role": "assistant", "content": words}
    return Answer({"model": "mine", "choices": [{"message": message, "finish_reason": "stop"}]})


def number(asked: Asked) -> int:
    found = re.search(r"number (\d+) here", asked.body.decode())
    assert found is not None
    return int(found[1])


def good(asked: Asked) -> Answer:
    return completion(f"thing {number(asked)}")


def half(asked: Asked) -> Answer:
    return good(asked) if number(asked) % 2 else Answer(b"cannot", 400)


def nothing(asked: Asked) -> Answer:
    return Answer(b"cannot", 400)


def empty(asked: Asked) -> Answer:
    return completion("")


def verdict(asked: Asked) -> Answer:
    return completion(json.dumps(fill(asked.json()["response_format"]["json_schema"]["schema"])))


def fill(schema: Mapping[str, Any]) -> Any:
    """The first thing that a schema of a judge's reply lets one say."""
    if schema["type"] == "object":
        return {name: fill(part) for name, part in schema["properties"].items()}
    return schema["enum"][0] if "enum" in schema else "x"


def rubbish(asked: Asked) -> Answer:
    return completion('{"x": 1}')


def of(script: Any) -> Any:
    """The same server, which also says what it serves."""
    models = Answer({"data": [{"id": "mine"}]})
    return lambda asked: models if asked.path.endswith("/models") else script(asked)


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = "".join(f"What is number {n} here?,thing {n}\n" for n in range(COUNT))
    (tmp_path / "q.csv").write_text(f"question,answer\n{rows}")
    return str(tmp_path / "q.csv")


def evaluate(table: str, script: Any, *more: str, judge: Any = None) -> Done:
    store = str(Path(table).with_name("store"))
    with ExitStack() as opened:
        url = opened.enter_context(serve(of(script))).url
        judged = ["--judge", opened.enter_context(serve(of(judge))).url] if judge else []
        given = ("--data", table, "--model", url, "--store", store)
        return medgen("eval", *given, *judged, *more)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (good, 0, "8 predictions, 0 failed"),
        (half, 3, "8 predictions, 4 failed (50.0 %)"),
        (nothing, 3, "8 predictions, 8 failed (100 %)"),
        (empty, 3, "8 predictions, 8 failed (100 %)"),
    ],
)
def test_eval_ends_by_what_its_model_owes(table: str, script: Any, code: int, words: str) -> None:
    """It ended with 0 where not one answer came: a control's blank answers were allowed for."""
    done = evaluate(table, script)
    assert (done.returncode, words in done.stdout) == (code, True), done.stdout + done.stderr
    assert ("not ok: mine, TextOnly" in done.stderr) == (code == 3)
    assert "not ok: blank" not in done.stderr
    assert f"exit code {code}" in done.stderr


@pytest.mark.parametrize(("script", "told"), [(good, False), (half, True)])
def test_python_says_what_failed(
    table: str, script: Any, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Every row was there, and so it said nothing."""
    with serve(of(script)) as server:
        package.evaluate(table, server.url, store=Path(table).with_name("store"))
    words = "not ok: mine, TextOnly: short_answer lacks 4 of 8 values"
    assert (words in caplog.text) == told
    assert ("not ok" in caplog.text) == told


@pytest.mark.parametrize(("judge", "code"), [(verdict, 0), (rubbish, 3)])
def test_eval_ends_by_what_its_judge_owes(table: str, judge: Any, code: int) -> None:
    done = evaluate(table, good, judge=judge)
    assert done.returncode == code, done.stdout + done.stderr
    owed = "owed served overall score: not one value (schema_error"
    assert (owed in " ".join(done.stdout.split())) == (code == 3)


def quickly(table: str, url: str) -> int:
    """`medgen eval` of a server that is asked once and not again for half a minute."""
    conf = quick_run(Quick(table, url, name="mine", store=str(Path(table).with_name("store"))))
    answer = conf.system["mine"].answer
    assert answer is not None
    answer.kwargs["chat"]["kwargs"]["endpoint"] |= QUICKLY
    return carry_out(conf, RunOptions())


def status_of(table: str) -> str:
    return medgen("status", "--store", str(Path(table).with_name("store"))).stdout


def test_eval_of_no_server_that_could_say_what_it_serves_is_a_failed_preflight(
    table: str,
) -> None:
    done = medgen("eval", "--model", "http://127.0.0.1:9/v1", "--data", table)
    assert done.returncode == 6
    assert "is the server up? `--name MODEL` says which one" in done.stderr


def test_eval_of_a_server_that_nobody_reaches_is_not_complete(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(of(good)) as server:
        url = server.url
    assert quickly(table, url) == 3
    out = capsys.readouterr().out
    assert "8 predictions, 8 failed (100 %)" in out
    assert "failed  unreachable 8" in out
    assert "partial" in (told := status_of(table))
    assert "not ok: mine" in told
    with serve(of(good), port=int(url.rpartition(":")[2])):
        assert quickly(table, url) == 0, "the same command goes on once the server is there"
    assert "complete" in (told := status_of(table))
    assert "not ok" not in told


@pytest.fixture
def mortal() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", MORTAL], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def test_eval_of_a_server_that_dies_on_the_way_is_not_complete(
    table: str, mortal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quickly(table, mortal) == 3
    assert f"8 predictions, {COUNT - 4} failed (50.0 %)" in capsys.readouterr().out


@pytest.mark.parametrize(("allowed", "code"), [(0.0, 3), (0.4, 3), (0.5, 0)])
def test_run_with_the_same_controls_ends_by_the_share_that_is_allowed(
    table: str, allowed: float, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(table).parent)
    store = "store"
    assert medgen("import", table, "--store", store).returncode == 0
    with serve(of(half)) as server:
        where = "system.served-vlm.answer.kwargs.chat.kwargs"
        done = medgen(
            "run", "benchmark=q", "systems=[served-vlm,oracle,blank]", "protocol=short-answers",
            "cluster=in-process", f"store={store}", f"allowed_failures={allowed}",
            f"{where}.model=mine", f"{where}.endpoint.base_url={server.url}/v1",
        )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr


OWN = {"name": "blank", "control": True, "answer": {"target": "cli.wanting:Silent"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has the miniature."""
    folder = tmp_path_factory.mktemp("controls")
    assert medgen("import", "mini", "--store", str(folder / "store")).returncode == 0
    return folder


def end(place: Path, *systems: Any, **more: Any) -> Done:
    """How a run of these over pictures and words ends, as the demo is set up."""
    metrics = {"psnr": {}, "bertscore": {"kwargs": {"profile": "strict", "model": str(BERT)}}}
    body = {
        "name": "ends",
        "store": str(place / "store"),
        "benchmark": {"name": "mini", "limit": 16},
        "systems": list(systems),
        "protocol": {"name": "both", "metrics": metrics},
        "cluster": "in-process",
        "report": False,
        **more,
    }
    (place / "run.yaml").write_text(yaml.safe_dump(body))
    return medgen("run", "--config", str(place / "run.yaml"))


def test_what_controls_lack_is_shown_and_is_no_failure(place: Path) -> None:
    done = end(place, "oracle", "blank", "empty", conditions=["no-image"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not ok" not in done.stderr
    coverage = re.search(r"^ +blank .* (\d+) %$", done.stdout, re.MULTILINE)
    assert coverage is not None, done.stdout
    assert coverage[1] == "0"


def test_a_system_of_ones_own_that_says_nothing_is_no_control_by_its_name(place: Path) -> None:
    done = end(place, "oracle", OWN)
    assert done.returncode == 3
    assert re.search(r"not ok: blank, \w+: psnr lacks (\d+) of \1 values", done.stderr), done.stderr


def test_a_replay_of_empty_answers_is_no_control(place: Path) -> None:
    """It is called one in tables; its answers are somebody's model's all the same."""
    ids = [row["sample"] for row in answers(place)]
    lines = (json.dumps({"sample_id": name, "response": ""}) for name in ids)
    (place / "theirs.jsonl").write_text("\n".join(lines))
    kwargs = {"url": str(place / "theirs.jsonl")}
    theirs = {"name": "theirs", "control": True, "answer": {"target": "replay", "kwargs": kwargs}}
    done = end(place, "oracle", theirs)
    assert done.returncode == 3
    assert re.search(r"not ok: theirs, \w+: \w+ lacks (\d+) of \1 values", done.stderr), done.stderr


def answers(place: Path) -> list[dict[str, Any]]:
    """What the oracle answered to the same samples."""
    done = end(place, "oracle")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = package.open(place / "store").run().predictions().to_pylist()
    return rows


def test_a_control_that_breaks_is_told_and_counts(place: Path) -> None:
    first = next(r["sample"] for r in answers(place) if r["format"] == "VQA")
    breaking = {"target": "cli.wanting:Breaking", "kwargs": {"sample": first}}
    done = end(place, "oracle", {"name": "breaking", "control": True, "answer": breaking})
    assert done.returncode == 3
    assert "failed  internal_error 1" in done.stdout
    lacking = r"not ok: breaking, VQA: bertscore lacks 1 of \d+ values"
    assert re.search(lacking, done.stderr), done.stderr


def summary(**changed: Any) -> pa.Table:
    """One row over a format of ten samples of `blank`, all of whose answers are there."""
    row = {field.name: 0 for field in SUMMARY if pa.types.is_integer(field.type)}
    row |= {"system": "blank", "format": "VQA", "group_kind": "all", "label": "bertscore"}
    row |= {"expected": 10, "status_error": 10, "prediction_ok": 10}
    row |= {"reason": "prediction: the text is empty", **changed}
    return pa.Table.from_pylist([row], SUMMARY)


@pytest.mark.parametrize(
    ("changed", "share"),
    [
        ({}, 0.0),
        ({"reason": "prediction: no image"}, 0.0),
        ({"reason": "prediction: no text"}, 0.0),
        ({"n": 4, "status_error": 6, "status_ok": 4}, 0.0),
        # Answers that failed; and both kinds in one row.
        ({"prediction_ok": 0, "prediction_model_error": 10}, 1.0),
        ({"prediction_ok": 7, "prediction_internal_error": 3}, 0.3),
        ({"prediction_ok": 7, "prediction_timeout": 3, "reason": "prediction: timeout"}, 0.3),
        ({"prediction_ok": 7, "prediction_missing": 3, "status_error": 7}, 0.6),
        # What is not the answers': the metric's, the machine's, the judge's.
        ({"reason": "not a finite number: bertscore"}, 1.0),
        ({"reason": "reference: image not a picture"}, 1.0),
        ({"reason": "prediction: image not a picture"}, 1.0),
        ({"reason": None}, 1.0),
        ({"status_error": 0, "status_internal_error": 10}, 1.0),
        ({"status_error": 0, "status_missing_weights": 10}, 1.0),
        ({"status_error": 0, "status_schema_error": 10}, 1.0),
    ],
)
def test_only_what_a_control_s_answers_do_not_hold_is_left_out(
    changed: dict[str, Any], share: float
) -> None:
    table = summary(**changed)
    assert failed_share(table, controls=["blank"]) == pytest.approx(share)
    assert bool(owing_lines(table, 0.0, controls=["blank"])) == (share > 0)
    lacking = table["status_error"][0].as_py() or 10
    assert failed_share(table, controls=["another"]) >= lacking / 10


def test_no_configuration_of_ours_allows_everything_but_the_one_of_random_models() -> None:
    presets = (Path(__file__).parents[2] / "conf" / "run").glob("*.yaml")
    allowed = {p.stem: yaml.safe_load(p.read_text()).get("allowed_failures", 0) for p in presets}
    assert {name for name, share in allowed.items() if share >= 1.0} == {"plumbing"}
    assert load("demo", ["store=/s"]).allowed_failures == 0.5
