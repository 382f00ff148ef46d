"""`medgen compare` and `gate`."""

import shlex
import sys
from typing import TYPE_CHECKING

import click

from medgen.launch.commands.completing import complete_side
from medgen.launch.commands.options import as_json, store_option
from medgen.launch.commands.results import open_run
from medgen.launch.hints import store_words, view_command
from medgen.launch.report.escaping import visible

if TYPE_CHECKING:
    from medgen.engine.results.comparison import Side
    from medgen.engine.run.reader import RunReader

across_option = click.option(
    "--across", is_flag=True, help="Compare values that were not made alike, and say so everywhere."
)


def _side(text: str, store: str, run: str | None) -> "Side":
    """SYSTEM or RUN/SYSTEM; a system that is called like a hub's model has a slash of its own."""
    from medgen.engine.names import check_names
    from medgen.engine.results.comparison import Side

    other, slash, system = text.partition("/")
    if slash and (run or not _begins_a_run(store, other)):
        reader = open_run(store, run)
        if text in _systems(reader):
            return Side(reader, text)
    reader = open_run(store, other if slash else run)
    last = "" if slash or run else ", the last one (`RUN/SYSTEM` is of another),"
    names = [system if slash else text]
    check_names(f"run {reader.plan.run_id}{last} has no system", names, _systems(reader))
    return Side(reader, *names)


def _again(left: str, right: str, run: str | None, across: bool, store: str) -> str:
    """The command that compares the same."""
    of = f" --run {shlex.quote(run)}" if run else ""
    of += " --across" if across else ""
    sides = f"{shlex.quote(left)} {shlex.quote(right)}"
    return visible(f"medgen compare {sides}{of}{store_words(store)}")


def _begins_a_run(store: str, word: str) -> bool:
    from medgen.engine.run.folder import run_ids
    from medgen.engine.store.connect import connect

    return any(name.startswith(word) for name in run_ids(connect(store)))


def _systems(reader: "RunReader") -> list[str]:
    return [system.name for system in reader.plan.systems]


@click.command("compare")
@click.argument("left", required=False, shell_complete=complete_side)
@click.argument("right", required=False, shell_complete=complete_side)
@click.option("--run", help="The run that plain system names belong to; by default the last one.")
@click.option("--published", help="A published table: `manuscript`, or a YAML file. No sides.")
@click.option("--markdown", is_flag=True, help="As Markdown.")
@click.option("--all", "whole", is_flag=True, help="Every value, format and task with its tests.")
@across_option
@store_option
@as_json
def compare_command(
    left: str | None,
    right: str | None,
    run: str | None,
    published: str | None,
    markdown: bool,
    whole: bool,
    across: bool,
    store: str,
    as_json: bool,
) -> int:
    """Compare two systems, paired on sample ids.

    LEFT and RIGHT are system names, or `run/system`. With --published a whole run stands beside a
    published table instead.
    """
    from rich.console import Console

    from medgen.engine.results.comparison import compare
    from medgen.launch.report import verdicts
    from medgen.launch.view.comparing import comparison_lines
    from medgen.launch.view.terminal import spelt

    if published:
        return _beside_published(published, store, run, as_json)
    if not left or not right:
        raise click.UsageError("name two systems, or a table with --published")
    sides = _side(left, store, run), _side(right, store, run)
    found = compare(*sides, across=across)
    if as_json:
        sys.stdout.write(verdicts.comparison_json(found) + "\n")
    elif markdown:
        sys.stdout.write(verdicts.comparison_markdown(found))
    elif whole:
        for table in verdicts.comparison_tables(found):
            Console().print(table)
    else:
        for line in comparison_lines(found):
            sys.stdout.write(f"{spelt(line, sys.stdout)}\n")
        sys.stdout.write(f"all     {_again(left, right, run, across, store)} --all\n")
        look = view_command(sides[1].reader.plan.run_id, store)
        sys.stdout.write(f"look    {look} --page compare\n")
    return 0


def _beside_published(published: str, store: str, run: str | None, as_json: bool) -> int:
    from dataclasses import asdict

    from medgen.conf.loading import published_table
    from medgen.engine.results.summary import summarize
    from medgen.launch.commands.options import emit, say
    from medgen.launch.report.published import beside, lines

    table = published_table(published)
    found = beside(table, summarize(open_run(store, run)))
    if as_json:
        for one in found:
            emit("published", state=one.state, difference=one.difference, **asdict(one))
    else:
        say("\n".join(lines(found, str(table.get("source") or published))))
    return 0


@click.command("gate")
@click.argument("baseline", shell_complete=complete_side)
@click.argument("candidate", shell_complete=complete_side)
@click.option("--run", help="The run that plain system names belong to; by default the last one.")
@click.option("--rules", type=click.Path(dir_okay=False), help="YAML with tolerances.")
@click.option("--markdown", type=click.Path(dir_okay=False), help="Write the verdict there too.")
@across_option
@store_option
@as_json
def gate_command(
    baseline: str,
    candidate: str,
    run: str | None,
    rules: str | None,
    markdown: str | None,
    across: bool,
    store: str,
    as_json: bool,
) -> int:
    """Pass (0), fail (4) or leave open (5) a candidate against a baseline.

    BASELINE and CANDIDATE are system names, or `run/system`.
    """
    from pathlib import Path

    from medgen.conf.loading import gate_rules
    from medgen.engine.results.gate import GateRules, gate
    from medgen.launch.report import verdicts
    from medgen.launch.view.comparing import gate_lines
    from medgen.launch.view.terminal import spelt
    from medgen.launch.writing import write_asked

    given = GateRules(**gate_rules(rules)) if rules else GateRules()
    sides = _side(baseline, store, run), _side(candidate, store, run)
    verdict = gate(*sides, given, across=across)
    text = verdicts.gate_markdown(verdict)
    if markdown:
        write_asked(Path(markdown), text)
    if as_json:
        sys.stdout.write(verdicts.gate_json(verdict) + "\n")
    else:
        sys.stdout.writelines(f"{spelt(line, sys.stdout)}\n" for line in gate_lines(verdict))
        sys.stdout.write(f"why     {_again(baseline, candidate, run, across, store)}\n")
    return verdict.exit_code
