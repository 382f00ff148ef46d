"""`medgen audit`."""

import click

from medgen.launch.commands.options import (
    as_json,
    config_options,
    configuration,
    emit,
    ours_alone,
    say,
)


@click.command("audit")
@config_options
@click.option(
    "--share",
    type=float,
    default=0.05,
    show_default=True,
    help="Of the samples that are finished.",
)
@as_json
def audit_command(
    config: str | None, store: str | None, overrides: tuple[str, ...], share: float, as_json: bool
) -> int:
    """Ask models and judges about a share of finished samples again, and say what differs."""
    from medgen.engine.codec import plain
    from medgen.engine.errors import ConfigError
    from medgen.launch.audit import STAGES, repetitions
    from medgen.launch.exits import INCOMPLETE, OK
    from medgen.launch.run.evaluation import RunOptions, evaluate
    from medgen.launch.run.plan import given_up_lines
    from medgen.launch.run.stop import Stop

    if not 0 < share <= 1:
        raise ConfigError(f"--share {share:g}: a share is above 0 and at most 1")
    conf = configuration(config, store, (*overrides, f"audit={share}"))
    stop = Stop()
    with ours_alone():
        result = evaluate(conf, RunOptions(STAGES, quiet=as_json), stop, lambda event: None)
        found = list(repetitions(result.reader))
    for one in found:
        if as_json:
            emit("repeated", **plain(one))
        else:
            say(one.words)
    for line in given_up_lines(result.plan, result.ending.failed):
        say(line, err=True)
    if stop.signal is not None:
        return 128 + stop.signal
    return INCOMPLETE if result.ending.failed or any(one.failed for one in found) else OK
