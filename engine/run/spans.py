"""What is the same for all shards of a stage but a few: a mapping that is as large as the few."""

from collections.abc import Iterator, MutableMapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Span(MutableMapping[int, T], Generic[T]):
    """The numbers below a count, each with the same value until another is set."""

    def __init__(self, count: int, value: T) -> None:
        """All of them are there."""
        self._count, self._value = count, value
        self._other: dict[int, T] = {}  # also beyond the count
        self._gone: set[int] = set()

    def __getitem__(self, number: int) -> T:
        """The number's value."""
        if number in self._other:
            return self._other[number]
        if number in self._gone or not 0 <= number < self._count:
            raise KeyError(number)
        return self._value

    def __contains__(self, number: object) -> bool:
        """Whether the number is there; not by an exception, for it is asked for each shard."""
        if number in self._other:
            return True
        return isinstance(number, int) and 0 <= number < self._count and number not in self._gone

    def __setitem__(self, number: int, value: T) -> None:
        """Give the number another value."""
        self._other[number] = value
        self._gone.discard(number)

    def __delitem__(self, number: int) -> None:
        """Take the number out."""
        if number not in self:
            raise KeyError(number)
        self._other.pop(number, None)
        if 0 <= number < self._count:
            self._gone.add(number)

    def __iter__(self) -> Iterator[int]:
        """In order."""
        yield from (n for n in range(self._count) if n not in self._gone)
        yield from sorted(n for n in self._other if not 0 <= n < self._count)

    def __len__(self) -> int:
        """How many are there."""
        beyond = sum(not 0 <= n < self._count for n in self._other)
        return self._count - len(self._gone) + beyond
