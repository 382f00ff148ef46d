"""Rows of a JSON document of any size, read as they stream by."""

import codecs
import json
import math
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from medgen.adapters.sources.folder import FaultyContent
from medgen.engine.bounds import RECORD

_SHOWN = 8  # keys that a message lists
_MEMBERS = 100  # that tell what a document is
_BLOCK = 2**20
_SPACE = " \t\r\n"


class JsonReader:
    """Decodes values of JSON; NaN and infinities become null and are counted."""

    def __init__(self) -> None:
        self.not_finite = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._unique,
            parse_constant=self._constant,
            parse_float=self._number,
        )

    def one(self, text: str, at: int = 0) -> tuple[object, int]:
        """A value and where it ends; see `json.JSONDecoder.raw_decode`."""
        value: object
        value, end = self._decoder.raw_decode(text, at)
        return value, end

    def line(self, line: bytes) -> object:
        """The value of one line.

        Raises:
            FaultyContent: it is no UTF-8, no JSON, or too deep.
        """
        try:
            text = line.decode("utf-8-sig")
            value, end = self.one(text, len(text) - len(text.lstrip(_SPACE)))
        except UnicodeDecodeError as err:
            what = f"not UTF-8 text ({err.reason} at byte {err.start})"
            raise FaultyContent(what) from err
        except (ValueError, RecursionError) as err:
            raise FaultyContent(f"not JSON ({err})") from err
        if text[end:].strip(_SPACE):
            raise FaultyContent(f"not JSON (more behind the value, at character {end})")
        refuse_depth(value)
        return value

    def _unique(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise FaultyContent(f"key {twice!r} stands twice in one object")
        return found

    def _constant(self, name: str) -> None:
        self.not_finite += 1

    def _number(self, digits: str) -> float | None:
        value = float(digits)
        if math.isfinite(value):
            return value
        self.not_finite += 1
        return None


def rows(
    file: BinaryIO, path: str, limit: int, reader: JsonReader
) -> Iterator[tuple[tuple[str, ...], object]]:
    """The rows of a document: what each `*` stood for, and the row.

    Args:
        file: UTF-8 JSON.
        path: to the rows: names and `*`, with points between; empty: a list, or an object that
            has its list under `rows`, or is the only row.
        limit: bytes that one row may have.
        reader: decodes, and counts what is not finite.

    Raises:
        FaultyContent: no JSON, nothing at the path, or a row above the limit.
    """
    stream = _Stream(file, limit, reader)
    steps = [step for step in path.split(".") if step]
    yield from _below(stream, steps, ())
    stream.finish()


def _below(
    stream: "_Stream", steps: list[str], keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], object]]:
    sign = stream.peek()
    if not steps:
        if sign == "[":
            for _ in stream.elements():
                yield keys, stream.value()
        else:
            yield keys, stream.value()
    elif sign == "{":
        yield from _below_object(stream, steps, keys)
    elif sign == "[" and steps[0] == "*":
        for number, _ in enumerate(stream.elements()):
            yield from _below(stream, steps[1:], keys or (str(number),))
    else:
        raise FaultyContent(f"there is no object to look for {steps[0]!r} in; is `rows` right?")


def _below_object(
    stream: "_Stream", steps: list[str], keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], object]]:
    step, found, there = steps[0], False, list[str]()
    for name in stream.members():
        there += [name] if len(there) < _SHOWN else []
        if step in ("*", name):
            found = True
            yield from _below(stream, steps[1:], (*keys, name) if step == "*" else keys)
        else:
            stream.skip()
    if not found:
        listed = f" there is {', '.join(there)}" if there else ""
        raise FaultyContent(f"there is nothing under {step!r}; is `rows` right?{listed}")


def top_members(file: BinaryIO) -> dict[str, str]:
    """The names of a document's members, and the sign with which each begins; of no object none.

    Of many, some are enough.

    Raises:
        FaultyContent: it is no JSON.
    """
    stream = _Stream(file, RECORD.bytes, JsonReader())
    found: dict[str, str] = {}
    for name in stream.members() if stream.peek() == "{" else ():
        found[name] = stream.peek()
        if len(found) == _MEMBERS:
            break
        stream.skip()
    return found


class _Stream:
    """A cursor over the text of a file, of which a little more than one value is held."""

    def __init__(self, file: BinaryIO, limit: int, reader: JsonReader) -> None:
        self._file, self._limit, self._reader = file, limit, reader
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def peek(self) -> str:
        """The next sign that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def value(self) -> object:
        """The whole value that stands here."""
        if not self.peek():
            self._broken("it ends too early", breaks_off=True)
        wanted = len(self._text) - self._at
        while True:
            whole = self._attempt()
            if whole is not None:
                value, end = whole
                self._refuse_size(end - self._at)
                refuse_depth(value)
                self._at = end
                return value
            wanted = max(2 * wanted, _BLOCK)
            while len(self._text) - self._at < wanted and self._more():
                self._refuse_size(len(self._text) - self._at)

    def _attempt(self) -> tuple[object, int] | None:
        """The value that stands here and its end; None when it goes on beyond what is held."""
        try:
            value, end = self._reader.one(self._text, self._at)
        except json.JSONDecodeError as err:
            if self._ended or not self._breaks_off(err):
                what = (
                    f"{err.msg.removesuffix(' at')} at character {err.pos - self._at} of the value"
                )
                self._broken(what, breaks_off=self._ended and self._breaks_off(err))
            return None
        except RecursionError:
            self._broken("objects and lists lie too deep")
        except ValueError as err:  # a number of thousands of digits
            self._broken(str(err))
        return (value, end) if end < len(self._text) or self._ended else None

    def _refuse_size(self, size: int) -> None:
        if size > self._limit:
            raise FaultyContent(
                f"one value has more than {self._limit:,} characters; that is no row. "
                "`rows` says where the rows are"
            )

    def skip(self) -> None:
        """Pass the value that stands here, without holding what lies in it."""
        sign = self.peek()
        if sign == "[":
            for _ in self.elements():
                self.value()
        elif sign == "{":
            for _ in self.members():
                self.value()
        else:
            self.value()

    def elements(self) -> Iterator[None]:
        """Stands before every element of a list in turn; each is to be read or skipped."""
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._next("]"):
                return

    def members(self) -> Iterator[str]:
        """The name of every member of an object; its value is to be read or skipped."""
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        seen: set[str] = set()
        while True:
            name = self.value()
            if not isinstance(name, str):
                self._broken("a name of an object is no text")
            if name in seen:
                raise FaultyContent(f"key {name!r} stands twice in one object")
            seen.add(name)
            self._expect(":")
            yield name
            if self._next("}"):
                return

    def finish(self) -> None:
        """Nothing may follow the document."""
        if self.peek():
            self._broken("more stands behind the document; are these JSON lines, called .jsonl?")

    def _next(self, closing: str) -> bool:
        sign = self.peek()
        if sign not in (",", closing):
            self._broken(f"',' or {closing!r} is expected, not {sign!r}", breaks_off=not sign)
        self._at += 1
        return sign == closing

    def _expect(self, sign: str) -> None:
        if self.peek() != sign:
            self._broken(f"{sign!r} is expected, not {self.peek()!r}", breaks_off=not self.peek())
        self._at += 1

    def _more(self) -> bool:
        if self._ended:
            return False
        block = self._file.read(_BLOCK)
        self._ended = not block
        try:
            fresh = self._decode.decode(block, final=self._ended)
        except UnicodeDecodeError as err:
            raise FaultyContent(f"not UTF-8 text ({err.reason})") from err
        self._text, self._at = self._text[self._at :] + fresh, 0
        return bool(block)

    def _breaks_off(self, err: json.JSONDecodeError) -> bool:
        # The parser stands at the end of what is there, or in a text that goes on.
        return err.msg.startswith("Unterminated") or err.pos >= len(self._text) - 16

    def _broken(self, what: str, breaks_off: bool = False) -> NoReturn:
        advice = "; the file ends there, fetch it again" if breaks_off else ""
        raise FaultyContent(f"not JSON ({what}{advice})")


def refuse_depth(value: object) -> None:
    """Refuse what lies deeper than records do.

    Raises:
        FaultyContent: objects and lists lie too deep.
    """
    layer: list[object] = [value]
    for _ in range(RECORD.depth + 1):
        inner: list[object] = []
        for node in layer:
            if isinstance(node, dict):
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        if not (layer := inner):
            return
    raise FaultyContent(f"objects and lists lie more than {RECORD.depth} deep")
