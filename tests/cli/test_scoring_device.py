"""Scoring uses no device that was not reserved for it."""

import pytest

from medgen.conf import load
from medgen.engine.errors import ConfigError
from medgen.launch import compose

WISHES = [
    "systems=[copy-input]",
    "protocol=weight-free",
    "benchmark=mini",
    "cluster=in-process",
    "store=none",
]


def scorer(*more: str) -> dict[str, object]:
    return dict(compose.recipe(load(None, [*WISHES, *more])).scorer.kwargs)


@pytest.mark.parametrize(
    ("more", "device", "threads"),
    [
        ([], "cpu", 1),
        (["scoring.resources.cpus=4"], "cpu", 4),
        (["scoring.resources.gpus=0.25"], None, 1),
        (["scoring.resources.gpus=1", "scoring.kwargs.device=cuda"], "cuda", 1),
        (["scoring.kwargs.device=auto"], "cpu", 1),
        (["scoring.kwargs.threads=3"], "cpu", 3),
    ],
)
def test_the_device_is_what_was_asked_for(
    more: list[str], device: str | None, threads: int
) -> None:
    given = scorer(*more)
    assert given.get("device") == device
    assert given["threads"] == threads


def test_a_gpu_that_nobody_reserved_is_refused() -> None:
    with pytest.raises(ConfigError, match="asks for no GPU"):
        scorer("scoring.kwargs.device=cuda")
