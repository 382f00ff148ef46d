"""What a group makes of several keys at once is written as one object (`engine/store/packs.py`)."""

from collections.abc import Mapping, Sequence

from medgen.engine.codec import encode, fingerprint, seal_json
from medgen.engine.plan.effective import Effective
from medgen.engine.plan.plan import Node, Plan
from medgen.engine.run.editions import read_record, record_identity
from medgen.engine.run.folder import now
from medgen.engine.run.reader import RunReader
from medgen.engine.store.gathering import create_together
from medgen.engine.store.glance import names_of_editions
from medgen.engine.store.layout import StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import IDENTITIES, RECIPES, PackPlace, is_packed, name_of
from medgen.engine.store.packs import Together
from medgen.engine.store.shards import recipe_bytes


def together_of(plan: Plan, group: str) -> Together:
    """Where a group's packs lie: beside those of every run that has the same keys in it."""
    keys = tuple(sorted(n.key for n in plan.nodes.values() if n.group == group))
    return Together(PackPlace(plan.groups[group].stage, name_of(keys)), keys)


def declare(reader: RunReader, nodes: Sequence[Node]) -> None:
    """Leave the recipes of a group's nodes beside their rows to come."""
    if len(nodes) == 1 or not is_packed(nodes[0].stage):
        for node in nodes:
            reader.stage(node).declare(node.recipe)
        return
    contents = {StagePlace(n.stage, n.key).recipe: recipe_bytes(n.recipe) for n in nodes}
    name = f"{RECIPES}-{fingerprint(sorted(contents))}"
    create_together(reader.objects, together_of(reader.plan, nodes[0].group), name, contents, {})


def record_identities(
    objects: Objects,
    seen: Objects,
    together: Together,
    made: Mapping[StagePlace, tuple[Effective, Mapping[str, str]]],
) -> None:
    """Leave beside the rows of several editions what makes them, and what it read.

    `seen` are the same objects as they were listed a moment ago.
    """
    fresh, written, texts = {}, now(), dict[int, str]()
    for place, (found, upstream) in made.items():
        if place.edition not in names_of_editions(seen, place.stage, place.key):
            if id(found) not in texts:  # one for each metric, whatever it scores
                texts[id(found)] = _text(found)
            fresh[place.identity()] = _record(texts[id(found)], upstream, written)
            continue
        founder = read_record(objects, place)
        if founder is None or founder.effective.name != found.name:
            record_identity(objects, place, found, upstream)
    if fresh:
        name = f"{IDENTITIES}-{fingerprint(sorted(fresh))}"
        create_together(objects, together, name, fresh, {})


def _text(found: Effective) -> str:
    """An identity as it stands in a record of it."""
    return encode(found).decode().replace("\n", "\n ")


def _record(found: str, upstream: Mapping[str, str], written: str) -> bytes:
    """What `with_seal` makes of a `Record`, of an identity that is text by now."""
    rest = encode({"upstream": upstream, "written": written}).decode()
    return seal_json(f'{{\n "effective": {found},{rest[1:]}'.encode())
