"""The project's systems, chat models and judges by logical name. Imports none of them."""

from dataclasses import replace

from medgen.engine.registry import Component

_HERE = "medgen.adapters"
_SYSTEM = ("answer", "render")


def _system(name: str, target: str, settings: str, extra: str = "") -> Component:
    return Component(name, "systems", f"{_HERE}.{target}", extra, f"{_HERE}.{settings}", _SYSTEM)


def _chat(name: str, target: str, settings: str, extra: str) -> Component:
    """A chat model: part of `answers` and of `chat-judge`, no stage of its own."""
    return Component(name, "systems", f"{_HERE}.{target}", extra, f"{_HERE}.{settings}")


def _judge(name: str, target: str, settings: str) -> Component:
    return Component(name, "judges", f"{_HERE}.{target}", "", f"{_HERE}.{settings}", ("judge",))


def _control(name: str, kind: str, extra: str = "") -> Component:
    return _system(name, f"controls.systems:{kind}", "controls.settings:ControlSettings", extra)


def _small(name: str, target: str) -> Component:
    """A small model with weights of ours: it takes no arguments, as controls do."""
    return _system(name, f"trained.{target}", "controls.settings:ControlSettings", "metrics")


# How replies are read was changed twice: end words, content, thoughts, refusals.
_REPLIES = 3

COMPONENTS = {
    component.name: component
    for component in (
        _system("answers", "models.answering:Answers", "models.settings:AnswersSettings"),
        _chat("vllm", "models.vllm_engine:VLLMChat", "models.settings:VLLMSettings", "device"),
        _chat(
            "transformers",
            "models.transformers_chat:TransformersChat",
            "models.settings:TransformersSettings",
            "metrics",
        ),
        replace(
            _chat(
                "openai", "models.openai_chat:OpenAIChat", "models.settings:OpenAISettings", "api"
            ),
            semantics=_REPLIES,
        ),
        _chat("tiny-vlm", "tiny.served:TinyVLMChat", "tiny.settings:TinyVLMSettings", "device"),
        replace(
            _system(
                "unified-chat",
                "models.unified:UnifiedChat",
                "models.settings:UnifiedChatSettings",
                "api",
            ),
            semantics=_REPLIES,
        ),
        _system(
            "unified-in-process",
            "models.unified:UnifiedInProcess",
            "models.settings:UnifiedInProcessSettings",
        ),
        replace(
            _system(
                "openai-images",
                "models.openai_images:OpenAIImages",
                "models.settings:OpenAIImagesSettings",
                "api",
            ),
            semantics=_REPLIES,
        ),
        _system(
            "diffusers",
            "models.diffusers_pipeline:DiffusersPipeline",
            "models.settings:DiffusersSettings",
            "images",
        ),
        _system(
            "tiny-pipeline",
            "tiny.diffusers:TinyPipeline",
            "tiny.settings:TinyPipelineSettings",
            "images",
        ),
        _system(
            "managed-server",
            "models.managed_server:ManagedServer",
            "models.settings:ManagedServerSettings",
            "api",
        ),
        Component(
            "audited",
            "systems",
            "medgen.engine.run.again:Audited",
            settings="medgen.engine.run.again:AuditedSettings",
            stages=("predictagain", "judgeagain"),
        ),
        _small("small-reader", "reader:Reader"),
        _small("small-editor", "editor:Editor"),
        _control("oracle", "Oracle"),
        _control("copy-input", "CopyInput"),
        _control("blank", "Blank"),
        replace(_control("unrelated", "Unrelated"), reads_benchmark=True),
        _control("classical", "Classical", "mini"),
        _control("empty", "Null"),
        replace(
            _system("replay", "controls.replay:Replay", "controls.settings:ReplaySettings"),
            semantics=2,
        ),
        replace(
            _system(
                "chaotic", "controls.chaos:ChaoticGenerator", "controls.settings:ChaoticSettings"
            ),
            reads_benchmark=True,  # as far as what is in it does
        ),
        _judge("chat-judge", "judges.chat_judge:ChatJudge", "judges.settings:ChatJudgeSettings"),
        _judge("rule-judge", "judges.rule_judge:RuleJudge", "judges.settings:RuleJudgeSettings"),
        _judge(
            "feature-judge",
            "trained.judge:FeatureJudge",
            "judges.settings:RuleJudgeSettings",
        ),
        _judge("chaotic-judge", "controls.chaos:ChaoticJudge", "controls.settings:ChaoticSettings"),
    )
}
