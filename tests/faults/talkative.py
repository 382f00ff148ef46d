"""A generator that quotes its samples where it should not."""

from collections.abc import Sequence

from fakes import Echo

from medgen.engine.data import Prediction, Request


class Talkative(Echo):
    """Raises with a sample's words in the message."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        for request in requests:
            if request.sample.id == "s0003":
                raise ValueError(f"no idea about {request.sample.instruction!r}")
        return super().predict(requests)
