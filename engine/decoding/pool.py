"""A few processes that decode pictures from outside, kept and used again.

`examine` is the door through which every picture passes that a model, a server or a stranger's
file gave, before anything in this process decodes it. The processes are new programs, not forks,
so threads of PyTorch or vLLM here are no matter; they get no environment beyond what Python needs,
and end when this process does, however it ends.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from queue import SimpleQueue
from typing import Any, BinaryIO

from PIL import Image as Pillow

from medgen.engine.bounds import Budget
from medgen.engine.decoding.child import read_frame, write_frame
from medgen.engine.decoding.facts import ImageFacts
from medgen.engine.errors import ImageError, MedgenError
from medgen.engine.images import open_image

_MOST = 4  # processes; a picture takes some milliseconds, a reply some seconds
_STARTS = 3
# Processor time is what is limited. A busy machine gives it slowly, so the clock's limit is wide;
# it counts alone where a system can limit no processor time.
_CLOCK = 6.0
_LEAST_S = 0.05  # of a budget that is used up; what takes longer is told so
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "TMPDIR", "TEMP", "LANG")


def examine(data: bytes, budget: Budget | None = None, others: Sequence[bytes] = ()) -> ImageFacts:
    """Decode a picture in a process of its own and say what it is like.

    Args:
        data: the encoded picture.
        budget: of the record or reply that it belongs to; its time is taken from there.
        others: pictures that it may be a copy of.

    Raises:
        ImageError: it is no picture, or decoding it passes the bounds; `case` says which.
        MedgenError: no such process can be started here.
    """
    budget = budget or Budget()
    answer = _pool(os.getpid()).ask(data, budget, others)
    budget.take_seconds(answer.get("seconds", 0.0))
    if "error" in answer:
        raise ImageError(answer["error"], answer["case"])
    seen = answer["facts"]
    budget.take_seconds(seen["seconds"])
    first = seen["first_size"]
    sizes = {"size": tuple(seen["size"]), "first_size": tuple(first) if first else None}
    return ImageFacts(**{**seen, **sizes})


def open_safely(data: bytes) -> Pillow.Image:
    """A stored picture that may be one which was refused, decoded here once it is proven.

    Raises:
        ImageError: as `examine` does.
    """
    examine(data)
    return open_image(data)


class _Child:
    """One process, and the pipes to it."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        place = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "medgen.engine.decoding.child", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONPATH": place, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._overdue = False
        if read_frame(self._found) is None:
            said = self._process.stderr.read() if self._process.stderr else b""
            self.end()
            last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise MedgenError(f"the process that decodes pictures does not start: {last}")

    @property
    def _found(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def ask(self, job: Mapping[str, Any], pictures: tuple[bytes, ...]) -> dict[str, Any] | None:
        """The findings; None when the process ended over the job."""
        assert self._process.stdin is not None
        clock = threading.Timer(_CLOCK * job["seconds"] + 1, self._kill)
        clock.daemon = True
        clock.start()
        try:
            # One that has no memory for the picture says so without reading it to the end.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                write_frame(self._process.stdin, job, pictures)  # type: ignore[arg-type]
            found: dict[str, Any] | None = read_frame(self._found)
        finally:
            clock.cancel()
        return found

    def _kill(self) -> None:
        self._overdue = True
        self._process.kill()

    def end(self) -> str:
        """End the process; says what had ended it before."""
        with contextlib.suppress(OSError):
            self._process.stdin and self._process.stdin.close()
        code = self._process.poll()
        if code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.2)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._overdue or code == -_SIGPROF:
            return "time"
        return f"it ended with {code}"


_SIGPROF = 27  # what the limit of processor time ends a process with


class _Pool:
    """The processes of this one: made when they are needed, a few at most."""

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._slots = threading.BoundedSemaphore(min(_MOST, os.cpu_count() or 1))
        self._free: SimpleQueue[_Child] = SimpleQueue()
        atexit.register(self.close)

    def ask(self, data: bytes, budget: Budget, others: Sequence[bytes]) -> dict[str, Any]:
        pictures = (data, *others)
        job = {
            "sizes": [len(picture) for picture in pictures],
            "seconds": max(budget.left_seconds, _LEAST_S),
            "max_pixels": budget.bounds.pixels,
        }
        with self._slots:
            child = self._take(budget.bounds.memory_bytes)
            try:
                answer = child.ask(job, pictures)
            except BaseException:  # an interrupt: what the pipe holds is nobody's
                child.end()
                raise
            if answer is not None and "memory" not in answer:
                self._free.put(child)
                return answer
            ended = child.end()
        return _costly("memory" if answer else ended, budget)

    def close(self) -> None:
        """End the processes; a fork of this process has none."""
        while os.getpid() == self._owner and not self._free.empty():
            self._free.get().end()

    def _take(self, memory_bytes: int) -> _Child:
        while not self._free.empty():
            child = self._free.get()
            if child.memory_bytes == memory_bytes:
                return child
            child.end()
        return _start(memory_bytes)


def _start(memory_bytes: int) -> _Child:
    for left in reversed(range(_STARTS)):
        try:
            return _Child(memory_bytes)
        except (MedgenError, OSError) as err:
            if not left:
                raise MedgenError(f"cannot decode pictures: {err}") from err
    raise AssertionError("unreachable")


@cache
def _pool(owner: int) -> _Pool:
    """The pool of a process; a fork makes its own."""
    return _Pool(owner)


def _costly(ended: str, budget: Budget) -> dict[str, Any]:
    bounds = budget.bounds
    if ended == "time":
        said = (
            f"decoding it takes more than {bounds.seconds:g} s of processor time with all that "
            "belongs to it"
        )
        return {"error": said, "case": "costly", "seconds": bounds.seconds}
    if ended == "memory":
        return {
            "error": f"decoding it needs more than {bounds.memory_bytes / 2**20:,.0f} MiB",
            "case": "costly",
        }
    return {"error": f"decoding it ended the decoder ({ended})", "case": "damaged"}
