"""Whether a model's chat template shows it a system turn, and what is done where it does not.

Templates differ: some walk a system turn's parts, some print their Python form instead, some leave
the turn out, and some raise. A probe with words of its own tells, before anything is asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from medgen.engine.chat.messages import Message
from medgen.engine.errors import AdapterError

SystemTurn = Literal["own", "folded"]  # a turn of its own, or the head of the user's first words

_PROBES = ("Words of the system turn.", "Words of the user.")
_PARTS = "{'type'"  # how a template prints parts that it does not walk


def system_turn(render: Callable[[Sequence[Message]], str]) -> SystemTurn:
    """How the model reads what a system turn says.

    Args:
        render: turns as the text that the model is given.

    Raises:
        AdapterError: neither way shows the model what it is told.
    """
    system, user = _PROBES
    turns = (Message("system", (system,)), Message("user", (user,)))
    if not (first := _fault(render, turns)):
        return "own"
    if not (second := _fault(render, fold_system(turns))):
        return "folded"
    raise AdapterError(
        "the chat template does not show the model what it is told: with a system turn "
        f"{first}, without one {second}; give `template: {{chat_template: FILE}}`"
    )


def fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The turns without a system turn: what it says stands before the user's first words."""
    if not messages or messages[0].role != "system":
        return tuple(messages)
    said = "\n\n".join(str(part) for part in messages[0].parts)
    first, *later = messages[1:] or (Message("user", ()),)
    at = next((i for i, part in enumerate(first.parts) if isinstance(part, str)), None)
    if at is None:
        parts = (*first.parts, said)
    else:
        parts = (*first.parts[:at], f"{said}\n\n{first.parts[at]}", *first.parts[at + 1 :])
    return (replace(first, parts=parts), *later)


def _fault(render: Callable[[Sequence[Message]], str], turns: Sequence[Message]) -> str:
    """What is wrong with how turns are rendered; empty when the model reads them all."""
    try:
        text = render(turns)
    except Exception as err:  # noqa: BLE001 - a template raises what it likes
        return f"it fails ({' '.join(str(err).split())[:160] or type(err).__name__})"
    if _PARTS in text:
        return "it prints Python in place of the words"
    words = [str(part) for turn in turns for part in turn.parts]
    lost = [line for word in words for line in word.split("\n\n") if line not in text]
    return f"it leaves out {lost[0]!r}" if lost else ""
