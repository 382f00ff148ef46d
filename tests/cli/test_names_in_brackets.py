"""Names and reasons in brackets show as they are: to a table of the terminal they are markup."""

from pathlib import Path

import pytest
import yaml
from commands import medgen
from fakes import Lines

from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.store.connect import connect

NAMES = ("m[fast]", "q[/x]\x1b[31m")
SHOWN = ("m[fast]", "q[/x]\\x1b[31m")


def body(kwargs: dict[str, object]) -> dict[str, object]:
    echoes = [{"target": "fakes:Echo", "kwargs": {"prefix": p, **kwargs}} for p in "xy"]
    return {
        "name": "odd",
        "benchmark": {"name": "fake"},
        "systems": [{"name": n, "answer": e} for n, e in zip(NAMES, echoes, strict=True)],
        "protocol": {"name": "text", "metrics": {"token_f1": {}}},
        "cluster": "in-process",
    }


@pytest.fixture
def place(tmp_path: Path) -> tuple[str, str]:
    """A configuration, and a store whose own name would be markup."""
    store, config = tmp_path / "s[/x]tore", tmp_path / "run.yaml"
    import_benchmark(Lines(12), connect(str(store)), ImportOptions("fake", 4))
    config.write_text(yaml.safe_dump(body({})))
    return str(config), str(store)


def test_every_table_shows_a_name_as_it_is(place: tuple[str, str]) -> None:
    config, store = place
    for command in (
        ("plan", "--config", config),
        ("run", "--config", config),
        ("status", "--all"),
        ("report",),
        ("report", "--all"),
        ("compare", *NAMES),
        ("compare", *NAMES, "--all"),
        ("gate", *NAMES),
        ("logs",),
    ):
        done = medgen(*command, "--store", store)
        assert done.returncode == (5 if command[0] == "gate" else 0), (command, done.stderr)
        assert "\x1b[31m" not in done.stdout + done.stderr
        whole = "".join(done.stdout.split())
        assert all(name in whole for name in SHOWN), (command, done.stdout)


def test_a_reason_in_brackets_is_told(place: tuple[str, str]) -> None:
    config, store = place
    given = body({})
    given["systems"] = [{"name": "lost", "answer": {"target": "nowhere:[/INST]"}}]
    Path(config).write_text(yaml.safe_dump(given))
    assert medgen("run", "--config", config, "--store", store).returncode == 3
    for more in ((), ("--all",)):
        done = medgen("status", "--store", store, *more)
        assert done.returncode == 0, done.stderr
        told = " ".join(done.stdout.replace("│", " ").split())
        assert "given up: answer of lost (" in told
        assert "[/INST]" in told
