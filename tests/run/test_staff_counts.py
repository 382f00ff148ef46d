"""What is left of a group is counted in samples, by this driver's work and by that of others."""

from types import SimpleNamespace
from typing import Any

from medgen.engine.run.staff import Staff


def staff_of(split: int, sizes: list[int]) -> Any:
    """A staff over one node, each benchmark shard cut into some stage shards; none is there."""
    node = SimpleNamespace(group="g", split=split)
    group = SimpleNamespace(name="g", spec=SimpleNamespace(kwargs={}))
    due = dict.fromkeys(range(split * len(sizes)))
    board: Any = SimpleNamespace(
        plan=SimpleNamespace(groups={"g": group}, nodes={"k": node}),
        todo=SimpleNamespace(targets={"k": due}),
    )
    none: Any = None
    return Staff(board, none, none, none, sizes, none), node


def test_a_shard_that_another_driver_wrote_is_left_no_more() -> None:
    staff, node = staff_of(2, [6, 2])
    assert staff.left == {"g": 8}
    staff.note_gone(node, 3)
    assert staff.left == {"g": 7}, "half of the second"
    staff.note_gone(node, 0)
    assert staff.left == {"g": 4}, "half of the first"
    for shard in (1, 2, 2):
        staff.note_gone(node, shard)
    assert staff.left == {"g": 0}, "never less than nothing"
