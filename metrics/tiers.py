"""What a metric reads, and whose answers that can be: a design of benchmarks, not of a metric."""

from collections.abc import Mapping
from typing import Literal

from medgen.engine.data import Asks

Tier = Literal["image", "text"]
COMPARES: Mapping[Tier, tuple[Asks, ...]] = {
    "text": ("text", "choice", "image+text"),
    "image": ("image", "image+text"),
}
