"""Every line of the table of what a server says, asked of a real server by every adapter."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from models.conftest import picture
from models.loopback import Answer, Asked, Server, serve
from models.more_server_rows import MORE
from models.server_table import ENDS, KINDS, PAGE, PRICES, TABLE, Kind, Row, good, page_table

from medgen.adapters.models.answering import Answers
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.models.openai_images import OpenAIImages
from medgen.adapters.models.unified import UnifiedChat
from medgen.engine.data import Asks, Image, Prediction, Request, Sample
from medgen.engine.errors import AdapterError

QUICK: dict[str, Any] = {
    "backoff_s": 0.001,
    "backoff_max_s": 0.002,
    "timeout_s": 5.0,
    "attempts": 3,
}
ASKS: dict[Kind, Asks] = {"chat": "text", "unified": "image", "images": "image"}


@contextmanager
def model(kind: Kind, server: Server, **given: Any) -> Iterator[Any]:
    endpoint = {"base_url": f"{server.url}/v1", **QUICK, **given}
    if kind == "chat":
        chat = OpenAIChat("m", endpoint=endpoint, prices=PRICES)
        made: Any = Answers(chat)
        close = chat.close
    else:
        make: Any = UnifiedChat if kind == "unified" else OpenAIImages
        more = () if kind == "unified" else ("generate",)
        made = make("m", *more, endpoint=endpoint, prices=PRICES)
        close = made.close
    try:
        yield made
    finally:
        close()


def sample(kind: Kind, name: str = "s") -> Sample:
    given = (Image(picture(1)),)
    return Sample(name, ASKS[kind], "style-transfer", "CT", f"do {name}", input_images=given)


def play(answers: Sequence[Answer]) -> Any:
    """The answers one after the other; the last one for ever."""
    ahead = itertools.chain(answers, itertools.repeat(answers[-1]))
    return lambda _: next(ahead)


def case(row: Row, kind: Kind) -> Any:
    """A unified model asks as a chat does: where both are told the same, it is in the trial.

    Of the further rows every adapter but one is.
    """
    twin = kind == "unified" and "chat" in row.kinds
    twin |= row in MORE and kind != row.kinds[0]
    marks = [pytest.mark.trial] if twin else []
    return pytest.param(row, kind, id=f"{kind}: {row.said}", marks=marks)


@pytest.mark.parametrize(
    ("row", "kind"), [case(row, kind) for row in (*TABLE, *MORE) for kind in row.kinds]
)
def test_what_a_server_says_becomes_what_the_table_says(row: Row, kind: Kind) -> None:
    ends = row.status(kind) == ENDS
    with serve(play(row.says(kind))) as server, model(kind, server, **row.endpoint) as made:
        with pytest.raises(AdapterError, match=re.escape(row.reason)) if ends else nullcontext():
            (seen,) = made.predict([Request(sample(kind))])
        assert len(server.asked) == row.asked
    if not ends:
        assert seen.status == row.status(kind), seen.reason
        assert row.reason in seen.reason
        assert bool(seen.reason) is (seen.status != "ok")
        assert seen.usage.cost_usd == pytest.approx(row.usd)


def test_the_table_is_long_and_names_nothing_twice() -> None:
    names = [row.said for row in TABLE]
    assert len(names) == len(set(names)) >= 60


def test_the_page_holds_the_table() -> None:
    assert page_table() in PAGE.read_text(), "write it: python tests/models/server_table.py"


def ask_many(kind: Kind, odd: Answer, count: int = 32, **given: Any) -> dict[str, Prediction]:
    """One odd answer for the sample `s7`, whole replies for all others."""

    def script(asked: Asked) -> Answer:
        return odd if b"do s7" in asked.body else Answer(good(kind))

    with serve(script) as server, model(kind, server, **given) as made:
        rows = made.predict(
            [Request(sample(kind, f"s{i:02d}" if i != 7 else "s7")) for i in range(count)]
        )
    return {row.sample_id: row for row in rows}


ONE_OF_MANY = {
    "content flagged": (Answer({"error": {"message": "flagged by moderation"}}, 403), "refused"),
    "a firewall's page": (Answer(b"<html>Attention Required!</html>", 403), "model_error"),
    "a code of the filter": (Answer({"error": {"code": "moderation_blocked"}}, 403), "refused"),
    "not found": (Answer({"error": {"message": "no"}}, 404), "model_error"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ONE_OF_MANY)
def test_what_one_sample_of_many_is_told_ends_no_system(kind: Kind, case: str) -> None:
    odd, status = ONE_OF_MANY[case]
    rows = ask_many(kind, odd, concurrency=1)
    assert rows.pop("s7").status == status
    assert {row.status for row in rows.values()} == {"ok"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_taken_back_ends_the_system(kind: Kind) -> None:
    answers = [Answer(good(kind))] * 4 + [Answer({"error": {"message": "revoked"}}, 401)]
    with serve(play(answers)) as server, model(kind, server, concurrency=1) as made:
        with pytest.raises(AdapterError, match="does not accept the key"):
            made.predict([Request(sample(kind, f"s{i}")) for i in range(40)])
        assert len(server.asked) == 4 + 16
