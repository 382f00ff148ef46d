"""RadGraph-F1: agreement of the entities and relations of two radiology reports.

Jain et al., "RadGraph", 2021; Delbrouck et al., "RadGraph-XL", ACL Findings 2024. The tagger is
that of the `radgraph` package, an optional extra; the value is its RG_ER component (an entity
counts when its words, its label and whether it has relations agree).
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from medgen.engine.benchmark.canonical import collapse
from medgen.engine.data import Score
from medgen.engine.errors import AdapterError
from medgen.metrics import weights
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.port import Output, TextMetric
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, texts_of
from medgen.metrics.text.ngrams import words
from medgen.metrics.versions import versions_of

_SHORTEST = 4  # words; below, the benchmark authors find a report too short to be tagged
_RG_ER = 1  # its place among the package's three rewards


class RadGraphF1(TextMetric):
    """RG_ER of the RadGraph package. Each text is tagged once however many pairs hold it."""

    name = "radgraph_f1"
    outputs = (Output("radgraph_f1", authors="RadGraph_F1"),)

    def __init__(self, profile: str = "compat", model: str = "radgraph-xl") -> None:
        """`model` is a known name or the directory of an unpacked model of the package."""
        self.profile: Profile = choose_profile(self.name, profile, "compat")
        self.model = model
        self._identity: dict[str, Any] = {}

    def load(self, device: str) -> None:
        """Load the tagger from its directory.

        Raises:
            MissingWeightsError: the package or its model is not on this machine.
            AdapterError: the model cannot be loaded.
        """
        super().load(device)
        if find_spec("radgraph") is None:
            raise weights.MissingWeightsError(
                "RadGraph-F1 needs the package radgraph: pip install 'medgen-engine[radgraph]'"
            )
        here = weights.locate(self.model)
        self._identity = weights.identity(here)
        package = import_module("radgraph.radgraph")
        self._reward = import_module("radgraph.rewards").compute_reward
        try:
            self._tagger = package.RadGraph(
                model_type=here.name,
                model_cache_dir=str(here.parent),
                cuda=0 if device.startswith("cuda") else -1,
            )
        except Exception as err:  # the package raises many kinds; none concerns a sample
            raise AdapterError(f"RadGraph cannot be loaded from {here}: {err}") from err

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        # The authors collapse a report's lines before it is tagged, in this metric alone.
        texts = [
            (collapse(ours), collapse(theirs))
            for ours, theirs in (batch.texts(i, self.profile) for i in range(len(batch)))
        ]
        long_enough = [min(len(words(a)), len(words(b))) >= _SHORTEST for a, b in texts]
        wanted = sorted(
            {t for pair, keep in zip(texts, long_enough, strict=True) if keep for t in pair}
        )
        tagged = self._tag(wanted)
        scores = []
        for pair, (ours, theirs), keep in zip(batch.pairs, texts, long_enough, strict=True):
            if not keep:
                reason = f"a text has fewer than {_SHORTEST} words"
                scores.append(Score(pair.sample.id, "not_applicable", reason))
            else:
                scores.append(self._one(pair.sample.id, tagged[ours], tagged[theirs]))
        return scores

    def _tag(self, texts: list[str]) -> dict[str, Any]:
        found = self._tagger(texts) if texts else {}
        return {text: found[str(place)] for place, text in enumerate(texts)}

    def _one(self, name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Score:
        if not ours.get("entities") and not theirs.get("entities"):
            return Score(name, "not_applicable", "no entities in either text")
        return Score(name, values={self.name: float(self._reward(ours, theirs, "all")[_RG_ER])})

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile,
            "follows": FOLLOWS[self.profile],
            "texts": texts_of(self.profile),
            "model": self.model,
            "component": "RG_ER",
            "versions": versions_of("radgraph", "transformers", "torch"),
            **self._identity,
        }
