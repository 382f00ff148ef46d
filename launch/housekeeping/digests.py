"""The digests of a run's objects that others of its objects name."""

import hashlib
from collections.abc import Iterator, Mapping

from medgen.engine.errors import CorruptError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.repair import Damage
from medgen.engine.store.known_layout import carries_seal
from medgen.engine.store.layout import BenchmarkPlace, RunPlace, StagePlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.shards import recipe_bytes
from medgen.engine.store.table_notes import read_note
from medgen.launch.run.published import note_on


def named_digests(objects: Objects, plan: Plan) -> tuple[dict[str, str], list[Damage]]:
    """The sha256 of objects by path, as notes and the plan say, and notes that cannot be read."""
    found: dict[str, str] = {}
    damages = []
    for note in (BenchmarkPlace(plan.benchmark).samples_whole, RunPlace(plan.run_id).tables_whole):
        try:
            for parts in table_parts(objects, note).values():
                found |= parts
        except CorruptError as err:
            damages.append(Damage(note, str(err)))
    try:
        note_ = note_on(objects, plan.run_id)
        published = {**note_.objects, **note_.beside_it}
        found |= {path: sha256 for path, sha256 in published.items() if not carries_seal(path)}
    except CorruptError as err:
        damages.append(Damage(RunPlace(plan.run_id).publishing, str(err)))
    return found, damages


def table_parts(objects: Objects, note: str) -> dict[str, Mapping[str, str]]:
    """The parts of each system's tables that a note names, with their sha256.

    Raises:
        CorruptError: it cannot be read.
    """
    return {system: whole["parts"] for system, whole in read_note(objects, note).items()}


def recipes(plan: Plan) -> Iterator[tuple[str, str]]:
    """The recipes that stand beside rows, with the sha256 that the plan gives them."""
    for node in plan.nodes.values():
        written = recipe_bytes(node.recipe)
        yield StagePlace(node.stage, node.key).recipe, hashlib.sha256(written).hexdigest()
