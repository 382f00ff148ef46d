"""`medgen weights`, `pack` and `doctor`."""

from collections.abc import Mapping
from typing import Any

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


@click.command("pack")
@click.option("--to", type=click.Path(), required=True, help="A new folder, for a disk or stick.")
@click.option("--extra", multiple=True, default=("mini",), help="A set of packages; several times.")
@click.option("--weights", multiple=True, help="Weights of a metric by name; several times.")
def pack_command(to: str, extra: tuple[str, ...], weights: tuple[str, ...]) -> int:
    """Pack all that a machine without a network needs: wheels, weights, presets, documents.

    Wheels are those of this Python and system. Its install.sh needs nothing from outside.
    """
    from pathlib import Path

    from medgen.launch.setup.pack import Order, pack

    for line in pack(Order(Path(to), extra, weights)):
        say(line)
    return 0


@click.command("doctor")
@click.option("--store", default="", help="A store to probe: reachable, writable, exclusive PUT.")
@click.option("--preset", help="A system or judge, or `all`: could it run, and on what?")
@click.option("--config", "file", type=click.Path(), help="A model's config.json, or its folder.")
@click.option("--gpus", type=click.IntRange(min=1), help="Cards of another machine or cluster.")
@click.option("--card", type=click.IntRange(min=1), help="GB of each of them.")
@click.option("--context", type=click.IntRange(min=1), help="Tokens of a request, for --config.")
@click.option("--gpu-hour", type=float, default=0.0, help="US dollars of a card's hour.")
@click.option("--markdown", is_flag=True, help="The presets as a Markdown table.")
@as_json
def doctor_command(
    store: str, preset: str | None, file: str | None, as_json: bool, markdown: bool, **cards: Any
) -> int:
    """Say in plain words what this machine can run, and how to get the rest.

    With --preset or --config by arithmetic alone: no weights are loaded, no server is asked.
    """
    if file:
        return _say_config(file, cards["context"], as_json)
    if preset:
        return _say_presets(preset, cards, as_json, markdown)
    return _say_findings(store, as_json)


def _say_presets(preset: str, cards: Mapping[str, Any], as_json: bool, markdown: bool) -> int:
    from dataclasses import asdict

    from medgen.conf.arithmetic import card_gib
    from medgen.launch.setup.preset_check import Machine, check_preset, names, this_machine
    from medgen.launch.setup.preset_table import markdown_table, words

    here = this_machine()
    if cards["gpus"] or cards["card"]:
        here = Machine(cards["gpus"] or 1, card_gib(cards["card"] or 80))
    verdicts = [check_preset(g, n, here, cards["gpu_hour"]) for g, n in names(preset)]
    if markdown:
        say(markdown_table(verdicts), nl=False)
    for verdict in () if markdown else verdicts:
        if as_json:
            emit("preset", passes=verdict.passes, **asdict(verdict))
        else:
            say("\n".join(words(verdict, whole=preset != "all")))
    if not as_json and not markdown and len(verdicts) > 1:
        say(f"{sum(v.passes for v in verdicts)} of {len(verdicts)} presets pass")
    return 0 if all(v.passes for v in verdicts) or preset == "all" else 6


def _say_config(file: str, context: int | None, as_json: bool) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from medgen.launch.setup.config_json import read_config
    from medgen.launch.setup.preset_check import ways
    from medgen.launch.setup.preset_table import config_words

    reading = read_config(Path(file))
    found = list(ways(reading.size, context))
    if as_json:
        fits = {cards: {**asdict(fit), "words": fit.words} for cards, fit in found}
        emit("config", **asdict(reading), fits=fits)
    else:
        say("\n".join(config_words(reading, found)))
    return 0


def _say_findings(store: str, as_json: bool) -> int:
    from dataclasses import asdict

    from rich.console import Console

    from medgen.launch.setup.doctor import examine, finding_lines

    findings = examine(store)
    if as_json:
        for finding in findings:
            emit("finding", **asdict(finding))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            for line in finding_lines(finding, console.width):
                console.print(line)
    vital = ("python", "ray", "storage")  # nothing can be run without them
    return 6 if any(f.state == "missing" and f.area in vital for f in findings) else 0
