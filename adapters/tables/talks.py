"""Conversations in one row: which of its messages is asked, and which demonstrate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.paths import Missing, as_text, at
from medgen.adapters.tables.rows import Place
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


def converse(gathered: Iterator[Gathered], talk: Conversation) -> Iterator[Gathered]:
    """The rows of every item: one for each question, with `_question`, `_answer`, `_number`."""
    for one in gathered:
        if one.fault:
            yield one
            continue
        row = one.rows[-1]
        try:
            pairs = list(_pairs(_messages(row, talk), talk))
        except FaultyContent as err:
            yield Gathered(one.place, fault=f"`conversation`: {err}")
            continue
        rows = [
            {**row, "_question": question, "_answer": answer, "_number": number}
            for number, (question, answer) in enumerate(pairs)
        ]
        first = 1 if talk.asks == "every" else len(rows)
        for count in range(first, len(rows) + 1):
            yield Gathered(one.place, tuple(rows[:count]), talk=True)


def _messages(row: Row, talk: Conversation) -> list[object]:
    """The messages of a row, or of the columns of their roles and words.

    Raises:
        FaultyContent: there is no list of them, or there are too many.
    """
    if talk.of:
        return _list(row, talk.of)
    one, other = sides(talk)
    left, right = _list(row, one), _list(row, other)
    if len(left) != len(right):
        raise FaultyContent(f"{len(left)} of {one!r} and {len(right)} of {other!r}")
    return [{one: this, other: that} for this, that in zip(left, right, strict=True)]


def sides(talk: Conversation) -> tuple[str, str]:
    """The columns that stand side by side where there is no list of messages; else empty ones."""
    if talk.of:
        return "", ""
    return (talk.question, talk.answer) if talk.question else (talk.role, talk.text)


def _list(row: Row, column: str) -> list[object]:
    found = at(row, column)
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_MESSAGES:
        missing = " (there is no such column)" if isinstance(found, Missing) else ""
        raise FaultyContent(f"{column!r} is no list of 1 to {_MOST_MESSAGES:,} messages{missing}")
    return found


def _pairs(messages: list[object], talk: Conversation) -> Iterator[tuple[str, str]]:
    """Every question with its answer; that of a last question without one is empty.

    Raises:
        FaultyContent: there is no question.
    """
    asked, any_asked = "", False
    for speaker, words in _spoken(messages, talk):
        if speaker == "user":
            asked = f"{asked}\n{words}" if asked else words
        elif asked:
            yield asked, words
            asked, any_asked = "", True
    # A question that nobody answered in it is the one that is asked, and its answer a column.
    if asked and talk.asks == "last":
        yield asked, ""
    elif not any_asked:
        raise FaultyContent(f"{talk.of or talk.text!r} has no question with an answer behind it")


def _spoken(messages: list[object], talk: Conversation) -> Iterator[tuple[str, str]]:
    """Who says what, but for what is empty and for the words of the system."""
    for number, message in enumerate(messages):
        if talk.question:
            said = [("user", _words(message, (talk.question,)))]
            said.append(("assistant", _words(message, (talk.answer,))))
        elif isinstance(message, str):
            said = [("assistant" if number % 2 else "user", message)]
        else:
            said = [(_role(message, talk), _text(message, talk))]
        yield from ((who, words) for who, words in said if words and who != "system")


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
        texts = [at(part, "text") if isinstance(part, Mapping) else part for part in value]
        return "\n".join(text for text in texts if isinstance(text, str)).strip()
    return as_text(value, "a message").strip()
