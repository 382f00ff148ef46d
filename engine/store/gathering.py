"""Objects of several keys at once: in packs where a place keeps them, else one by one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from medgen.engine.store.objects import Objects
from medgen.engine.store.pack_layout import PackPlace
from medgen.engine.store.packs import PackedObjects, Together
from medgen.engine.threads import in_threads


def create_together(
    objects: Objects,
    together: Together,
    name: str,
    contents: Mapping[str, bytes],
    notes: Mapping[str, str],
) -> set[str]:
    """Publish objects as one where that can be done, else many at once.

    Returns the paths at which something stood, which is left as it was.
    """
    if isinstance(objects, PackedObjects):
        return objects.create_together(together, name, contents, notes)
    made = in_threads(lambda path: objects.create(path, contents[path]), contents)
    return {path for path, created in zip(contents, made, strict=True) if not created}


def delete_all(objects: Objects, paths: Sequence[str]) -> None:
    """Remove objects and folders: at once where they lie in packs."""
    if isinstance(objects, PackedObjects):
        objects.delete_all(paths)
        return
    for path in paths:
        objects.delete(path)


def delete_parts(objects: Objects, paths: Iterable[str]) -> None:
    """Remove parts that were put together, by their paths and as these are known."""
    others = objects.remove_all(paths) if isinstance(objects, PackedObjects) else paths
    for folder in dict.fromkeys(path.rpartition("/")[0] for path in others):
        objects.delete(folder)


def fetch_packs(objects: Objects, place: PackPlace, names: Iterable[str]) -> None:
    """Have packs at hand whose names are known, where there are packs."""
    if isinstance(objects, PackedObjects):
        objects.fetch(place, names)


def damaged_packs(objects: Objects, stages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Packs whose index cannot be read, and why; from then on they are passed over."""
    if isinstance(objects, PackedObjects):
        yield from objects.damages(stages)


@dataclass(frozen=True, slots=True)
class Pack:
    """Objects that lie together in one place, and how they would in another."""

    together: Together
    name: str
    notes: Mapping[str, str]  # by path

    def copy(self, target: Objects, contents: Mapping[str, bytes]) -> set[str]:
        """Publish some of them there as one. Returns the paths at which something stood."""
        return create_together(target, self.together, self.name, contents, self.notes)


def packs_of(objects: Objects, paths: Iterable[str]) -> list[Pack]:
    """The packs that some paths lie in, each with those of them alone."""
    if not isinstance(objects, PackedObjects):
        return []
    found: dict[str, list[str]] = {}
    for path in paths:
        if pack := objects.pack_of(path):
            found.setdefault(pack, []).append(path)
    known = {pack: objects.together_in(pack) for pack in found}
    return [
        Pack(*of, {path: objects.note(path) for path in found[pack]})
        for pack, of in known.items()
        if of is not None
    ]
