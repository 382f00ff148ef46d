"""What was stored comes back as what it was, and anything else is refused with its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import pytest

from medgen.engine.codec import decode, encode, fingerprint, plain
from medgen.engine.errors import CorruptError
from medgen.engine.store.shards import recipe_bytes


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    steps: int = 2


@dataclass(frozen=True, slots=True)
class Shelf:
    name: str
    kind: Literal["open", "shut"] = "open"
    width: float = 1.0
    books: tuple[str, ...] = ()
    inner: tuple["Shelf", ...] = ()
    by_room: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tuned: Tuned = field(default_factory=Tuned)


def test_a_record_survives_the_way_to_json_and_back_in_its_order() -> None:
    shelf = Shelf("a", "shut", 2.5, ("é", "z"), (Shelf("b"),), {"z": {"n": 1}, "a": {}}, Tuned())
    again = decode(Shelf, encode(shelf), "shelf")
    assert again == shelf
    assert list(again.by_room) == ["z", "a"]


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"", "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[" * 200_000, "recursion"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `name`"),
        (b'{"name": 1}', "Expected `str`, got `int` - at `$.name`"),
        (b'{"name": "a", "kind": "ajar"}', "Invalid enum value 'ajar' - at `$.kind`"),
        (b'{"name": "a", "books": "xyz"}', "Expected `array`, got `str` - at `$.books`"),
        (b'{"name": "a", "inner": [{}]}', "missing required field `name` - at `$.inner[0]`"),
    ],
)
def test_what_is_no_such_record_is_refused(stored: bytes, words: str) -> None:
    with pytest.raises(CorruptError) as refused:
        decode(Shelf, stored, "shelves/a.json: not a shelf")
    assert str(refused.value).startswith("shelves/a.json: not a shelf (")
    assert words in str(refused.value)


def test_a_struct_and_the_mapping_of_its_fields_have_one_fingerprint() -> None:
    given: dict[str, Any] = {"a": Tuned(steps=3), "b": {"y", "x"}, "c": (1, 2)}
    assert plain(given) == {"a": {"steps": 3}, "b": ["x", "y"], "c": [1, 2]}
    assert fingerprint(given) == fingerprint(plain(given))


def test_a_recipe_is_the_same_bytes_in_whatever_order_it_was_written() -> None:
    recipe = {"target": "x", "kwargs": {"b": 1, "a": {"d": 2, "c": 3}}}
    turned = {"kwargs": {"a": {"c": 3, "d": 2}, "b": 1}, "target": "x"}
    assert recipe_bytes(recipe) == recipe_bytes(turned)
