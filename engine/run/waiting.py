"""Which systems' shards are waited for, where a stage does a shard for all of them at once."""

from collections.abc import Collection, Iterator, Mapping

Place = tuple[str, int]  # group, benchmark shard


class Waiting:
    """By group and shard, the keys that wait there, and whether their inputs are there.

    Of the shards of a group that nothing has happened to yet all is the same, and is kept once.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._alike: dict[str, tuple[int, dict[str, bool]]] = {}  # shards below a number, keys
        self._own: dict[Place, dict[str, bool]] = {}

    def add_all(self, group: str, count: int, key: str) -> None:
        """A key waits at every shard below a number, and its inputs are nowhere."""
        self._alike.setdefault(group, (count, {}))[1][key] = False
        for (name, shard), keys in self._own.items():
            if name == group and shard < count:
                keys[key] = False

    def add(self, group: str, shard: int, key: str, there: bool) -> None:
        """A key waits at one shard."""
        self._of(group, shard)[key] = there

    def mark(self, group: str, shard: int, key: str) -> bool:
        """The inputs of a key are there by now; False: it does not wait."""
        if key not in self.at(group, shard):
            return False
        self._of(group, shard)[key] = True
        return True

    def pop(self, group: str, shard: int, key: str) -> bool:
        """A key waits there no more; whether it did."""
        return key in self.at(group, shard) and self._of(group, shard).pop(key) is not None

    def at(self, group: str, shard: int) -> Mapping[str, bool]:
        """What waits at a shard."""
        own = self._own.get((group, shard))
        if own is not None:
            return own
        count, keys = self._alike.get(group, (0, {}))
        return keys if shard < count else {}

    def drop(self, keys: Collection[str]) -> None:
        """These keys wait nowhere any more."""
        for waiting in (*(alike for _, alike in self._alike.values()), *self._own.values()):
            for key in keys:
                waiting.pop(key, None)

    def places(self) -> Iterator[Place]:
        """Where something may be ready, in order: some inputs have come, or others had before."""
        yield from sorted(self._own)

    def _of(self, group: str, shard: int) -> dict[str, bool]:
        place = group, shard
        if place not in self._own:
            self._own[place] = dict(self.at(group, shard))
        return self._own[place]
