"""Options that several commands share, and how they become a configuration."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from medgen.launch.commands.completing import complete_config, complete_override
from medgen.launch.hints import STORE
from medgen.launch.report.escaping import visible

if TYPE_CHECKING:
    from medgen.conf import RunConf

Command = Callable[..., Any]
_LIMIT = "medgen.limit"
_UNPINNED = "medgen.allow_unpinned"


def config_options(command: Command) -> Command:
    """`--config`, `--store`, `--limit`, `--allow-unpinned` and dotted overrides."""
    decorators = [
        click.option(
            "--config",
            "-c",
            shell_complete=complete_config,
            help="YAML file, or a name of the `run` group.",
        ),
        click.option("--store", help="Where results live: a directory or any fsspec URL."),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            expose_value=False,
            callback=_keep_limit,
            help="Take the first samples alone, rounded up to whole shards.",
        ),
        click.option(
            "--allow-unpinned",
            is_flag=True,
            expose_value=False,
            callback=_keep_unpinned,
            help="Models of a hub may be named without a commit; their passports say so.",
        ),
        click.argument("overrides", nargs=-1, shell_complete=complete_override),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _keep_limit(context: click.Context, _: click.Parameter, limit: int | None) -> int | None:
    context.meta[_LIMIT] = limit
    return limit


def _keep_unpinned(context: click.Context, _: click.Parameter, allowed: bool) -> bool:
    context.meta[_UNPINNED] = allowed
    return allowed


def store_option(command: Command) -> Command:
    """`--store` alone, for commands that only read."""
    return click.option("--store", default=STORE, show_default=True, help="Where results live.")(
        command
    )


def as_json(command: Command) -> Command:
    """`--json`: JSON lines on standard output, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout.")(command)


def configuration(config: str | None, store: str | None, overrides: tuple[str, ...]) -> "RunConf":
    """The composed configuration.

    Raises:
        ConfError: it is wrong; the message says where.
    """
    from medgen.conf import load
    from medgen.launch.own_code import find_beside

    find_beside(config)
    own = (f"store={store}",) if store else ()
    context = click.get_current_context(silent=True)  # none where it is called as a function
    if context and (limit := context.meta.get(_LIMIT)):
        overrides = (*overrides, f"benchmark.limit={limit}")
    if context and context.meta.get(_UNPINNED):
        overrides = (*overrides, "allow_unpinned=true")
    source = context.get_parameter_source("store") if context else None
    if source == click.core.ParameterSource.ENVIRONMENT:
        return load(config, (*own, *overrides))  # what is said on the command line wins
    return load(config, (*overrides, *own))


_OUTPUTS: list[TextIO] = []  # the real standard output, while `ours_alone` keeps it


@contextlib.contextmanager
def ours_alone() -> Iterator[None]:
    """Keep standard output for `emit`: what Ray and others print meanwhile goes to stderr."""
    _OUTPUTS.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _OUTPUTS.pop()


def say(text: str, err: bool = False, nl: bool = True) -> None:
    """Print words, whoever wrote them: names of files, answers of servers, lines of logs.

    What could steer a terminal (control signs, direction overrides) is written out. Nothing else
    of the command line prints text.
    """
    click.echo(visible(text, lines=True), err=err, nl=nl)


def emit(event: str, **fields: Any) -> None:
    """One JSON line on standard output."""
    output = _OUTPUTS[-1] if _OUTPUTS else sys.stdout
    output.write(json.dumps({"event": event, **fields}, default=str) + "\n")
    output.flush()
