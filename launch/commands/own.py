"""`medgen eval` and `medgen init`, and how `medgen import` shows a guessed preset."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medgen.launch.commands.options import as_json, say, store_option

if TYPE_CHECKING:
    from medgen.conf.schema import BenchmarkConf


def own_conf(
    source: str, layout: str | None, columns: tuple[str, ...], quiet: bool
) -> "BenchmarkConf | None":
    """The preset of somebody's own table, shown with its first samples; None for other sources.

    Args:
        source: what the command line says.
        layout: one that was asked for; then nothing is guessed.
        columns: image, question, answer, choices and reference, as the command line has them.
        quiet: show nothing.
    """
    from medgen.adapters.tables.guess import Named
    from medgen.launch.own_data import is_own, own_data

    image, question, answer, choices, reference = columns
    if layout or not is_own(source):
        return None
    listed = tuple(name.strip() for name in choices.split(",") if name.strip())
    found = own_data(source, Named(image, question, answer, listed, reference))
    if not quiet:
        _show(found.conf, found.file, found.fresh, found.doubts)
    return found.conf


def _show(conf: "BenchmarkConf", file: Path, fresh: bool, doubts: list[str]) -> None:
    from medgen.launch.own_data import first_samples, words_of

    say(f"{'wrote' if fresh else 'read'} {file}:\n")
    say(file.read_text(encoding="utf-8"))
    samples, problems = first_samples(conf)
    for sample in samples:
        for line in words_of(sample):
            say(line)
    for words in (*doubts, *map(str, problems[:5])):
        say(f"look at this: {words}", err=True)


@click.command("eval")
@click.option("--model", required=True, help="URL of an OpenAI-compatible server, or a system.")
@click.option("--data", required=True, help="Your table or folder, a preset's YAML, or its name.")
@click.option("--judge", default="", help="URL of the server whose model judges, or a judge.")
@click.option("--name", default="", help="The model's name, where the server has several.")
@click.option("--key-env", default="", help="Variable that holds the server's key.")
@click.option("--limit", type=click.IntRange(1), help="Samples, rounded up to whole shards.")
@store_option
@as_json
def eval_command(
    model: str,
    data: str,
    judge: str,
    name: str,
    key_env: str,
    limit: int | None,
    store: str,
    as_json: bool,
) -> int:
    """Evaluate one model on your own data: no YAML, a table and a report.

    What is guessed of the data is written beside it. The controls oracle and blank run along: they
    show where the ceiling and the floor of every value lie.
    """
    from medgen.launch.commands.running import carry_out
    from medgen.launch.quick import Quick, quick_run
    from medgen.launch.run.evaluation import RunOptions

    conf = quick_run(Quick(data, model, judge, name, key_env, store, limit))
    return carry_out(conf, RunOptions(quiet=as_json))


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False))
def init_command(folder: str) -> int:
    """Lay down a commented starter: a run, and a benchmark, a system and a judge of your own."""
    from medgen.launch.quick import lay_starter

    for path in lay_starter(Path(folder)):
        say(str(path))
    say(
        f"next: put questions.csv and its images/ into {folder}/data (benchmark/mine.yaml),",
        err=True,
    )
    say("then medgen plan -c run.yaml, then medgen run -c run.yaml", err=True)
    return 0
