"""A judge of two linear heads over real image features: it ranks pictures, it knows no medicine.

Pictures are compared by features of five stages of EfficientNet-Lite0 (Tan and Le, ICML 2019,
trained on ImageNet) and by simple statistics; the heads were fitted on made pictures. Words are
compared by the words they share, and a choice is right or wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medgen.adapters.judges.chat_judge import Case
from medgen.adapters.judges.rule_judge import RuleJudge, same_words
from medgen.adapters.provenance import versions
from medgen.adapters.trained.eye import Eye, pair_numbers
from medgen.adapters.trained.weights import card, load
from medgen.engine.answers.closed import answers_right
from medgen.engine.data import Image
from medgen.engine.images import as_rgb, open_image


class FeatureJudge(RuleJudge):
    """Scores likeness to the reference; without it, whether the candidate looks repaired."""

    def prepare(self) -> None:
        """Load trunk and heads, on the CPU."""
        self._eye, self._card = Eye(), card("eye", "reader", "judge")
        self._states, self._heads = load("reader"), load("judge")

    def passport(self) -> Mapping[str, Any]:
        """See `medgen.engine.ports.Judge`."""
        said = {"rule": "features/1", "model": "EfficientNet-Lite0, five stages; linear heads"}
        return {**super().passport(), **said, **self._card, **versions("torch")}

    def resemblance(self, case: Case) -> tuple[float, str]:
        """See `RuleJudge`."""
        sample, given = case.sample, case.prediction
        based = case.view == "reference_based"
        parts: dict[str, float] = {}
        words = sample.reference_text if based else sample.instruction
        if sample.form != "image" and words:
            parts["words"] = self._words(case, given.text or "", words)
        yardstick = sample.reference_images if based else sample.shown_images
        if sample.form != "text" and yardstick:
            parts["picture"] = self._pictures(case, given.images, yardstick[0])
        mean = sum(parts.values()) / len(parts) if parts else 0.0
        told = ", ".join(f"{name} {value:.2f} of 1" for name, value in parts.items())
        return mean, f"{told} by features and shared words; no physician's judgement."

    def _words(self, case: Case, text: str, words: str) -> float:
        if case.view == "reference_based" and case.sample.reference_choices:
            return float(answers_right(case.sample, text) is True)
        return same_words(text, words)

    def _pictures(self, case: Case, given: Sequence[Image], yardstick: Image) -> float:
        if not given:
            return 0.0
        pair = [as_rgb(open_image(image.data)) for image in (given[0], yardstick)]
        numbers = pair_numbers(self._eye, self._states, pair[0], pair[1])
        head = self._heads[case.view].numpy()
        score = float(head[:-1] @ numbers[: len(head) - 1] + head[-1])
        return float(np.clip((score - 1) / 9, 0, 1))
