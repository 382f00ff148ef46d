"""What a board keeps of shards that are alike is as if each were kept by itself."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.store import board
from medgen.engine.run.board import Waiting
from medgen.engine.run.spans import Span, numbers_of

SHARDS, KEYS = 4, "abc"
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["add all", "add", "mark", "pop", "drop"]),
        st.integers(0, SHARDS),
        st.sampled_from(KEYS),
    )
)


@given(ACTS)
def test_what_waits_is_the_same_whether_it_is_kept_once_or_for_each_shard(
    acts: list[tuple[str, int, str]],
) -> None:
    waiting = Waiting()
    each: dict[int, dict[str, bool]] = {shard: {} for shard in range(SHARDS + 1)}
    for act, shard, key in acts:
        if act == "add all":
            waiting.add_all("group", SHARDS, key)
            for held in list(each.values())[:SHARDS]:
                held[key] = False
        elif act == "add":
            waiting.add("group", shard, key, there=True)
            each[shard][key] = True
        elif act == "mark":
            assert waiting.mark("group", shard, key) == (key in each[shard])
            each[shard] |= {key: True} if key in each[shard] else {}
        elif act == "pop":
            assert waiting.pop("group", shard, key) == (key in each[shard])
            each[shard].pop(key, None)
        else:
            waiting.drop([key])
            for held in each.values():
                held.pop(key, None)
        assert [dict(waiting.at("group", n)) for n in each] == list(each.values())
        ready = {("group", n) for n, held in each.items() if any(held.values())}
        assert ready <= set(waiting.places())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6))))
def test_the_numbers_of_a_span_are_a_set(acts: list[tuple[bool, int]]) -> None:
    span = Span(5, "x")
    del span[3]
    span[6] = "y"
    mine, plain = numbers_of(span), {0, 1, 2, 4, 6}
    for put, number in acts:
        (mine.add if put else mine.discard)(number)
        (plain.add if put else plain.discard)(number)
        assert (list(mine), len(mine), bool(mine)) == (sorted(plain), len(plain), bool(plain))
        assert mine.isdisjoint({1, 6}) == plain.isdisjoint({1, 6})
    assert list(span) == [0, 1, 2, 4, 6], "it is a set of its own"


def test_the_board_of_a_large_sweep_is_small() -> None:
    found = board(shards=500)
    assert found["nodes"] == 242
    assert found["mib"] <= 5  # 2.7 when this was written
