"""`medgen models`."""

from pathlib import Path

import click

from medgen.launch.commands.options import as_json, emit, say, store_option


@click.command("models")
@click.argument("action", type=click.Choice(["list", "pin", "stage"]))
@click.argument("names", nargs=-1)
@click.option("--endpoint", default="", help="Of the hub, when it is another one.")
@click.option("--to", type=click.Path(file_okay=False), help="Write presets with commits there.")
@click.option("--from", "folder", type=click.Path(exists=True, file_okay=False),
              help="Where the files of the model to stage are, instead of the hub.")  # fmt: skip
@store_option
@as_json
def models_command(
    action: str,
    names: tuple[str, ...],
    endpoint: str,
    to: str | None,
    folder: str | None,
    store: str,
    as_json: bool,
) -> int:
    """List the presets that have a family, find the commits of their models, or stage them.

    `pin` asks the hub what the branch of every model stands for now; of a preset that is named and
    loads nothing from a hub it says why there is no commit. With `--to FOLDER` presets are written
    into it with their commits; a run's file in that folder takes them from there.

    `stage` puts models (of presets, or OWNER/NAME@COMMIT) into the store once. Each machine of a
    run then takes them from there, once, and asks the hub for no weights.
    """
    from medgen.launch.setup.pinning import pins, presets, write

    if action == "stage":
        return _stage(names, store, folder or "", endpoint, as_json)

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
            what = f"{pin.group} {pin.name}{f', {pin.model}' if pin.model else ''}"
            say(f"{what}: {said}{f' in {place}' if place else ''}")
    return 6 if failed else 0


def _stage(names: tuple[str, ...], store: str, folder: str, endpoint: str, as_json: bool) -> int:
    from medgen.engine.store.connect import connect
    from medgen.launch.setup.staging import stage_all

    if not names:
        raise click.UsageError("say which models to stage: presets, or OWNER/NAME@COMMIT")
    failed = 0
    for one in stage_all(names, connect(store), folder, endpoint):
        failed += bool(one.trouble)
        if as_json:
            emit("stage", model=one.model, commit=one.commit, bytes=one.size, new=one.new,
                 trouble=one.trouble)  # fmt: skip
        else:
            became = "staged" if one.new else "was staged before"
            say(f"{one.model}: {one.trouble or f'{became}, {one.size / 2**30:.1f} GiB'}")
    return 6 if failed else 0
