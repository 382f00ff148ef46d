"""A made run as pages, a server of it, and a browser that remembers what it asked for."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from benchmarks.made_run import MadeRun
from medgen.engine.results.sets import SetNote, SetRow, keep_set_note, prediction_digest
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.launch.view.bundle import write_bundle
from medgen.launch.view.certain import write_certainty
from medgen.launch.view.data import StoredRun
from medgen.launch.view.serving import bind, viewer

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=http://evil.example/x "
    "onerror=alert(1)> {{ 7 * 7 }} \u202e reversed \u200b\x1b[31m javascript:alert(1)"
)


def small(**more: Any) -> MadeRun:
    """A run of a few systems and samples, quickly drawn."""
    return MadeRun(**{"systems": 2, "samples": 12, "fails": 0.05, **more})


def stored(run: MadeRun, root: Path) -> StoredRun:
    """The run in a store, with its words of certainty and made-up distances of sets."""
    data = StoredRun(connect(str(root)), run.write(str(root)))
    write_certainty(data)
    keep_distances(data)
    return data


def keep_distances(data: StoredRun) -> None:
    """A note on FID and KID of every system, which grow from one to the next."""
    reader = RunReader(data.objects, data.plan)
    rows = tuple(
        SetRow(
            s.name,
            {"fid": 1.5 * n, "kid": n / 100},
            40,
            2,
            False,
            "enc",
            prediction_digest(reader, s.name),
        )
        for n, s in enumerate(data.systems)
    )
    keep_set_note(reader, SetNote({"model": "enc"}, rows))


def bundle(data: StoredRun, into: Path) -> str:
    """The pages as files; the address of their folder."""
    write_bundle(data, connect(str(into)))
    return into.as_uri()


@contextmanager
def server(data: StoredRun) -> Iterator[tuple[str, str]]:
    """The application on a free port: its address, and its token."""
    with bind(0) as at:
        port = at.getsockname()[1]
        made = viewer(data.objects, data.run_id, port)
        config = uvicorn.Config(made.app(), log_level="error", lifespan="off", ws="none")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [at]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}", made.token
        finally:
            running.should_exit = True
            thread.join(10)


@dataclass
class Seen:
    """What a page did: errors on its console, and where it sent requests."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def chromium() -> str:
    """The system's Chromium; a test without one is skipped with a sentence."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None or find_spec("playwright") is None:
        pytest.skip("no Chromium or no playwright here: `apt-get install chromium` brings one")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


def open_page(made: Any, width: int = 1440, dark: bool = False) -> Seen:
    """A tab of its own, watched."""
    scheme = "dark" if dark else "light"
    context = made.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    seen = Seen(context.new_page())
    seen.page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
    seen.page.on("pageerror", lambda e: seen.errors.append(str(e)))
    seen.page.on("request", lambda r: seen.requests.append(r.url))
    return seen


def axe() -> str:
    """The text of axe-core; a test without it is skipped with a sentence."""
    place = os.environ.get("MEDGEN_AXE", "")
    if not place or not Path(place).is_file():
        pytest.skip("MEDGEN_AXE names no axe.min.js: `npm pack axe-core` brings one")
    return Path(place).read_text(encoding="utf-8")
