"""Whatever is there at the start, and whoever did it: the rest is handed out once, to the end."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from fakes import PAIR, SMALL, echo, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, System
from medgen.engine.run.board import Board
from medgen.engine.run.pool import Target, Unit
from medgen.engine.run.spans import Span
from medgen.engine.run.survey import Todo
from medgen.engine.stages import stage_kind
from medgen.engine.store.connect import connect

SHARDS = 4
Place = tuple[str, int]  # key and stage shard
SHARE = st.sampled_from(["nothing", "some", "everything"])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Three models, one of which two pairs share; scores and verdicts of all four systems."""
    painter = Model(Spec("fakes:Echo", {}), SMALL)
    systems = [System(name, echo(prefix=f"{name} ")) for name in "abc"]
    systems[2] = replace(systems[2], render=painter)
    systems.append(System("d", systems[0].answer, render=painter))
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    objects = connect(str(tmp_path_factory.mktemp("board") / "store"))
    return plan(objects, *systems, count=SHARDS * 2, shard_size=2, judges=judges)


def todo_of(work: Plan, there: set[Place]) -> Todo:
    """What a survey would say; as it does, a node without a shard is kept as a span."""
    todo = Todo()
    for key, node in work.nodes.items():
        count = work.shards * node.split
        open_ = [shard for shard in range(count) if (key, shard) not in there]
        whole = len(open_) == count
        make = Target(key, 0)
        todo.targets[key] = Span(count, make) if whole else dict.fromkeys(open_, make)
        todo.revisions[key] = Span(count, 0) if whole else dict.fromkeys(range(count), 0)
        todo.existing[key] = {s: 0 for s in range(count) if (key, s) in there}
        todo.lost[key], todo.digests[key], todo.made_from[key] = {}, {}, {}
    return todo


def everything(work: Plan) -> set[Place]:
    return {(k, s) for k, n in work.nodes.items() for s in range(work.shards * n.split)}


class Play:
    """A run without workers: units are taken, done, found and taken over as dice say."""

    def __init__(self, work: Plan, there: set[Place], dice: Random) -> None:
        self.work, self.there, self.dice = work, set(there), dice
        self.board = Board(work, todo_of(work, there))
        self.out: list[Unit] = []
        self.handed: Counter[Place] = Counter()
        self.found: set[Place] = set()
        self.dropped: set[str] = set()

    def take(self) -> bool:
        queues = [q.fresh for q in self.board.queues.values() if q.fresh]
        if not queues:
            return False
        unit = self.dice.choice(queues).popleft()
        for target in unit.targets:
            node = self.work.nodes[target.key]
            assert target.key not in self.dropped
            for above in node.upstream:
                kind = self.work.nodes[above]
                assert kind.split == 1, "this plan's stages are not split"
                assert (above, unit.shard // node.split) in self.there, "its inputs are there"
        self.handed.update((t.key, unit.shard) for t in unit.targets)
        self.out.append(unit)
        return True

    def finish(self) -> bool:
        if not self.out:
            return False
        unit = self.out.pop(self.dice.randrange(len(self.out)))
        self.there |= {(t.key, unit.shard) for t in unit.targets}
        self.board.commit(unit)
        return True

    def find(self) -> None:
        """Another driver has done what nobody here has taken, and had its inputs."""
        held = {(t.key, u.shard) for u in self.out for t in u.targets}
        could = [
            (key, shard)
            for key, shard in sorted(everything(self.work) - self.there - held)
            if key not in self.dropped
            and all((above, shard) in self.there for above in self.work.nodes[key].upstream)
        ]
        if could:
            place = self.dice.choice(could)
            self.found.add(place)
            self.there.add(place)
            self.board.note_found(*place)

    def survey_again(self) -> None:
        before = self.board
        self.board = Board(self.work, todo_of(self.work, self.there))
        self.board.take_over(before, self.out)

    def drop(self) -> None:
        """Nobody wants one system's scores and verdicts any more."""
        ends = [k for k, n in self.work.nodes.items() if stage_kind(n.stage).gathers]
        if (key := self.dice.choice(ends)) not in {t.key for u in self.out for t in u.targets}:
            self.dropped.add(key)
            self.board.drop([key])

    def let_go(self) -> None:
        """What waits for slower systems waits no longer."""
        groups = {g.name for g in self.work.groups.values() if stage_kind(g.stage).gathers}
        self.board.flush(groups)
        for place in list(self.board.held):
            self.board.let_go(*place)

    def to_the_end(self, acts: list[str]) -> None:
        for act in acts:
            getattr(self, act)()
        while self.take() or self.finish():
            pass


@settings(max_examples=400, deadline=None)
@given(
    shares=st.lists(SHARE, min_size=20, max_size=20),
    acts=st.lists(
        st.sampled_from(["take", "finish", "find", "survey_again", "drop", "let_go"]), max_size=30
    ),
    seed=st.integers(0, 2**16),
)
def test_what_is_missing_is_handed_out_once_and_nothing_else(
    work: Plan, shares: list[str], acts: list[str], seed: int
) -> None:
    dice = Random(seed)
    there: set[Place] = set()
    for (key, node), share in zip(work.nodes.items(), shares, strict=False):
        chance: Any = {"nothing": 0.0, "some": 0.5, "everything": 1.0}[share]
        there |= {(key, s) for s in range(work.shards * node.split) if dice.random() < chance}
    play = Play(work, there, dice)
    play.to_the_end(acts)
    wanted = {place for place in everything(work) if place[0] not in play.dropped}
    assert wanted <= play.there, "the run would wait for ever"
    assert play.board.is_finished()
    assert play.handed.keys() <= everything(work) - there, "what was there is not made anew"
    assert set(play.handed.values()) <= {1}
    assert not play.handed.keys() & play.found
