"""The command line. Heavy things are imported by the command that needs them."""

import difflib
import importlib
import io
import os
import sys

import click

from medgen.engine.redaction import redact
from medgen.engine.trouble import show_warnings, trouble
from medgen.launch.commands.options import say

# name -> (module in launch/commands, one-line help). A table, so that help imports nothing.
COMMANDS = {
    "demo": ("demo", "Run the controls over the embedded miniature benchmark, in this process."),
    "run": ("running", "Predict, score, judge and report; starts where the last run stopped."),
    "eval": ("own", "Evaluate a model on your own data; no YAML."),
    "init": ("own", "Lay down a commented starter: run, benchmark, system, judge."),
    "plan": ("running", "Show what a run would do, and whether it fits, without doing it."),
    "score": ("running", "Score the predictions that exist; no model is run."),
    "judge": ("running", "Judge the predictions that exist; no model but the judge is run."),
    "audit": ("auditing", "Ask about a share of finished samples again, and say what differs."),
    "status": ("results", "Show where a run stands, from the store alone."),
    "submit": ("remote", "Give a run to a Ray cluster as a job, or render a cluster's manifests."),
    "attach": ("remote", "Follow a run to its end, wherever it is driven."),
    "logs": ("remote", "Show what happened in a run."),
    "cancel": ("remote", "Ask a run to stop; everything committed stays."),
    "control": ("steering", "Pause, resume or drop a system, set workers or the cap, requeue."),
    "view": ("viewing", "Look at results in a browser, or write the pages as files."),
    "report": ("results", "Write tables, pictures and a Markdown report of a run."),
    "sets": ("results", "FID and KID of every system's pictures."),
    "export": ("results", "Write a run as Parquet, CSV or the authors' JSONL."),
    "gc": ("housekeeping", "Remove old runs, and rows that no run needs."),
    "copy": ("housekeeping", "Copy a run with all that it needs into another store."),
    "verify": ("housekeeping", "Prove every object of a run by its digest."),
    "compare": ("comparing", "Compare two systems, or one system in two runs."),
    "gate": ("comparing", "Pass or fail a run against a baseline (exit 0, 4 or 5)."),
    "nightly": ("nightly", "Run, gate against the last good night, publish and tell."),
    "import": ("data", "Read a benchmark in any known layout into the store."),
    "validate": ("data", "List every problem of a benchmark without writing anything."),
    "build": ("data", "Make the embedded miniature benchmark, or tiny random weights."),
    "list": ("data", "List runs, benchmarks, systems, metrics, protocols …"),
    "models": ("models", "List the presets of models, or find the commits of their weights."),
    "weights": ("machine", "List, fetch or check the weights that metrics need."),
    "pack": ("machine", "Pack wheels, weights, presets and documents for a machine offline."),
    "doctor": ("machine", "Say what this machine can run, and how to get the rest."),
}


class Lazy(click.Group):
    """Loads a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, loaded now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"medgen.launch.commands.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, f"{name}_command")
        for option in command.params:
            if isinstance(option, click.Option):
                option.envvar = variables(name, option)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; for one that is none, the nearest is named."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            more = f" Do you mean {near[0]}?" if near else " `medgen --help` lists them."
            ctx.fail(f'no command "{args[0]}".{more}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def variables(command: str, option: click.Option) -> list[str]:
    """The variables an option comes from: `MEDGEN_<COMMAND>_<OPTION>`, as on the command line.

    One more, `MEDGEN_STORE`, is the store of every command.
    """
    (said,) = [word[2:] for word in option.opts if word.startswith("--")]
    own = f"MEDGEN_{command}_{said}".upper().replace("-", "_")
    return [own, "MEDGEN_STORE"] if said == "store" else [own]


@click.command(cls=Lazy, context_settings={"max_content_width": 100})
@click.version_option(package_name="medgen-engine", prog_name="medgen")
def cli() -> None:
    """Evaluate multimodal medical models on MedGEN-Bench, on a laptop or a Ray cluster.

    Every option can also be given in the environment as MEDGEN_<COMMAND>_<OPTION>, e.g.
    MEDGEN_EXPORT_FORMAT=csv; MEDGEN_STORE=s3://bucket/path is the store of every command.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run a command; turn errors raised on purpose into a sentence and an exit code."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # the other keeps what was freed
    show_warnings()
    try:
        sys.exit(cli.main(args=arguments, prog_name="medgen", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as err:
        say(err.ctx.get_help())
        sys.exit(0)
    except click.ClickException as err:
        shown = io.StringIO()
        err.show(shown)
        say(redact(shown.getvalue()), err=True, nl=False)
        sys.exit(err.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; what is done is kept. Run the same command to go on.", err=True)
        sys.exit(130)
    except Exception as err:  # noqa: BLE001 - a purposeful error becomes a sentence; others keep their trace
        from medgen.launch.exits import code_of

        code = code_of(err)
        if code is None:
            say(trouble(err).traceback, err=True)
            sys.exit(1)
        say(redact(f"medgen: {err}{_cure(err)}"), err=True)
        sys.exit(code)


def _cure(err: Exception) -> str:
    from medgen.engine.run.repair import cure

    return cure(type(err).__name__, str(err))


if __name__ == "__main__":
    main()
