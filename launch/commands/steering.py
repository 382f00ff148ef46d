"""`medgen control`: orders to the driver of a run, wherever it is."""

from typing import TYPE_CHECKING

import click

from medgen.launch import exits
from medgen.launch.commands.completing import complete_run
from medgen.launch.commands.options import as_json, emit, say, store_option

if TYPE_CHECKING:
    from medgen.engine.run.control import Order

# What each verb wants behind it, as the words of its help.
_WANTED = {
    "pause": ("SYSTEM",),
    "resume": ("SYSTEM",),
    "drop": ("SYSTEM",),
    "workers": ("GROUP", "N"),
    "cap": ("USD",),
    "requeue": (),
}
_NEXT = "the order holds for the next start"
_LATER = {"requeue": "the next start takes up what is owed without it"}


@click.command("control")
@click.argument("run", shell_complete=complete_run)
@click.argument("verb", type=click.Choice(list(_WANTED)))
@click.argument("what", nargs=-1)
@store_option
@as_json
def control_command(run: str, verb: str, what: tuple[str, ...], store: str, as_json: bool) -> int:
    """Tell the driver of RUN, through the store: it looks every ten seconds.

    \b
    pause SYSTEM       hand out nothing more of it; its workers are given back
    resume SYSTEM      go on with it; one that was dropped goes on when the run is started again
    drop SYSTEM        be done with it; what is committed stays
    workers GROUP N    at most so many workers of a system, a judge, or a group by its full name
    cap USD            the most that this start of the run may spend
    requeue            when all else is done, take up again what was given up or is still owed

    Orders hold for later starts as well, until others take them back.
    """  # noqa: D301
    from medgen.engine.run.control import Control, check_order
    from medgen.engine.run.folder import RunFolder
    from medgen.launch.commands.results import open_run

    reader = open_run(store, run)
    order = check_order(reader.plan, _order(verb, what))
    number = Control(reader.objects, reader.plan).send(order)
    status = RunFolder(reader.objects, reader.plan.run_id).status()
    stands = status.status if status else "not started"
    if as_json:
        told = {"number": number, "verb": verb, "what": list(what), "status": stands}
        emit("control", run=reader.plan.run_id, **told)
    else:
        said = " ".join((verb, *what))
        say(f"run {reader.plan.run_id}: order {number}, {said}", err=True)
        if stands != "started":
            say(f"no driver is at work ({stands}): {_LATER.get(verb, _NEXT)}", err=True)
    return exits.OK


def _order(verb: str, what: tuple[str, ...]) -> "Order":
    from medgen.engine.run.control import VERBS, Order

    wanted = _WANTED[verb]
    if len(what) != len(wanted):
        said = " ".join((verb, *wanted))
        raise click.UsageError(f"it is `medgen control RUN {said}`")
    (known,) = (v for v in VERBS if v == verb)
    name = what[0] if wanted and wanted[0] != "USD" else ""
    number = 0.0
    if wanted[-1:] in (("N",), ("USD",)):
        try:
            number = float(what[-1])
        except ValueError:
            raise click.UsageError(f"{what[-1]!r} is no number") from None
    return Order(known, name, number)
