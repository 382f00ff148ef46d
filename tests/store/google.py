"""Google's object storage on loopback: gcp-storage-emulator, all in memory, in this process.

No emulator of it in an index of packages is nearer; what this one lacks is put right in
`google_emulator.py`. `make trial` installs it with the client, from the group `clouds`.
"""

import importlib.util
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer


def missing() -> str:
    """Why the emulator or the client cannot be had here; empty when both can."""
    lacking = [n for n in ("gcsfs", "gcp_storage_emulator") if importlib.util.find_spec(n) is None]
    return f"not installed: {', '.join(lacking)} (make clouds)" if lacking else ""


class _Listening(HTTPServer):
    request_queue_size = 64  # writers that come at once; with 5 some would wait for a second


@contextmanager
def server() -> Iterator[str]:
    """The URL of an emulator; it ends with the block."""
    from store.google_emulator import Conditional, Handler

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)  # each 404 is an error
    handler = partial(Handler, Conditional(use_memory_fs=True))
    with _Listening(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def environment(url: str) -> Mapping[str, str]:
    """What Google's client needs to know, as variables: also that no bucket is a zonal one.

    It would ask Google itself which kind a bucket is.
    """
    return {"STORAGE_EMULATOR_HOST": url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
