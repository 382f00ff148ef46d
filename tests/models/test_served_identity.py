"""What stands behind a URL is part of what made the rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import SMALL, Lines, answers, recipe
from models.loopback import Answer, Asked, serve
from run.held import carry

from medgen.adapters.http.endpoint import Endpoint
from medgen.adapters.http.served import served_entry
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.plan.effective import seen_parts
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System, make_plan
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import Objects
from medgen.launch.quick import _only_model


class Fake:
    """An OpenAI-compatible server whose list of models a test decides."""

    def __init__(self) -> None:
        self.root, self.status, self.started = "/models/first", 200, 0
        self.chats = 0

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            self.started += 1  # as servers do: a time and an id that are new every time
            entry = {"id": "m", "root": self.root, "created": self.started, "permission": [{}]}
            return Answer({"data": [{"id": "other"}, entry]}, self.status)
        self.chats += 1
        words = {"role": "assistant", "content": f"from {self.root}"}
        choice = {"index": 0, "message": words, "finish_reason": "stop"}
        return Answer({"model": "m", "choices": [choice], "usage": {"completion_tokens": 1}})


def endpoint_plan(objects: Objects, url: str) -> Plan:
    endpoint = {"base_url": f"{url}/v1", "backoff_s": 0.01, "attempts": 2}
    system = System("served", Model(Spec(**answers("openai", model="m", endpoint=endpoint)), SMALL))
    manifest = import_benchmark(Lines(6), objects, ImportOptions("fake", 3))
    return make_plan(recipe(system), manifest)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return connect(str(tmp_path / "store"))


def test_another_model_behind_the_same_name_and_url_is_another(objects: Objects) -> None:
    fake = Fake()
    with serve(fake) as server:
        plan = endpoint_plan(objects, server.url)
        carry(objects, plan)
        assert carry(objects, plan)[0].shards == 0, "times and ids of the list count for nothing"
        asked = fake.chats
        assert asked
        fake.root = "/models/second"
        todo, _ = carry(objects, plan)
    (words,) = [w for w in todo.changed.values() if any("served.model" in line for line in w)]
    assert "/models/first" in words[0]
    assert fake.chats == 2 * asked


def test_another_url_is_another_and_the_first_is_found_again(objects: Objects) -> None:
    one, other = Fake(), Fake()
    with serve(one) as here, serve(other) as there:
        first, second = endpoint_plan(objects, here.url), endpoint_plan(objects, there.url)
        assert first.nodes.keys() == second.nodes.keys(), "no key holds a URL"
        carry(objects, first)
        todo, _ = carry(objects, second)
        assert any("served.url" in line for words in todo.changed.values() for line in words)
        assert one.chats == other.chats > 0
        assert carry(objects, first)[0].shards == 0
        assert one.chats == other.chats


@pytest.mark.parametrize(("status", "says"), [(404, "lists no such model"), (405, "lists no such")])
def test_a_server_without_a_list_says_so(status: int, says: str) -> None:
    fake = Fake()
    fake.status = status
    with serve(fake) as server:
        found = served_entry(Endpoint(base_url=f"{server.url}/v1"), "m", patient=True)
    assert says in found["served.model"]


def test_a_list_that_is_no_list_is_none() -> None:
    for body in (b"<html>", {"data": 7}, {"data": [7]}, [], b"\xff"):
        with serve(lambda asked, body=body: Answer(body)) as server:
            found = served_entry(Endpoint(base_url=f"{server.url}/v1"), "m", patient=True)
        assert "lists no such model" in found["served.model"]


def test_a_server_that_has_no_time_is_known_by_its_url_and_that_is_said(
    caplog: pytest.LogCaptureFixture, objects: Objects
) -> None:
    fake = Fake()
    fake.status = 503
    with serve(fake) as server:
        endpoint = Endpoint(base_url=f"{server.url}/v1", backoff_s=0.01)
        assert "served.model" not in served_entry(endpoint, "m", patient=False)
        assert not caplog.records
        plan = endpoint_plan(objects, server.url)
        carry(objects, plan)
        assert "does not say what is served (HTTP 503)" in caplog.text
        fake.status, asked = 200, fake.chats
        assert carry(objects, plan)[0].shards == 0, "nothing is paid twice for it"
        assert fake.chats == asked
    assert served_entry(endpoint, "m", patient=True) == {"served.url": endpoint.base_url}


def test_a_key_on_the_workers_only_leaves_a_driver_with_the_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    asked: list[Any] = []

    def script(one: Asked) -> Answer:
        asked.append(json.dumps(one.path))
        return Answer({"data": []})

    with serve(script) as server:
        endpoint = Endpoint(base_url=f"{server.url}/v1", api_key_env="NO_SUCH_KEY")
        assert served_entry(endpoint, "m", patient=False) == {"served.url": f"{server.url}/v1"}
    assert not asked, "nobody is asked without the key"


def test_a_key_that_is_not_set_is_not_told_as_a_server_that_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(AdapterError, match="NO_SUCH_KEY is not set") as told:
        _only_model("http://127.0.0.1:9/v1", "NO_SUCH_KEY")
    assert "server up" not in str(told.value)


def test_how_it_is_run_is_no_part_of_what_it_is() -> None:
    def seen(**how: Any) -> dict[str, str]:
        endpoint = {"base_url": "http://127.0.0.1:9/v1", **how}
        return seen_parts(Spec(**answers("openai", model="m", endpoint=endpoint)))

    assert seen(concurrency=2, timeout_s=5.0) == seen(concurrency=3, timeout_s=6.0)
    loaded = {"target": "vllm", "kwargs": {"model": "./nowhere", "execution": {"timeout_s": 9.0}}}
    other = {"target": "vllm", "kwargs": {"model": "./nowhere", "execution": {"timeout_s": 8.0}}}
    one, two = (Spec("answers", {"chat": chat}) for chat in (loaded, other))
    assert seen_parts(one) == seen_parts(two)


NO_LISTS = {
    "another status": (Answer({"error": "no"}, 401), AdapterError, "HTTP 401"),
    "a page": (Answer(b"<html>log in</html>"), AdapterError, "no list of models"),
    "a redirect": (
        Answer(b"", 302, {"Location": "http://127.0.0.1:1/models"}),
        AdapterError,
        "HTTP 302",
    ),
    "lists in lists": (Answer(b"[" * 100_000), AdapterError, "no list of models"),
    "half of it": (Answer({"data": []}, hang_up_after=3), AdapterError, "no list of models"),
    "an encoding": (
        Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        AdapterError,
        "no list of models",
    ),
    "none": (Answer({"data": []}), ConfigError, "serves none"),
    "no list": (Answer({"data": {"id": "m"}}), ConfigError, "serves none"),
    "several": (Answer({"data": [{"id": "a"}, {"id": "b"}]}), ConfigError, "serves a, b"),
}


@pytest.mark.parametrize("case", NO_LISTS)
def test_a_server_that_lists_no_one_model_is_told_in_a_sentence(case: str) -> None:
    answer, error, words = NO_LISTS[case]
    with serve(lambda _: answer) as server, pytest.raises(error, match=words) as refused:
        _only_model(f"{server.url}/v1", "")
    assert "--name" in str(refused.value)


def test_the_one_model_is_asked_for_and_no_key_follows_a_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_KEY", "a-key-for-this-server-only")
    with serve(lambda _: Answer({"data": [{"id": "m"}]})) as other:
        away = Answer(b"", 307, {"Location": f"{other.url}/v1/models"})
        with serve(lambda _: away) as server, pytest.raises(AdapterError, match="HTTP 307"):
            _only_model(f"{server.url}/v1", "SOME_KEY")
        assert not other.asked
        assert _only_model(f"{other.url}/v1", "SOME_KEY") == "m"
        assert other.asked[0].headers["Authorization"] == "Bearer a-key-for-this-server-only"
    with pytest.raises(AdapterError, match="SOME_OTHER_KEY is not set"):
        _only_model(f"{other.url}/v1", "SOME_OTHER_KEY")
