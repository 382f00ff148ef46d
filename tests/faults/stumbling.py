"""A driver that kills itself at one step of committing one shard: started as a program.

    python -m faults.stumbling <store> <step> <stage>

`step` is a call on the way of a commit (`before`, `during`, `after`); the death is SIGKILL, so
nothing is flushed, closed or caught.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from fakes import echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.plan import System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.objects import PosixObjects
from medgen.engine.store.s3 import S3Objects

COUNT = 12


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived")


def stumble(step: str, victim: str) -> None:
    """Arrange for the death, on a disk and on object storage."""
    for kind, halfway in ((PosixObjects, tear), (S3Objects, half_a_request)):
        kind.create = mortal(kind.create, halfway, step, victim)  # type: ignore[method-assign]


def mortal(create: Any, halfway: Any, step: str, victim: str) -> Any:
    """A `create` that does not survive the victim's."""

    def attempt(self: Any, path: str, data: bytes) -> bool:
        folder, _, name = victim.rpartition("/")  # the edition between them has no name yet
        meant = path.startswith(f"{folder}/") and path.endswith(f"/{name}")
        if meant and step == "before":
            die()
        if meant and step == "during":
            halfway(self, path, data)
        created: bool = create(self, path, data)
        if meant and step == "after":
            die()
        return created

    return attempt


def tear(objects: PosixObjects, path: str, data: bytes) -> NoReturn:
    """Die with half of the temporary file written, as a full write would be interrupted."""
    target = Path(objects.root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".medgen-{uuid4().hex}.part").open("xb") as sink:
        sink.write(data[: len(data) // 2])
        sink.flush()
        die()


def half_a_request(objects: S3Objects, path: str, data: bytes) -> NoReturn:
    """Die with half of the PUT sent."""
    import http.client
    from urllib.parse import urlsplit

    address = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    connection = http.client.HTTPConnection(address)
    connection.putrequest("PUT", f"/{objects.root}/{path}")
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders()
    connection.send(data[: len(data) // 2])
    die()


def victim(reader: RunReader, stage: str) -> str:
    """The second shard of the stage."""
    (node,) = (n for n in reader.plan.nodes.values() if n.stage == stage)
    return reader.stage(node).path(1)


def main(store: str, step: str, stage: str) -> None:
    """Run until the death; without a step, to the end."""
    objects = connect(store)
    work = plan(objects, System("echo", echo()), count=COUNT)
    reader = RunReader(objects, work)
    stumble(step, victim(reader, stage) if stage else "")
    ending = carry_out(reader, survey(reader), LocalPool(), Options())
    sys.exit(0 if not ending.failed else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
