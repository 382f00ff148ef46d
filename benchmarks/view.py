"""How quick are the pages of 25 systems on 6,422 samples, and how large?

Writes a run of made-up values, serves it on loopback, and asks for its pages as a browser would;
where a Chromium is, also how long a filter takes in it.

    python -m benchmarks.view                                 some minutes, 1 GB of disk
    python -m benchmarks.view --systems 4 --samples 200 --dry  a look, kept nowhere
    python -m benchmarks.view --pictures docs/images          the pictures of the documents: pages
                                                              of what `make demo` left in var/store
"""

import argparse
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._records import keep
from benchmarks.made_run import MadeRun
from medgen.engine.store.connect import connect
from medgen.launch.view.bundle import write_bundle
from medgen.launch.view.certain import write_certainty
from medgen.launch.view.data import StoredRun
from medgen.launch.view.site import Site, warm_up

_FILES = (
    "index.html", "gallery.html", "data/gallery.js", "data/value-0.js", "data/texts-0.js",
    "sample.html", "data/sample-0.js", "data/words.js", "failures.html", "metrics.html",
    "compare.html", "provenance.html",
)  # fmt: skip


def measure(root: Path, systems: int, samples: int) -> dict[str, Any]:
    """Seconds and bytes of every kind of file, in a process that has read nothing before."""
    run = MadeRun(systems=systems, samples=samples, side=16)
    start = time.perf_counter()
    run_id = run.write(str(root))
    made = time.perf_counter() - start
    objects = connect(str(root))
    start = time.perf_counter()
    write_certainty(StoredRun(objects, run_id))
    found: dict[str, Any] = {
        "systems": systems,
        "samples": samples,
        "write_s": round(made, 1),
        "certainty_s": round(time.perf_counter() - start, 2),
    }
    warm_up()  # as the server does before it listens
    site = Site(StoredRun(objects, run_id))
    for name in _FILES:
        start = time.perf_counter()
        content = site.file(name) or b""
        again = time.perf_counter()
        site.file(name)
        found[name] = {
            "first_s": round(again - start, 3),
            "again_s": round(time.perf_counter() - again, 3),
            "bytes": len(content),
        }
    return found | browse(site, root)


def bundle(root: Path, systems: int = 4, samples: int = 24) -> dict[str, Any]:
    """A small run as files: until its first page is there, and until all of it is."""
    run_id = MadeRun(systems=systems, samples=samples).write(str(root))
    data = StoredRun(connect(str(root)), run_id)
    write_certainty(data)
    heard: dict[str, float] = {}
    start, spent = time.perf_counter(), time.process_time()

    def tell(_: int, name: str) -> None:
        heard.setdefault(name, round(time.perf_counter() - start, 2))

    count, size = write_bundle(data, connect(str(root / "out")), tell)
    return {
        "of": f"{systems} systems, {len(data.systems) - systems} controls, {samples} samples",
        "files": count,
        "bytes": size,
        "first_page_s": heard["index.html"],
        "whole_s": round(time.perf_counter() - start, 1),
        "processor_s": round(time.process_time() - spent, 1),
    }


def browse(site: Site, root: Path) -> dict[str, Any]:
    """In Chromium, from files: until the gallery stands, and for a filter."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None or find_spec("playwright") is None:
        return {"browser": "no Chromium or no playwright here"}
    from playwright.sync_api import sync_playwright

    pages = root / "pages"
    (pages / "data").mkdir(parents=True)
    site.meta_policy = True
    names = ["gallery.html", "style.css", "app.js", "model.js", "gallery.js", "data/gallery.js"]
    values = [f"data/value-{v.place}.js" for v in site.data.values if v.overall]
    for name in [*names, *values]:
        (pages / name).write_bytes(site.file(name) or b"")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(f"{pages.as_uri()}/gallery.html")
        page.wait_for_selector(".strip .sid")
        stands = time.perf_counter() - start
        clicked = page.evaluate(
            "async () => { const b = document.querySelector('#facets input'); "
            "const before = document.getElementById('found').textContent; "
            "const t = performance.now(); b.click(); "
            "while (document.getElementById('found').textContent === before) "
            "await new Promise(r => setTimeout(r)); return performance.now() - t; }"
        )
        browser.close()
    return {"gallery_stands_s": round(stands, 2), "filter_ms": round(clicked, 1)}


def draw(store: str, into: Path) -> None:
    """Pictures of pages of the store's last run, for documents; of an editing sample its own."""
    from playwright.sync_api import sync_playwright

    from medgen.engine.run.folder import find_run

    objects = connect(store)
    data = StoredRun(objects, find_run(objects, None))
    at = data.samples.column("task").index("noise-reconstruction")
    shown = {"index": "", "gallery": "#f=0", "sample": f"#s={data.samples.digests[at]}"}
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory(prefix="medgen-view-") as pages, sync_playwright() as play:
        write_bundle(data, connect(pages))
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name, fragment in shown.items():
            page.goto(f"{Path(pages).as_uri()}/{name}.html{fragment}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=into / f"demo-{name}.png")
        browser.close()


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=25)
    parser.add_argument("--samples", type=int, default=6422)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--pictures", type=Path, help="Draw pages into this folder instead.")
    parser.add_argument("--store", default="var/store", help="Whose demo is drawn.")
    asked = parser.parse_args()
    if asked.pictures:
        draw(asked.store, asked.pictures)
        return
    with tempfile.TemporaryDirectory(prefix="medgen-view-") as root:
        found = {"bundle": bundle(Path(root) / "small")}
        found |= measure(Path(root) / "large", asked.systems, asked.samples)
    for name, value in found.items():
        print(name, value)
    if not asked.dry:
        keep("view", found)


if __name__ == "__main__":
    main()
