"""What a model said after it had thought.

Models that reason aloud put their thoughts before the answer, between marks that the server may
or may not take out, and some wrap the answer too. What stands before the last mark that closes a
thought is thought, whether or not it was ever opened; a thought that never ends leaves nothing
said; what an answer's wrapper holds is the answer.
"""

import re
from dataclasses import dataclass

# Spellings of the marks, by the models that write them.
_NAMES = r"(?:think(?:ing)?|thought|reason(?:ing)?|seed:think|unused94)"
_MARK = re.compile(
    rf"(?P<open><\s?{_NAMES}\s?>|◁think▷|\[THINK\]|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel\|>\s?(?:analysis|commentary)\s?<\|message\|>)"
    rf"|(?P<close><\s?/\s?{_NAMES}\s?>|<unused95>|◁/think▷|\[/THINK\]|<\|end_of_thought\|>"
    r"|<\|END_THINKING\|>|<\|channel\|>\s?final\s?<\|message\|>)",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"<\s?answer\s?>|<\|begin_of_(?:box|solution)\|>|<\|START_RESPONSE\|>", re.IGNORECASE
)
_ANSWERED = re.compile(
    r"<\s?/\s?answer\s?>|<\|end_of_(?:box|solution)\|>|<\|END_RESPONSE\|>", re.IGNORECASE
)
# Ends of a turn that a server without the right template leaves in the text.
_TURN_END = re.compile(r"(?:<\|(?:im_end|eot_id|end|return|endoftext)\|>|</s>|<end_of_turn>)\s*\Z")


@dataclass(frozen=True, slots=True)
class Said:
    """The two halves of a reply: what was thought, and what was answered (stripped)."""

    thought: str
    answer: str


def part_thoughts(text: str) -> Said:
    """Part a reply into its thought and its answer.

    Any number of thoughts may stand in it. A close that nothing opened makes a thought of all
    that was said before it, unless that would leave nothing of a reply whose thought had ended
    already. A thought that is never closed ends with the reply. Several wrapped answers are kept,
    one a line.
    """
    thought: list[str] = []
    spoken: list[str] = []
    before: list[str] = []  # what was said when a second close came that nothing opened
    thinking = ended = False
    place = 0
    for mark in _MARK.finditer(text):
        (thought if thinking else spoken).append(text[place : mark.start()])
        place = mark.end()
        opened = mark.lastgroup == "open"
        if not opened and not thinking:
            before = spoken if ended else []
            thought += spoken
            spoken = []
        thinking, ended = opened, ended or not opened
    (thought if thinking else spoken).append(text[place:])
    answer = _without_wrapper("".join(spoken)) or _without_wrapper("".join(before))
    return Said("".join(thought).strip(), answer)


def _without_wrapper(text: str) -> str:
    starts = [found.end() for found in _ANSWER.finditer(text)]
    if starts:
        ends = [*(found.start() for found in _ANSWER.finditer(text)), len(text)][1:]
        held = (text[start:end] for start, end in zip(starts, ends, strict=True))
        text = "\n".join(dict.fromkeys(_ANSWERED.split(words)[0].strip() for words in held))
    return _TURN_END.sub("", _ANSWERED.sub("", text)).strip()
