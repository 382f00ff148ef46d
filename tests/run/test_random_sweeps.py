"""Sweeps in virtual time with bad, late and leaving machines: what can be done is done, once."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from benchmarks._virtual import Fault, Host, VirtualPool, Work
from benchmarks.schedule import SHARD, Sweep, reader_of
from medgen.engine.run.driver import Driver, Options
from medgen.engine.run.events import Event
from medgen.engine.run.pool import Target
from medgen.engine.run.reader import RunReader
from medgen.engine.run.spans import Span
from medgen.engine.run.survey import Todo

FOREVER = float("inf")
Rng = np.random.Generator


@dataclass(frozen=True)
class Chance:
    """One sweep, drawn from one seed.

    Two machines at most are bad, one system at most is broken, and one sound machine stays.
    """

    hosts: tuple[Host, ...]
    work: Work
    reader: RunReader
    open_: Mapping[str, list[int]]  # by key, the shards that are not there yet
    tick_s: float


def draw(seed: int) -> Chance:
    rng = np.random.default_rng(seed)
    sound = Host("sound", int(rng.choice([1, 4, 8])))
    samples, sigma = int(rng.choice([40, 64, 200, 640])), float(rng.choice([0.1, 1.0, 2.0]))
    times, gpus, guesses = {}, {}, {}
    for i in range(int(rng.integers(1, 7))):
        mean = float(np.exp(rng.uniform(np.log(0.05), np.log(30.0))))
        name, width = f"answer/{i:02d}", int(rng.choice([1, 1, 1, 2, 4]))
        times[name] = mean * np.minimum(rng.lognormal(-(sigma**2) / 2, sigma, samples), 20.0)
        gpus[name] = width if width <= sound.gpus else 1
        guesses[name] = mean * float(np.exp(rng.uniform(np.log(0.1), np.log(10.0))))
    reader = reader_of(Sweep(times, gpus, guesses), samples)
    broken = frozenset(name for name in [*times][:1] if rng.random() < 0.3)
    load_s = float(rng.choice([5.0, 180.0, 1500.0]))
    return Chance(
        (*machines(rng), sound),
        Work(times, SHARD, load_s, broken=broken),
        reader,
        {key: left(rng, reader.plan.shards) for key in reader.plan.nodes},
        float(rng.choice([FOREVER, 300.0, 60.0])),
    )


def machines(rng: Rng) -> Iterator[Host]:
    count = int(rng.integers(1, 7))
    bad = rng.permutation(count)[: int(rng.choice([0, 1, 1, 2]))]
    for i in range(count):
        since = float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.0, 3000.0)]))
        goes = rng.random() < 0.25
        until = since + float(rng.uniform(100.0, 6000.0)) if goes else FOREVER
        fault: Fault | None = rng.choice(get_args(Fault)) if i in bad else None
        notice_s = float(rng.choice([0.0, 120.0, 900.0])) if goes else 0.0
        yield Host(f"host-{i}", int(rng.choice([1, 2, 4, 8])), since, until, fault, notice_s)


def left(rng: Rng, shards: int) -> list[int]:
    share = rng.choice([1.0, 1.0, 0.5, 0.0])
    return [shard for shard in range(shards) if rng.random() < share]


def todo_of(chance: Chance) -> Todo:
    shards, todo = chance.reader.plan.shards, Todo()
    for key, open_ in chance.open_.items():
        make = Target(key)
        whole = len(open_) == shards
        todo.targets[key] = Span(shards, make) if whole else dict.fromkeys(open_, make)
        todo.revisions[key] = dict.fromkeys(range(shards), 0)
        todo.existing[key] = {shard: 0 for shard in range(shards) if shard not in open_}
        todo.lost[key], todo.made_from[key] = {}, {}
    return todo


def check(seed: int) -> None:
    chance, told = draw(seed), list[Event]()
    pool = VirtualPool(chance.hosts, chance.work)
    pool.tick_s = chance.tick_s
    options = Options(clock=pool.clock, watch=told.append)
    ending = Driver(chance.reader, todo_of(chance), pool, options).run()
    broken = chance.work.broken
    assert ending.failed.keys() <= broken, f"seed {seed}: {dict(ending.failed)}"
    done = Counter(
        (e.receipt.key, e.receipt.shard) for e in told if e.receipt and e.receipt.part is None
    )
    for key, open_ in chance.open_.items():
        if f"answer/{key}" not in broken:
            made = {shard: done[key, shard] for shard in range(chance.reader.plan.shards)}
            assert made == {s: int(s in open_) for s in made}, f"seed {seed}, system {key}"
    assert broken or not pool.quarantined, f"seed {seed}: samples were given up"


@pytest.mark.parametrize("seed", range(40))
def test_what_sound_machines_can_do_is_done_once_and_nothing_else(seed: int) -> None:
    check(seed)


@pytest.mark.trial
@pytest.mark.timeout(1800)
def test_a_thousand_sweeps_more_come_to_their_end() -> None:
    for seed in range(40, 1040):
        check(seed)
