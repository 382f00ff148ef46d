"""What it costs to decode pictures from outside in a process of their own.

    python -m benchmarks.decoding

Pictures of noise in the sizes of the benchmark, each checked as the importer and the output
firewall do, in this process and in the child; once alone and once from eight threads, as records
are read. Images a second, of the better of three rounds, are kept in results/decoding.json.
"""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image

from benchmarks._records import keep
from medgen.engine.bounds import RECORD
from medgen.engine.decoding.facts import facts
from medgen.engine.decoding.pool import examine

CASES = (("JPEG", 512), ("PNG", 256), ("PNG", 1024), ("WEBP", 512))
COUNT, ROUNDS, THREADS = 24, 3, 8


def picture(kind: str, side: int) -> bytes:
    """Noise, which no encoder makes small."""
    sink = io.BytesIO()
    Image.effect_noise((side, side), 60).convert("RGB").save(sink, kind)
    return sink.getvalue()


def rate(look: Callable[[bytes], object], data: bytes, threads: int) -> float:
    """Images a second."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look, [data] * threads * 2))  # children are started, caches filled
        for _ in range(ROUNDS):
            start = time.monotonic()
            list(pool.map(look, [data] * COUNT))
            best = max(best, COUNT / (time.monotonic() - start))
    return best


def main() -> None:
    """Measure and keep."""
    found: dict[str, Any] = {}
    for kind, side in CASES:
        data = picture(kind, side)
        row: dict[str, float] = {"bytes": len(data)}
        for threads in (1, THREADS):
            row[f"here_{threads}"] = rate(lambda d: facts(d, RECORD.pixels), data, threads)
            row[f"child_{threads}"] = rate(examine, data, threads)
        found[f"{kind} {side}"] = {name: round(value, 1) for name, value in row.items()}
        print(f"{kind} {side}: {found[f'{kind} {side}']}", flush=True)
    keep("decoding", found)


if __name__ == "__main__":
    main()
