"""A generator whose answers need room on the disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from fakes import Echo

from medgen.engine.data import Prediction, Request


class Verbose(Echo):
    """Answers with some thousand characters that do not compress well."""

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        return [replace(p, text=drivel(p.sample_id)) for p in super().predict(requests)]


def drivel(name: str) -> str:
    return hashlib.shake_128(name.encode()).hexdigest(8000)
