"""How much of what a judge is shown does its engine compute anew, with eight systems in one run?

    python -m benchmarks.judging                the tiny model on CPU, some minutes

Eight systems answer the same samples, and the tiny vision-language model judges them in one run of
the driver. Every request's tokens are told apart: the rubric, which all requests share; instruction
and input images, which all requests of a sample share; the rest. What the engine's prefix cache did
not have was computed. Beside it stands the same judge (prompt `judge/1`) asked for one system after
the other, with a key of quotation for every candidate, so that systems share the rubric alone.
"""

import argparse
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image as Pillow

from benchmarks._records import keep
from medgen.actors.local_pool import LocalPool
from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.tiny.served import TinyVLMChat
from medgen.adapters.tiny.vlm import cached_model
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.source import Problem
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message, Sampling
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.images import png
from medgen.engine.judging.captions import Captioned
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, Recipe, System, make_plan
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect

SYSTEMS = 8
_WORDS = (
    "The slice was taken after a fall from a ladder. Remove the artifact at the upper border, keep "
    "the contrast of the bones, and leave the rest of the slice as it is. Name the side first."
)
_FINDINGS = ("a fracture of the left rib", "no fracture", "fluid in the right chest", "a nodule")
# The least of the CPU build, whose own blocks of 128 tokens are longer than a tiny picture.
_ENGINE: Mapping[str, Any] = {"block_size": 32}
_JUDGE: Mapping[str, Any] = {"name": "tiny", "protocol": "table-iv/1", "captions": "shared"}
_KEY = re.compile(r"(?<==== BEGIN INSTRUCTION )[0-9a-f]{16}")


def noise(seed: int, side: int) -> Image:
    """A picture of seeded noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image(png(Pillow.fromarray(pixels)), f"{seed}.png")


class Questions:
    """Samples with one picture each; every other one asks for a picture."""

    def __init__(self, count: int, side: int) -> None:
        self.count, self.side = count, side

    def __iter__(self) -> Iterator[Sample | Problem]:
        for n in range(self.count):
            yield Sample(
                id=f"s{n:04d}",
                asks="image" if n % 2 else "text",
                task="artifact-removal" if n % 2 else "question-answering",
                modality="CT",
                instruction=f"Case {n}. {_WORDS}",
                input_images=(noise(n, self.side),),
                reference_images=(noise(1000 + n, self.side),) if n % 2 else (),
                reference_texts=() if n % 2 else (f"{_FINDINGS[n % 4]}, seen in case {n}",),
            )

    def expected_counts(self) -> dict[Any, int]:
        return {}

    def describe(self) -> dict[str, Any]:
        return {"layout": "made for a measurement"}


class Answers:
    """A system whose answers are seeded noise and words."""

    def __init__(self, seed: int, side: int) -> None:
        self.seed, self.side = seed, side

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [self.answer(request.sample) for request in requests]

    def answer(self, sample: Sample) -> Prediction:
        n = int(sample.id[1:])
        words = f"I see {_FINDINGS[(n + self.seed) % 4]}, as system {self.seed} reads it."
        return Prediction(
            sample.id, text=words, images=(noise(10_000 * (1 + self.seed) + n, self.side),)
        )

    def passport(self) -> dict[str, Any]:
        return {"model": f"noise {self.seed}"}


class Counted(Protocol):
    """A chat that leaves a line for every request."""

    log: Path
    rest: int  # tokens that come behind the user's words

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]: ...

    def passport(self) -> Mapping[str, Any]: ...


def note(
    log: Path, chains: Sequence[Sequence[ChatRequest]], replies: Sequence[Sequence[ChatReply]]
) -> None:
    """Leave a line for every request: its sample, its tokens, those that the cache had."""
    with log.open("a") as lines:
        for chain, answers in zip(chains, replies, strict=True):
            for asked, reply in zip(chain, answers, strict=True):
                usage = reply.usage
                row = [asked.sample_id, usage.prompt_tokens, usage.cached_tokens]
                lines.write(json.dumps(row) + "\n")


class Counting(TinyVLMChat):
    """The tiny model; leaves a line for every request."""

    def __init__(self, log: str) -> None:
        super().__init__(engine=_ENGINE)
        self.log = Path(log)

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        replies = super().chat(chains)
        note(self.log, chains, replies)
        return replies

    @cached_property
    def rest(self) -> int:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(cached_model()))
        ending = "<|im_end|>\n<|im_start|>assistant\n"
        return len(tokenizer(ending, add_special_tokens=False)["input_ids"])


@dataclass(frozen=True, slots=True)
class Apart:
    """Gives every candidate's prompt a key of its own."""

    inner: Counted

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        return self.inner.chat([[_with_own_key(request) for request in c] for c in chains])

    def passport(self) -> Mapping[str, Any]:
        return self.inner.passport()


def _with_own_key(request: ChatRequest) -> ChatRequest:
    system, user = request.messages
    first = next(part for part in user.parts if isinstance(part, str))
    (key,) = _KEY.findall(first)
    starts = (isinstance(p, str) and p.startswith("CANDIDATE") for p in user.parts)
    at = list(starts).index(True)
    candidate = [p.mark() if isinstance(p, Captioned) else str(p) for p in user.parts[at : at + 2]]
    told = candidate[:1] if candidate[0].startswith("CANDIDATE text") else candidate
    own = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    parts = [part.replace(key, own) if isinstance(part, str) else part for part in user.parts]
    return replace(request, messages=(system, Message("user", tuple(parts))))


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a sample's prompts: where the rubric ends, and where instruction and input do."""

    rubric: int
    shared: int


def measure_lengths(chat: Counted, samples: Sequence[Sample]) -> dict[str, Lengths]:
    """Ask for prompts that end where the rubric does, and where the input does."""
    blanks = [Answers(0, 28).answer(sample) for sample in samples]
    sizes = [
        [v.usage.prompt_tokens - chat.rest for v in judge.judge(samples, blanks)[::2]]
        for judge in (ChatJudge(_Listening(chat, parts), **_JUDGE) for parts in (0, 3))
    ]
    return {s.id: Lengths(r, e) for s, r, e in zip(samples, *sizes, strict=True)}


class _Listening:
    """Cuts what the user says to its first parts: instruction, a line, the input's picture."""

    def __init__(self, chat: Counted, parts: int) -> None:
        self.inner, self.parts = chat, parts

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        return self.inner.chat([[self._cut(request) for request in chain] for chain in chains])

    def _cut(self, request: ChatRequest) -> ChatRequest:
        system, user = request.messages
        kept = user.parts[: self.parts] or ("",)
        sampling = Sampling(max_tokens=1)
        return ChatRequest((system, Message("user", kept)), sampling, None, request.sample_id)

    def passport(self) -> Mapping[str, Any]:
        return self.inner.passport()


def judge_in_one_run(
    folder: Path, chat: str, count: int, side: int, prompt: str = "judge/1"
) -> list[Sample]:
    """A run of the driver: eight systems, one judge. Returns the benchmark's samples."""
    objects = connect(str(folder / "store"))
    manifest = import_benchmark(Questions(count, side), objects, ImportOptions("made", 64))
    inner = {"target": chat, "kwargs": {"log": str(folder / "together")}}
    said = {"chat": inner, "sampling": {"max_tokens": 4}, "prompt": prompt, **_JUDGE}
    judge = Model(Spec("chat-judge", said), Resources(cpus=1))
    systems = tuple(System(f"noise-{n}", _system(n, side)) for n in range(SYSTEMS))
    plan = make_plan(Recipe("judging", systems, {}, judges={"tiny": judge}), manifest)
    reader = RunReader(objects, plan)
    ending = carry_out(reader, survey(reader), LocalPool(), Options())
    if ending.failed:
        raise RuntimeError(str(ending.failed))
    return [s for shard in range(plan.shards) for s in reader.benchmark.samples(shard)]


def _system(seed: int, side: int) -> Model:
    said = {"seed": seed, "side": side}
    return Model(Spec("benchmarks.judging:Answers", said), Resources(cpus=0.1))


def judge_apart(chat: Counted, samples: Sequence[Sample], side: int) -> None:
    """One system after the other."""
    judge = ChatJudge(Apart(chat), sampling={"max_tokens": 4}, **_JUDGE)
    for n in range(SYSTEMS):
        judge.judge(samples, [Answers(n, side).answer(sample) for sample in samples])


def summary(log: Path, lengths: Mapping[str, Lengths]) -> dict[str, Any]:
    """What a log of requests comes to. A sample has two views of each system."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    asked = computed = prompt = cached = rubric = 0
    for sample, tokens, hit in rows:
        size = lengths[sample]
        asked += size.shared - size.rubric
        computed += size.shared - min(max(hit, size.rubric), size.shared)
        prompt, cached, rubric = prompt + tokens, cached + hit, rubric + size.rubric
    once = 2 * sum(lengths[s].shared - lengths[s].rubric for s in {row[0] for row in rows})
    return {
        "requests": len(rows),
        "prompt_tokens": prompt,
        "of_these_rubric": rubric,
        "of_these_instruction_and_input": asked,
        "uncached_tokens": prompt - cached,
        "cached_share": round(cached / prompt, 3),
        "instruction_and_input_computed_a_sample_and_view": round(computed / once, 3),
    }


def compare(folder: Path, chat: Counted, samples: Sequence[Sample], side: int) -> dict[str, Any]:
    """What the run's log comes to, beside the same judge asked for one system after the other."""
    chat.log = folder / "apart"
    judge_apart(chat, samples, side)
    chat.log = folder / "lengths"
    lengths = measure_lengths(chat, samples)
    together, apart = (summary(folder / name, lengths) for name in ("together", "apart"))
    share = together["uncached_tokens"] / apart["uncached_tokens"]
    return {"together": together, "apart": apart, "uncached_of_apart": round(share, 3)}


def measure(folder: Path, count: int, side: int, prompt: str = "judge/1") -> dict[str, Any]:
    """Both ways on the tiny model, and what one is to the other."""
    samples = judge_in_one_run(folder, "benchmarks.judging:Counting", count, side, prompt)
    chat = Counting(str(folder / "apart"))
    try:
        return compare(folder, chat, samples, side)
    finally:
        chat.close()


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--side", type=int, default=224, help="of the pictures, in pixels")
    parser.add_argument("--prompt", default="judge/1")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), asked.samples, asked.side, asked.prompt)
    found = {"systems": SYSTEMS, **vars(asked), **found}
    print(json.dumps(found, indent=1))
    print(keep(f"judging-{asked.prompt.replace('/', '-')}", found))


if __name__ == "__main__":
    main()
