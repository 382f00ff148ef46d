"""How every registered model, chat and judge is made for a test, and a fault laid over each.

A component that somebody registers needs a way to be made here, and is tried by itself then.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.loopback import Answer, Asked, serve
from models.server_table import Kind, good, talk
from run.unfaithful import FAULTS, HUGE, RAISED, STRUCK, strike, unfaithful

from medgen.engine.plan.identity import Spec

Made = Callable[[ExitStack, Path], dict[str, Any]]
ENDPOINT = {"backoff_s": 0.001, "backoff_max_s": 0.002, "timeout_s": 20.0}
TOY_SERVER = str(Path(__file__).parents[1] / "models" / "toy_server.py")
STORED: dict[str, Any] = {}  # components by name, for `Over`


def bare(_: ExitStack, __: Path) -> dict[str, Any]:
    """A component without arguments."""
    return {}


def answered(asked: Asked) -> Answer:
    """A chat completion of the instruction that was asked, so that no two can be mixed up."""
    said = re.findall(r"say \d+", asked.body.decode())
    return Answer(talk("chat", {"message": {"content": said[-1]}, "finish_reason": "stop"}))


def hosted(kind: Kind) -> Made:
    """An adapter of an endpoint, and a server for it."""

    def make(opened: ExitStack, _: Path) -> dict[str, Any]:
        script = answered if kind == "chat" else lambda _: Answer(good(kind))
        server = opened.enter_context(serve(script))
        more = {"mode": "generate"} if kind == "images" else {}
        return {"model": "m", "endpoint": {"base_url": f"{server.url}/v1", **ENDPOINT}, **more}

    return make


def replay(_: ExitStack, folder: Path) -> dict[str, Any]:
    file = folder / "predictions.jsonl"
    rows = ({"sample_id": f"s{n:04d}", "response": f"say {n}"} for n in range(fakes_count()))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"url": str(file)}


def fakes_count() -> int:
    """Samples of the one shard that components are tried on; `STRUCK` is among them."""
    return int(STRUCK[1:]) + 2


def managed(_: ExitStack, __: Path) -> dict[str, Any]:
    inner = {"model": "toy", "mode": "generate", "endpoint": ENDPOINT}
    return {
        "command": ["{python}", TOY_SERVER, "--port", "{port}", "--package", "numpy"],
        "inner": {"target": "openai-images", "kwargs": inner},
        "execution": {"python": sys.executable, "start_timeout_s": 60.0, "grace_s": 1.0},
    }


def tiny_pipeline(_: ExitStack, __: Path) -> dict[str, Any]:
    # A sheet of twelve pictures is large for a VAE that makes nothing smaller.
    return {"mode": "edit", "sampling": {"steps": 1, "max_side": 64}}


def pipeline(_: ExitStack, folder: Path) -> dict[str, Any]:
    from medgen.adapters.tiny.diffusers import make

    return {"model": str(make(folder / "tiny") / "edit"), **tiny_pipeline(_, folder)}


def vllm(_: ExitStack, __: Path) -> dict[str, Any]:
    from medgen.adapters.tiny.vlm import cached_model

    return {
        "model": str(cached_model()),
        "engine": {"dtype": "float32", "max_model_len": 4096, "enforce_eager": True},
        "execution": {"cpu_kv_cache_gib": 1},
    }


def transformers(_: ExitStack, __: Path) -> dict[str, Any]:
    from medgen.adapters.tiny.vlm import cached_model

    return {"model": str(cached_model()), "dtype": "float32", "execution": {"device": "cpu"}}


def talking(_: ExitStack, __: Path) -> dict[str, Any]:
    return {"chat": {"target": "run.registered:Parrot", "kwargs": {}}}


def judging(_: ExitStack, __: Path) -> dict[str, Any]:
    chat = {"target": "run.registered:Verdicts", "kwargs": {}}
    return {"chat": chat, "name": "j", "protocol": "table-iv/1"}


def ruled(_: ExitStack, __: Path) -> dict[str, Any]:
    return {"name": "j", "protocol": "table-iv/1"}


def chaotic(inner: str, **kwargs: Any) -> Made:
    return lambda _, __: {"inner": {"target": inner, "kwargs": kwargs}, "chaos": {"seed": 1}}


GENERATORS: Mapping[str, Made] = {
    **dict.fromkeys(("oracle", "copy-input", "blank", "unrelated", "classical", "empty"), bare),
    **dict.fromkeys(("small-reader", "small-editor"), bare),
    "answers": talking,
    "unified-chat": hosted("unified"),
    "openai-images": hosted("images"),
    "unified-in-process": lambda _, __: {"target": "run.registered:Painter", "model": "m"},
    "managed-server": managed,
    "replay": replay,
    "chaotic": chaotic("empty"),
    "tiny-pipeline": tiny_pipeline,
    "diffusers": pipeline,
}
CHATS: Mapping[str, Made] = {
    "openai": hosted("chat"),
    "tiny-vlm": bare,
    "transformers": transformers,
    "vllm": vllm,
}
JUDGES: Mapping[str, Made] = {
    "chat-judge": judging,
    "rule-judge": ruled,
    "feature-judge": ruled,
    "chaotic-judge": chaotic("rule-judge", name="j", protocol="table-iv/1"),
}
# What needs minutes, torch's pipelines or an engine is tried in the trial.
HEAVY = frozenset(
    {
        "feature-judge",
        "small-reader",
        "small-editor",
        "tiny-pipeline",
        "diffusers",
        "managed-server",
        "tiny-vlm",
        "transformers",
        "vllm",
    }
)


@contextmanager
def made(name: str, how: Made, folder: Path) -> Iterator[Any]:
    """The component; its servers end with the block."""
    with ExitStack() as opened:
        component = Spec(name, how(opened, folder)).build()
        if hasattr(component, "close"):
            opened.callback(component.close)
        STORED[name] = component
        yield component
        del STORED[name]


class Parrot:
    """A chat that says the last words of what it is asked."""

    def chat(self, chains: Sequence[Sequence[Any]]) -> list[list[Any]]:
        from judging.cases import said, words

        return [[said(re.findall(r"say \d+", words(r))[-1]) for r in chain] for chain in chains]

    def passport(self) -> Mapping[str, Any]:
        return {"model": "parrot"}


class Verdicts:
    """A chat that gives every case the same marks."""

    def chat(self, chains: Sequence[Sequence[Any]]) -> list[list[Any]]:
        from judging.cases import said, valid_reply

        from medgen.engine.judging.prompts import Rubric
        from medgen.engine.judging.protocols import find_protocol

        rubric = Rubric(find_protocol("table-iv/1", "literal"))
        return [[said(valid_reply(rubric, "text")) for _ in chain] for chain in chains]

    def passport(self) -> Mapping[str, Any]:
        return {"model": "verdicts"}


class Painter:
    """A unified model in this process."""

    def __init__(self, model: str) -> None:
        self.model = model

    def reply(
        self, system: str, instruction: str, images: Sequence[bytes], seed: int
    ) -> Sequence[str | bytes]:
        from models.conftest import picture

        return ["Here.", picture(3)]


class Over:
    """A registered component that breaks one law of its port at one hook."""

    def __init__(self, of: str, hook: str, fault: str) -> None:
        self._of, self._hook, self._fault = STORED[of], hook, fault

    def predict(self, requests: Any) -> Any:
        return self._rows("predict", [r.sample.id for r in requests], self._of.predict, requests)

    def judge(self, samples: Any, predictions: Any) -> Any:
        return self._rows("judge", [s.id for s in samples], self._of.judge, samples, predictions)

    def chat(self, chains: Any) -> Any:
        asked = [r.sample_id for chain in chains for r in chain]
        return self._rows("chat", asked, self._of.chat, chains)

    def passport(self) -> Any:
        given = self._of.passport()
        return self._rows("passport", [STRUCK], lambda: [given, given], plain=given)

    def _rows(
        self, hook: str, ids: Sequence[str], call: Any, *given: Any, plain: Any = None
    ) -> Any:
        rows = call(*given)
        if hook != self._hook:
            return rows if plain is None else plain
        strike(self._fault, ids)
        if self._fault == HUGE:
            rows = [_huge(row) for row in rows]
        found = unfaithful(self._fault, list(rows))
        return found if plain is None or self._fault in FAULTS else plain


def _huge(row: Any) -> Any:
    long = "x" * 20_000_000
    if getattr(row, "sample_id", "") != STRUCK:
        return row
    return replace(row, **{"text" if hasattr(row, "text") else "raw": long})


EVERY = (*RAISED, *FAULTS, HUGE)
