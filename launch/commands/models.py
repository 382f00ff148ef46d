"""`medgen models`."""

from pathlib import Path

import click

from medgen.launch.commands.options import as_json, emit, say


@click.command("models")
@click.argument("action", type=click.Choice(["list", "pin"]))
@click.argument("names", nargs=-1)
@click.option("--endpoint", default="", help="Of the hub, when it is another one.")
@click.option("--to", type=click.Path(file_okay=False), help="Write presets with commits there.")
@as_json
def models_command(
    action: str, names: tuple[str, ...], endpoint: str, to: str | None, as_json: bool
) -> int:
    """List the presets that have a family, or find the commits of their models.

    `pin` asks the hub what the branch of every model stands for now. With `--to FOLDER` presets
    are written into it with their commits; a run's file in that folder takes them from there.
    """
    from medgen.launch.setup.pinning import pins, presets, write

    if action == "list":
        for group, name, facts in presets(names):
            shown = {"group": group, "name": name, "family": facts.family, "model": facts.id}
            shown["revision"] = facts.revision or "unpinned"
            if as_json:
                emit("preset", **shown)
            else:
                say("{group:<7} {name:<24} {family:<16} {model}  {revision}".format(**shown))
        return 0
    failed = 0
    for pin in pins(names, endpoint):
        failed += bool(pin.trouble)
        place = str(write(pin, Path(to))) if to and pin.commit else ""
        if as_json:
            emit("pin", group=pin.group, name=pin.name, model=pin.model, revision=pin.commit,
                 trouble=pin.trouble, file=place)  # fmt: skip
        else:
            said = f"revision: {pin.commit}" if pin.commit else pin.trouble
            say(f"{pin.group} {pin.name}, {pin.model}: {said}{f' in {place}' if place else ''}")
    return 6 if failed else 0
