"""What does the engine cost on top of bare vLLM?

The same prompts go through `LLM.chat`, with its messages made beforehand, and through an answer
worker of the engine: shards read from the store, several in flight, rows committed. Both servers
stay up and take turns, so that whatever else the machine does hits both alike. Prefix and picture
caches are off, or every round after the first would measure them.

    python -m benchmarks.vllm_overhead                         the tiny model on CPU, 8 minutes
    python -m benchmarks.vllm_overhead --model DIR --engine '{"load_format": "dummy"}' --name gpu
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from benchmarks._records import keep
from medgen.adapters.images.content import content
from medgen.adapters.provenance import weights
from medgen.adapters.tiny.vlm import cached_model
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Problem
from medgen.engine.chat.answering import AnswerStyle, answer_request
from medgen.engine.chat.messages import Sampling, seed_for
from medgen.engine.data import Image, Sample
from medgen.engine.images import png
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Recipe, System, make_plan
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.stages import Manner, make_worker
from medgen.engine.store.connect import connect

_ENGINE = {
    "enable_prefix_caching": False,
    "mm_processor_cache_gb": 0,
    "seed": 0,
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
}
_SMALL = {"dtype": "float32", "max_model_len": 2048, "enforce_eager": True, "max_num_seqs": 32}
_WORDS = "Remove the artifact at the upper border and leave the rest of the slice as it is."
# Held to a schema whose strings are longer than the budget, every reply uses all of it, so that
# whole batches end together. With `--letters 150`, say, replies differ in length, as real ones do.
_LETTERS = 20_000


class Questions:
    """Samples with one picture of noise each."""

    def __init__(self, count: int, side: int) -> None:
        self.count, self.side = count, side

    def __iter__(self) -> Iterator[Sample | Problem]:
        from PIL import Image as Pillow

        draw = np.random.default_rng(0)
        for n in range(self.count):
            noise = draw.integers(0, 256, (self.side, self.side, 3), dtype=np.uint8)
            image = Image(png(Pillow.fromarray(noise)), f"{n}.png")
            yield Sample(
                id=f"s{n:05d}",
                asks="image",
                task="artifact-removal",
                modality="CT",
                instruction=f"{n}. {_WORDS}",
                input_images=(image,),
                reference_images=(image,),
            )

    def expected_counts(self) -> dict[Any, int]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {"layout": "made for a measurement"}


def settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--model", default="", help="folder or hub name; empty: the tiny model")
    parser.add_argument("--engine", default="{}", help="more vLLM engine arguments, JSON")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--shard", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--letters", type=int, default=_LETTERS, help="in a reply, at most")
    parser.add_argument("--side", type=int, default=112, help="of the pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--name", default="", help="suffix of the stored result")
    parser.add_argument("--serve", choices=["bare", "engine"], help=argparse.SUPPRESS)
    return parser.parse_args()


def arguments(asked: argparse.Namespace) -> dict[str, Any]:
    """Engine arguments, the same for both."""
    small = {} if asked.model else _SMALL
    return {**_ENGINE, **small, **json.loads(asked.engine)}


def bare(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rounds through `LLM.chat`."""
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    model = asked.model or str(cached_model())
    limits = {"image": 8, "video": 0}
    llm = LLM(model=model, limit_mm_per_prompt=limits, **arguments(asked))
    sampling = Sampling(max_tokens=asked.max_tokens)
    style = AnswerStyle(
        mode="compositional", sampling=sampling, letters=(asked.letters, asked.letters)
    )
    messages, parameters = [], []
    for sample in Questions(asked.samples, asked.side):
        assert isinstance(sample, Sample)
        seed = seed_for(0, "answer", sample.id)
        request = answer_request(sample, sample.input_images, style, seed)
        messages.append(content(request.messages))
        drawn = SamplingParams(
            max_tokens=asked.max_tokens,
            temperature=0.0,
            seed=seed,
            structured_outputs=StructuredOutputsParams(json=dict(request.schema or {})),
        )
        parameters.append(drawn)
    while True:
        start = time.monotonic()
        outputs = llm.chat(messages, parameters, use_tqdm=False)
        seconds = time.monotonic() - start
        yield {
            "seconds": seconds,
            "prompt_tokens": sum(len(o.prompt_token_ids or ()) for o in outputs),
            "completion_tokens": sum(len(o.outputs[0].token_ids) for o in outputs),
        }


def engine(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rounds through an answer worker: read, answer, commit."""
    model = asked.model or str(cached_model())
    style = {
        "mode": "compositional",
        "letters": [asked.letters, asked.letters],
        "sampling": {"max_tokens": asked.max_tokens},
    }
    chat = {"target": "vllm", "kwargs": {"model": model, "engine": arguments(asked)}}
    spec = Spec("answers", {"style": style, "chat": chat})
    with tempfile.TemporaryDirectory() as store:
        objects = connect(store)
        source, options = Questions(asked.samples, asked.side), ImportOptions("noise", asked.shard)
        manifest = import_benchmark(source, objects, options)
        system = System("vlm", Model(spec, Resources()), gives=("image",))
        plan = make_plan(Recipe("overhead", (system,), metrics={}), manifest)
        (node,) = plan.nodes.values()
        worker = make_worker(store, plan, node.group, Manner(discreet=False))
        for turn in range(10**6):
            # A later revision each time, so that every round commits.
            units = [
                Unit(node.group, shard, (Target(node.key, revision=turn),))
                for shard in range(plan.shards)
            ]
            start = time.monotonic()
            with ThreadPoolExecutor(asked.in_flight) as pool:
                receipts = [r for unit in pool.map(worker, units) for r in unit]
            seconds = time.monotonic() - start
            yield {
                "seconds": seconds,
                "prompt_tokens": sum(r.prompt_tokens for r in receipts),
                "completion_tokens": sum(r.completion_tokens for r in receipts),
            }


def serve(rounds: Iterator[dict[str, Any]]) -> None:
    """Do a round for every line on standard input; results on the original standard output."""
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM prints
    for _ in sys.stdin:
        wire.write(json.dumps(next(rounds)) + "\n")
        wire.flush()


class Server:
    """One of the two, in a process of its own."""

    def __init__(self, kind: str) -> None:
        command = [sys.executable, "-m", "benchmarks.vllm_overhead", *sys.argv[1:], "--serve", kind]
        pipe = subprocess.PIPE
        # For vLLM's CPU build, which otherwise takes half of the memory; a GPU does not look.
        environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", **os.environ}
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        )

    def round(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a server ended; its own words are above")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Alternate the two; the first round of each warms up and is not counted."""
    servers = {kind: Server(kind) for kind in ("bare", "engine")}
    for server in servers.values():
        server.round()
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in servers}
    for turn in range(asked.rounds):
        order = list(servers) if turn % 2 == 0 else list(servers)[::-1]
        for kind in order:
            found[kind].append(servers[kind].round())
    for server in servers.values():
        server.end()
    return summary(asked, found)


def summary(asked: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Rates, and ratios: of rounds that stood side by side, of the fastest, and of all together."""
    bare, engine = ([r["seconds"] for r in found[kind]] for kind in ("bare", "engine"))
    ratios = [b / e for b, e in zip(bare, engine, strict=True)]
    low, high = interval(bare, engine)
    model = asked.model or "the tiny Qwen2.5-VL"
    random = bool(weights(asked.model or str(cached_model())).get("random_weights"))
    dummy = arguments(asked).get("load_format") == "dummy"
    rates = {
        kind: {
            "tokens_per_s": round(median(r["completion_tokens"] / r["seconds"] for r in rounds), 1),
            "samples_per_s": round(asked.samples / median(r["seconds"] for r in rounds), 2),
            "seconds": [round(r["seconds"], 2) for r in rounds],
            "prompt_tokens": rounds[0]["prompt_tokens"],
            "completion_tokens": rounds[0]["completion_tokens"],
        }
        for kind, rounds in found.items()
    }
    return {
        "model": Path(model).name,
        "random_weights": random or dummy,
        "samples": asked.samples,
        "max_tokens": asked.max_tokens,
        "letters": asked.letters,
        "in_flight": asked.in_flight,
        **rates,
        "ratio": round(median(ratios), 3),
        "quartiles": [round(q, 3) for q in quantiles(ratios, n=4, method="inclusive")[::2]],
        # Whatever else the machine does only ever adds time.
        "ratio_of_fastest": round(min(bare) / min(engine), 3),
        "ratio_of_all": round(sum(bare) / sum(engine), 3),
        "interval_of_all": [round(low, 3), round(high, 3)],
        "ratios": [round(r, 3) for r in ratios],
    }


def interval(bare: Sequence[float], engine: Sequence[float]) -> tuple[float, float]:
    """Within which the ratio of all rounds lies in 95 of 100 redraws of the pairs (bootstrap)."""
    drawn = bootstrap(
        (bare, engine),
        lambda b, e, axis: np.sum(b, axis) / np.sum(e, axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(drawn.low), float(drawn.high)


def main() -> None:
    asked = settings()
    if asked.serve:
        serve(bare(asked) if asked.serve == "bare" else engine(asked))
        return
    found = measure(asked)
    suffix = f"_{asked.name}" if asked.name else ""
    path = keep(f"vllm_overhead{suffix}", found)
    print(json.dumps(found, indent=1))
    low, high = found["interval_of_all"]
    print(
        f"engine / bare: {found['ratio']:.3f} in the median; "
        f"{found['ratio_of_all']:.3f} ({low:.3f} to {high:.3f}) of all rounds together "
        f"(kept in {path.name})"
    )


if __name__ == "__main__":
    main()
