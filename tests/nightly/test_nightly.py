"""A rehearsal of nights, one of them with a worse system, through the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from fakes import Lines
from nightly.webhooks import Board

from medgen.conf import load
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError
from medgen.engine.results.gate import GateRules
from medgen.engine.run.events import Event
from medgen.engine.run.folder import run_ids
from medgen.engine.store.connect import connect
from medgen.engine.store.lease import Lease
from medgen.launch.cli import main
from medgen.launch.nightly.history import History, Night
from medgen.launch.nightly.night import NightlyRun, run_night, today, tonight
from medgen.launch.rules import rules_of
from medgen.launch.run.stop import Stop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Nights:
    """A store with a benchmark, and a configuration to change between nights."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.store = folder, str(folder / "store")
        import_benchmark(Lines(count), connect(self.store), ImportOptions("fake", 24))
        self.history = History(connect(self.store), "full")

    def run(self, day: str, wrong: float, *overrides: str, **more: Any) -> int:
        """The exit code of one night; `more` are arguments of the system."""
        kwargs = {"wrong": wrong, "execution": {"calls": str(self.folder / "calls")}, **more}
        body = {
            "name": "full",
            "store": self.store,
            "benchmark": {"name": "fake"},
            "systems": [{"name": "cand", "gives": ["text", "choice"], "answer": _model(kwargs)}],
            "protocol": {
                "name": "words",
                "metrics": {"token_f1": {}},
                "thresholds": {"token_f1": {"direction": "higher", "range": [0, 1]}},
            },
            "cluster": "in-process",
            "nightly": {"fresh": True, "webhook_env": "NIGHT_BOARD", "retention": {"keep": 2}},
            "report": False,
        }
        path = self.folder / "night.yaml"
        path.write_text(yaml.safe_dump(body))
        self.file = str(path)
        with pytest.raises(SystemExit) as end:
            main(["nightly", "--config", str(path), "--date", day, "--json", *overrides])
        return int(str(end.value.code))

    def night(self, day: str) -> Night:
        (found,) = [n for n in self.history.nights() if n.date == day]
        return found

    def asked(self) -> int:
        return len((self.folder / "calls").read_text().split())


def _model(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "target": "nightly.candidates:Candidate",
        "kwargs": dict(kwargs),
        "resources": {"cpus": 0.5},
    }


def the_third_is_told(nights: Nights, told: str) -> None:
    assert "no night on 2026-01-03" in told
    assert "question-answering" in told, "the task is named"
    assert "token" in told, "the metric is named"
    page = nights.history.objects.read("nightly/full/nights/2026-01-04.md").decode()
    assert "regression" in page
    latest = json.loads(nights.history.objects.read("nightly/full/latest.json"))
    assert (latest["date"], latest["exit_code"]) == ("2026-01-04", 4)


def test_three_nights_with_a_worse_system_in_the_third(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 360)
    assert nights.run("2026-01-01", 0.10) == 0
    assert nights.night("2026-01-01").outcome == "first"

    board.answers = [503]  # the first try is refused for the moment
    assert nights.run("2026-01-02", 0.10) == 0
    second = nights.night("2026-01-02")
    assert second.outcome == "pass"
    assert second.baseline == nights.night("2026-01-01").run_id
    assert second.notified == "told, answer 200"
    assert nights.asked() == 240, "a fresh night asks the model again"

    # A night is missing here, and the system got worse.
    assert nights.run("2026-01-04", 0.45) == 4
    third = nights.night("2026-01-04")
    assert third.outcome == "regression"
    assert third.verdicts == {"cand": "regression"}
    assert third.baseline == second.run_id
    assert third.missed == ("2026-01-03",)
    the_third_is_told(nights, board.posts[-1]["text"])

    # The next good night is held against the last good one, not against the bad one.
    assert nights.run("2026-01-05", 0.10) == 0
    assert nights.night("2026-01-05").baseline == second.run_id
    table = pq.read_table(Path(nights.store, "nightly/full/history.parquet")).to_pylist()
    words = ["first", "pass", "missed", "regression", "pass"]
    assert [row["outcome"] for row in table] == words
    assert nights.night("2026-01-05").retention.startswith("would remove 2 runs")
    assert len(run_ids(nights.history.objects)) == 4, "a dry run removes nothing"
    everything = b"".join(p.read_bytes() for p in Path(nights.store).rglob("*") if p.is_file())
    assert b"s3cr3t" not in everything, "the webhook's URL is written nowhere"


def test_too_few_samples_are_inconclusive(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 24)
    assert nights.run("2026-01-01", 0.10) == 0
    assert nights.run("2026-01-02", 0.10) == 5
    assert "needed" in " ".join(nights.night("2026-01-02").reasons)
    # An open night is no baseline.
    assert nights.history.last_good("2026-01-03") == nights.night("2026-01-01")


def test_a_night_whose_values_were_made_otherwise_is_inconclusive_in_words(
    tmp_path: Path, board: Board
) -> None:
    nights = Nights(tmp_path, 240)
    assert nights.run("2026-01-01", 0.10) == 0
    assert nights.run("2026-01-02", 0.10, "protocol.name=others") == 5
    night = nights.night("2026-01-02")
    assert night.verdicts == {"cand": "inconclusive"}
    assert "token_f1: evaluation protocol words against others" in " ".join(night.reasons)


def test_a_partial_night_is_said_and_is_no_baseline(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 360)
    assert nights.run("2026-01-01", 0.10) == 0
    assert nights.run("2026-01-02", 0.10, broken=0.01) == 3
    partial = nights.night("2026-01-02")
    assert partial.outcome == "partial"
    assert "missing or not ok" in partial.reasons[0]
    good = nights.history.last_good("2026-01-03")
    assert good is not None
    assert good.date == "2026-01-01"
    # The same night again, when the cause is gone, is whole.
    assert nights.run("2026-01-02", 0.10) == 0
    assert nights.night("2026-01-02").outcome == "pass"


def test_the_same_night_twice_computes_once(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 48)
    board.answers = [500] * 4  # nobody hears of it at first
    nights.run("2026-01-01", 0.10)
    asked, posts = nights.asked(), len(board.posts)
    assert nights.night("2026-01-01").notified.startswith("not told")
    assert nights.night("2026-01-01").computed == 4, "answers and scores of two shards"
    nights.run("2026-01-01", 0.10)
    assert nights.asked() == asked
    assert len(board.posts) == posts + 1
    nights.run("2026-01-01", 0.10)
    assert len(board.posts) == posts + 1, "who starts it again is not told the same twice"
    assert nights.night("2026-01-01").notified == "told, answer 200"
    assert nights.night("2026-01-01").computed == 0
    assert len(run_ids(nights.history.objects)) == 1
    # Without `fresh`, a night on which nothing changed finds everything there, and says so.
    nights.run("2026-01-02", 0.10, "nightly.fresh=false")
    nights.run("2026-01-03", 0.10, "nightly.fresh=false")
    assert nights.night("2026-01-03").computed == 0


def test_two_nights_are_kept_apart_and_it_is_said(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 24)
    other = Lease(nights.history.objects, "nightly/full/lease", 6)
    with other.hold(lambda: None, lambda words: None):  # it lives: it renews
        assert nights.run("2026-01-01", 0.10, "nightly.lease_s=6") == 6
    assert nights.night("2026-01-01").outcome == "kept out"
    assert other.holder in board.posts[-1]["text"]
    assert run_ids(nights.history.objects) == []
    assert nights.run("2026-01-01", 0.10) == 0
    assert nights.night("2026-01-01").outcome == "first"


def test_a_night_that_died_is_outlived_by_its_next_start(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 24)
    Lease(nights.history.objects, "nightly/full/lease", 3).take()  # and is never heard of again
    assert nights.run("2026-01-01", 0.10, "nightly.lease_s=6") == 0
    assert nights.night("2026-01-01").outcome == "first"


def test_an_error_is_a_night_too(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 24)
    assert nights.run("2026-01-01", 0.10, "benchmark.name=absent") == 2
    assert nights.night("2026-01-01").outcome == "error"
    assert "absent" in board.posts[-1]["text"]


def test_a_stopped_night_goes_on_at_the_next_start(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 360)
    assert nights.run("2026-01-01", 0.10) == 0
    stop = Stop()

    def tell(event: Event) -> None:
        if event.receipt is not None:
            stop.ask()  # as SIGTERM, `medgen cancel` or a lost lease would

    nightly = NightlyRun(load(nights.file), "2026-01-02", tell, quiet=True, retry_errors=False)
    stopped = run_night(nightly, stop)
    assert (stopped.outcome, stopped.exit_code) == ("stopped", 143)
    assert nights.history.last_good("2026-01-03") == nights.night("2026-01-01")
    asked = nights.asked()
    assert asked < 240
    assert nights.run("2026-01-02", 0.10) == 0
    assert nights.night("2026-01-02").outcome == "pass"
    assert nights.asked() == 240, "what was committed before the stop is not asked again"


def test_nothing_to_gate_is_refused(tmp_path: Path, board: Board) -> None:
    nights = Nights(tmp_path, 24)
    assert nights.run("2026-01-01", 0.10, "system.cand.control=true") == 2
    assert nights.run("2026-02-31", 0.10) == 2
    assert nights.history.nights() == []


def test_the_night_to_copy_is_valid() -> None:
    conf = tonight(load("nightly", ["store=x"]), "2026-01-31")
    assert (conf.name, conf.nonce) == ("nightly-20260131", "2026-01-31")
    rules = rules_of(conf.nightly.gate)
    assert "psnr" in rules.metrics
    # What the file does not say keeps the gate's own default.
    assert rules.margins == GateRules().margins
    assert rules.least_pairs == GateRules().least_pairs


def test_the_date_is_that_of_the_zone() -> None:
    conf = load("nightly", ["store=x", "nightly.time_zone=Pacific/Kiritimati"])
    far = load("nightly", ["store=x", "nightly.time_zone=Etc/GMT+12"])
    assert today(conf) > today(far), "these zones are 26 hours apart"
    with pytest.raises(ConfigError, match="time_zone"):
        today(load("nightly", ["store=x", "nightly.time_zone=Nowhere/Land"]))
