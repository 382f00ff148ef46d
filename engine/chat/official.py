"""Prompts as the authors of benchmarks, or the harnesses that are usual for them, put a question.

They go with answers in words only. Short public instructions, each with the place it is from; the
sentences around them are none of ours, so a number can stand beside a published one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from medgen.engine.answers.options import options_in, options_of
from medgen.engine.chat.messages import Message
from medgen.engine.chat.questions import demonstrations, with_images
from medgen.engine.chat.quoting import defang
from medgen.engine.data import Image, Sample

_LETTER = "Answer with the option's letter from the given choices directly."
_PHRASE = "Answer the question using a single word or phrase."
_ZH = "\u8bf7\u7528\u4e00\u4e2a\u8bcd\u6216\u77ed\u8bed\u56de\u7b54\u95ee\u9898\u3002"
YES_NO = "yes-no"  # a choice between yes and no, whose options are not listed


@dataclass(frozen=True, slots=True)
class OfficialPrompt:
    """How a question is put: `before` it, its options after `heading`, and what follows.

    `after` is by what is asked (`choice`, `text` …, `yes-no`), `languages` by language, then so.
    """

    source: str
    after: Mapping[str, str]
    before: str = ""
    heading: str = ""
    option: str = "{label}. {words}"
    languages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


OFFICIAL: Mapping[str, OfficialPrompt] = {
    "official:mmmu": OfficialPrompt(
        source="MMMU-Benchmark/MMMU, mmmu/configs/llava1.5.yaml",
        after={"choice": _LETTER, "text": _PHRASE},
        option="({label}) {words}",
    ),
    "official:vlmevalkit": OfficialPrompt(
        source="open-compass/VLMEvalKit, vlmeval/dataset/image_mcq.py, build_prompt",
        before="Question: ",
        heading="Options:",
        after={"choice": "Please select the correct answer from the options above."},
    ),
    "official:medevalkit": OfficialPrompt(
        source="alibaba-damo-academy/MedEvalKit, utils/VQA_RAD, utils/MMMU",
        after={
            "choice": _LETTER,
            YES_NO: "Please output 'yes' or 'no'(no extra output).",
            "text": "Please answer the question concisely.",
        },
    ),
    "official:slake": OfficialPrompt(
        source="alibaba-damo-academy/MedEvalKit, utils/SLAKE",
        after={"choice": _LETTER, YES_NO: _PHRASE, "text": _PHRASE},
        languages=dict.fromkeys(("zh", "chinese"), dict.fromkeys((YES_NO, "text"), _ZH)),
    ),
}


def official_messages(
    prompt: OfficialPrompt, sample: Sample, images: Sequence[Image]
) -> tuple[Message, ...]:
    """The turns of a chat that put a sample in this way; there is no system message."""
    kind = YES_NO if _is_yes_no(sample) else sample.asks
    language = (sample.language or sample.groups.get("language", "")).casefold()
    after = prompt.languages.get(language, prompt.after).get(kind, "")
    context = f"{defang(sample.context)}\n" if sample.context else ""
    listed = "" if kind == YES_NO else _options(prompt, sample)
    rest = "".join(f"\n{line}" for line in (listed, after) if line)
    asked = with_images(sample, images, (f"{context}{prompt.before}", rest))
    return (*demonstrations(sample), asked)


def _options(prompt: OfficialPrompt, sample: Sample) -> str:
    if not sample.choices or options_in(sample.instruction):
        return ""
    lines = [
        prompt.option.replace("{label}", option.label).replace("{words}", defang(option.words))
        for option in options_of(sample.choices).each
    ]
    return "\n".join((prompt.heading, *lines) if prompt.heading else lines)


def _is_yes_no(sample: Sample) -> bool:
    return sorted(choice.strip().casefold() for choice in sample.choices) == ["no", "yes"]
