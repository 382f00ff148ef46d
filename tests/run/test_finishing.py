"""What is known of a system while others of its run are still at work."""

import threading
from typing import Any

import duckdb
from fakes import PAIR, echo, plan

from medgen.actors.local_pool import LocalPool
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.run.driver import Options, carry_out
from medgen.engine.run.events import Event
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import survey
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import RunPlace
from medgen.launch.run.finishing import Finishing


def test_tables_of_a_finished_system_are_read_while_the_run_goes_on(tmp_path: Any) -> None:
    objects = connect(str(tmp_path / "store"))
    judges = {"fixed": Model(Spec("fakes:FixedJudge", {"name": "fixed"}), PAIR)}
    work = plan(
        objects, System("a", echo()), System("b", echo(prefix="b")), metrics=(), judges=judges
    )
    reader = RunReader(objects, work)
    values = f"{objects.url}/{RunPlace(work.run_id).tables}/values/*/*.parquet"
    seen: list[list[tuple[Any, ...]]] = []
    told: list[Event] = []

    def tell(event: Event) -> None:
        assert threading.current_thread() is threading.main_thread()
        if event.kind == "system_finished":
            assert event.details["means"]["VQA"]["overall/reference_free"]["n"] == 8
            sql = f"SELECT system, count(value), avg(value) FROM '{values}' GROUP BY system"
            seen.append(sorted(duckdb.sql(sql).fetchall()))

    with Finishing(reader, tell) as finishing:

        def watch(event: Event) -> None:
            finishing(event)
            told.extend([event] if event.kind == "system_finished" else [])
            while len(seen) < len(told):  # the other system has units left meanwhile
                finishing.deliver()

        carry_out(reader, survey(reader), LocalPool(), Options(watch=watch))
    assert [len(rows) for rows in seen] == [1, 2]
    assert seen[1] == [("a", 48, 8.5), ("b", 48, 8.5)]


def test_a_system_that_cannot_be_summarized_is_told_of_all_the_same(tmp_path: Any) -> None:
    objects = connect(str(tmp_path / "store"))
    work = plan(objects)
    reader = RunReader(objects, work)
    told: list[Event] = []

    def damage(event: Event) -> None:
        told.append(event)

    with Finishing(reader, damage) as finishing:
        carry_out(reader, survey(reader), LocalPool(), Options())
        (node,) = work.predictions("echo")
        path = reader.stage(node).path(0)
        objects.replace(path, objects.read(path)[:-3])
        finishing(Event("system_finished", "", details={"system": "echo"}))
    (event,) = told
    assert path in str(event.details["unwritten"])
