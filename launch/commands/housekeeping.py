"""`medgen gc`, `copy` and `verify`: runs that are over."""

from typing import TYPE_CHECKING

import click

from medgen.launch import exits
from medgen.launch.commands.completing import complete_run
from medgen.launch.commands.options import as_json, emit, say, store_option

if TYPE_CHECKING:
    from medgen.launch.housekeeping.garbage import Removal


@click.command("gc")
@click.argument("runs", nargs=-1, shell_complete=complete_run)
@click.option("--older-than", type=float, metavar="DAYS", help="Runs not heard of for so long.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@store_option
@as_json
def gc_command(
    runs: tuple[str, ...], older_than: float | None, dry_run: bool, store: str, as_json: bool
) -> int:
    """Remove RUNS and those of an age, and every stage that no run needs then.

    Runs that a night names stay, runs that may still be driven, and what any of them needs;
    benchmarks and the records of nights as well. Without RUNS and an age only stages go that no
    run has in its plan.
    """
    from medgen.engine.store.connect import connect
    from medgen.launch.housekeeping.garbage import Asked, collect, remove
    from medgen.launch.nightly.history import named_runs

    objects = connect(store)
    removal = collect(objects, Asked(runs, older_than, named_runs(objects)))
    if not dry_run:
        removal = remove(objects, removal, lambda: named_runs(objects))
    if as_json:
        stages = [f"{stage}/{key}" for stage, key in removal.stages]
        emit("gc", dry_run=dry_run, runs=removal.runs, stages=stages, stay=dict(removal.stay))
    else:
        _show(removal, dry_run)
    return exits.OK


def _show(removal: "Removal", dry_run: bool) -> None:
    from medgen.engine.store.layout import RunPlace, StagePlace

    for run in removal.runs:
        say(RunPlace(run).folder)
    for stage, key in removal.stages:
        say(StagePlace(stage, key).key_folder)
    for run, why in removal.stay.items():
        say(f"run {run} stays: {why}", err=True)
    say(f"{'would remove' if dry_run else 'removed'} {removal.words}", err=True)


@click.command("copy")
@click.argument("run", shell_complete=complete_run)
@click.argument("url")
@store_option
@as_json
def copy_command(run: str, url: str, store: str, as_json: bool) -> int:
    """Copy RUN with all that it needs into the store at URL, each object proven by its digest.

    RUN is its id or the beginning of it. What was interrupted goes on when it is done again.
    """
    from medgen.engine.store.connect import connect
    from medgen.launch.commands.results import open_run
    from medgen.launch.housekeeping.copying import copy_run

    reader = open_run(store, run)
    target = connect(url)
    done = copy_run(reader.objects, target, reader.plan)
    if as_json:
        emit("copy", run=reader.plan.run_id, to=target.url, objects=done.objects, bytes=done.size)
    else:
        size = f"{done.objects} objects, {done.size / 2**20:.1f} MiB"
        say(f"run {reader.plan.run_id} is in {target.url}: {size}", err=True)
    return exits.OK


@click.command("verify")
@click.argument("run", required=False, shell_complete=complete_run)
@store_option
@as_json
def verify_command(run: str | None, store: str, as_json: bool) -> int:
    """Read every object of RUN and prove it by its digest; exit code 3 when one is damaged.

    RUN is its id or the beginning of it; by default the last one.
    """
    from medgen.engine.run.folder import find_run
    from medgen.engine.store.connect import connect
    from medgen.launch.housekeeping.verifying import verify, words

    objects = connect(store)
    proof = verify(objects, find_run(objects, run))
    if as_json:
        damages = {damage.path: damage.why for damage in proof.damages}
        more = {"damages": damages, "additional": proof.additional}
        emit("verify", objects=proof.objects, proven=proof.proven, **more)
    else:
        for line in words(proof):
            say(line)
    return exits.INCOMPLETE if proof.damages else exits.OK
