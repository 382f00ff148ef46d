"""A model that says something else each time that it is asked on purpose."""

from collections.abc import Sequence
from dataclasses import replace

from fakes import Echo

from medgen.engine.data import Prediction, Request


class Dice(Echo):
    """Says the reference of sample i the first i + 1 times, and then something else."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [
            replace(made, text=f"reference {number(r)}" if r.repeat <= number(r) else "no")
            for made, r in zip(super().predict(requests), requests, strict=True)
        ]


def number(request: Request) -> int:
    """The place of a sample of `fakes.Lines`."""
    return int(request.sample.id.removeprefix("s"))
