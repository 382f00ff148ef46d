"""Commands that a person is told to run, said so that they look into the same store."""

import os
import shlex
from pathlib import Path

from medgen.conf.loading import group_names

STORE = "var/store"  # what commands take when nobody names a store


def unasked_store() -> str:
    """The store that a command takes when it is not told another."""
    return os.environ.get("MEDGEN_STORE") or STORE


def store_words(store: str) -> str:
    """What a printed command must say to look into the same store: nothing where it does so.

    Args:
        store: as it was asked for, or as `Objects.url` has it.
    """
    unasked = unasked_store()
    same = store in (unasked, str(Path(unasked).absolute()))
    return "" if same else f" --store {shlex.quote(store)}"


def resume_words(run_id: str, store: str) -> str:
    """How a run goes on: its command, where it is called like a preset of ours.

    Which file of one's own it was started with is not kept.
    """
    return _command_of(run_id, store) or "the command that started it"


def _command_of(run_id: str, store: str) -> str:
    name = run_id.rpartition("-")[0]
    known = name in group_names("run")
    return f"medgen run --config {name}{store_words(store)}" if known else ""


def retry_words(run_id: str, store: str) -> str:
    """How rows that are not ok are asked for again."""
    command = _command_of(run_id, store)
    return f"{command or 'the command that started it, with'} --retry-errors"


def view_command(run_id: str, store: str) -> str:
    """The command that shows a run."""
    return f"medgen view {run_id}{store_words(store)}"
