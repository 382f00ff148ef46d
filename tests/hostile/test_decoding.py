"""Pictures from outside are decoded in a process of their own, which bounds time and memory."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hostile.corpus import Entry, entries
from PIL import Image

from medgen.adapters.images.firewall import Firewall
from medgen.engine.bounds import RECORD, Bounds, Budget
from medgen.engine.data import Image as Picture
from medgen.engine.data import Prediction, Sample
from medgen.engine.decoding import pool
from medgen.engine.decoding.facts import ImageFacts, facts
from medgen.engine.errors import BoundsError, ImageError


def saved(kind: str = "PNG", size: tuple[int, int] = (32, 24), mode: str = "RGB") -> bytes:
    sink = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(sink, kind)
    return sink.getvalue()


def run_lengths(pixels: int) -> bytes:
    """A BMP whose run lengths say each pixel by itself, which Pillow reads in Python."""
    side = int(pixels**0.5)
    line = b"\1\7" * side + b"\0\0"
    body = line * side + b"\0\1"
    palette = bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + palette + body


def tiny_webp_of(side: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (side, side), (9, 9, 9)).save(sink, "WEBP", lossless=True, method=0)
    return sink.getvalue()


@pytest.fixture
def children() -> Iterator[pool._Pool]:
    made = pool._pool(os.getpid())
    made.close()  # what other files' tests have left in this process would be asked first
    yield made
    made.close()


def told(look: Callable[[], ImageFacts]) -> tuple[str, str] | ImageFacts:
    try:
        return replace(look(), seconds=0.0)
    except ImageError as err:
        return str(err), err.case


@pytest.mark.parametrize("entry", entries("pictures"), ids=lambda entry: entry.name)
def test_the_child_says_what_this_process_would(entry: Entry) -> None:
    data = entry.content
    assert told(lambda: pool.examine(data)) == told(lambda: facts(data, RECORD.pixels))


def test_what_takes_too_long_is_refused_and_the_next_is_read() -> None:
    budget = Budget(Bounds(seconds=0.3))
    with pytest.raises(ImageError, match=r"more than 0\.3 s of processor time") as refused:
        pool.examine(run_lengths(16_000_000), budget)
    assert refused.value.case == "costly"
    assert budget.left_seconds == 0
    assert pool.examine(saved()).size == (32, 24)


def test_what_needs_too_much_memory_is_refused_and_the_next_is_read() -> None:
    budget = Budget(Bounds(memory_bytes=32 * 2**20))
    sink = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(sink, "PNG")
    for data in (sink.getvalue(), bytes(48 * 2**20)):  # unfolded, and as it came
        with pytest.raises(ImageError, match="needs more than 32 MiB") as refused:
            pool.examine(data, budget)
        assert refused.value.case == "costly"
    assert pool.examine(saved()).size == (32, 24)


def test_all_pictures_of_a_record_share_its_time() -> None:
    budget = Budget()
    before = budget.left_seconds
    for _ in range(3):
        pool.examine(saved(size=(800, 800)), budget)
    assert 0 < before - budget.left_seconds < before


@pytest.mark.trial
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_largest_picture_of_each_kind_is_within_the_bounds(kind: str) -> None:
    side = 7000 if kind == "WEBP" else 8192  # whose library holds several copies of the canvas
    sink = io.BytesIO()
    Image.new("RGB", (side, side), (9, 9, 9)).save(sink, kind)
    seen = pool.examine(sink.getvalue())
    assert seen.size == (side, side)
    assert seen.seconds < RECORD.seconds


def test_a_dead_child_costs_its_picture_alone(children: pool._Pool) -> None:
    pool.examine(saved())
    child = children._free.get()
    children._free.put(child)
    child._process.kill()
    child._process.wait()
    with pytest.raises(ImageError, match="ended the decoder"):
        pool.examine(saved())
    assert pool.examine(saved()).size == (32, 24)


def test_many_threads_share_a_few_children(children: pool._Pool) -> None:
    sizes, asked = [(i + 1, i + 2) for i in range(40)], dict[int, tuple[int, int]]()

    def ask(at: int) -> None:
        asked[at] = pool.examine(saved(size=sizes[at])).size

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [asked[at] for at in range(len(sizes))] == sizes
    assert children._free.qsize() <= 4


def test_a_child_knows_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    child = pool._Child(RECORD.memory_bytes)
    with open(f"/proc/{child._process.pid}/environ", "rb") as file:
        held = file.read()
    child.end()
    assert b"SOME_API_KEY" not in held
    assert b"PYTHONPATH" in held


def test_children_end_with_their_process() -> None:
    """Killed by surprise, a process leaves none behind."""
    program = """
import io, os, signal
from PIL import Image
from medgen.engine.decoding import pool
sink = io.BytesIO(); Image.new("RGB", (4, 4)).save(sink, "PNG")
pool.examine(sink.getvalue())
print(pool._pool(os.getpid())._free.get()._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    child = int(done.stdout)
    until = time.monotonic() + 20
    while os.path.exists(f"/proc/{child}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{child}")


def test_a_fork_has_children_of_its_own() -> None:
    pool.examine(saved())
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if pool.examine(saved()).size == (32, 24) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pool.examine(saved()).size == (32, 24)


def test_the_modules_need_no_posix() -> None:
    """Imports at the top of what decodes are there on every system."""
    import ast
    from pathlib import Path

    for module in Path(pool.__file__).parent.glob("*.py"):
        top = ast.parse(module.read_text()).body
        names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        assert not names & {"resource", "fcntl", "pwd", "termios", "grp", "select"}


def test_a_costly_reply_is_a_row() -> None:
    sample = Sample("s", "ImageEditing", "style-transfer", "CT", "-")
    given = Prediction("s", images=(Picture(tiny_webp_of(8192)),))
    row = Firewall().admit(given, sample)
    assert (row.status, row.reason.partition(":")[0]) == ("invalid_image", "costly")


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda b: b.take_bytes(RECORD.file_bytes + 1, "a.png"), "a.png has 67,108,865 bytes"),
        (lambda b: [b.take_bytes(RECORD.file_bytes, "a") for _ in range(5)], "all files together"),
        (lambda b: b.take_images(129), "129 images; at most 128"),
        (lambda b: [b.take_images(100) for _ in range(2)], "200 images; at most 128"),
        (lambda b: b.take_links(17), "max_links allows 16"),
    ],
)
def test_a_budget_names_the_bound(take: object, said: str) -> None:
    with pytest.raises(BoundsError, match=said):
        take(Budget())  # type: ignore[operator]
