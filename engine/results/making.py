"""What made a column, as a flat mapping, and how two makings differ, in words.

A value is only compared with one that was made alike: of the same benchmark, under the same
protocol, by the same metric or judge with the same arguments, profile, prompt, scale, weights and
library versions. Where and how fast it was computed (devices, addresses, engine memory) is no part
of it. What made the predictions is none either: that is what a comparison asks about.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.plan.plan import Node, Plan

Making = Mapping[str, str]

# Of a passport: how it was run, and what only says another entry in words.
_NO_PART = frozenset(
    {"device", "endpoint", "base_url", "engine", "follows", "outputs", "judge", "metric"}
    | {"missing_weights", "random_seed", "server.command", "versions.httpx"}
)
_LONGEST = 60
_AND = " and also "


@dataclass(frozen=True, slots=True)
class Made:
    """What a node's rows come from: its recipe, and the passports that its shards carry."""

    label: str
    recipe: Mapping[str, Any]
    passports: tuple[Mapping[str, Any], ...] = ()


def made_by(node: Node, passports: Sequence[Mapping[str, Any]]) -> Made:
    """What a node's rows come from, by its recipe and its shards' passports, each once."""
    return Made(node.label, node.recipe, tuple(_distinct(passports)))


def making(plan: Plan, made: Sequence[Made]) -> Making:
    """What made a column, by name. A value that differs among its shards names every form of it.

    Of several judges each name begins with the judge's. Whether a system has an answer at all is
    made by nothing: `made` is empty, and the benchmark alone must be the same.
    """
    found = {"benchmark": plan.benchmark}
    if made:
        found["evaluation protocol"] = plan.protocol or "none"  # a judge has one of its own
    for one in made:
        prefix = "" if len(made) == 1 else f"{one.label}."
        found |= {f"{prefix}{name}": value for name, value in _node_making(one).items()}
    return found


def several_ways(making_: Making) -> dict[str, str]:
    """What is not the same in all of a column's shards."""
    return {name: value for name, value in making_.items() if _AND in value}


def differences(left: Making, right: Making) -> list[str]:
    """How two makings differ, one sentence an entry: `profile compat against strict`."""
    names = [*left, *(name for name in right if name not in left)]
    return [
        f"{name} {_short(left.get(name))} against {_short(right.get(name))}"
        for name in names
        if left.get(name) != right.get(name)
    ]


def unlike_notes(makings: Sequence[tuple[str, str, Making]]) -> list[str]:
    """What a table of (value, system, making) must say: where like does not stand beside like."""
    notes, first = [], dict[str, tuple[str, Making]]()
    for value, system, made in makings:
        for name, ways in several_ways(made).items():
            notes.append(f"{value} of {system} was not made alike in all its shards: {name} {ways}")
        other, known = first.setdefault(value, (system, made))
        if words := differences(known, made):
            notes.append(f"{value} was not made alike for {other} and {system}: {'; '.join(words)}")
    return notes


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def _node_making(made: Made) -> dict[str, str]:
    spec = made.recipe.get("spec", {})
    found = {
        "component": _text(spec.get("component")),
        "semantics": f"{spec.get('semantics')}, stage {made.recipe.get('semantics')}",
        **dict(_flat(spec.get("settings", {}))),
    }
    flat = [{n: v for n, v in _flat(p) if not _no_part(n)} for p in made.passports]
    for name in dict.fromkeys(n for one in flat for n in one):
        values = dict.fromkeys(one.get(name, "nothing") for one in flat)
        found[name] = _AND.join(sorted(values))
    return found


def _no_part(name: str) -> bool:
    return name in _NO_PART or name.partition(".")[0] in _NO_PART


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _text(inner)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _distinct(passports: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    seen = set()
    for passport in passports:
        text = json.dumps(passport, sort_keys=True, default=str)
        if passport and text not in seen:
            seen.add(text)
            yield passport
