"""Settings become a dataclass, or a sentence that says what to write."""

from dataclasses import dataclass
from typing import Any

import pytest

from medgen.engine.errors import ConfigError
from medgen.engine.settings import read_settings


@dataclass(frozen=True)
class Shelf:
    name: str
    width: float = 1.0
    books: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ConfigError("a shelf has a width")


@dataclass(frozen=True)
class Empty:
    width: float = 1.0


def test_fields_are_read_and_the_others_keep_their_defaults() -> None:
    given = {"name": "a", "books": ["x", "y"]}
    assert read_settings(Shelf, given, "shelf", books=tuple) == Shelf("a", 1.0, ("x", "y"))
    assert read_settings(Shelf, {"name": "a"}, "shelf", books=tuple) == Shelf("a")
    assert given["books"] == ["x", "y"], "what was given stays as it was"
    assert read_settings(Empty, None, "empty") == read_settings(Empty, {}, "empty") == Empty()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "a", "widht": 2}, "shelf has no field 'widht'. Did you mean 'width'?"),
        ({"name": "a", "qqq": 2}, "shelf has no field 'qqq'. It takes name, width, books"),
        ({"width": 2}, "shelf needs the field 'name'"),
        (None, "shelf needs the field 'name'"),
        ("oak", "shelf has fields, and cannot be a str"),
        ([], "shelf has fields, and cannot be a list"),
        ({"name": "a", "books": 5}, "shelf: 'int' object is not iterable"),
        ({"name": "a", "width": -1}, "a shelf has a width"),
    ],
)
def test_what_does_not_fit_is_said(given: Any, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings(Shelf, given, "shelf", books=tuple)
    assert str(refused.value) == words
