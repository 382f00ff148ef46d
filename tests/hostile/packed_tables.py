"""Tables in archives, of columns, and patterns of pictures, for the corpus."""

import json
from collections.abc import Iterator
from typing import Any

_LINE = b'{"q": "q", "a": "a"}\n'


def columns() -> Iterator[tuple[str, bytes, str]]:
    """JSON that should be an object of columns: (name, bytes, what is to be said)."""
    wrong: dict[str, tuple[Any, str]] = {
        "of other lengths": ({"q": ["q"], "a": ["a", "b"]}, "has 2 cells"),
        "of other rows": ({"q": {"0": "q"}, "a": {"1": "a"}}, "has 1 cells"),
        "of one text": ({"q": "q", "a": ["a"]}, "is no column"),
        "a list of rows": ([{"q": "q", "a": "a"}], "is no column"),
        "none": ({}, "no object of columns|no sample"),
        "a number": (7, "no object of columns"),
        "objects in cells": ({"q": [{"x": 1}], "a": ["a"]}, "an object"),
        "names of rows": ({"q": dict.fromkeys(map(str, range(10**5))), "a": {}}, "cells"),
        "more than a million rows": ({"q": [0] * (10**6 + 1)}, "write JSON lines or Parquet"),
    }
    for name, (value, said) in wrong.items():
        yield name, json.dumps(value).encode(), said


def cells() -> Iterator[tuple[str, bytes, str]]:
    """JSON whose rows should be lists of two cells under `data`."""
    wrong: dict[str, tuple[Any, str]] = {
        "a cell too few": ({"data": [["q"]]}, "1 cells, and `header` has 2"),
        "a cell too many": ({"data": [["q", "a", "b"]]}, "3 cells, and `header` has 2"),
        "no lists": ({"data": ["qa"]}, "in no row"),
        "a list in a cell": ({"data": [[["q"], "a"]]}, "is a list"),
        "no such key": ({"rows": []}, "nothing under 'data'"),
    }
    for name, (value, said) in wrong.items():
        yield name, json.dumps(value).encode(), said


def members() -> Iterator[tuple[str, dict[str, bytes], str | None]]:
    """What a zip or tar of tables may hold: (name, members, what is to be said)."""
    yield "no table", {"a.txt": b"x"}, "no file fits"
    yield "a table above its folder", {"../t.jsonl": _LINE}, "no file fits"
    yield "an absolute table", {"/t.jsonl": _LINE}, None
    yield "a table by backslashes", {"a\\..\\t.jsonl": _LINE}, "backslash"
    yield "no text", {"t.jsonl": b"\xff\xfe"}, "UTF-8"
    yield "a name with a line's end", {"x\nt.jsonl": _LINE}, "control sign"
    long = b'{"q": "' + b"x" * 40_000_000 + b'", "a": "a"}\n'
    yield "a line of 40 MB", {"t.jsonl": long}, "more than"
