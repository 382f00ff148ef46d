"""`medgen` in this process: for what a command says and ends with, without a Python of its own.

Whoever asks how a process ends (signals, logs, Ray), starts one: `tests/cluster/clients.py`.
"""

import contextlib
import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from medgen.launch.cli import main


class Done(NamedTuple):
    """How a command ended: its exit code, and what it said."""

    returncode: int
    stdout: str
    stderr: str

    def lines(self) -> list[dict[str, Any]]:
        """What `--json` printed."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def medgen(*arguments: str, **environment: str) -> Done:
    """The command to its end, with these variables beside those that are there."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _code(arguments)
    return Done(code, out.getvalue(), err.getvalue())


def _code(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)
