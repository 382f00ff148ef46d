"""`medgen status`, `report` and `export`: from the store alone."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from medgen.launch.commands.completing import complete_run
from medgen.launch.commands.options import as_json, emit, say, store_option
from medgen.launch.hints import resume_words, store_words, view_command

if TYPE_CHECKING:
    from medgen.engine.run.reader import RunReader
    from medgen.launch.view.data import StoredRun


def open_run(store: str, run: str | None) -> "RunReader":
    """A run by its id, a unique beginning of it, or the one most recently updated.

    Raises:
        StoreError: there is none, or several begin so.
    """
    from medgen.engine.run.folder import RunFolder, find_run
    from medgen.engine.run.reader import RunReader
    from medgen.engine.store.connect import connect

    objects = connect(store)
    return RunReader(objects, RunFolder(objects, find_run(objects, run)).plan())


@click.command("status")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--all", "whole", is_flag=True, help="A row for each system and what it owes.")
@store_option
@as_json
def status_command(run: str | None, whole: bool, store: str, as_json: bool) -> int:
    """Show where a run stands. RUN is its id or the beginning of it; by default the last one.

    Of a run that is not over and has not been heard of for a minute it listens for 50 s: a driver
    that was killed says nothing, and its run becomes an `error`.
    """
    from rich.console import Console

    from medgen.engine.codec import plain
    from medgen.engine.run.folder import RunFolder
    from medgen.engine.run.reckoning import reckon
    from medgen.engine.run.survey import survey
    from medgen.launch.run.plan import reckoning_lines, standing_table
    from medgen.launch.run.standing import standing
    from medgen.launch.run.whereabouts import status_lines

    reader = open_run(store, run)
    folder = RunFolder(reader.objects, reader.plan.run_id)
    status = standing(folder, partial(say, err=True))
    todo = survey(reader, terms=None)
    reckoned = reckon(reader.plan, folder.events())
    if as_json:
        left = {key: len(targets) for key, targets in todo.targets.items()}
        known = plain(status) if status else {}
        if reckoned:
            known |= {"forecast": reckoned[0], "taken": plain(reckoned[1])}
        emit("status", run=reader.plan.run_id, shards_to_do=left, **known)
        return 0
    if whole:
        Console().print(standing_table(reader.plan, todo, status))
    for line in () if whole else status_lines(reader.plan, todo, status):
        say(line)
    for line in reckoning_lines(*reckoned) if reckoned else ():
        say(line)
    if status and status.status == "started":
        say(f"follow  medgen attach {reader.plan.run_id}{store_words(store)}")
    elif not status or status.status != "success":
        say(f"go on   {resume_words(reader.plan.run_id, store)}")
    say(f"look    {view_command(reader.plan.run_id, store)}")
    return 0


@click.command("report")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--all", "whole", is_flag=True, help="Print every value, not the six that matter.")
@click.option("--no-pages", is_flag=True, help="Leave out the pages for a browser.")
@store_option
def report_command(run: str | None, whole: bool, no_pages: bool, store: str) -> int:
    """Print the tables of a run, complete or not; write a page in Markdown and those of `view`."""
    from rich.console import Console

    from medgen.engine.results.publishing import Summaries
    from medgen.launch.report.beside import write_beside
    from medgen.launch.report.report import write_report
    from medgen.launch.report.tables import terminal_tables
    from medgen.launch.run.publish import write_tables
    from medgen.launch.run.published import published_anew
    from medgen.launch.view.certain import write_certainty
    from medgen.launch.view.data import StoredRun
    from medgen.launch.view.terminal import print_results

    reader = open_run(store, run)
    with published_anew(reader.objects, reader.plan.run_id):
        summary = write_tables(reader, Summaries(), prove=True)
        stored = StoredRun(reader.objects, reader.plan.run_id, reader)
        certainty = write_certainty(stored)
        if whole:
            for table in terminal_tables(summary, Console().width):
                Console().print(table)
        else:
            print_results(stored, certainty)
        for text in write_beside(reader):
            say(text)
        say(f"report  {reader.objects.url}/{write_report(reader, summary)[0]}")
        if not no_pages:
            _write_pages(stored)
    return 0


def _write_pages(stored: "StoredRun") -> None:
    from medgen.engine.store.connect import connect
    from medgen.engine.store.layout import RunPlace
    from medgen.launch.view.bundle import write_bundle

    pages = f"{stored.objects.url}/{RunPlace(stored.run_id).report('pages')}"
    write_bundle(stored, connect(pages))
    say(f"open    {link_to(pages)}")


def link_to(pages: str) -> str:
    """The address of a bundle's first page, as a browser takes it."""
    from pathlib import Path

    index = f"{pages.rstrip('/')}/index.html"
    return index if "://" in index else Path(index).resolve().as_uri()


@click.command("sets")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--model", default="rad-dino", show_default=True, help="Known weights, or a folder.")
@click.option(
    "--encoder",
    default="transformers",
    show_default=True,
    type=click.Choice(["transformers", "efficientnet-lite0"]),
    help="What the weights are of.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@store_option
@as_json
def sets_command(
    run: str | None, model: str, encoder: str, device: str, store: str, as_json: bool
) -> int:
    """FID and KID of every system's pictures against the references.

    Features are kept in the store, so a second call only merges them.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from medgen.launch.report.cells import cell
    from medgen.launch.report.sets import set_rows
    from medgen.launch.report.tables import PLUMBING, number
    from medgen.metrics.image.sets import SetFeatures

    reader = open_run(store, run)
    table = Table(box=None, pad_edge=False)
    table.add_column("system", no_wrap=True)
    for column in ("FID ↓", "KID ↓", "KID sd", "pairs", "left out"):
        table.add_column(column, justify="right")
    random = False
    for row in set_rows(reader, SetFeatures(model, encoder, device)):
        if as_json:
            emit("set", **asdict(row))
        cells = [number((row.values or {}).get(name)) for name in ("fid", "kid", "kid_sd")]
        random = random or row.random_weights
        table.add_row(cell(row.system), *cells, str(row.pairs), str(row.left_out))
    if not as_json:
        note = f"; {PLUMBING}" if random else ""
        say(f"{reader.plan.run_id}: whole sets of pictures, encoder {model}{note}")
        Console().print(table)
    return 0


@click.command("export")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--format", "kind", type=click.Choice(["parquet", "csv", "jsonl", "latex"]), default="parquet"
)
@click.option("--to", required=True, type=click.Path(file_okay=False), help="A new directory.")
@store_option
def export_command(run: str | None, kind: str, to: str, store: str) -> int:
    """Write every row of a run: Parquet, CSV, JSONL with the authors' names; or LaTeX tables."""
    from pathlib import Path

    from medgen.engine.errors import ConfigError
    from medgen.launch.report.export import export_run
    from medgen.launch.report.records import unknown_values
    from medgen.launch.writing import write_asked

    reader, folder = open_run(store, run), Path(to)
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{to} is not empty, and rows of runs would mix; name a new folder")
    if kind == "latex":
        from medgen.engine.results.summary import summarize
        from medgen.launch.report.latex import latex_tables

        text = latex_tables(summarize(reader), reader.plan.run_id, reader.plan.protocol)
        say(str(write_asked(folder / "tables.tex", text)))
        return 0
    for path in export_run(reader, kind, folder):
        sys.stdout.write(f"{path}\n")
    if kind == "jsonl" and (own := unknown_values(reader)):
        say(f"the authors' scripts do not read, under names of ours: {', '.join(own)}", err=True)
    return 0
