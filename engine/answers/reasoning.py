"""What a model said after it had thought.

Models that reason aloud put their thoughts before the answer, between marks that the server may
or may not take out, and some wrap the answer too. What stands before the last mark that closes a
thought is thought, whether or not it was ever opened; a thought that never ends leaves nothing
said; what an answer's wrapper holds is the answer.
"""

import re
from dataclasses import dataclass

# Spellings of the marks, by the models that write them.
_NAMES = (
    r"(?:(?!end[_▁])[\w:]{0,20}?(?:think(?:ing)?|thoughts?|reason(?:ing)?(?:_content)?|monologue|cot|reflection|scratchpad|analysis)"
    r"(?:_never_used_\w{0,40})?|unused94)"
)
_BAR, _BEGIN = r"[|｜]?", r"(?:(?:begin|start)[_▁](?:of[_▁])?)?"
_MARK = re.compile(
    rf"(?P<open><{_BAR}\s?{_BEGIN}{_NAMES}\s?(?:\s[a-z]{{1,20}}=[^<>\n]{{0,60}})?{_BAR}>|◁think▷|\[THINK\]|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel\|>\s?(?:analysis|commentary)\s?<\|message\|>)"
    rf"|(?P<close><{_BAR}\s?(?:\\?/|end[_▁](?:of[_▁])?)\s?{_NAMES}\s?{_BAR}>|<unused95>|◁/think▷|\[/THINK\]|<\|end_of_thought\|>"
    r"|<\|END_THINKING\|>|<\|channel\|>\s?final\s?<\|message\|>)",
    re.IGNORECASE,
)
_HELD = r"(?:(?:final_?)?answer|ans|final|conclusion|response|output|result|solution)"
_ANSWER = re.compile(
    rf"<\s?{_HELD}\s?>|\[ANSWER\]|<\|begin_of_(?:box|solution)\|>|<\|START_RESPONSE\|>",
    re.IGNORECASE,
)
_ANSWERED = re.compile(
    rf"<\s?/\s?{_HELD}\s?>|\[/ANSWER\]|<\|end_of_(?:box|solution)\|>|<\|END_RESPONSE\|>",
    re.IGNORECASE,
)
# Ends of a turn that a server without the right template leaves in the text.
_TURN_START = re.compile(
    r"\A\s*(?:<\|assistant\|>|<\|(?:im_start|start)\|>\s?assistant\b|<start_of_turn>\s?model\b"
    r"|<\|start_header_id\|>\s?assistant\s?<\|end_header_id\|>)\s*"
)
# Thoughts under a heading, in a fence or folded away, with which a reply begins.
_HEADED = re.compile(
    r"\A\s*(?:#{1,4}\s?\**(?:thinking|thought process|reasoning)\**:?[ \t]*\n(?P<headed>.*?)"
    r"\n\s*#{1,4}\s?\**final (?:response|answer)\**:?[ \t]*(?:\n|\Z)"
    r"|```(?:think(?:ing)?|thoughts?|reasoning)[ \t]*\n(?P<fenced>.*?)\n```"
    r"|<details>\s*<summary>[^<]{0,60}(?:think|thought|reason)[^<]{0,60}</summary>(?P<folded>.*?)</details>)",
    re.IGNORECASE | re.DOTALL,
)
_SELF_CLOSED = re.compile(rf"<\s?{_NAMES}\s?/>", re.IGNORECASE)
_ESCAPED = re.compile(rf"&lt;(\s?/?\s?(?:{_NAMES}|{_HELD})\s?)&gt;", re.IGNORECASE)
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
    text = _ESCAPED.sub(r"<\1>", text) if "&lt;" in text else text
    text = _SELF_CLOSED.sub("", _HEADED.sub(_in_marks, text))
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


def _in_marks(found: re.Match[str]) -> str:
    return f"<think>{found[found.lastgroup or 0]}</think>"


def _without_wrapper(text: str) -> str:
    starts = [found.end() for found in _ANSWER.finditer(text)]
    if starts:
        ends = [*(found.start() for found in _ANSWER.finditer(text)), len(text)][1:]
        held = (text[start:end] for start, end in zip(starts, ends, strict=True))
        said = "\n".join(dict.fromkeys(_ANSWERED.split(words)[0].strip() for words in held))
        # An empty wrapper holds no answer; what stands beside it may be one.
        text = said if said.strip() else _ANSWER.sub("", text)
    return _TURN_END.sub("", _TURN_START.sub("", _ANSWERED.sub("", text))).strip()
