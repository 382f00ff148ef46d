"""The process that decodes: `python -m medgen.engine.decoding.child`, started by `pool`.

A job comes on standard input and its findings go to standard output, each a frame: four bytes of
length and so many of JSON; a job's pictures follow it. A picture that needs more memory or
processor time than its job allows ends this process and nothing else. What the process knows of
the outside is its job: no key, no store.
"""

import json
import os
import re
import signal
import sys
import time
import warnings
from dataclasses import asdict
from typing import Any, BinaryIO

from medgen.engine.decoding.facts import facts
from medgen.engine.errors import ImageError

_LENGTH = 4
# How libraries below Pillow say that an allocation failed. That of WebP says it as of a damaged
# file, and such a picture is called damaged.
_NO_MEMORY = re.compile(r"\bmemory|\balloc", re.IGNORECASE)


def read_frame(stream: BinaryIO) -> Any:
    """The next JSON of a stream; None at its end."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head)
    body = stream.read(size)
    return json.loads(body) if len(body) == size else None


def write_frame(stream: BinaryIO, value: object, pictures: tuple[bytes, ...] = ()) -> None:
    """JSON and the pictures behind it."""
    body = json.dumps(value).encode()
    stream.write(len(body).to_bytes(_LENGTH) + body)
    for picture in pictures:
        stream.write(picture)
    stream.flush()


def main() -> None:
    """Serve jobs until standard input ends."""
    jobs, found = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    _limit_memory(int(sys.argv[1]))
    write_frame(found, {"ready": True})
    # From here on a library that prints spoils no frame and fills no pipe.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    warnings.simplefilter("ignore")
    while (job := read_frame(jobs)) is not None:
        answer = _look(job, jobs)
        write_frame(found, answer)
        if "memory" in answer:
            return  # what is left of this process's memory is nobody's guess


def _look(job: dict[str, Any], jobs: BinaryIO) -> dict[str, Any]:
    started = time.process_time()
    _limit_time(job["seconds"])
    try:
        pictures = [jobs.read(size) for size in job["sizes"]]
        seen = asdict(facts(pictures[0], job["max_pixels"], pictures[1:]))
        return {"facts": {**seen, "seconds": time.process_time() - started}}
    except MemoryError:
        return {"memory": True}
    except ImageError as err:
        if isinstance(err.__cause__, MemoryError) or _NO_MEMORY.search(str(err)):
            return {"memory": True}
        return {"error": str(err), "case": err.case, "seconds": time.process_time() - started}
    except Exception as err:  # noqa: BLE001 - a picture that raises in an inspection is damaged
        said = f"{type(err).__name__}: {err}"[:300]
        return {"error": said, "case": "damaged", "seconds": time.process_time() - started}
    finally:
        _limit_time(0)


def _limit_memory(size: int) -> None:
    """`size` bytes beside what is mapped already; where the system knows no such limit, none."""
    if sys.platform == "win32":
        return
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux
        mapped = 0
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = mapped + size
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (OSError, ValueError):  # macOS refuses it; time is still limited
        return


def _limit_time(seconds: float) -> None:
    """End this process after so many seconds of processor time; 0 lifts the limit."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
