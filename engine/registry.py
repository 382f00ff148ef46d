"""Every component by its logical name: where its code lies, what it needs, what it takes.

A recipe names a component by a logical name (`vllm`, `psnr`), or a class of one's own as
`module:Class`. Keys hold the name and its semantics number, never where the code lies, so moving
a module orphans no stored row. Looking a component up imports no code of it.

The project fills the registry from the tables of `_OWN`. Another package names a class by an entry
point of its family, `[project.entry-points."medgen.metrics"]`. To say more of a component, its
settings, extra, stages and semantics, it has a table like ours and an entry point
`medgen.components` that leads there.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, get_args

from medgen.engine.errors import ConfigError
from medgen.engine.fresh import import_as_it_is
from medgen.engine.names import hint

Family = Literal["systems", "judges", "sources", "metrics", "protocols", "stages"]
FAMILIES: tuple[Family, ...] = get_args(Family)
# Modules with a mapping `COMPONENTS`, read when a name is first looked up. Named, not imported:
# the engine knows no adapter, and this is the one place where it leads to them.
_OWN = ("medgen.engine.stages", "medgen.adapters.components", "medgen.metrics.catalogue")
_TABLES = "components"  # the group of entry points that lead to such a mapping


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that a recipe may name."""

    name: str
    family: Family
    target: str  # `module:attribute`, imported only where the component is made
    extra: str = ""  # the optional set of packages that it needs; `device` is `cpu` or `gpu`
    settings: str = ""  # `module:Type` of its arguments; empty: those of its signature
    stages: tuple[str, ...] = ()  # the stages that it can do; empty: it is a part of another one
    semantics: int = 1  # raised by one when the same recipe gives other rows than before
    reads_benchmark: bool = False  # a generator with `use`: see `engine.benchmark.source`
    compares: tuple[str, ...] = ()  # a metric: what samples may ask; empty: it says so itself

    def load(self) -> Any:
        """The class, function or value itself.

        Raises:
            ConfigError: its module or its name in there cannot be found.
        """
        return load(self.target)


def load(target: str) -> Any:
    """What `module:attribute` names.

    Raises:
        ConfigError: the target is not of that form, or cannot be found.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise ConfigError(f"target {target!r} is not of the form 'module:Class'")
    try:
        return getattr(import_as_it_is(module), name)
    except ModuleNotFoundError as err:
        raise ConfigError(f"target {target!r}: {err}") from err
    except AttributeError as err:
        raise ConfigError(f"target {target!r}: {module} has no {name!r}") from err
    except SystemExit as err:
        raise ConfigError(
            f"target {target!r}: {module} ends Python when it is imported; what does so belongs "
            'below `if __name__ == "__main__":`'
        ) from err


def find(name: str, family: Family | None = None) -> Component:
    """A component by its logical name, or the class that `module:Class` names.

    Raises:
        ConfigError: nobody has the name; the closest one is named.

    >>> find("psnr", "metrics").target
    'medgen.metrics.image.pixel:PSNR'
    >>> find("psn", "metrics")
    Traceback (most recent call last):
    medgen.engine.errors.ConfigError: no metric 'psn'. Did you mean 'psnr'?
    """
    known = components(family)
    if ":" in name:
        # A class of ours that has one name is that one, so that its keys are the same.
        ours = [component for component in known.values() if component.target == name]
        return ours[0] if len(ours) == 1 else Component(name, family or "systems", name)
    if name in known:
        return known[name]
    what = family.removesuffix("s") if family else "component"
    there = [*sorted(known), "and any 'module:Class'"]
    raise ConfigError(f"no {what} {name!r}. {hint(name, there)}")


def components(family: Family | None = None) -> Mapping[str, Component]:
    """Every component by name, of one family or of all: ours first, then other packages'."""
    every = _all()
    known = _FAMILIES.get(family)
    if known is None or known[0] is not every:
        wanted = {c.name: c for c in every.values() if family in (None, c.family)}
        known = _FAMILIES[family] = every, wanted
    return known[1]


# Of each family, what it was taken from and what it has: a driver asks for every unit.
_FAMILIES: dict[Family | None, tuple[Mapping[str, Component], Mapping[str, Component]]] = {}


def _all() -> Mapping[str, Component]:
    return _collect(tuple(sys.path))


@cache
def _collect(path: tuple[str, ...]) -> Mapping[str, Component]:
    """What can be found on a search path, which decides what packages there are."""
    found: dict[str, Component] = {}
    points = _points()
    for component in (*_own(), *_outside(points), *_tables(points)):
        if (taken := found.get(component.name)) is not None:
            raise ConfigError(
                f"{component.target} and {taken.target} are both named {component.name!r}; "
                "uninstall one of the two packages or rename its entry point"
            )
        found[component.name] = component
    return found


def _own() -> Iterator[Component]:
    for module in _OWN:
        yield from import_module(module).COMPONENTS.values()


def _points() -> Mapping[str, list[tuple[str, str]]]:
    """Name and value of each entry point, by group."""
    installed = entry_points()  # reads what every package installed, so once for all groups
    groups = {group: installed.select(group=f"medgen.{group}") for group in (*FAMILIES, _TABLES)}
    return {group: sorted({(p.name, p.value) for p in found}) for group, found in groups.items()}


def _outside(points: Mapping[str, list[tuple[str, str]]]) -> Iterator[Component]:
    for family in FAMILIES:
        for name, value in points[family]:
            yield Component(name, family, value)


def _tables(points: Mapping[str, list[tuple[str, str]]]) -> Iterator[Component]:
    """What other packages' tables hold.

    Raises:
        ConfigError: a table cannot be found, or holds what is no component.
    """
    for name, value in points[_TABLES]:
        table = load(value)
        listed = [*table.values()] if isinstance(table, Mapping) else [table]
        for one in listed:
            if not isinstance(one, Component) or one.family not in FAMILIES:
                raise ConfigError(
                    f"entry point medgen.components {name!r}: {value} is neither a Component nor a "
                    f"mapping of them, each of a family of {', '.join(FAMILIES)}"
                )
            yield one


def inner_recipes(kwargs: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The recipes inside a recipe's arguments: (argument, target, its arguments)."""
    for name, value in kwargs.items():
        if isinstance(value, Mapping) and isinstance(value.get("target"), str):
            yield name, value["target"], value.get("kwargs") or {}


def extras(target: str, kwargs: Mapping[str, Any]) -> set[str]:
    """The optional sets of packages that a recipe needs, those of its inner recipes among them."""
    found = {extra} if (extra := find(target).extra) else set()
    for _, inner, given in inner_recipes(kwargs):
        found |= extras(inner, given)
    return found
