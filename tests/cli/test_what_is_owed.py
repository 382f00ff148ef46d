"""Exit code, table, summary, status and night speak of what the plan owes, not of what is there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import Lines
from models.loopback import Answer, Asked, serve

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.results.summary import read_summary
from medgen.engine.run.folder import RunFolder
from medgen.engine.store.connect import connect
from medgen.launch.cli import main

ECHO: dict[str, Any] = {"name": "echo", "answer": {"target": "fakes:Echo", "kwargs": {}}}


def echo(name: str = "echo", **faults: str) -> dict[str, Any]:
    return {"name": name, "answer": {"target": "fakes:Echo", "kwargs": {"faults": faults}}}


def judge(**kwargs: Any) -> dict[str, Any]:
    return {"name": "j", "target": "fakes:FixedJudge", "kwargs": {"name": "j", **kwargs}}


def letters(**kwargs: Any) -> dict[str, Any]:
    return {"target": "cli.wanting:Letters", "kwargs": kwargs}


@dataclass
class Place:
    """A store with a benchmark of 12 samples, and commands over it."""

    folder: Path

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def write(self, metrics: Mapping[str, Any], more: Mapping[str, Any]) -> str:
        body = {
            "name": "owed",
            "store": self.store,
            "benchmark": {"name": "fake"},
            "systems": [ECHO],
            "protocol": {"name": "text", "metrics": dict(metrics)},
            "cluster": "in-process",
            "report": False,
            **more,
        }
        path = self.folder / "run.yaml"
        path.write_text(yaml.safe_dump(body))
        return str(path)

    def run(
        self, metrics: Mapping[str, Any] | None = None, *words: str, verb: str = "run", **more: Any
    ) -> int:
        config = self.write({"token_f1": {}} if metrics is None else metrics, more)
        return self.say(verb, "--config", config, "--json", *words)

    def say(self, *words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        return int(str(end.value.code or 0))

    def folder_of_run(self) -> RunFolder:
        objects = connect(self.store)
        (run,) = objects.names("runs")
        return RunFolder(objects, run)

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        folder = self.folder_of_run()
        table = read_summary(folder.objects.read(folder.place.summary)).to_pylist()
        whole = [r for r in table if r["group_kind"] == "all"]
        return [r for r in whole if all(r[k] == v for k, v in wanted.items())]

    def standing(self) -> tuple[str, int | None]:
        status = self.folder_of_run().status()
        assert status is not None
        return status.status, status.exit_code


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    import_benchmark(Lines(12), connect(found.store), ImportOptions("fake", 4))
    return found


def test_a_whole_run_owes_nothing(place: Place) -> None:
    assert place.run(judges=[judge()]) == 0
    assert place.standing() == ("success", 0)
    assert {r["reason"] for r in place.rows()} == {None}


@pytest.mark.parametrize("status", ["schema_error", "parse_error", "transport_error", "refused"])
def test_a_judge_without_one_verdict_is_a_row_with_n_0(place: Place, status: str) -> None:
    faults = {f"s{i:04d}": status for i in range(12)}
    assert place.run(judges=[judge(faults=faults)]) == 3
    assert place.standing() == ("partial", 3)
    rows = place.rows(stage="judge")
    assert {(r["format"], r["output"]) for r in rows} == {
        (f, f"overall_score/{view}")
        for f in ("VQA", "ImageEditing", "MultimodalGeneration")
        for view in ("reference_free", "reference_based")
    }
    assert {(r["n"], r["expected"], r[f"status_{status}"]) for r in rows} == {(0, 4, 4)}
    assert {r["reason"] for r in rows} == {"rubbish"}


def test_a_served_judge_that_says_rubbish_is_in_every_table(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"choices": [{"message": {"content": '{"x":1}'}, "finish_reason": "stop"}]}
    with serve(lambda _: Answer({**body, "model": "served"})) as server:
        served = {
            "name": "served",
            "target": "chat-judge",
            "kwargs": {
                "chat": {
                    "target": "openai",
                    "kwargs": {"model": "served", "endpoint": {"base_url": server.url}},
                }
            },
        }
        protocol = {"name": "text", "metrics": {"token_f1": {}}, "judging": "table-iv/1"}
        assert place.run(judges=[served], protocol=protocol) == 3
    capsys.readouterr()
    assert {r["n"] for r in place.rows(stage="judge")} == {0}
    place.say("report", "--store", place.store)
    told = " ".join(capsys.readouterr().out.split())
    assert "owed served overall score: not one value (schema_error 8, " in told


def test_a_night_whose_judge_says_nothing_is_partial(place: Place) -> None:
    faults = {f"s{i:04d}": "schema_error" for i in range(12)}
    config = place.write(
        {"token_f1": {}}, {"judges": [judge(faults=faults)], "nightly": {"fresh": True}}
    )
    words = ["nightly", "--config", config, "--date", "2031-01-01", "--json"]
    assert place.say(*words) == 3
    record = json.loads(connect(place.store).read("nightly/owed/nights/2031-01-01.json"))
    assert record["outcome"] == "partial"


NO_NUMBER = {"token_f1": {"pass_when": ">=", "value": float("nan")}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"protocol": {"name": "t", "thresholds": NO_NUMBER}},
            "threshold 'token_f1'",
        ),
        ({"protocol": {"name": "t", "thresholds": {"x": {"range": [1, 0]}}}}, "goes downwards"),
        ({"protocol": {"name": "t", "thresholds": {"x": {"value": 1.0}}}}, "come together"),
        ({"nightly": {"gate": {"margin_sd": float("nan")}}}, "gate: a tolerated loss"),
        ({"nightly": {"gate": {"directions": {"token_f1": "up"}}}}, "gate: directions"),
    ],
)
def test_what_cannot_be_kept_is_said_before_anything_is_computed(
    more: dict[str, Any], words: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("plan", "run"):
        assert place.run(None, verb=verb, **more) == 2
        assert words in capsys.readouterr().err
    assert not list(connect(place.store).names("runs"))


def test_a_judge_that_gives_one_view_owes_the_other(place: Place) -> None:
    assert place.run(judges=[{"name": "j", "target": "cli.wanting:OneView", "kwargs": {}}]) == 3
    views = {r["output"].rpartition("/")[2]: r["n"] for r in place.rows(stage="judge")}
    assert views == {"reference_free": 4, "reference_based": 0}


def test_a_judge_that_cannot_be_made_has_a_row_and_its_reason(place: Place) -> None:
    absent = {"name": "j", "target": "cli.wanting:Absent", "kwargs": {}}
    assert place.run(judges=[absent]) == 3
    rows = place.rows(stage="judge")
    assert {(r["n"], r["status_missing"], r["prediction_ok"]) for r in rows} == {(0, 4, 4)}
    assert all("judge was given up" in r["reason"] for r in rows)


def test_one_of_two_judges_that_failed_is_named(place: Place) -> None:
    faults = {f"s{i:04d}": "schema_error" for i in range(12)}
    other = {"name": "k", "target": "fakes:FixedJudge", "kwargs": {"name": "k", "faults": faults}}
    assert place.run(judges=[judge(), other]) == 3
    assert {(r["label"], r["n"]) for r in place.rows(stage="judge")} == {("j", 4), ("k", 0)}


@pytest.mark.parametrize(
    "target", ["nowhere_at_all:Lost", "cli.wanting:NoSuchName", "cli.explodes:Lost"]
)
def test_a_metric_that_cannot_be_imported_costs_itself_alone(place: Place, target: str) -> None:
    metrics = {"token_f1": {}, "lost": {"target": target}, "psnr": {}}
    assert place.run(metrics) == 3
    assert place.standing() == ("partial", 3)
    rows = place.rows()
    assert {(r["label"], r["format"], r["n"]) for r in rows if r["label"] != "lost"} == {
        ("token_f1", "VQA", 4),
        ("token_f1", "MultimodalGeneration", 4),
    }
    lost = [r for r in rows if r["label"] == "lost"]
    assert {(r["n"], r["prediction_ok"], r["prediction_missing"]) for r in lost} == {(0, 4, 0)}
    assert all(target.partition(":")[0] in r["reason"] for r in lost)


def test_two_metrics_that_cannot_be_imported_each_say_why(place: Place) -> None:
    targets = {"one": "nowhere_at_all:Lost", "two": "cli.wanting:NoSuchName"}
    assert place.run({"token_f1": {}} | {n: {"target": t} for n, t in targets.items()}) == 3
    for name, target in targets.items():
        assert all(target.partition(":")[0] in r["reason"] for r in place.rows(label=name))
    assert {r["n"] for r in place.rows(label="token_f1")} == {4}


def test_a_metric_whose_package_came_is_scored_by_a_plain_start(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {"token_f1": {}, "later": {"target": "comes_later:Letters"}}
    assert place.run(metrics) == 3
    (place.folder / "comes_later.py").write_text("from cli.wanting import Letters\n")
    monkeypatch.syspath_prepend(place.folder)
    assert place.run(metrics) == 0
    assert {(r["label"], r["n"]) for r in place.rows()} == {("token_f1", 4), ("later", 4)}


def test_the_terminal_names_what_could_not_be_loaded(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    config = place.write({"lost": {"target": "nowhere_at_all:Lost"}}, {})
    assert place.say("run", "--config", config) == 3
    assert "owed    lost: not one value (missing 12)" in capsys.readouterr().out


def test_a_metric_that_applies_to_nothing_is_not_owed(place: Place) -> None:
    assert place.run({"token_f1": {}, "none": letters(nowhere=True)}) == 0
    assert not place.rows(label="none")


def test_what_a_metric_says_nothing_of_is_not_owed_by_a_system_without_rows(place: Place) -> None:
    faded = {"name": "faded", "answer": {"target": "cli.wanting:Fades", "kwargs": {}}}
    assert place.run({"token_f1": {}, "psnr": {}}, systems=[ECHO, faded]) == 3
    assert place.rows(system="faded", format="VQA", label="token_f1")
    assert not place.rows(system="faded", format="VQA", label="psnr")


def test_weights_that_were_fetched_heal_by_a_plain_start(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "weights"
    metrics = {"token_f1": {}, "letters": letters(weights=str(file))}
    assert place.run(metrics) == 3
    rows = place.rows(label="letters")
    assert {(r["n"], r["status_missing_weights"]) for r in rows} == {(0, 4)}
    assert all("fetch them" in r["reason"] for r in rows)
    assert place.run(metrics) == 3, "they are still not there"
    file.touch()
    assert place.run(metrics) == 0
    assert {r["n"] for r in place.rows(label="letters")} == {4}
    assert place.standing() == ("success", 0)


def completion(words: str) -> dict[str, Any]:
    return {
        "model": "served",
        "choices": [{"message": {"content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }


def served(url: str, **endpoint: Any) -> dict[str, Any]:
    limits = {"base_url": url, "attempts": 1, "backoff_s": 0.01, **endpoint}
    chat = {"target": "openai", "kwargs": {"model": "served", "endpoint": limits}}
    return {"name": "served", "answer": {"target": "answers", "kwargs": {"chat": chat}}}


@pytest.mark.parametrize("give_up_after", [3, 1000])
def test_a_server_that_came_up_too_late_heals_by_a_plain_start(
    place: Place, give_up_after: int
) -> None:
    def script(asked: Asked) -> Answer:
        return Answer(completion("B"))

    with serve(script) as server:
        url = server.url
    system = served(url, give_up_after=give_up_after)
    assert place.run(systems=[system]) == 3
    port = int(url.rpartition(":")[2].partition("/")[0])
    with serve(script, port=port):
        assert place.run(systems=[system]) == 0
    assert {r["prediction_ok"] for r in place.rows()} == {4}


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_that_fails_heals_by_a_plain_start(place: Place, status: int) -> None:
    well = False

    def script(asked: Asked) -> Answer:
        return Answer(completion("B")) if well else Answer(b"no time", status)

    with serve(script) as server:
        system = served(server.url)
        assert place.run(systems=[system]) == 3
        assert {r["prediction_unreachable"] for r in place.rows()} == {4}
        well = True
        assert place.run(systems=[system]) == 0


def test_what_a_model_said_is_repeated_on_request_only(place: Place) -> None:
    well = False
    asked_for: list[Asked] = []

    def script(asked: Asked) -> Answer:
        asked_for.extend([asked] if asked.method == "POST" else [])
        return Answer(completion("B")) if well else Answer(b"cannot", 400)

    with serve(script) as server:
        system = served(server.url)
        assert place.run(systems=[system]) == 3
        well, before = True, len(asked_for)
        assert place.run(systems=[system]) == 3
        assert len(asked_for) == before
        assert place.run(None, "--retry-errors", systems=[system]) == 0
        assert len(asked_for) == before + 12


@pytest.mark.parametrize(("share", "code"), [(0.2, 3), (0.25, 0), (0.5, 0)])
def test_the_allowed_share_is_of_what_is_owed(place: Place, share: float, code: int) -> None:
    assert place.run(systems=[echo(s0000="model_error")], allowed_failures=share) == code
    assert place.standing() == ("success" if code == 0 else "partial", code)


def test_an_allowed_share_of_outside_rows_is_still_owed_next_time(place: Place) -> None:
    systems = [echo(s0000="unreachable")]
    assert place.run(systems=systems, allowed_failures=0.5) == 0
    assert place.run(systems=systems, allowed_failures=0.0) == 3


def test_a_system_that_fades_in_mid_run_owes_the_rest(place: Place) -> None:
    faded = {"name": "faded", "answer": {"target": "cli.wanting:Fades", "kwargs": {"until": 4}}}
    assert place.run(systems=[ECHO, faded]) == 3
    assert {r["n"] for r in place.rows(system="echo")} == {4}
    rows = place.rows(system="faded")
    assert 0 < sum(r["n"] for r in rows) < sum(r["expected"] for r in rows)
    assert all("faded" in r["reason"] for r in rows if r["n"] < r["expected"])


def test_predictions_without_metric_or_judge_are_owed(place: Place) -> None:
    assert place.run({}, systems=[echo(s0000="refused")]) == 3
    assert place.run({}, systems=[echo(s0000="refused")], allowed_failures=0.1) == 0


def test_a_limit_takes_whole_shards_and_the_rest_comes_later(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run(None, "--limit", "5") == 0
    part = place.folder_of_run().plan()
    assert 5 <= sum(part.samples.values()) < 12
    assert part.left_out == 12 - sum(part.samples.values())
    config = str(place.folder / "run.yaml")
    assert place.say("plan", "--config", config, "--limit", "5") == 0
    assert "(the limit in whole shards), of 12" in capsys.readouterr().out
    for limit in ("0", "-1", "x"):
        assert place.say("plan", "--config", config, "--limit", limit) == 2


def test_a_system_owes_its_own_formats_alone(place: Place) -> None:
    formats = {**ECHO, "gives": ["text", "choice"]}
    assert place.run(systems=[formats]) == 0
    assert {(r["format"], r["expected"]) for r in place.rows()} == {("VQA", 4)}


def test_a_sample_with_one_sound_repeat_has_a_value(place: Place) -> None:
    repeating = {"name": "j", "target": "cli.wanting:Repeating"}
    whole = {**repeating, "kwargs": {"repeats": 3}}
    assert place.run(judges=[whole]) == 0
    assert {(r["n"], r["mean"]) for r in place.rows(stage="judge")} == {(4, 6.0)}
    partial = {**repeating, "kwargs": {"repeats": 3, "failing": {"s0000": 2}}}
    assert place.run(name="partial", judges=[partial], allowed_failures=0.0) == 0
    lost = {**repeating, "kwargs": {"repeats": 3, "failing": {"s0000": 3}}}
    assert place.run(name="lost", judges=[lost], allowed_failures=0.0) == 3


def test_one_sample_whose_every_verdict_failed_is_one_of_twelve(place: Place) -> None:
    assert place.run(judges=[judge(faults={"s0001": "parse_error"})], allowed_failures=0.0) == 3
    assert place.run(judges=[judge(faults={"s0001": "parse_error"})], allowed_failures=0.25) == 0


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "latex"])
def test_report_and_export_of_a_run_without_values(
    place: Place, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"token_f1": {}, "lost": {"target": "nowhere_at_all:Lost"}}
    faults = {f"s{i:04d}": "schema_error" for i in range(12)}
    assert place.run(metrics, judges=[judge(faults=faults)]) == 3
    assert place.say("report", "--store", place.store) == 0
    folder = place.folder_of_run()
    page = folder.objects.read(folder.place.report("index.md")).decode()
    assert "nowhere\\_at\\_all" in page
    pages = Path(folder.objects.url, folder.place.report("pages"), "index.html").resolve()
    assert capsys.readouterr().out.splitlines()[-1] == f"open    {pages.as_uri()}"
    assert "<h1" in pages.read_text()
    assert "12 schema" not in page
    out = str(place.folder / "out")
    words = ("export", "--store", place.store, "--format", kind, "--to", out)
    assert place.say(*words) == 0
    before = {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    capsys.readouterr()
    assert place.say(*words) == 2, "rows of two runs would mix"
    assert "is not empty" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}


def test_scoring_alone_owes_the_verdicts_that_nobody_gave(place: Place) -> None:
    both = {"token_f1": {}, "chrf": {}}
    assert place.run() == 0
    assert place.run(both, name="alone", judges=[judge()], verb="score") == 3
    assert place.run(both, name="alone", judges=[judge()], verb="judge") == 0


def test_scoring_alone_owes_no_verdict_that_is_there(place: Place) -> None:
    assert place.run(judges=[judge()]) == 0
    assert place.run({"token_f1": {}, "chrf": {}}, judges=[judge()], verb="score") == 0


def test_what_was_asked_again_is_scored_again(place: Place) -> None:
    once = place.folder / "once"
    once.mkdir()
    kwargs = {"faults": {"s0000": "model_error"}, "execution": {"once": str(once)}}
    systems = [{"name": "echo", "answer": {"target": "fakes:Echo", "kwargs": kwargs}}]
    assert place.run(systems=systems) == 3
    assert {r["n"] for r in place.rows(format="VQA")} == {3}
    assert place.run(None, "--retry-errors", systems=systems) == 0
    assert {r["prediction_ok"] for r in place.rows()} == {4}
    assert {r["n"] for r in place.rows()} == {4}
