"""A generator that quotes its samples where it should not."""

from asyncio import CancelledError
from collections.abc import Sequence

from fakes import Echo

from medgen.engine.data import Prediction, Request
from medgen.engine.errors import AdapterError


class Talkative(Echo):
    """Raises with a sample's words in the message."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        for request in requests:
            if request.sample.id == "s0003":
                raise AdapterError(f"no idea about {request.sample.instruction!r}")
        return super().predict(requests)


class Quoting(CancelledError):
    """The interpreter's own, so nothing that bounds a sample's error holds it: the driver ends."""


class Ending(Echo):
    """Ends the process that it runs in, with a sample's words."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        raise Quoting(f"no idea about {requests[0].sample.instruction!r}")
