"""Where staged weights lie in a store."""

from dataclasses import dataclass

from medgen.engine.store.layout import WEIGHTS


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """The folder of a model of the hub at a commit."""

    model: str  # owner/name
    commit: str

    @property
    def folder(self) -> str:
        """Where it is."""
        return f"{WEIGHTS}/{self.model.replace('/', '--')}/{self.commit}"

    @property
    def manifest(self) -> str:
        """Its files and their parts: what has this is whole."""
        return f"{self.folder}/manifest.json"

    def part(self, digest: str) -> str:
        """A part of one or more files, by the sha256 of its bytes."""
        return f"{self.folder}/part-{digest}"
