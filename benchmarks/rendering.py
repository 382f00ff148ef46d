"""How many pictures a second one engine process makes ready for its model, by threads.

    python -m benchmarks.rendering [--pictures 32] [--side 1024] [--rounds 3] [--dry]

Prompts with one picture each are rendered for the tiny Qwen2.5-VL with the picture sizes of the
large one (`adapters/models/vllm_prompts.py`, no engine behind it), and, as vLLM's own server would
have it, given as data URLs to the same renderer; the two take turns, and ratios are of ours to it.
`captioned` are pictures as a judge sees them. Each number of threads is a process that may use so
many cores. Kept in results/rendering.json, unless `--dry`.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from benchmarks._records import keep
from medgen.adapters.images.content import Picture, content
from medgen.engine.chat.messages import Message
from medgen.engine.data import Image
from medgen.engine.judging.captions import Captioned

if TYPE_CHECKING:
    from vllm.renderers import BaseRenderer

TARGET = 40.0  # pictures of 1,024 pixels a second on four threads
_PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 16384 * 28 * 28}  # of Qwen2.5-VL
_WORDS = "Describe the finding."


@dataclass(frozen=True, slots=True)
class Engine:
    """What `Prompts` wants of an engine: here nothing is behind it."""

    renderer: "BaseRenderer[Any]"
    model_config: Any


def make_engine() -> Engine:
    """The renderer of the tiny model, for pictures of every size."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.renderers import renderer_from_config

    from medgen.adapters.tiny.vlm import cached_model

    config = AsyncEngineArgs(
        model=str(cached_model()),
        dtype="float32",
        max_model_len=32768,
        enforce_eager=True,
        limit_mm_per_prompt={"image": 8, "video": 0},
        mm_processor_kwargs={"size": _PIXELS},
        mm_processor_cache_gb=0,  # or every round after the first would find its pictures there
    ).create_engine_config()
    return Engine(renderer_from_config(config), config.model_config)


def pictures(count: int, side: int) -> dict[str, list[Picture]]:
    """`count` pictures of each kind; of noise over structure, as scans are."""
    rng = np.random.default_rng(0)
    grey, colour = [], []
    for number in range(count):
        coarse = rng.integers(0, 256, (side // 16, side // 16), dtype=np.uint8)
        smooth = Pillow.fromarray(coarse).resize((side, side), Pillow.Resampling.BICUBIC)
        levels = np.asarray(smooth) + rng.normal(0, 6, (side, side))
        scan = Pillow.fromarray(levels.clip(0, 255).astype(np.uint8))
        grey.append(Image(encoded(scan, "PNG"), f"{number}.png"))
        colour.append(Image(encoded(scan.convert("RGB"), "JPEG", quality=90), f"{number}.jpg"))
    captioned: list[Picture] = [Captioned(image, "Input image") for image in grey]
    return {"grey PNG": [*grey], "JPEG": [*colour], "grey PNG, captioned": captioned}


def encoded(picture: Pillow.Image, kind: str, **options: Any) -> bytes:
    """The file."""
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return sink.getvalue()


def timed(
    loop: asyncio.Runner, ask: Callable[[Picture], Awaitable[Any]], asked: Sequence[Picture]
) -> tuple[float, ...]:
    """Seconds and processor seconds of a picture, all in flight at once."""

    async def every() -> None:
        await asyncio.gather(*(ask(picture) for picture in asked))

    wall, cpu = time.perf_counter(), time.process_time()
    loop.run(every())
    spent = time.perf_counter() - wall, time.process_time() - cpu
    return tuple(seconds / len(asked) for seconds in spent)


def side_of(threads: int, count: int, side: int, rounds: int) -> dict[str, Any]:
    """What this process, held to its cores, takes for each kind of picture."""
    import torch
    from vllm.renderers.params import ChatParams

    from medgen.adapters.models.vllm_prompts import Prompts

    torch.set_num_threads(1)
    engine = make_engine()
    stand_in: Any = engine
    prompts = Prompts(stand_in, {}, decoders=threads)
    opened = {"add_generation_prompt": True, "continue_final_message": False, "tokenize": False}
    parameters = ChatParams(chat_template_kwargs=opened)

    async def ours(picture: Picture) -> None:
        await prompts.render([Message("user", (_WORDS, picture))])

    async def as_served(picture: Picture) -> None:
        turns: Any = await asyncio.to_thread(content, [Message("user", (_WORDS, picture))])
        await engine.renderer.render_chat_async([turns], parameters)

    found: dict[str, Any] = {}
    loop = asyncio.Runner()
    for kind, every in pictures(count, side).items():
        timed(loop, ours, every[:4])
        timed(loop, as_served, every[:4])
        turns = [(timed(loop, ours, every), timed(loop, as_served, every)) for _ in range(rounds)]
        cpu_ms = 1000 * statistics.median(mine[1] for mine, _ in turns)
        alone_ms = render_ms(prompts, every)
        found[kind] = {
            "pictures_a_second": round(1 / min(mine[0] for mine, _ in turns), 1),
            "cpu_ms": round(cpu_ms, 1),
            "render_thread_ms": round(alone_ms, 1),
            # What processor time allows on four threads, of which one renders.
            "four_threads_a_second": round(min(4000 / cpu_ms, 1000 / alone_ms), 1),
            "as_served_a_second": round(1 / min(theirs[0] for _, theirs in turns), 1),
            "wall_ratio": round(statistics.median(m[0] / t[0] for m, t in turns), 2),
            "cpu_ratio": round(statistics.median(m[1] / t[1] for m, t in turns), 2),
        }
    prompts.close()
    loop.close()
    return found


def render_ms(prompts: Any, every: Sequence[Picture]) -> float:
    """Processor time of a picture in the one thread that renders: with all the rest elsewhere."""
    turns = [content([Message("user", (_WORDS, one))], prompts._picture) for one in every]
    begun = time.thread_time()
    for each in turns:
        prompts._render(each)
    return 1000 * (time.thread_time() - begun) / len(every)


def main() -> None:
    """Measure each number of threads in a process of its own, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
        measured = side_of(given.threads, given.pictures, given.side, given.rounds)
        print(json.dumps(measured))
        return
    cores = len(os.sched_getaffinity(0))
    found: dict[str, Any] = {"pictures": given.pictures, "side": given.side, "threads": {}}
    for threads in (n for n in (1, 2, 4) if n <= cores):
        command = [sys.executable, "-m", "benchmarks.rendering", *sys.argv[1:]]
        said = subprocess.run(
            [*command, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.splitlines()[-1]
        found["threads"][str(threads)] = json.loads(said)
        for kind, figures in found["threads"][str(threads)].items():
            print(threads, kind, json.dumps(figures), flush=True)
    widest = found["threads"][max(found["threads"])]
    on_four = "pictures_a_second" if "4" in found["threads"] else "four_threads_a_second"
    found["to_target"] = {
        kind: round(figures[on_four] / TARGET, 2) for kind, figures in widest.items()
    }
    print("on four threads, times the target:", json.dumps(found["to_target"]))
    if not given.dry:
        print(keep("rendering", found))


if __name__ == "__main__":
    main()
