"""Following and stopping a run through its folder in the store, with no cluster at all."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import plan

from medgen.engine.plan.plan import Plan
from medgen.engine.run.events import Event
from medgen.engine.run.folder import LOG_CHUNK, RunFolder, Status, log_bytes, now
from medgen.engine.run.pool import Receipt
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo, survey
from medgen.engine.store.connect import connect
from medgen.launch.cluster import follow, jobs
from medgen.launch.cluster.follow import Follower, StoredLog, names_of, readable, sentence
from medgen.launch.run import origin, progress
from medgen.launch.run.progress import Recorder
from medgen.launch.run.stop import Pulse, Stop


@pytest.fixture
def work(tmp_path: Path) -> Plan:
    return plan(connect(str(tmp_path / "store")))


@pytest.fixture
def folder(tmp_path: Path, work: Plan) -> RunFolder:
    return RunFolder(connect(str(tmp_path / "store")), work.run_id)


@pytest.fixture
def recorder(folder: RunFolder, work: Plan) -> Recorder:
    return Recorder(folder, work, Todo({key: {} for key in work.nodes}, {}), "driver-1")


def pulse(recorder: Recorder, stop: Stop, submitted: bool) -> Pulse:
    return Pulse(stop, recorder, obey_present=submitted)


def look_again(beat: Pulse) -> bool:
    """As if the few seconds between two looks had passed, and the look were over."""
    beat.settle()
    beat._looked = 0.0
    beat()
    beat.settle()
    return beat()


def test_a_request_to_stop_is_heard(folder: RunFolder, recorder: Recorder) -> None:
    stop = Stop()
    beat = pulse(recorder, stop, submitted=False)
    assert not beat()
    folder.ask_to_stop("enough")
    look_again(beat)
    assert beat()
    assert stop.signal == 15, "so that the run ends with 143, drained"


def test_an_old_request_is_not_for_a_new_driver(folder: RunFolder, recorder: Recorder) -> None:
    folder.ask_to_stop("the driver of yesterday")
    stop = Stop()
    beat = pulse(recorder, stop, submitted=False)
    assert not beat()
    folder.ask_to_stop("this one, too")
    look_again(beat)
    assert beat()


def test_a_request_before_a_submitted_driver_starts_is_for_it(
    folder: RunFolder, recorder: Recorder
) -> None:
    folder.ask_to_stop("while the job was waiting for a machine")
    assert look_again(pulse(recorder, Stop(), submitted=True))
    folder.withdraw_stop()
    assert not look_again(pulse(recorder, Stop(), submitted=True))


def test_a_silent_driver_still_beats(folder: RunFolder, recorder: Recorder) -> None:
    recorder.publish()
    recorder.uploads.flush()
    first = folder.status()
    assert first is not None
    recorder.beat()
    recorder.uploads.flush()
    assert folder.status() == first, "it was published a moment ago"
    recorder._written -= 60
    while now() == first.updated:  # a time has milliseconds, and all above may end within one
        time.sleep(0.001)
    recorder.beat()
    recorder.uploads.flush()
    second = folder.status()
    assert second is not None
    assert second.updated > first.updated


def ended(folder: RunFolder, code: int, job: str = "") -> None:
    words = Status("success", folder.run_id, now(), now())
    folder.save_status(replace(words, exit_code=code, job=job))


def test_the_exit_code_is_the_runs_own(folder: RunFolder) -> None:
    ended(folder, 3)
    assert Follower(folder, lambda line: None).follow() == 3


def test_an_earlier_attempts_code_is_not_taken(folder: RunFolder) -> None:
    ended(folder, 143, "run-1")
    told: list[str] = []
    follower = Follower(folder, told.append, job="run-1--2", silence_s=60)
    timer = threading.Timer(1.0, ended, (folder, 0, "run-1--2"))
    timer.start()
    assert follower.follow() == 0
    timer.join()


def test_a_driver_of_which_nothing_is_heard_is_gone(folder: RunFolder) -> None:
    folder.save_status(Status("started", folder.run_id, now(), now()))
    told: list[str] = []
    assert Follower(folder, told.append, silence_s=0.5).follow() == 3
    assert "its driver is gone" in told[-1]


class Hours:
    """A clock that only sleeping moves, and what happens at which of its times."""

    def __init__(self, happens: dict[float, Callable[[], None]]) -> None:
        self.now, self.happens = 0.0, happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.happens if at <= self.now]:
            self.happens.pop(at)()


@pytest.mark.parametrize("last", [0.1, 1.9, 47.0])
def test_a_driver_that_dies_is_said_within_half_a_minute_and_a_slow_one_is_not(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, last: float
) -> None:
    def beats(at: float) -> Callable[[], None]:
        return lambda: folder.save_status(Status("started", folder.run_id, now(), f"{at:09.1f}"))

    signs = [last - n * (progress._BEAT_EVERY_S + 1) for n in range(3)]
    hours = Hours({at: beats(at) for at in signs if at > 0})
    monkeypatch.setattr(follow, "time", hours)
    told: list[float] = []
    follower = Follower(folder, lambda line: told.append(hours.now), silence_s=120)
    assert follower.follow() == 3
    assert last < told[0] <= last + 30


def test_events_are_told_once_each_as_sentences(folder: RunFolder) -> None:
    def tell(chunk: str, said: list[str]) -> None:
        folder.objects.replace(folder.place.log(chunk), log_bytes(said))

    log = StoredLog(folder)
    lines = [event("opened", "2026-01-01T01:00:00"), event("closed", "2026-01-01T01:00:09")]
    tell("a.jsonl", lines[:1])
    assert log.news() == ["01:00:00 answer k: workers start"]
    tell("a.jsonl", lines)
    tell("b.jsonl", [event("draining", "2026-01-01T01:00:05")])
    assert log.news() == [
        "01:00:05 answer k: stopping: what runs is finished",
        "01:00:09 answer k: done",
    ]
    assert log.news() == []


def test_a_long_log_is_kept_in_chunks(folder: RunFolder, recorder: Recorder, work: Plan) -> None:
    (node,) = work.predictions("echo")
    log, told = StoredLog(folder), 0
    for number in range(2 * LOG_CHUNK + 5):
        recorder(Event("opened", node.group, details={"workers": number}))
        if number % 1500 == 0:
            recorder.publish(reason="a look in between")
            told += len(log.news())
    recorder.publish(status="success")
    assert len(recorder._lines) < LOG_CHUNK, "memory is flat"
    told += len(log.news())
    assert told == 2 * LOG_CHUNK + 5
    assert [e["workers"] for e in folder.events()] == list(range(2 * LOG_CHUNK + 5))
    assert len(folder.logs()) > 1


def test_a_log_that_grows_fast_waits_for_no_time_to_be_written(
    folder: RunFolder, recorder: Recorder, work: Plan
) -> None:
    (node,) = work.predictions("echo")
    most = 0
    for number in range(3 * LOG_CHUNK):
        recorder(Event("opened", node.group, details={"workers": number}))
        most = max(most, len(recorder._lines))
    assert most < LOG_CHUNK, "no more is in memory, however fast they come"
    recorder.uploads.flush()
    assert [e["workers"] for e in folder.events()] == list(range(3 * LOG_CHUNK))
    assert len(folder.logs()) == 3


def event(kind: str, time: str, **more: Any) -> str:
    return json.dumps({"event": kind, "time": time, "group": "answer/k", **more})


def test_what_a_driver_writes_is_readable(recorder: Recorder, work: Plan) -> None:
    (node,) = work.predictions("echo")
    recorder(Event("receipt", node.group, Receipt("answer", node.key, 7, {"ok": 4}, 10, 1.25)))
    said = readable(recorder._lines[-1])
    assert said.endswith(f"answer {node.key}, shard 7: 4 ok in 1.2 s")
    named = sentence(json.loads(recorder._lines[-1]), names_of(work))
    assert f"answer {node.label}, shard 7" in named
    assert node.key not in named
    assert readable("Traceback: [1, 2]") == "Traceback: [1, 2]"
    assert readable("[1, 2]") == "[1, 2]"
    assert sentence({"event": "trouble", "what": "crashed"}) == "trouble what=crashed"


def test_the_job_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert origin.current_job() == origin.Job()
    for marked in (True, False):
        metadata = {"job_submission_id": "run-1", **({origin.MARK: "1"} if marked else {})}
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": metadata}))
        assert origin.current_job() == origin.Job("run-1", marked)


def test_attempts_are_in_order() -> None:
    names = ["n-1--10", "n-1", "n-1--2"]
    assert sorted(names, key=jobs.attempt) == ["n-1", "n-1--2", "n-1--10"]


def test_where_the_job_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert jobs.address("") == jobs.HERE, "an address of the cluster is none of its job API"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://there")
    assert jobs.address("") == "https://there"
    assert jobs.address("http://given") == "http://given"
    with pytest.raises(Exception, match="no address of the job API"):
        jobs.address("ray://10.0.0.1:10001")


def test_nobody_at_the_job_api_is_explained() -> None:
    with pytest.raises(jobs.NoDashboard, match="Forward a port"):
        jobs.Cluster("http://127.0.0.1:9")


@contextlib.contextmanager
def listener(answer: bytes) -> Iterator[str]:
    """An address that takes connections; says `answer` to each, or nothing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            while True:
                client = held.enter_context(server.accept()[0])
                if answer:
                    client.recv(2**16)
                    client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join()
        server.close()


def test_a_port_that_leads_nowhere_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PATIENCE_S", (1.0, 1.0))
    with listener(b"") as there, pytest.raises(jobs.NoDashboard, match="no job API answers"):
        jobs.Cluster(there)


def test_another_service_is_no_job_api() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with listener(answer) as there, pytest.raises(jobs.NoDashboard, match="is no job API"):
        jobs.Cluster(there)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (["raysubmit_1", "run-1--2", "run-1", "run-11"], ["run-1", "run-1--2"]),
        (["raysubmit_1", "raysubmit_2", "run-11"], ["raysubmit_1"]),
        (["raysubmit_2"], []),
    ],
)
def test_a_runs_jobs_are_ours_or_the_one_that_it_names(listed: list[str], found: list[str]) -> None:
    said = [
        SimpleNamespace(submission_id=j, status=SimpleNamespace(value="RUNNING")) for j in listed
    ]
    cluster = object.__new__(jobs.Cluster)
    cluster.url = "http://here"
    cluster._client = SimpleNamespace(list_jobs=lambda: said)
    assert list(cluster.jobs("run-1", "raysubmit_1")) == found


class Lost:
    """A cluster whose connection breaks after a line, without a word."""

    def __init__(self, state: str | None) -> None:
        self._state = state  # None: the job API is away as well

    async def tail(self, job: str) -> AsyncIterator[str]:
        yield "one line\n"
        await asyncio.Event().wait()

    def state(self, job: str) -> tuple[str, int | None]:
        if self._state is None:
            raise jobs.NoDashboard("away")
        return self._state, 4


def test_what_is_streamed_calls_stages_by_their_names(
    folder: RunFolder, recorder: Recorder, work: Plan
) -> None:
    """`submit --wait` said keys where `logs` says names."""
    (node,) = work.predictions("echo")
    recorder(Event("receipt", node.group, Receipt("answer", node.key, 7, {"ok": 4}, 10, 1.25)))
    written = recorder._lines[-1]

    class Driver:
        async def tail(self, job: str) -> AsyncIterator[str]:
            yield f"{written}\n"

        def state(self, job: str) -> tuple[str, int | None]:
            return "SUCCEEDED", 0

    folder.save_plan(work, "")
    told: list[str] = []
    cluster: Any = Driver()
    assert Follower(folder, told.append, cluster, "run-1").follow() == 0
    (said,) = told
    assert f"answer {node.label}, shard 7: 4 ok" in said


def test_a_driver_that_was_killed_leaves_a_run_to_go_on_with(folder: RunFolder) -> None:
    """The shell got 247, which no page knows, and nobody said that nothing is lost."""
    told: list[str] = []
    follower = Follower(folder, told.append, job="run-1")
    assert follower._code("FAILED", -9) == 3
    assert told == [
        "the driver was killed by signal 9. Everything committed is kept; submit it again to go on"
    ]


@pytest.mark.parametrize("state", [None, "FAILED"])
def test_a_lost_connection_does_not_hide_the_end(folder: RunFolder, state: str | None) -> None:
    told: list[str] = []
    cluster: Any = Lost(state)
    follower = Follower(folder, told.append, cluster, "run-1", doubt_s=0.2)
    timer = threading.Timer(1.0, ended, (folder, 4, "run-1"))
    timer.start()
    assert follower.follow() == 4
    timer.join()
    assert told[0] == "one line"
    assert any("out of sight" in line for line in told) == (state is None)


def test_a_shard_that_was_made_again_is_one_shard(
    folder: RunFolder, recorder: Recorder, work: Plan
) -> None:
    (node,) = (n for n in work.nodes.values() if n.stage == "answer")
    for shard in (0, 0):
        receipt = Receipt("answer", node.key, shard, {"ok": 4}, 10, 1.25)
        recorder(Event("receipt", node.group, receipt))
    recorder.recount(survey(RunReader(folder.objects, work), "nothing", terms=None))
    recorder.publish(status="partial")
    status = folder.status()
    assert status is not None
    assert status.done[node.key] == 0, "as it stands in the store"
