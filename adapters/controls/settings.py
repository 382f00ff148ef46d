"""Settings of the controls."""

from medgen.engine.settings import Nested, Settings
from medgen.engine.store.chaos import Chaos


class ControlSettings(Settings, frozen=True, kw_only=True):
    """Arguments of a control that takes none."""


class ReplaySettings(Settings, frozen=True, kw_only=True):
    """Arguments of `medgen.adapters.controls.replay.Replay`."""

    url: str | tuple[str, ...]
    images: str = ""
    sha256: str = ""


class ChaoticSettings(Settings, frozen=True, kw_only=True):
    """Arguments of `ChaoticGenerator` and `ChaoticJudge` (`medgen.adapters.controls.chaos`)."""

    inner: Nested
    chaos: Chaos
