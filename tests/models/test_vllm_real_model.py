"""A real language model that sees no picture: through the engine, under conditions, over HTTP."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import medgen
from models.composed import systems
from models.vllm_server import served
from torch import Tensor

from medgen.adapters.mini.build import build_mini
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.vllm_engine import VLLMChat
from medgen.engine.answers.closed import answers_right, right_options
from medgen.engine.answers.options import options_of
from medgen.engine.chat.answering import AnswerStyle, answer_request
from medgen.engine.chat.messages import Sampling
from medgen.engine.data import Prediction, Request, Sample
from medgen.engine.results.calibration import CALIBRATION, CalibrationRow
from medgen.engine.results.conditions import CONDITIONS, ConditionEffect
from medgen.launch.commands.results import open_run
from medgen.launch.report.tables import number

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
NAME = "smollm2-135m"
CHOICES = {"name": "choices", "tasks": ["multiple-choice"], "expected_count": 24}
WORDS = {"style": {"images": 0, "sampling": {"max_tokens": 64}}}


def folder_of(weights: Path) -> str:
    return str(weights / "smollm2-135m-instruct")


def chat(weights: Path) -> dict[str, Any]:
    """The preset's own, with the folder of these tests."""
    model = systems()[NAME].answer
    assert model is not None
    kwargs = {**model.kwargs["chat"]["kwargs"], "model": folder_of(weights)}
    return {"target": "vllm", "kwargs": kwargs}


def samples() -> list[Sample]:
    return [s for s in build_mini() if isinstance(s, Sample)]


def run(tmp_path: Path, system: Mapping[str, Any], *more: str) -> tuple[Path, str]:
    """A run of the miniature's multiple-choice items: its store, and what the command said."""
    store, file = tmp_path / "store", tmp_path / "real.yaml"
    text = {
        "name": "real",
        "store": str(store),
        "benchmark": {"name": "mini", "source": "mini", "shard_size": 12, "subset": CHOICES},
        "systems": [system],
        "protocol": "choices",
        "cluster": "in-process",
    }
    file.write_text(yaml.safe_dump(text))
    done = medgen("run", "--config", str(file), "report=false", "allowed_failures=0.2", *more)
    assert done.returncode == 0, done.stderr[-3000:]
    return store, done.stdout


@pytest.fixture
def engine(real_weights: Path) -> Iterator[VLLMChat]:
    engine = VLLMChat(**chat(real_weights)["kwargs"])
    yield engine
    engine.close()


def test_it_answers_in_words_and_tells_an_editor_what_to_do(engine: VLLMChat) -> None:
    model = systems()[NAME].answer
    assert model is not None
    system = Answers(**{**model.kwargs, "chat": engine})
    closed = [s for s in samples() if s.task == "multiple-choice"][:6]
    edits = [s for s in samples() if s.form == "image"][:3]
    found = system.predict([Request(s) for s in (*closed, *edits)])
    assert {p.status for p in found} == {"ok"}
    assert all(
        answers_right(s, p.text or "") is not None for s, p in zip(closed, found, strict=False)
    )
    said = [p.image_prompt or "" for p in found[len(closed) :]]
    assert all(len(words.split()) > 3 for words in said)
    assert {p.details["pictures_left_out"] for p in found} <= {"1", "2", "3"}
    about = system.passport()["about"]
    assert (about["model"], about["licence"]) == ("SmolLM2-135M-Instruct", "Apache-2.0")
    assert "no picture" in about["note"]


@pytest.mark.trial
def test_without_pictures_it_says_what_it_said_of_them(real_weights: Path, tmp_path: Path) -> None:
    """It never saw one: the words alone give away all that it knows, and each row has its pair."""
    model = systems()[NAME].answer
    assert model is not None
    kwargs = {**model.kwargs["chat"]["kwargs"], "model": folder_of(real_weights)}
    answer = {
        "target": "answers",
        "kwargs": {**WORDS, "chat": {"target": "vllm", "kwargs": kwargs}},
    }
    system = {"name": "blind", "gives": ["choice"], "answer": answer}
    store, said = run(tmp_path, system, "conditions=[no-image]")
    reader = open_run(str(store), "real")
    right: dict[str, list[float]] = {"blind": [], "blind@no-image": []}
    texts: dict[str, list[str]] = {"blind": [], "blind@no-image": []}
    for shard in range(reader.plan.shards):
        asked = [s for s in reader.benchmark.samples(shard) if s.asks == "choice"]
        for name, values in right.items():
            given = reader.predictions(name, shard)
            assert [p.sample_id for p in given] == [s.id for s in asked]
            values += [
                float(answers_right(s, p.text or "") is True)
                for s, p in zip(asked, given, strict=True)
            ]
            texts[name] += [p.text or "" for p in given]
    (row,) = [
        e
        for e in CONDITIONS.read(reader.objects, reader.plan.run_id)
        if e.output == "correct_or_wrong"
    ]
    check_row(row, right)
    # Its prompt loses no more than the marks of pictures that it was never shown.
    same = sum(a == b for a, b in zip(*texts.values(), strict=True))
    assert same >= 22
    assert row.flips is not None
    assert row.flips <= 2 / 24
    shown = [line for line in said.splitlines() if line.startswith("no-image         blind ")]
    means = f"{number(row.full):>6}{number(row.under):>7}"
    assert len(shown) == 2
    assert means in shown[0]


def check_row(row: ConditionEffect, right: Mapping[str, Sequence[float]]) -> None:
    full, under = (sum(values) / len(values) for values in right.values())
    assert (row.system, row.condition, row.n, row.left_out) == ("blind", "no-image", 24, 0)
    assert row.full == pytest.approx(full)
    assert row.under == pytest.approx(under)
    assert row.drop == pytest.approx(full - under)
    assert row.chance == pytest.approx(0.25)
    worse = sum(a > b for a, b in zip(*right.values(), strict=True))
    assert row.harmful == pytest.approx(worse / 24)


@pytest.fixture(scope="module")
def server(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("serve")
    with served(Path(folder_of(real_weights)), "smollm2", logs, "--max-num-seqs", "8") as url:
        yield url


class ByHand:
    """What the model's own logits say, by transformers, one question at a time."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def odds(self, sample: Sample, style: AnswerStyle) -> tuple[int, list[float]]:
        """Tokens of the prompt, and the probability of every option's letter as the first token."""
        request = answer_request(sample, (), style, 0)
        turns = [
            {"role": m.role, "content": "\n".join(p for p in m.parts if isinstance(p, str))}
            for m in request.messages
        ]
        asked: Any = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        ids: Tensor = asked["input_ids"]
        with torch.inference_mode():
            logits: Tensor = self.model(ids).logits[0, -1].double()
        likely = torch.softmax(logits, 0)
        top = torch.topk(likely, style.sampling.logprobs)
        letters = [option.label.strip(" .") for option in options_of(sample.choices).each]
        masses = [0.0] * len(letters)
        for mass, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
            word = self.tokenizer.decode([token]).strip(" .:()")
            if word in letters:
                masses[letters.index(word)] += mass
        return ids.shape[1], [mass / math.fsum(masses) for mass in masses]


@pytest.mark.trial
def test_log_probabilities_of_options_are_those_of_the_models_logits(
    real_weights: Path, server: str, tmp_path: Path
) -> None:
    style = {"images": 0, "sampling": {"max_tokens": 64, "logprobs": 20}}
    chat = {
        "target": "openai",
        "kwargs": {"model": "smollm2", "endpoint": {"base_url": server}, "fields": "vllm"},
    }
    answer = {"target": "answers", "kwargs": {"style": style, "chat": chat}}
    system = {"name": "served", "gives": ["choice"], "answer": answer}
    store, said = run(tmp_path, system)
    reader = open_run(str(store), "real")
    by_hand = ByHand(folder_of(real_weights))
    asked: list[tuple[Sample, Prediction]] = []
    for shard in range(reader.plan.shards):
        given = {p.sample_id: p for p in reader.predictions("served", shard)}
        asked += [(s, given[s.id]) for s in reader.benchmark.samples(shard) if s.id in given]
    assert len(asked) == 24
    odds = []
    for sample, prediction in asked:
        length, expected = by_hand.odds(
            sample, AnswerStyle(images=0, sampling=Sampling(logprobs=20))
        )
        assert prediction.usage.prompt_tokens == length
        # A reply that lists all options chose none of them.
        if told := prediction.details.get("options"):
            assert told == pytest.approx(expected, abs=1e-3)
            odds.append((sample, expected))
    assert len(odds) >= 8
    (row,) = CALIBRATION.read(reader.objects, reader.plan.run_id)
    check_calibration(row, odds)
    assert "Probabilities of options: expected calibration error" in said


def check_calibration(row: CalibrationRow, odds: Sequence[tuple[Sample, Sequence[float]]]) -> None:
    squares: list[float] = []
    bins: dict[int, list[float]] = {}
    for sample, likely in odds:
        (right,) = right_options(sample)
        squares.append(sum((p - (at == right)) ** 2 for at, p in enumerate(likely)))
        best = max(range(len(likely)), key=likely.__getitem__)
        own = bins.setdefault(min(int(likely[best] * 15), 14), [])
        own.append(likely[best] - (best == right))
    assert (row.system, row.n, row.without) == ("served", len(odds), 24 - len(odds))
    assert row.brier == pytest.approx(sum(squares) / len(odds), abs=2e-3)
    error = sum(abs(sum(gaps)) for gaps in bins.values()) / len(odds)
    assert row.ece == pytest.approx(error, abs=2e-3)
