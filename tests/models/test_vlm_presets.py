"""Presets name models that this vLLM serves, and arguments that it and our adapters know."""

import dataclasses
import inspect
from typing import Any

import pytest
from models.composed import judges, systems

from medgen.adapters.judges.chat_judge import ChatJudge
from medgen.adapters.models.answering import Answers
from medgen.adapters.models.openai_chat import OpenAIChat
from medgen.adapters.models.settings import HARMLESS, VLLMExecution
from medgen.adapters.models.vllm_engine import ADVICE, VLLMChat, advice, architectures
from medgen.adapters.tiny.served import TinyVLMChat
from medgen.conf.loading import facts_of, group_names
from medgen.engine.chat.answering import AnswerStyle
from medgen.engine.settings import read

pytestmark = [
    pytest.mark.vllm,  # importing it takes its time
    pytest.mark.slow,
]


def presets() -> list[tuple[str, str, dict[str, Any]]]:
    """(name, target, arguments) of every system, every judge, and the chat model of each."""
    found = []

    def add(name: str, target: str, kwargs: dict[str, Any]) -> None:
        found.append((name, target, kwargs))
        if "chat" in kwargs:
            chat = kwargs["chat"]
            found.append((f"chat of {name}", chat["target"], chat.get("kwargs", {})))

    for name, system in systems().items():
        if system.answer is not None:
            add(f"system {name}", system.answer.target, system.answer.kwargs)
    for name, judge in judges().items():
        add(f"judge {name}", judge.target, judge.kwargs)
    return found


PRESETS = presets()
ENGINES = [p for p in PRESETS if p[1] == "vllm"]
SERVED: dict[str, Any] = {
    "answers": Answers,
    "vllm": VLLMChat,
    "tiny-vlm": VLLMChat,
    "openai": OpenAIChat,
    "chat-judge": ChatJudge,
}


def named_classes() -> list[str]:
    """The architectures of vLLM that presets of systems and judges name."""
    found = set()
    for group in ("system", "judge"):
        for name in group_names(group):
            facts = facts_of(group, name)
            if facts and "vllm" in facts[1].requires and facts[0].size:
                found.add(facts[1].sizes[facts[0].size].architecture)
    return sorted(found)


def names(preset: Any) -> str:
    return str(preset[0])


def parameters(made: Any) -> set[str]:
    return set(inspect.signature(made.__init__).parameters) - {"self"}


@pytest.mark.parametrize("preset", ENGINES, ids=names)
def test_engine_arguments_are_vllms(preset: Any) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    known = {f.name for f in dataclasses.fields(AsyncEngineArgs)}
    execution = read(VLLMExecution, preset[2].get("execution"), "execution")
    assert set(preset[2].get("engine", {})) <= known
    assert set(execution.engine) <= known
    # What changes answers belongs to the identity, what only runs them does not.
    assert not set(execution.engine) & {"dtype", "quantization", "max_model_len", "seed"}


@pytest.mark.parametrize("architecture", named_classes())
def test_the_class_that_a_preset_names_can_be_imported(architecture: str) -> None:
    """A registry has names only: a class may want what the installed transformers lacks."""
    from vllm import ModelRegistry

    assert inspect.isclass(ModelRegistry.models[architecture].load_model_cls())


def test_what_runs_an_engine_and_changes_no_answer_is_known_to_vllm() -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    assert {f.name for f in dataclasses.fields(AsyncEngineArgs)} >= HARMLESS


@pytest.mark.parametrize("preset", ENGINES, ids=names)
def test_gpus_match_the_parallel_sizes(preset: Any) -> None:
    kind, _, name = preset[0].rpartition(" ")
    group = "system" if kind.endswith("system") else "judge"
    if group == "system":
        model = systems()[name].answer
        assert model is not None
        resources = model.resources
    else:
        resources = judges()[name].resources
    engine = preset[2]["execution"]["engine"]
    sizes = [engine.get(f"{k}_parallel_size", 1) for k in ("tensor", "pipeline")]
    facts = facts_of(group, name)
    of_a_cpu = facts is not None and not facts[0].card
    assert resources.gpus == (0 if of_a_cpu else sizes[0] * sizes[1])
    assert 2 <= resources.in_flight <= 4, "continuous batching wants several shards at once"


@pytest.mark.parametrize("preset", [p for p in PRESETS if p[1] in SERVED], ids=names)
def test_arguments_are_ones_that_the_adapter_takes(preset: Any) -> None:
    _, target, kwargs = preset
    taken = parameters(SERVED[target]) | ({"seed"} if target == "tiny-vlm" else set())
    assert set(kwargs) <= taken
    read(AnswerStyle, kwargs.get("style"), "style")


def test_dead_ends_are_dead_and_come_with_advice(tmp_path: Any) -> None:
    from vllm import ModelRegistry

    assert not set(ADVICE) & set(ModelRegistry.get_supported_archs())
    (tmp_path / "config.json").write_text('{"architectures": ["LlavaMistralForCausalLM"]}')
    assert architectures(str(tmp_path)) == ("LlavaMistralForCausalLM",)
    assert "convert" in advice(str(tmp_path))
    assert advice("Qwen/Qwen3-VL-8B-Instruct") == ""
    assert parameters(TinyVLMChat) == {"seed", "images", "engine", "execution"}
