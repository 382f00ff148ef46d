"""The project's systems, chat models and judges by logical name. Imports none of them."""

from medgen.engine.registry import Component

_HERE = "medgen.adapters"
_SYSTEM = ("answer", "render")


def _system(name: str, target: str, extra: str = "") -> Component:
    return Component(name, "systems", f"{_HERE}.{target}", extra, stages=_SYSTEM)


def _chat(name: str, target: str, extra: str) -> Component:
    """A chat model: part of `answers` and of `chat-judge`, no stage of its own."""
    return Component(name, "systems", f"{_HERE}.{target}", extra)


def _judge(name: str, target: str) -> Component:
    return Component(name, "judges", f"{_HERE}.{target}", stages=("judge",))


COMPONENTS = {
    component.name: component
    for component in (
        _system("answers", "models.answering:Answers"),
        _chat("vllm", "models.vllm_engine:VLLMChat", "device"),
        _chat("openai", "models.openai_chat:OpenAIChat", "api"),
        _chat("tiny-vlm", "tiny.served:TinyVLMChat", "device"),
        _system("unified-chat", "models.unified:UnifiedChat", "api"),
        _system("unified-in-process", "models.unified:UnifiedInProcess"),
        _system("openai-images", "models.openai_images:OpenAIImages", "api"),
        _system("diffusers", "models.diffusers_pipeline:DiffusersPipeline", "images"),
        _system("tiny-pipeline", "tiny.diffusers:TinyPipeline", "images"),
        _system("managed-server", "models.managed_server:ManagedServer", "api"),
        _system("oracle", "controls.systems:Oracle"),
        _system("copy-input", "controls.systems:CopyInput"),
        _system("blank", "controls.systems:Blank"),
        _system("unrelated", "controls.systems:Unrelated"),
        _system("classical", "controls.systems:Classical", "mini"),
        _system("empty", "controls.systems:Null"),
        _system("replay", "controls.replay:Replay"),
        _system("chaotic", "controls.chaos:ChaoticGenerator"),
        _judge("chat-judge", "judges.chat_judge:ChatJudge"),
        _judge("rule-judge", "judges.rule_judge:RuleJudge"),
        _judge("chaotic-judge", "controls.chaos:ChaoticJudge"),
    )
}
