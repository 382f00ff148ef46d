"""`medgen nightly`."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from medgen.launch.commands.options import as_json, config_options, configuration, emit, say

if TYPE_CHECKING:
    from medgen.conf import RunConf
    from medgen.engine.run.events import Event
    from medgen.launch.nightly.history import Night


@click.command("nightly")
@config_options
@click.option("--date", "day", help="Of the night, e.g. 2026-01-31; by default today.")
@click.option("--retry-errors", is_flag=True, help="Repeat the night's rows that are not ok.")
@click.option("--history", is_flag=True, help="Show the nights so far, and run none.")
@click.option("--prune", is_flag=True, help="Say what retention would remove, and run none.")
@click.option("--apply", "really", is_flag=True, help="With --prune: remove it.")
@as_json
def nightly_command(config: str | None, store: str | None, **given: Any) -> int:
    """Run, gate against the last good night, publish, tell a webhook (exit 0, 3, 4 or 5).

    A retry on the same date goes on where the night stopped. OVERRIDES are dotted settings.
    """
    conf = configuration(config, store, given["overrides"])
    if given["history"]:
        return _history(conf, given["as_json"])
    if given["prune"]:
        return _prune(conf, given["really"])
    from medgen.launch.nightly.night import NightlyRun, run_night, today
    from medgen.launch.nightly.webhook import text
    from medgen.launch.run.progress import line
    from medgen.launch.run.stop import Stop

    def tell(event: "Event") -> None:
        if given["as_json"]:
            body = line(event)
            emit(body.pop("event"), **body)

    day = given["day"] or today(conf)

    def aside(words: str) -> None:
        say(words, err=True)

    nightly = NightlyRun(conf, day, tell, given["as_json"], given["retry_errors"], aside)
    night = run_night(nightly, Stop())
    if given["as_json"]:
        emit("done", **asdict(night))
    else:
        sys.stdout.write(text(night) + "\n")
        if night.notified.startswith("not"):
            say(f"webhook: {night.notified}", err=True)
    return night.exit_code


def _history(conf: "RunConf", as_json: bool) -> int:
    from rich.console import Console
    from rich.table import Table

    from medgen.engine.store.connect import connect
    from medgen.launch.nightly.history import History
    from medgen.launch.report.cells import cell

    nights = History(connect(conf.store), conf.name, conf.nightly.every_days).whole()
    if as_json:
        for night in nights:
            emit("night", **asdict(night))
        return 0
    table = Table(title=cell(f"nights of {conf.name}"))
    for column in ("date", "night", "systems", "run, against, and why"):
        table.add_column(column, overflow="fold")
    for night in nights:
        table.add_row(*map(cell, _cells(night)))
    Console().print(table)
    return 0


def _cells(night: "Night") -> list[str]:
    systems = "\n".join(f"{name} {word}" for name, word in night.verdicts.items())
    against = f"{night.run_id} against {night.baseline}" if night.baseline else night.run_id
    return [night.date, night.outcome, systems, "\n".join((against, *night.reasons[:2])).strip()]


def _prune(conf: "RunConf", really: bool) -> int:
    from medgen.engine.store.connect import connect
    from medgen.engine.store.lease import Lease
    from medgen.launch.nightly.history import History
    from medgen.launch.nightly.night import tidy

    objects = connect(conf.store)
    history = History(objects, conf.name, conf.nightly.every_days)
    lease = Lease(objects, history.place.lease, conf.nightly.lease_s)
    with lease.hold(lambda: None, lambda words: say(words, err=True)):
        say(tidy(history, conf, apply=really) or "nothing may go")
    return 0
