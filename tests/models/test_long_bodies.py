"""A body that would keep the parser busy is refused by counting; no other reply waits for it."""

import json
import time
from typing import Any

from models.loopback import Answer, Asked, serve

from medgen.adapters.http.bodies import too_many_values
from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Call, Endpoint, Failure, Reply
from medgen.adapters.models.replies import check_completion

GOOD = json.dumps({"choices": [{"message": {"content": "B"}}]}).encode()
BOMB = b'{"choices":[' + b"{}," * 6_000_000 + b"{}]}"


def test_six_million_objects_hold_no_other_reply_up() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(BOMB if asked.path.endswith("bomb") else GOOD)

    with serve(script) as server:
        client = HttpClient(Endpoint(base_url=server.url, concurrency=8, backoff_s=0.001))
        call = Call(json={}, check=check_completion)
        client.map(lambda path: client.post(path, call), ["good"])
        started = time.process_time()
        found = client.map(lambda path: client.post(path, call), ["bomb", *["good"] * 20])
        spent = time.process_time() - started
        client.close()
    (bomb, *good) = found
    assert isinstance(bomb, Failure)
    assert bomb.kind == "malformed"
    assert "about 12,000," in bomb.reason
    assert "at most 1,000,000 are read" in bomb.reason
    assert all(isinstance(reply, Reply) for reply in good)
    assert spent < 5, "its parts were not made"


def test_a_reply_of_every_probability_is_read() -> None:
    """4,096 tokens with twenty others each: more than any server gives."""
    near = [{"token": f"t{n}", "logprob": -1.0, "bytes": [1, 2, 3]} for n in range(20)]
    tokens: list[dict[str, Any]] = [{"token": "a", "logprob": -0.5, "top_logprobs": near}] * 4096
    body = {"choices": [{"message": {"content": "B"}, "logprobs": {"content": tokens}}]}
    data = json.dumps(body).encode()
    assert len(data) > 4_000_000
    assert too_many_values(data) == ""


def test_the_longest_answer_is_read() -> None:
    body = json.dumps({"choices": [{"message": {"content": "one, two, " * 20_000}}]}).encode()
    assert too_many_values(body) == ""
