"""Clinical entities by lexicon: what an answer names, invents and leaves out.

A fixed lexicon of organs, findings, devices and modalities, matched as whole words. It is a
coarse net: it sees only what it knows. The compat profile is blind to negation, the strict one
takes an entity that is denied as another entity than one that is stated.
"""

import re
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from typing import Any

from medgen.engine.benchmark.canonical import squeeze
from medgen.engine.codec import fingerprint
from medgen.engine.data import Score
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.port import Golden, Output, PairwiseText
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, texts_of
from medgen.metrics.samples import text_pair

# entity: its spellings, "|"-separated. The vocabulary is that of the benchmark authors' evaluator.
LEXICON = {
    "atelectasis": "atelectasis",
    "catheter": "catheter",
    "chest tube": "chest tube",
    "consolidation": "consolidation",
    "ct": "ct|computed tomography",
    "cyst": "cyst|cysts",
    "diaphragm": "diaphragm|hemidiaphragm",
    "edema": "edema",
    "endotracheal tube": "endotracheal tube",
    "enteric tube": "enteric tube",
    "fracture": "fracture|fractures",
    "heart": "heart|cardiac|cardiomediastinal silhouette",
    "kidney": "kidney|kidneys|renal",
    "lesion": "lesion|lesions",
    "lungs": "lung|lungs|pulmonary",
    "mass": "mass",
    "mediastinum": "mediastinum|mediastinal contour|cardiomediastinal silhouette",
    "mri": "mri|magnetic resonance imaging",
    "nodule": "nodule|nodules",
    "opacity": "opacity|opacities|opacification",
    "pancreas": "pancreas|pancreatic",
    "parathyroid": "parathyroid",
    "pleura": "pleura|pleural",
    "pleural effusion": "pleural effusion|effusion",
    "pneumothorax": "pneumothorax",
    "radiograph": "radiograph|x-ray|xray",
    "thyroid": "thyroid",
    "ultrasound": "ultrasound|doppler|sonography",
}
_FINDINGS = frozenset(
    {"atelectasis", "consolidation", "cyst", "edema", "fracture", "lesion", "mass", "nodule"}
    | {"opacity", "pleural effusion", "pneumothorax"}
)
_CLAUSE_END = re.compile(r"[.;!?](?=\s|$)|\n|\b(?:but|however|although|except)\b")
_DENIAL = re.compile(
    r"\b(?:no|not|without|absent|absence of|negative for|free of|denies|ruled out|never|neither"
    r"|nor|isn't|aren't|wasn't|weren't)\b"
)


@lru_cache(maxsize=1)
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        entity: re.compile(
            "(?<![a-z])(?:" + "|".join(map(re.escape, names.split("|"))) + ")(?![a-z])"
        )
        for entity, names in LEXICON.items()
    }


def entities(text: str) -> frozenset[str]:
    """The entities of the lexicon that a text names, whether it states or denies them."""
    plain = squeeze(text)
    return frozenset(e for e, pattern in _patterns().items() if pattern.search(plain))


def asserted_entities(text: str) -> frozenset[str]:
    """Entities that a text names; a finding in a clause with a denial becomes `no <finding>`.

    Only findings can be denied: "no effusion in the left lung" says nothing against the lung.
    """
    found: set[str] = set()
    for clause in _CLAUSE_END.split(text.lower()):
        named = entities(clause)
        denied = named & _FINDINGS if _DENIAL.search(clause) else frozenset[str]()
        found |= {f"no {entity}" for entity in denied} | (named - denied)
    return frozenset(found)


def entity_values(ours: Set[str], theirs: Set[str], profile: Profile) -> dict[str, float]:
    """Precision, recall, F1, hallucination, omission and factual precision of entity sets.

    compat: two empty sets agree perfectly, and an answer without entities has precision 0 when
    the reference has some. strict: a ratio without a denominator is left out, because nothing
    was measured.
    """
    shared, agree = len(ours & theirs), float(not ours and not theirs)
    precision = shared / len(ours) if ours else agree
    recall = shared / len(theirs) if theirs else agree
    both = precision + recall
    of_ours = {
        "entity_precision": precision,
        "hallucination": len(ours - theirs) / len(ours) if ours else 0.0,
        "factual_precision": precision,
    }
    of_theirs = {
        "entity_recall": recall,
        "omission": len(theirs - ours) / len(theirs) if theirs else 0.0,
    }
    of_both = {"entity_f1": 2 * precision * recall / both if both else 0.0}
    if profile == "compat":
        return of_ours | of_theirs | of_both
    measured = (of_ours if ours else {}) | (of_theirs if theirs else {})
    return measured | (of_both if ours or theirs else {})


class ClinicalEntities(PairwiseText):
    """Precision, recall and F1 of clinical entities; hallucination, omission, factual precision.

    compat: the lexicon, blind to negation, with values also where nothing was named. strict: a
    denied finding is another entity than a stated one, and only ratios with a denominator are
    given.
    """

    name = "clinical_entities"
    outputs = (
        Output("entity_f1", authors="Clinical_Entity_F1"),
        Output("entity_precision", authors="Clinical_Entity_P"),
        Output("entity_recall", authors="Clinical_Entity_R"),
        Output("hallucination", higher_is_better=False, authors="Entity_Hallucination_Rate"),
        Output("omission", higher_is_better=False, authors="Entity_Omission_Rate"),
        Output("factual_precision", authors="Entity_Factual_Precision"),
    )

    def __init__(self, profile: str = "compat") -> None:
        """`profile` is compat or strict."""
        self.profile = choose_profile(self.name, profile, "compat", "strict")

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`; strict has no value for two texts that name nothing."""
        return [
            score
            if score.values
            else Score(score.sample_id, "not_applicable", "neither text names a known entity")
            for score in super().score(batch)
        ]

    def values(self, text: str, reference: str) -> Mapping[str, float]:
        """See `PairwiseText.values`."""
        find = asserted_entities if self.profile == "strict" else entities
        return entity_values(find(text), find(reference), self.profile)

    def golden(self) -> Sequence[Golden]:
        """See `Metric.golden`."""
        f1 = {"compat": 6 / 7, "strict": 4 / 7}[self.profile]
        return (Golden(*text_pair(), {"entity_f1": f1}),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile,
            "follows": FOLLOWS[self.profile],
            "texts": texts_of(self.profile),
            "entities": len(LEXICON),
            "lexicon": fingerprint(LEXICON),
            "negation": "a denied finding is another entity"
            if self.profile == "strict"
            else "ignored",
        }
