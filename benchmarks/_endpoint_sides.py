"""One side of `benchmarks.endpoint`, as a process of its own: `SIDE FOLDER URL IN_FLIGHT`.

Needs nothing of ours to be the server or another library's side, so any interpreter can run it.
"""

import asyncio
import base64
import json
import re
import sys
from pathlib import Path

REPLY = {
    "id": "r",
    "object": "chat.completion",
    "created": 1,
    "model": "served",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "B"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 900, "completion_tokens": 1, "total_tokens": 901},
}
QUESTION = "Which plane does the picture show? Answer with the letter only."
CHOICES = ("axial", "coronal", "sagittal", "oblique")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Server(asyncio.Protocol):
    """Reads requests by their length, and answers each so much later; costs next to nothing."""

    def __init__(self, latency_s: float) -> None:
        body = json.dumps(REPLY).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._answer = head.encode() + b"\r\n\r\n" + body
        self._latency_s, self._head, self._left = latency_s, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._to = transport

    def data_received(self, data: bytes) -> None:
        """Take in what has come; clients here send one request at a time."""
        if not self._left:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            found = _LENGTH.search(head)
            self._head, self._left, data = b"", int(found[1]) if found else 0, rest
        self._left -= len(data)
        if self._left <= 0:
            self._left = 0
            asyncio.get_running_loop().call_later(self._latency_s, self._reply)

    def _reply(self) -> None:
        if not self._to.is_closing():
            self._to.write(self._answer)


async def serve(latency_s: float) -> None:
    """Serve on a free port, whose number is printed first, until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(latency_s), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def pictures(folder: str) -> list[Path]:
    """The files of the items, in order."""
    return sorted(Path(folder).glob("*.jpg"))


def words() -> str:
    """What every item asks."""
    return "\n".join([QUESTION, *(f"{letter}. {c}" for letter, c in zip("ABCD", CHOICES))])  # noqa: B905


async def bare(folder: str, url: str, in_flight: int) -> int:
    """The least that anybody can do with aiohttp: read, encode, post, parse."""
    import aiohttp

    slots = asyncio.Semaphore(in_flight)

    async def one(session: aiohttp.ClientSession, path: Path) -> bool:
        async with slots:
            link = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
            parts = [
                {"type": "text", "text": words()},
                {"type": "image_url", "image_url": {"url": link}},
            ]
            messages = [{"role": "user", "content": parts}]
            body = {"model": "served", "messages": messages, "max_tokens": 64}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                said = json.loads(await response.read())
                return bool(said["choices"][0]["message"]["content"] == "B")

    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:
        return sum(await asyncio.gather(*(one(session, p) for p in pictures(folder))))


def inspect(folder: str, url: str, in_flight: int) -> int:
    """The same items through inspect_ai."""
    from inspect_ai import Task, eval  # type: ignore[import-not-found]
    from inspect_ai.dataset import MemoryDataset, Sample  # type: ignore[import-not-found]
    from inspect_ai.model import (  # type: ignore[import-not-found]
        ChatMessageUser,
        ContentImage,
        ContentText,
    )
    from inspect_ai.scorer import choice  # type: ignore[import-not-found]
    from inspect_ai.solver import multiple_choice  # type: ignore[import-not-found]

    def item(path: Path) -> Sample:
        parts = [ContentText(text=QUESTION), ContentImage(image=str(path))]
        return Sample(input=[ChatMessageUser(content=parts)], choices=list(CHOICES), target="B")

    task = Task(
        dataset=MemoryDataset([item(path) for path in pictures(folder)]),
        solver=multiple_choice(),
        scorer=choice(),
    )
    (log,) = eval(
        task,
        model="openai/served",
        model_base_url=url,
        model_args={"api_key": "none", "responses_api": False},
        max_connections=in_flight,
        max_samples=in_flight,
        log_dir=f"{folder}/../inspect-logs",
        display="none",
    )
    return int(log.results.completed_samples if log.results else 0)


def ours(folder: str, url: str, in_flight: int) -> int:
    """Our client alone: all items in one batch, no store."""
    from medgen.adapters.models.answering import Answers
    from medgen.adapters.models.openai_chat import OpenAIChat
    from medgen.engine.data import Image, Request, Sample

    chat = OpenAIChat("served", endpoint={"base_url": url, "concurrency": in_flight})
    requests = [
        Request(
            Sample(
                path.stem,
                "choice",
                "multiple-choice",
                "CT",
                QUESTION,
                choices=CHOICES,
                input_images=(Image(path.read_bytes(), path.name),),
                reference_choices=(1,),
            )
        )
        for path in pictures(folder)
    ]
    rows = Answers(chat).predict(requests)
    chat.close()
    return sum(row.status == "ok" for row in rows)


def main(side: str, folder: str, url: str, in_flight: str) -> None:
    """Do it, and print how many items were answered."""
    if side == "serve":
        asyncio.run(serve(float(in_flight)))
    elif side == "bare":
        print(asyncio.run(bare(folder, url, int(in_flight))))
    else:
        print({"ours": ours, "inspect": inspect}[side](folder, url, int(in_flight)))


if __name__ == "__main__":
    main(*sys.argv[1:])
