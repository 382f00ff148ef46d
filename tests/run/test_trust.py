"""Starts and failures count by machine, and the last place that a group has is never taken away."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from fakes import echo, plan

from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run import starts as starts_module
from medgen.engine.run.crew import Crew
from medgen.engine.run.desk import Out
from medgen.engine.run.faults import slot_of
from medgen.engine.run.fit import Ledger
from medgen.engine.run.pool import Machine, Outcome, Target, Unit
from medgen.engine.run.starts import MAX_STARTS, Starts
from medgen.engine.run.trust import Trust
from medgen.engine.store.connect import connect
from medgen.engine.trouble import Trouble

Staffed = Callable[[int], tuple[Crew, Trust, str]]


class Machines:
    """A pool of machines on which workers are only noted."""

    def __init__(self, count: int, gpus: int = 2) -> None:
        self.names = [f"m{i}" for i in range(count)]
        self.gpus, self.opened = gpus, list[str]()

    def machines(self) -> list[Machine]:
        return [Machine(name, {"CPU": 8.0, "GPU": float(self.gpus)}) for name in self.names]

    def open(self, group: object, machine: str) -> str:
        self.opened.append(machine)
        return f"w{len(self.opened)}"

    def end(self, worker: str) -> None:
        return None


@pytest.fixture
def staffed() -> Staffed:
    """A crew on so many machines, whose one group has a worker on every GPU."""

    def make(count: int) -> tuple[Crew, Trust, str]:
        model = Model(Spec("fakes:Echo", {}), Resources(cpus=1, gpus=1))
        work = plan(connect(f"memory://trust-{count}"), System("echo", model))
        pool = Machines(count)
        crew = Crew(work, pool, lambda group: lambda: echo(), lambda: 0.0)  # type: ignore[arg-type, return-value]
        crew.refresh()
        group = next(g for g in work.groups if g.startswith("answer/"))
        while crew.hire(group):
            pass
        for name, member in crew.members.items():
            crew.note_start(Outcome("started", group, worker=name, machine=member.machine))
        return crew, Trust(crew), group

    return make


@pytest.fixture
def two_groups() -> tuple[Crew, str, str]:
    """A crew on four machines without a worker, and the names of its two groups."""
    resources = Resources(cpus=1, gpus=1)
    systems = [
        System(name, Model(Spec("fakes:Echo", {"prefix": name}), resources)) for name in "ab"
    ]
    work = plan(connect("memory://trust-groups"), *systems)
    crew = Crew(work, Machines(4), lambda group: lambda: echo(), lambda: 0.0)  # type: ignore[arg-type, return-value]
    crew.refresh()
    one, other = sorted(g for g in work.groups if g.startswith("answer/"))
    return crew, one, other


def failing(crew: Crew, group: str, worker: str, shard: int, kind: str) -> tuple[Outcome, Out]:
    unit = Unit(group, shard, (Target("k"),))
    out = Out(unit, slot_of(unit), worker, crew.members[worker].machine, 0.0, 1)
    return Outcome("failed", group, unit, (), Trouble("bad", kind), worker=worker), out


def works(crew: Crew, trust: Trust, group: str, worker: str) -> list[str]:
    """The worker does a unit; which machines are ended for it."""
    _, out = failing(crew, group, worker, 99, "")
    return [culprit.name for culprit, _ in trust.note_success(group, out)]


def on(crew: Crew, machine: str) -> list[str]:
    return [m.name for m in crew.members.values() if m.machine == machine]


def test_every_place_is_used_and_none_twice(
    staffed: Staffed,
) -> None:
    crew, _, _ = staffed(3)
    assert sorted(m.machine for m in crew.members.values()) == ["m0", "m0", "m1", "m1", "m2", "m2"]


@pytest.mark.parametrize(("count", "ends"), [(1, "worker"), (2, "machine")])
def test_a_machine_is_retired_for_units_that_fail_on_several_workers(
    staffed: Staffed, count: int, ends: str
) -> None:
    crew, trust, group = staffed(count)
    first, second = on(crew, "m0")
    if count > 1:
        works(crew, trust, group, on(crew, "m1")[0])
    found = [
        trust.note_failure(*failing(crew, group, worker, shard, "RuntimeError"))
        for shard, worker in enumerate([first, second, first, second, first])
    ]
    (culprit, *_) = [c for c in found if c]
    assert culprit.kind == ends


def test_a_group_that_has_done_nothing_costs_two_trials_and_no_machine(staffed: Staffed) -> None:
    crew, trust, group = staffed(4)
    ended: list[str] = []
    for shard in range(40):
        worker = min(crew.members, key=lambda name: crew.members[name].machine)
        culprit = trust.note_failure(*failing(crew, group, worker, shard, "RuntimeError"))
        if culprit is not None:
            assert culprit.kind == "worker"
            ended += sorted({crew.members[name].machine for name in culprit.workers})
            for name in culprit.workers:
                crew.dismiss(name)
    assert ended == ["m0", "m1"]
    assert not crew.starts.retired


def test_where_workers_die_others_are_started_last_and_units_are_not_tried_again(
    staffed: Staffed,
) -> None:
    crew, trust, group = staffed(2)
    (dies, _), (busy, _) = on(crew, "m0"), on(crew, "m1")
    crew.members[busy].units = 1
    outcome, out = failing(crew, group, dies, 0, "ActorDiedError")
    assert trust.note_failure(replace(outcome, kind="crashed"), out) is None
    assert trust.blame.places_to_avoid(out.slot) == {dies, "m0"}
    assert crew.starts.misgivings(group, "m0") > crew.starts.misgivings(group, "m1")
    assert trust.others_work(group), "the one on the other machine will tell whose fault it is"
    outcome, out = failing(crew, group, busy, 1, "ActorDiedError")
    trust.note_failure(replace(outcome, kind="crashed"), out)
    assert not trust.others_work(group)


def killing(crew: Crew, trust: Trust, group: str, parts: Sequence[tuple[int, int]]) -> None:
    """Parts of one shard kill the two workers of a machine in turn."""
    for number, positions in enumerate(parts):
        outcome, out = failing(crew, group, on(crew, "m0")[number % 2], 0, "ActorDiedError")
        part = replace(out.unit, positions=positions)
        out = replace(out, unit=part, slot=slot_of(part))
        trust.note_failure(replace(outcome, kind="crashed", unit=part), out)


def test_samples_of_a_shard_that_kill_workers_one_by_one_speak_against_their_machine(
    staffed: Staffed,
) -> None:
    crew, trust, group = staffed(2)
    works(crew, trust, group, on(crew, "m1")[0])
    killing(crew, trust, group, [(low, low + 1) for low in range(4)])
    assert crew.starts.retired.keys() == {"m0"}


def test_a_merge_shows_nothing_of_a_machine(staffed: Staffed) -> None:
    crew, trust, group = staffed(2)
    works(crew, trust, group, on(crew, "m1")[0])
    killing(crew, trust, group, [(low, low + 1) for low in range(3)])
    _, out = failing(crew, group, on(crew, "m0")[0], 7, "ActorDiedError")
    trust.note_success(group, replace(out, unit=replace(out.unit, merge=True)))
    killing(crew, trust, group, [(9, 10)])
    assert crew.starts.retired.keys() == {"m0"}


def test_parts_of_a_shard_that_kill_workers_speak_against_no_machine(staffed: Staffed) -> None:
    crew, trust, group = staffed(2)
    works(crew, trust, group, on(crew, "m1")[0])
    killing(crew, trust, group, [(0, 256 >> half) for half in range(8)])
    assert not crew.starts.retired
    for shard in range(1, 4):
        outcome, out = failing(crew, group, on(crew, "m0")[0], shard, "ActorDiedError")
        culprit = trust.note_failure(replace(outcome, kind="crashed"), out)
    assert culprit is not None
    assert (culprit.kind, culprit.name) == ("machine", "m0")


def test_what_failed_on_a_machine_counts_when_its_group_has_worked_elsewhere(
    staffed: Staffed,
) -> None:
    crew, trust, group = staffed(2)
    for shard, worker in enumerate(on(crew, "m0") * 2):
        trust.note_failure(*failing(crew, group, worker, shard, "RuntimeError"))
    assert not crew.starts.retired
    assert works(crew, trust, group, on(crew, "m1")[0]) == ["m0"]
    assert crew.starts.retired.keys() == {"m0"}


@pytest.mark.parametrize(("count", "retired"), [(1, False), (2, True)])
def test_a_machine_that_cannot_write_is_retired_before_the_run_ends(
    staffed: Staffed, count: int, retired: bool
) -> None:
    crew, trust, group = staffed(count)
    first, second = on(crew, "m0")
    for _ in range(3):
        culprit = trust.note_failure(*failing(crew, group, first, 0, "StoreError"))
        assert culprit is None or culprit.kind == "worker"
    assert not trust.none_can_write()  # the other worker there may write, or another machine
    culprit = trust.note_failure(*failing(crew, group, second, 0, "StoreError"))
    assert (culprit is not None and culprit.kind == "machine") == retired
    assert crew.starts.is_barred(group, "m0") == retired
    assert trust.none_can_write() != retired


def test_the_only_worker_that_cannot_write_speaks_for_its_machine(staffed: Staffed) -> None:
    crew, trust, group = staffed(1)
    first, last = on(crew, "m0")
    crew.forget(first)
    for shard in range(3):
        assert not trust.none_can_write()
        trust.note_failure(*failing(crew, group, last, shard, "BusyError"))
    assert trust.none_can_write()
    crew.hire(group)  # another one that starts may write
    assert not trust.none_can_write()


def test_starts_that_fail_count_against_a_machine_only_for_groups_that_start_elsewhere() -> None:
    starts = Starts()
    for _ in range(5):
        assert not starts.note_failure("broken system", "m0")
    starts.note_success("sound", "m1")
    found = [starts.note_failure("sound", "m0") for _ in range(MAX_STARTS)]
    assert found == [False] * (MAX_STARTS - 1) + [True]


def test_a_group_that_starts_nowhere_waits_for_what_other_groups_show(
    two_groups: tuple[Crew, str, str],
) -> None:
    crew, group, other = two_groups
    for machine in ("m0", "m1", "m2"):
        assert not crew.is_hopeless(group)
        crew.starts.note_failure(group, machine)
    assert crew.is_hopeless(group), "of itself it has failed on enough of them"
    while crew.hire(other):
        pass
    assert not crew.is_hopeless(group), "another group starts on a fourth machine"
    here = {machine: on(crew, machine) for machine in ("m0", "m3")}
    crew.note_start(Outcome("started", other, worker=here["m3"][0], machine="m3"))
    assert not crew.is_hopeless(group)
    for name in here["m0"]:
        crew.note_start(Outcome("started", other, worker=name, machine="m0"))
    assert crew.is_hopeless(group), "and on one where this group cannot"
    crew.starts.retire("m0", "other units fail there, too")
    assert not crew.is_hopeless(group)
    for _ in range(MAX_STARTS):
        crew.starts.note_failure(group, "m3")
    for machine in ("m1", "m2"):
        crew.starts.retire(machine, "cannot write")
    assert crew.is_hopeless(group), "there is no other place"


def test_workers_that_were_asked_for_before_one_failed_are_waited_for(staffed: Staffed) -> None:
    crew, _, group = staffed(1)
    for name in list(crew.members):
        crew.dismiss(name)
    crew.hire(group)
    crew.hire(group)
    bad, loads = on(crew, "m0")
    for _ in range(MAX_STARTS):
        crew.forget(bad)
        crew.starts.note_failure(group, "m0")
        assert crew.sound(group) == 1, "the one that still loads"
        crew.hire(group)
        bad = on(crew, "m0")[-1]
    crew.dismiss(loads)
    assert crew.sound(group) == 0


def test_what_works_on_a_machine_outlives_starts_that_fail_there(staffed: Staffed) -> None:
    crew, trust, group = staffed(2)
    _, starts = on(crew, "m0")
    crew.members[starts].ready = False
    unstarted = Outcome("unstarted", group, trouble=Trouble("no device", "AdapterError"))
    culprit = trust.retire("m0", group, unstarted)
    assert culprit is not None
    assert culprit.workers == (starts,)
    assert crew.starts.is_barred(group, "m0")


def test_a_group_starts_where_least_speaks_against_it(
    staffed: Staffed,
) -> None:
    crew, _, group = staffed(3)
    crew.starts.note_failure(group, "m0")
    crew.starts.shun(group, "m1")
    crew.starts.shun(group, "m0")
    for name in list(crew.members):
        crew.dismiss(name)
    places = []
    while crew.hire(group):
        places.append(list(crew.members.values())[-1].machine)
    assert places == ["m2", "m2", "m1", "m1", "m0", "m0"]


def test_a_ledger_forgets_machines_that_went_and_knows_those_that_came() -> None:
    ledger, asked = Ledger(), {"GPU": 1.0}
    ledger.refresh([Machine("a", {"GPU": 1.0})])
    ledger.take("w", "a", asked)
    assert ledger.places(asked) == []
    assert ledger.refresh([Machine("b", {"GPU": 1.0}), Machine("c", {"GPU": 1.0}, leaving=True)])
    assert ledger.places(asked) == ["b"]
    ledger.give("w")
    assert ledger.places(asked) == ["b"]
    assert not ledger.refresh([*ledger.machines.values()])


def test_starts_of_a_group_that_dies_are_further_and_further_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starts_module, "BACK_OFF_S", 2.0)
    starts, pauses = Starts(), []
    for _ in range(9):
        starts.note_death("dies", 100.0)
        pauses.append(next(s for s in range(100) if not starts.waits("dies", 100.0 + s)))
    assert pauses == [0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert not starts.waits("another", 100.0)
    starts.note_work("dies")
    starts.note_death("dies", 200.0)
    assert not starts.waits("dies", 200.0), "after work, one death is chance again"


def test_the_death_of_a_worker_is_held_against_its_machine_once(staffed: Staffed) -> None:
    crew, trust, group = staffed(2)
    trust.blame.proven.add(group)
    on_first = [name for name, m in crew.members.items() if m.machine == "m0"]
    assert len(on_first) > 1

    def die(worker: str, held: int) -> list[object]:
        whys: list[object] = []
        for shard in range(held):
            why, out = failing(crew, group, worker, shard, "ActorDiedError")
            whys.append(trust.note_failure(replace(why, kind="crashed", alone=False), out))
        return whys

    assert die(on_first[0], 16) == [None] * 16
    assert die(on_first[1], 2) == [None] * 2, "two deaths, not 18 units that failed there"
