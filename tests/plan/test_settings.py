"""Settings become what they say, or a sentence that begins with the place in the YAML."""

from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, field

from medgen.engine.errors import ConfigError
from medgen.engine.settings import How, Nested, Settings, Unusable, is_how, read, without_how


class Run(Settings, frozen=True, kw_only=True):
    cores: Annotated[int, Meta(ge=1)] = 1


class Lamp(Settings, frozen=True, kw_only=True):
    watts: Annotated[float, Meta(gt=0)] = 5.0
    colour: Literal["warm", "cold"] = "warm"
    run: How[Run] = Run()


class Shelf(Settings, frozen=True, kw_only=True):
    name: str
    width: float = 1.0
    lit: bool = False
    depth: Annotated[float, Meta(gt=0)] | None = None
    books: tuple[str, ...] = ()
    span: tuple[int, int] = (1, 2)
    lamp: Lamp = Lamp()
    lamps: tuple[Lamp, ...] = ()
    rooms: dict[str, Literal["near", "far"]] = field(default_factory=dict)
    chat: Nested | None = None
    run: How[Run] = Run()
    price: How[float] = 0.0

    def __post_init__(self) -> None:
        if self.name == "none":
            raise Unusable("a shelf has a name")


def test_what_is_given_is_read_and_the_rest_keeps_its_default() -> None:
    given = {"name": "a", "width": 2, "books": ["x", "y"], "lamp": {"colour": "cold"}}
    made = read(Shelf, MappingProxyType(given), "shelf")
    assert made == Shelf(name="a", width=2.0, books=("x", "y"), lamp=Lamp(colour="cold"))
    assert isinstance(made.width, float)
    assert read(Shelf, made, "shelf") is made
    assert read(Lamp, None, "lamp") == read(Lamp, {}, "lamp") == Lamp()
    assert read(Shelf, {"name": "a", "lamp": Lamp(watts=2.0)}, "shelf").lamp.watts == 2.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widht": 2}, " has no field 'widht'. Did you mean 'width'?"),
        ({"lamp": {"qqq": 2}}, ".lamp has no field 'qqq'. It takes watts, colour, run"),
        ({"lamp": {"run": {"core": 2}}}, ".lamp.run has no field 'core'. Did you mean 'cores'?"),
        ({"name": 5}, ".name: a text is expected, not 5"),
        ({"name": "none"}, ": a shelf has a name"),
        ({"width": "wide"}, ".width: a number is expected, not 'wide'"),
        ({"width": "2"}, ".width: a number is expected, not '2'"),
        ({"width": True}, ".width: a number is expected, not True"),
        ({"width": None}, ".width: a number is expected, not None"),
        ({"lit": "yes"}, ".lit: true or false is expected, not 'yes'"),
        ({"lit": 1}, ".lit: true or false is expected, not 1"),
        ({"depth": "deep"}, ".depth: a number or nothing is expected, not 'deep'"),
        ({"depth": -1}, ".depth: a number > 0.0 is expected, not -1"),
        ({"books": "abc"}, ".books: a list is expected, not 'abc'"),
        ({"books": ["a", 2]}, ".books[1]: a text is expected, not 2"),
        ({"span": [1]}, ".span: a list of length 2 is expected, not [1]"),
        ({"span": [1, "b"]}, ".span[1]: a whole number is expected, not 'b'"),
        ({"lamp": "bright"}, ".lamp: a mapping is expected, not 'bright'"),
        ({"lamp": {"colour": "red"}}, ".lamp.colour: 'warm' or 'cold' is expected, not 'red'"),
        ({"lamp": {"run": {"cores": 2.5}}}, ".lamp.run.cores: a whole number is expected, not 2.5"),
        (
            {"lamp": {"run": {"cores": 0}}},
            ".lamp.run.cores: a whole number >= 1 is expected, not 0",
        ),
        ({"lamps": [{}, {"watts": 0}]}, ".lamps[1].watts: a number > 0.0 is expected, not 0"),
        ({"rooms": {"a": "near", "b": "up"}}, ".rooms.b: 'near' or 'far' is expected, not 'up'"),
        ({"chat": {"kwargs": {}}}, ".chat needs the field 'target'"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(Shelf, {"name": "a", **given}, "shelf")
    assert str(refused.value) == f"shelf{words}"


@pytest.mark.parametrize("given", ["oak", [], 5, True])
def test_only_a_mapping_holds_settings(given: Any) -> None:
    with pytest.raises(ConfigError, match="shelf: a mapping is expected, not"):
        read(Shelf, given, "shelf")
    with pytest.raises(ConfigError, match="shelf needs the field 'name'"):
        read(Shelf, None, "shelf")


def test_what_is_made_in_code_and_cannot_be_used_is_refused_too() -> None:
    with pytest.raises(ConfigError, match="a shelf has a name"):
        Shelf(name="none")


def test_what_says_only_how_enters_no_key_at_any_depth() -> None:
    plain = {"name": "a", "lamp": {"watts": 3.0}}
    how = {"run": {"cores": 2}, "price": 3}
    assert without_how(Shelf, {**plain, **how, "lamp": {"watts": 3, "run": {"cores": 4}}}) == plain
    assert without_how(Shelf, {"name": "a", "lamp": {"run": {"cores": 4}}}) == {"name": "a"}
    assert is_how(Shelf, "run")
    assert not is_how(Shelf, "lamp")


def test_a_default_that_is_written_out_is_the_same_key() -> None:
    written = {"name": "a", "width": 1, "books": [], "lamp": {"colour": "warm"}, "chat": None}
    assert without_how(Shelf, written) == without_how(Shelf, {"name": "a"}) == {"name": "a"}


def test_a_recipe_inside_is_left_as_it_is() -> None:
    inner = {"target": "vllm", "kwargs": {"execution": {"x": 1}}}
    assert without_how(Shelf, {"name": "a", "chat": inner}) == {"name": "a", "chat": inner}
