"""Answers in words without a model: what the question itself gives away."""

import re

from medgen.engine.data import Sample

_WORD = re.compile(r"[^\W\d_]{3,}")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "the this that which what where who how did does was were are and for with from into its "
        "one each picture image show shows name write fill blank word phrase made done",
    )
)


def rule_answer(sample: Sample) -> str:
    """The option that shares most words with the question, or the question's words in a form.

    Looks at the task, the instruction and the options; not at the reference.
    """
    if sample.choices:
        return _likeliest(sample)
    topic = " ".join(_topic(sample.instruction)) or "no finding"
    if sample.task == "report-generation":
        return f"FINDINGS: The picture shows {topic}.\nIMPRESSION: No acute abnormality is seen."
    if sample.task == "blank-filling":
        return topic.rpartition(" ")[2]
    if sample.form == "image+text":
        return f"The picture was changed as asked: {topic}."
    return f"The picture shows {topic}."


def _likeliest(sample: Sample) -> str:
    question = sample.instruction
    for choice in sample.choices:  # options repeated in the question are no hint
        question = question.replace(choice, " ")
    asked = set(_topic(question))
    shared = [len(asked & set(_topic(choice))) for choice in sample.choices]
    return sample.choices[shared.index(max(shared))]


def _topic(text: str) -> list[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return [word for word in dict.fromkeys(words) if word not in _STOP]
