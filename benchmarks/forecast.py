"""What `line-up-2026` takes over the published benchmark, on 1, 8 and 64 cards of 80 GB.

    python -m benchmarks.forecast [--config line-up-2026]

Nothing is run: these are the lines that `medgen plan` says, for a benchmark of the published size
(1,100 questions, 3,872 edits, 1,450 generations) of which nothing is in the store yet. Speeds are
those of the presets: arithmetic for what has its numbers, guesses for hosted models.
"""

import argparse
from collections import Counter
from typing import Any, cast

from medgen.conf import load
from medgen.engine.benchmark.manifest import Manifest, ShardEntry
from medgen.engine.data import Asks
from medgen.engine.plan.plan import make_plan
from medgen.engine.run.survey import Todo
from medgen.engine.store.connect import connect
from medgen.launch.compose import recipe
from medgen.launch.run.plan import foretell

SAMPLES: dict[Asks, int] = {"text": 1100, "image": 3872, "image+text": 1450}
SHARD = 64
CARDS = (1, 8, 64)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast")
    parser.add_argument("--config", default="line-up-2026")
    print(forecasts(parser.parse_args().config), end="")


def forecasts(config: str) -> str:
    """A row for each number of cards: what `medgen plan` says it takes."""
    rows = ["| cards of 80 GB | `medgen plan` says |", "|---:|---|"]
    for count in CARDS:
        conf = load(config, ["store=memory://forecast", f"cluster.num_gpus={count}"])
        plan = make_plan(recipe(conf), _published())
        objects = connect(conf.store)
        owed = {k: dict.fromkeys(range(plan.shards * n.split)) for k, n in plan.nodes.items()}
        todo = Todo(targets=cast(Any, owed))  # a forecast asks how many there are
        said = foretell(objects, conf.cluster, plan, todo).removeprefix("takes").strip()
        rows.append(f"| {count} | {said} |")
    return "\n".join(rows) + "\n"


def _published() -> Manifest:
    every = [asks for asks, count in SAMPLES.items() for _ in range(count)]
    parts = [every[start : start + SHARD] for start in range(0, len(every), SHARD)]
    shards = tuple(
        ShardEntry(len(p), {asks: {"VQA": n} for asks, n in Counter(p).items()}, str(at), "")
        for at, p in enumerate(parts)
    )
    return Manifest("published", "0" * 16, SHARD, 0, shards, SAMPLES, {}, {}, {})


if __name__ == "__main__":
    main()
