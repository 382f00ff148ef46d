"""Settings: read from plain values into their types, and refused with the place of what is wrong.

Settings are frozen `msgspec.Struct`s. What is given is never bent into shape: a word is no number,
a number no switch, a string no list; only a whole number may stand where any number may.
"""

import ast
import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec

from medgen.engine import registry
from medgen.engine.codec import plain
from medgen.engine.errors import ConfigError
from medgen.engine.modules import source_of
from medgen.engine.names import check_names
from medgen.engine.refusals import WORDS, refusal
from medgen.engine.syntax import parse_module

T = TypeVar("T")

# Marks a field that says only how, where or for how much a component is run: part of no key.
How = Annotated[T, msgspec.Meta(extra={"how": True})]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root of all settings types; each repeats `frozen` and `kw_only`, for type checkers."""


class Nested(Settings, frozen=True, kw_only=True):
    """A recipe inside another one's settings. Its arguments are read by its own settings type."""

    target: str
    kwargs: dict[str, Any] = {}

    def arguments(self) -> dict[str, Any]:
        """What its component is checked and keyed by."""
        return self.kwargs


class Unusable(ConfigError, ValueError):
    """A value that has the right type and cannot be used; reading adds its place."""


def read(kind: type[T], given: object, where: str) -> T:
    """Settings from what configuration holds.

    Args:
        kind: a settings type.
        given: a mapping; nothing at all means the defaults; settings of that type stay as they are.
        where: they stand, for messages: "system 'a', answer.kwargs".

    Raises:
        ConfigError: an unknown field, one that is missing, or a value that is not of its type or
            range. The sentence begins with the whole path.
    """
    if isinstance(given, kind):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{where}: {WORDS['object']} is expected, not {given!r:.100}")
    values = plain(given or {})
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as err:
        raise ConfigError(refusal(str(err), kind, values, where)) from err


def without_how(kind: type[Any], given: object) -> dict[str, Any]:
    """What of settings can change rows, as JSON for keys: no marked field, at any depth.

    A field that has its default value is left out, so that it is the same key whether the default
    is written out or not, and a new field with a default changes no key.

    Raises:
        ConfigError: what is given cannot be read; see `read`.
    """
    return _lasting(read(kind, given, "settings"))


def _lasting(settings: msgspec.Struct) -> dict[str, Any]:
    lasting: dict[str, object] = {}
    for field in msgspec.structs.fields(type(settings)):
        value: object = getattr(settings, field.name)
        if is_how(type(settings), field.name) or value == _default(field):
            continue
        # A recipe is looked into by whoever knows its component.
        if isinstance(value, msgspec.Struct) and not isinstance(value, Nested):
            lasting[field.name] = _lasting(value)
        else:
            lasting[field.name] = plain(value)
    return {name: value for name, value in lasting.items() if value != {}}


def deciding_fields(settings: msgspec.Struct) -> dict[str, Any]:
    """What of settings can change rows, as JSON, with every default written out."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(type(settings)):
        value: object = getattr(settings, field.name)
        if is_how(type(settings), field.name):
            continue
        inside = isinstance(value, msgspec.Struct) and not isinstance(value, Nested)
        found[field.name] = deciding_fields(value) if inside else plain(value)  # type: ignore[arg-type]
    return found


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def is_how(kind: type[Any], name: str) -> bool:
    """Whether a field of a settings type is marked by `How`."""
    marks: tuple[object, ...] = getattr(
        get_type_hints(kind, include_extras=True)[name], "__metadata__", ()
    )
    return any((getattr(mark, "extra", None) or {}).get("how") for mark in marks)


def check_arguments(who: str, target: str, kwargs: Mapping[str, Any]) -> None:
    """Check a recipe and the recipes inside its arguments.

    A component with a settings type is held to it, any other to its constructor's signature. What
    cannot be told from the source here (a class that is not on this machine, that inherits its
    `__init__` or hands arguments on) is left to the worker.

    Raises:
        ConfigError: an argument that the class does not know, lacks, or cannot use; source that
            is no Python.
    """
    try:
        component = registry.find(target)
    except ConfigError as err:
        raise ConfigError(f"{who}.target: {err}") from err
    if component.settings:
        kind: type[msgspec.Struct] = registry.load(component.settings)
        settings = read(kind, kwargs, f"{who}.kwargs")
        for name in settings.__struct_fields__:
            if isinstance(inner := getattr(settings, name), Nested):
                check_arguments(f"{who}.kwargs.{name}", inner.target, inner.arguments())
        return
    if signature := _signature(component.target):
        _compare(f"{who}: {target}", signature, kwargs)
    for name, inside, given in registry.inner_recipes(kwargs):
        check_arguments(f"{who}.kwargs.{name}", inside, given)


def _compare(who: str, signature: ast.arguments, given: Mapping[str, Any]) -> None:
    named = [a.arg for a in (*signature.posonlyargs, *signature.args)[1:]]
    needed = named[: len(named) - len(signature.defaults)]
    for keyword, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        named.append(keyword.arg)
        needed += [keyword.arg] if default is None else []
    if not signature.kwarg:
        check_names(f"{who} has no argument", given, named, "It takes")
    if missing := [name for name in needed if name not in given]:
        raise ConfigError(f"{who} needs the argument {missing[0]!r}")


def literal_defaults(target: str) -> dict[str, Any]:
    """The defaults of a class's arguments, as its source here writes them out.

    Raises:
        ConfigError: the source is no Python.
    """
    found: dict[str, Any] = {}
    if (signature := _signature(target)) is None:
        return found
    plain_ones = [*signature.posonlyargs, *signature.args]
    last = plain_ones[len(plain_ones) - len(signature.defaults) :]
    pairs = [*zip(last, signature.defaults, strict=True)]
    pairs += [
        (argument, default)
        for argument, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
        if default is not None
    ]
    for argument, default in pairs:
        with contextlib.suppress(ValueError):  # an expression: whoever runs it knows its value
            found[argument.arg] = ast.literal_eval(default)
    return found


def _signature(target: str) -> ast.arguments | None:
    module, _, name = target.partition(":")
    source = source_of(module)
    if source is None:
        return None
    try:
        tree = parse_module(source.read_bytes())
    except SyntaxError as err:
        raise ConfigError(f"{target}: {source}:{err.lineno}: {err.msg}") from err
    classes = (n for n in tree.body if isinstance(n, ast.ClassDef))
    bodies = (node for c in classes if c.name == name for node in c.body)
    found = [n for n in bodies if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return found[-1].args if found else None  # the ones before it are overloads
