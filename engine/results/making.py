"""What made a column, as a flat mapping, and how two makings differ, in words.

A value is only compared with one that was made alike: of the same benchmark, under the same
protocol, by the same metric or judge with the same arguments, profile, prompt, scale, weights and
library versions. Where and how fast it was computed (devices, addresses, engine memory) is no part
of it. What made the predictions is none either: that is what a comparison asks about.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgen.engine.plan.effective import Effective, as_text, flat
from medgen.engine.plan.plan import Node, Plan

Making = Mapping[str, str]

# Of an effective identity: where a server stands, what the recipe says as well, and what only says
# another entry in words.
_NO_PART = ("served.url", "settings", "versions.aiohttp", "judge", "metric")
_LONGEST = 60
_AND = " and also "


@dataclass(frozen=True, slots=True)
class Made:
    """What a node's rows come from: its recipe, and the parts of what really ran, each once."""

    label: str
    recipe: Mapping[str, Any]
    identities: tuple[Mapping[str, str], ...] = ()


def made_by(node: Node, held: Sequence[Effective]) -> Made:
    """What a node's rows come from, by its recipe and by what made its shards."""
    return Made(node.label, node.recipe, tuple(_distinct(one.parts for one in held)))


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
        f"{name} {' against '.join(_both_sides(left.get(name), right.get(name)))}"
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


def _both_sides(left: str | None, right: str | None) -> tuple[str, str]:
    """Both sides, cut so that where they differ is seen."""
    one, other = ("nothing" if value is None else value for value in (left, right))
    pairs = enumerate(zip(one, other, strict=False))
    alike = next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
    start = 0 if alike < _LONGEST // 2 else alike - _LONGEST // 4
    return _cut(one, start), _cut(other, start)


def _cut(value: str, start: int) -> str:
    rest = value if not start else f"…{value[start:]}"
    return rest if len(rest) <= _LONGEST else f"{rest[: _LONGEST - 1]}…"


def _node_making(made: Made) -> dict[str, str]:
    spec = made.recipe.get("spec", {})
    found = {
        "component": as_text(spec.get("component")),
        "semantics": f"{spec.get('semantics')}, stage {made.recipe.get('semantics')}",
        **dict(flat(spec.get("settings", {}))),
    }
    held = [{n: v for n, v in one.items() if not _no_part(n)} for one in made.identities]
    for name in dict.fromkeys(n for one in held for n in one):
        values = dict.fromkeys(one.get(name, "nothing") for one in held)
        found[name] = _AND.join(sorted(values))
    return found


def _no_part(name: str) -> bool:
    """Also of a recipe inside another one: `chat.served.url`."""
    return any(name == no or f".{no}." in f".{name}." for no in _NO_PART)


def _distinct(identities: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    seen = set()
    for parts in identities:
        text = json.dumps(parts, sort_keys=True)
        if parts and text not in seen:
            seen.add(text)
            yield parts
