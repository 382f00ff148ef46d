"""Conversations in one row: which of its messages is asked, and which demonstrate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.lines import FaultyRow
from medgen.adapters.tables.paths import Missing, as_text, at
from medgen.adapters.tables.rows import Found, Place
from medgen.adapters.tables.settings import Conversation
from medgen.adapters.tables.values import Row, same

_ROLES = ("role", "from")
_TEXTS = ("content", "value", "text")
_MOST_MESSAGES = 1_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows that become one item: the last is asked, those before it demonstrate."""

    place: Place
    rows: tuple[Row, ...] = ()
    fault: str = ""
    talk: bool = False  # the rows are turns of one conversation, which has its pictures once


def converse(found: Iterator[Found], talk: Conversation) -> Iterator[Gathered]:
    """The rows of every item: one for each question, with `_question`, `_answer`, `_number`."""
    for place, row in found:
        if isinstance(row, FaultyRow):
            yield Gathered(place, fault=row.what)
            continue
        try:
            pairs = list(_pairs(at(row, talk.of), talk))
        except FaultyContent as err:
            yield Gathered(place, fault=f"`conversation`: {err}")
            continue
        rows = [
            {**row, "_question": question, "_answer": answer, "_number": number}
            for number, (question, answer) in enumerate(pairs)
        ]
        first = 1 if talk.asks == "every" else len(rows)
        for count in range(first, len(rows) + 1):
            yield Gathered(place, tuple(rows[:count]), talk=True)


def _pairs(messages: object, talk: Conversation) -> Iterator[tuple[str, str]]:
    """Every question that was answered, with its answer.

    Raises:
        FaultyContent: there is no list of messages, or none of them is answered.
    """
    if not isinstance(messages, list) or not 1 <= len(messages) <= _MOST_MESSAGES:
        missing = " (there is no such column)" if isinstance(messages, Missing) else ""
        raise FaultyContent(f"{talk.of!r} is no list of 1 to {_MOST_MESSAGES:,} messages{missing}")
    asked, answered = "", False
    for number, message in enumerate(messages):
        if talk.question:
            asked, reply = _words(message, (talk.question,)), _words(message, (talk.answer,))
        elif isinstance(message, str):
            asked, reply = (asked, message) if number % 2 else (message, "")
        else:
            speaker, words = _role(message, talk), _text(message, talk)
            asked, reply = (words, "") if speaker == "user" else (asked, words)
            if speaker == "system":
                continue
        if asked and reply:
            yield asked, reply
            asked, answered = "", True
    if not answered:
        raise FaultyContent(f"{talk.of!r} has no question with an answer behind it")


def _role(message: object, talk: Conversation) -> str:
    said = _words(message, (talk.role,) if talk.role else _ROLES)
    for name, words in (("user", talk.user), ("assistant", talk.assistant)):
        if any(same(said, word) for word in words):
            return name
    if same(said, "system"):
        return "system"
    known = ", ".join((*talk.user, *talk.assistant))
    raise FaultyContent(f"role {said[:40]!r} is none of {known}; `user` and `assistant` say more")


def _text(message: object, talk: Conversation) -> str:
    return _words(message, (talk.text,) if talk.text else _TEXTS)


def _words(message: object, names: tuple[str, ...]) -> str:
    if not isinstance(message, Mapping):
        raise FaultyContent(f"a message is {type(message).__name__}, no object")
    value = next((v for n in names if not isinstance(v := at(message, n), Missing)), None)
    if value is None:
        there = ", ".join(map(str, message))
        raise FaultyContent(f"a message has none of {', '.join(names)}; it has {there[:120]}")
    if isinstance(value, list):  # parts, as OpenAI has them: the texts of them
        texts = [at(part, "text") for part in value if isinstance(part, Mapping)]
        return "\n".join(text for text in texts if isinstance(text, str)).strip()
    return as_text(value, "a message").strip()
