"""Serves one class around its authors' code over loopback: chat completions, in batches.

Run as a script by any interpreter from Python 3.9 on; it needs the standard library alone:
`own_server.py MODULE:CLASS --model NAME --port PORT [--revision COMMIT] [--batch N] [--load JSON]`.

The class is called with `model`, `revision` and what `--load` holds, and offers one of

    answer(questions) -> a text for each
    reply(questions) -> for each a list of texts and encoded pictures, in the model's order

A question is a mapping of `system`, `instruction`, `images` (encoded, in order), `seed`,
`max_tokens`, `temperature` and `modalities` (`text`, `image` or both: what may come back). In place
of a reply may stand the error that is that question's alone. A class whose attribute `together` is
false is handed one question at a time, while the others wait. A call that raises is made again with
halves of its questions, so that one's trouble is its own; where memory was short, later calls are
no larger than those halves. A device that failed ends the process, and with it the attempt. A reply
names the model as it was asked for: there is one, and its folder may have another name here.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import http.server
import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Union

Parts = list[Union[str, bytes]]
Reply = Union[Parts, Exception]
Respond = Callable[[Sequence["Question"]], Sequence[Reply]]

_MOST_BYTES = 512 * 2**20
_GATHER_S = 0.05
_DEVICE_FAILED = 70
_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = ("medgen", "adapters", "own")
_KINDS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"RIFF", "webp"), (b"GIF8", "gif"))


class Question(TypedDict):
    """What a request asks; `images` are encoded, in their order."""

    system: str
    instruction: str
    images: list[bytes]
    seed: int
    max_tokens: int
    temperature: float
    modalities: list[str]


class Refused(ValueError):
    """A request that this server does not take, in words."""


class Job:
    """One question, and what came of it."""

    def __init__(self, question: Question) -> None:
        """Ask nothing yet."""
        self.question = question
        self.parts: Parts = []
        self.error = ""
        self.done = threading.Event()


class Batches(threading.Thread):
    """Gathers what is asked at the same time, and asks the model, always from this thread."""

    def __init__(self, respond: Respond, most: int) -> None:
        """Start with `start()`; `most` questions go into one call."""
        super().__init__(daemon=True)
        self._respond, self._most = respond, most
        self._waiting: queue.Queue[Job] = queue.Queue()

    def ask(self, question: Question) -> Job:
        """The question, answered or failed."""
        job = Job(question)
        self._waiting.put(job)
        job.done.wait()
        return job

    def run(self) -> None:
        """Answer for ever."""
        while True:
            self._answer(self._gather())

    def _gather(self) -> list[Job]:
        jobs, until = [self._waiting.get()], time.monotonic() + _GATHER_S
        while len(jobs) < self._most:
            try:
                jobs.append(self._waiting.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return jobs

    def _answer(self, jobs: list[Job]) -> None:
        given = self._replies(jobs)
        if not given:
            half = len(jobs) // 2
            self._answer(jobs[:half])
            self._answer(jobs[half:])
        for job, reply in zip(jobs, given):
            if isinstance(reply, Exception):
                _end_with_the_device(reply)
                job.error = f"{type(reply).__name__}: {reply}"[:500]
                traceback.print_exception(type(reply), reply, reply.__traceback__)
            else:
                job.parts = reply
            job.done.set()

    def _replies(self, jobs: list[Job]) -> Sequence[Reply]:
        """A reply to each; none where halves are to be tried."""
        try:
            given = list(self._respond([job.question for job in jobs]))
            if len(given) == len(jobs):
                return given
            raise TypeError(f"{len(given)} replies to {len(jobs)} questions")
        except Exception as err:  # noqa: BLE001 - what authors' code raises is its question's error
            _end_with_the_device(err)
            if len(jobs) == 1:
                return [err]
            traceback.print_exc(limit=-3)
            if "out of memory" in str(err):
                self._most = min(self._most, (len(jobs) + 1) // 2)
        # Here no frame of the error holds tensors any more.
        if (torch := sys.modules.get("torch")) is not None:
            torch.cuda.empty_cache()
        return []


def _end_with_the_device(err: Exception) -> None:
    """A failed device answers nothing any more; its owner starts another process."""
    if type(err).__name__ == "AcceleratorError" or str(err).startswith("CUDA error"):
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(_DEVICE_FAILED)


def respond_with(model: Any) -> Respond:
    """What a model offers, as parts.

    Raises:
        TypeError: it offers neither `reply` nor `answer`.
    """
    if callable(getattr(model, "reply", None)):
        return lambda questions: [_reply(given, list) for given in model.reply(questions)]
    if callable(getattr(model, "answer", None)):
        return lambda questions: [_reply(given, _text) for given in model.answer(questions)]
    raise TypeError(f"{type(model).__name__} offers neither reply(questions) nor answer(questions)")


def _reply(given: Any, parts: Callable[[Any], Parts]) -> Reply:
    return given if isinstance(given, Exception) else parts(given)


def _text(given: Any) -> Parts:
    return [str(given)]


def read_question(body: Mapping[str, Any]) -> Question:
    """The question in the body of a chat completion.

    Raises:
        Refused: more than one turn of the user's, or a picture that is not in the body.
    """
    words: dict[str, list[str]] = {"system": [], "user": []}
    images: list[bytes] = []
    turns = [message["role"] for message in body["messages"]]
    if turns.count("user") != 1 or set(turns) - set(words):
        raise Refused("one question is taken at a time, without earlier turns")
    for message in body["messages"]:
        for part in _content(message["content"]):
            if part.get("type") == "image_url":
                images.append(_picture(part["image_url"]["url"]))
            else:
                words[message["role"]].append(str(part["text"]))
    return {
        "system": "\n".join(words["system"]),
        "instruction": "\n".join(words["user"]),
        "images": images,
        "seed": int(body.get("seed") or 0),
        "max_tokens": int(body.get("max_tokens") or 512),
        "temperature": float(body.get("temperature") or 0.0),
        "modalities": [str(one) for one in body.get("modalities") or ("text",)],
    }


def _content(content: Any) -> Sequence[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _picture(url: str) -> bytes:
    head, _, data = url.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise Refused("a picture must stand in the request, as a data URL")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as err:
        raise Refused(f"a picture is not base64: {err}") from err


def completion(model: str, parts: Parts) -> dict[str, Any]:
    """A chat completion of words and pictures, words alone as plain text."""
    if all(isinstance(part, str) for part in parts):
        content: Any = "".join(str(part) for part in parts)
    else:
        content = [_part(part) for part in parts]
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"object": "chat.completion", "model": model, "choices": [choice]}


def _part(part: str | bytes) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = next((name for head, name in _KINDS if part.startswith(head)), "png")
    url = f"data:image/{kind};base64,{base64.b64encode(part).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


class Answering(http.server.BaseHTTPRequestHandler):
    """`/health`, `/v1/models` and `/v1/chat/completions` of one model."""

    protocol_version = "HTTP/1.1"
    model = ""
    batches: Batches | None = None  # None while the model is being loaded

    def _tell(self) -> None:
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": self.model, "object": "model"}]})
        elif self.path == "/health":
            self._send(200 if self.batches else 503, {})
        else:
            self._send(404, _trouble("no such path"))

    def _complete(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/chat/completions" or self.batches is None or length > _MOST_BYTES:
            self.close_connection = True
            self._send(404, _trouble("no such path, not loaded yet, or too large a body"))
            return
        try:
            body = json.loads(self.rfile.read(length))
            question = read_question(body)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            self._send(400, _trouble(str(err) or type(err).__name__))
            return
        job = self.batches.ask(question)
        if job.error:
            self._send(400, _trouble(job.error))
        else:
            self._send(200, completion(str(body.get("model") or self.model), job.parts))

    do_GET, do_POST = _tell, _complete

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests: the log is for what the model says."""

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _trouble(words: str) -> dict[str, Any]:
    return {"error": {"message": words, "type": "own_code"}}


def load(target: str, model: str, revision: str, further: Mapping[str, Any]) -> Any:
    """The model of a class `module:Class`, found beside this file or in the current folder."""
    sys.path[0] = os.getcwd()  # the authors' repository, in place of this file's folder
    module, _, name = target.partition(":")
    if os.path.exists(os.path.join(_HERE, f"{module}.py")):
        module = f"{_stand_in()}.{module}"
    return getattr(importlib.import_module(module), name)(model, revision=revision, **further)


def _stand_in() -> str:
    """This folder under the name that it has in the engine, of which nothing else is here."""
    *above, folder = _PACKAGE
    for depth in range(len(above)):
        name = ".".join(above[: depth + 1])
        sys.modules[name] = types.ModuleType(name)
    name = ".".join((*above, folder))
    package = types.ModuleType(name)
    package.__path__ = [_HERE]
    sys.modules[name] = package
    return name


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("target", help="module:Class")
    parser.add_argument("--model", required=True)
    parser.add_argument("--revision", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--load", type=json.loads, default={})
    return parser.parse_args()


def main() -> None:
    """Listen at once, load, then answer; a model that cannot be loaded ends the process."""
    options = _options()
    Answering.model = options.model
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model = load(options.target, options.model, options.revision, options.load)
    most = options.batch if getattr(model, "together", True) else 1
    batches = Batches(respond_with(model), most)
    batches.start()
    Answering.batches = batches
    batches.join()


if __name__ == "__main__":
    main()
