"""`medgen weights` and `doctor`."""

import click

from medgen.launch.commands.options import as_json, emit, say


@click.command("weights")
@click.argument("action", type=click.Choice(["list", "fetch", "check"]))
@click.argument("names", nargs=-1)
def weights_command(action: str, names: tuple[str, ...]) -> int:
    """List, fetch or check the weights that metrics need.

    They lie under MEDGEN_WEIGHTS; with MEDGEN_WEIGHTS_MIRROR set to a directory or URL they are
    fetched from there, so that a machine without internet can have them.
    """
    from medgen.metrics import weights

    if action == "list":
        for found in weights.listing():
            size = f"{found.size / 2**20:.0f} MiB" if found.size else ""
            say(f"{found.name:<22} {found.state:<8} {size:>10}  {found.purpose}")
        return 0
    wrong = 0
    for name in names or [f.name for f in weights.listing()]:
        if action == "fetch":
            say(f"{name}: {weights.fetch(name)}")
        elif problems := weights.check(name):
            wrong += 1
            say("\n".join(f"{name}: {problem}" for problem in problems))
        else:
            say(f"{name}: ok")
    return 6 if wrong else 0


@click.command("doctor")
@click.option("--store", default="", help="A store to probe: reachable, writable, exclusive PUT.")
@as_json
def doctor_command(store: str, as_json: bool) -> int:
    """Say in plain words what this machine can run, and how to get the rest."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medgen.launch.setup.doctor import examine

    findings = examine(store)
    if as_json:
        for finding in findings:
            emit("finding", **asdict(finding))
    else:
        table = Table(show_lines=False)
        for column in ("area", "state", "what", "what to do"):
            table.add_column(column, overflow="fold")
        for f in findings:
            table.add_row(*map(Text, (f.area, f.state, f.what, f.how)))  # no markup: [s3]
        Console().print(table)
    vital = ("python", "ray", "storage")  # nothing can be run without them
    return 6 if any(f.state == "missing" and f.area in vital for f in findings) else 0
