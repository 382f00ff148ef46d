"""Azure's blob storage on loopback: Azurite, its vendor's own emulator, with all of it in memory.

`make trial` installs it from npm below `var/azurite`; one on the PATH serves as well.
"""

import base64
import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from store import daemons

_INSTALLED = Path(__file__).resolve().parents[2] / "var/azurite/node_modules/.bin"
_ACCOUNT, _KEY = "medgen", base64.b64encode(b"medgensecret").decode()


def _program() -> str | None:
    return shutil.which("azurite-blob", path=f"{_INSTALLED}{os.pathsep}{os.environ['PATH']}")


def missing() -> str:
    """Why Azurite or the client cannot be had here; empty when both can."""
    if importlib.util.find_spec("adlfs") is None:
        return "not installed: adlfs (make clouds)"
    return "" if _program() else "not installed: Azurite, which npm has (make clouds)"


@contextmanager
def server(place: Path) -> Iterator[str]:
    """The URL of an emulator with one account; it ends with the block."""
    port = daemons.free_port()
    said = ("--blobHost", "127.0.0.1", "--blobPort", str(port))
    running = daemons.start(
        place,
        str(_program()),
        *(*said, "--inMemoryPersistence", "--silent", "--disableTelemetry"),
        "--skipApiVersionCheck",  # the client is newer than any release of it
        environment=os.environ | {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        daemons.wait(url, [running])
        yield url
    finally:
        daemons.end(running)


def environment(url: str) -> Mapping[str, str]:
    """What Azure's client needs to know, as variables."""
    said = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": _ACCOUNT,
        "AccountKey": _KEY,
        "BlobEndpoint": f"{url}/{_ACCOUNT}",
    }
    return {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{k}={v}" for k, v in said.items())}
