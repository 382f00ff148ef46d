"""Families of models: what a preset has from its family, and where its own facts go.

A preset names its family, the model and its size; the family says how such models are asked and
run, and holds the numbers that arithmetic needs. A family may be `like` another.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from omegaconf import MISSING, OmegaConf

from medgen.conf.arithmetic import Cards, SizeConf, card_gib, fit, seconds
from medgen.conf.merging import over

PLACES = ("system", "judge")
# What a preset says of its model; the rest of it is a system or a judge.
FACTS = ("family", "id", "revision", "size", "card", "gpus", "context")


@dataclass
class PutConf:
    """Dotted places, in a system's or a judge's body, that a preset's facts are put at."""

    id: list[str] = field(default_factory=list)
    revision: list[str] = field(default_factory=list)
    context: list[str] = field(default_factory=list)
    gpus: list[str] = field(default_factory=list)
    seconds: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


@dataclass
class FamilyConf:
    """A family (group `family`)."""

    name: str = MISSING
    system: dict[str, Any] = field(default_factory=dict)
    judge: dict[str, Any] = field(default_factory=dict)
    put: dict[str, PutConf] = field(default_factory=dict)
    tokens: dict[str, list[int]] = field(default_factory=dict)  # by group: in, out, of a sample
    sizes: dict[str, SizeConf] = field(default_factory=dict)
    requires: dict[str, str] = field(default_factory=dict)  # package: the versions that know it
    room_gib: float = 1.5  # beside weights and caches: the largest step and picture
    hub: bool = True  # models are repositories of a hub, and have revisions
    own_code: bool = False  # their authors' code alone runs them, in an environment of its own
    source: str = ""


@dataclass
class PresetConf:
    """What a preset says of its model."""

    family: str = MISSING
    id: str = MISSING
    revision: str = ""  # a commit; empty: unpinned
    size: str = ""  # one of the family's
    card: int = 0  # GB of the card that it is meant for; 0: it needs none
    gpus: int = 1
    context: int | None = None  # tokens of a request and its reply


def preset_facts(body: Mapping[str, Any]) -> PresetConf:
    """The facts of a preset that has a family.

    Raises:
        OmegaConfBaseException: an unknown key, or a value of another type.
    """
    own = {key: body[key] for key in FACTS if key in body}
    conf = OmegaConf.merge(OmegaConf.structured(PresetConf), OmegaConf.create(own))
    return cast(PresetConf, OmegaConf.to_object(conf))


def family_conf(body: Mapping[str, Any], find: Callable[[str], dict[str, Any]]) -> FamilyConf:
    """A family with what it is like below it.

    Raises:
        OmegaConfBaseException: an unknown key, or a value of another type.
    """
    conf = OmegaConf.merge(OmegaConf.structured(FamilyConf), OmegaConf.create(whole(body, find)))
    return cast(FamilyConf, OmegaConf.to_object(conf))


def whole(body: Mapping[str, Any], find: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A family's file over the one that it is `like`."""
    own = {key: value for key, value in body.items() if key != "like"}
    if not isinstance(like := body.get("like"), str):
        return own
    below = whole(find(like), find)
    below.pop("sizes", None)  # a family's sizes are its own
    return over(below, own)


def with_family(
    body: Mapping[str, Any], group: str, facts: PresetConf, family: FamilyConf
) -> dict[str, Any]:
    """A preset as a whole system or judge: its family's body, its facts, and what it says itself.

    Raises:
        ValueError: the family has no such size, or carries no such group.
    """
    base = getattr(family, group)
    if not base:
        raise ValueError(f"family: {family.name!r} carries no {group}")
    made = over({}, base)
    values = {
        "id": facts.id,
        # A branch: such a model runs with `--allow-unpinned` only. A folder has none.
        "revision": facts.revision or ("main" if family.hub and facts.id[:1] not in "./" else None),
        "context": facts.context,
        "gpus": facts.gpus if facts.card else None,
        "seconds": pace(facts, family, group),
        "tokens": sum(family.tokens.get(group, ())) or None,
    }
    for name, places in asdict(family.put.get(group, PutConf())).items():
        for place in places if values[name] is not None else ():
            _put(made, place, values[name])
    made["needs"] = [*_cards(facts), *(made.get("needs") or ())]
    own = {key: value for key, value in body.items() if key not in FACTS}
    for words in ("needs", "notes"):
        own[words] = [*(made.get(words) or ()), *(own.get(words) or ())]
    return over(made, own)


def pace(facts: PresetConf, family: FamilyConf, group: str) -> float | None:
    """Seconds that a sample takes on the preset's cards, by arithmetic, to two digits."""
    size, asked = size_of(facts, family), family.tokens.get(group)
    if size is None or not facts.card:
        return None
    if size.picture_s is not None:
        return size.picture_s
    if not asked:
        return None
    context = facts.context or sum(asked)
    cards = Cards(card_gib(facts.card), facts.gpus, family.room_gib)
    found = fit(size, cards, context)
    taken = seconds(size, found, asked[0], asked[1], facts.gpus)
    return None if taken is None else float(f"{taken:.2g}")


def size_of(facts: PresetConf, family: FamilyConf) -> SizeConf | None:
    """The numbers of a preset's model; None where its family has none.

    Raises:
        ValueError: it names a size that the family does not have.
    """
    if not facts.size:
        return None
    if facts.size not in family.sizes:
        raise ValueError(
            f"size: {facts.size!r} is no size of {family.name}; it has {', '.join(family.sizes)}"
        )
    return family.sizes[facts.size]


def _cards(facts: PresetConf) -> list[str]:
    if not facts.card:
        return []
    if facts.gpus == 1:
        return [f"one GPU of {facts.card} GB or more"]
    return [f"{facts.gpus} GPUs of {facts.card} GB or more on one node"]


def _put(body: dict[str, Any], place: str, value: object) -> None:
    *above, last = place.split(".")
    for name in above:
        body[name] = dict(body.get(name) or {})
        body = body[name]
    body[last] = value
