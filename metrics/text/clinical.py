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
from medgen.metrics.text.negation import denials, sentences

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
# Endings of singular words and of their plurals in medical English; the first that fits counts.
_PLURALS = (
    ("sis", ("ses",)),  # metastases
    ("xis", ("xes",)),
    ("ax", ("aces", "axes")),  # pneumothoraces
    ("ix", ("ices", "ixes")),
    ("yx", ("yces", "yxes")),
    ("ex", ("ices", "exes")),
    ("ma", ("mas", "mata")),  # edemata
    ("um", ("a", "ums")),  # mediastina
    ("us", ("i", "uses")),  # thrombi
    ("cus", ("ci", "cuses")),  # foci
    ("ra", ("rae", "ras")),  # pleurae
    ("la", ("lae", "las")),
    ("on", ("ons", "a")),
    ("ss", ("sses",)),  # masses
    ("ch", ("ches",)),
    ("s", ("s",)),
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


def plurals(name: str) -> tuple[str, ...]:
    """How the plural of a name is spelled: pneumothoraces and pneumothoraxes, effusions."""
    for ending, theirs in _PLURALS:
        if name.endswith(ending):
            return tuple(name.removesuffix(ending) + other for other in theirs)
    return (re.sub(r"(?<![aeiou])y$", "ie", name) + "s",)  # opacities, kidneys


@lru_cache(maxsize=1)
def _counted_patterns() -> dict[str, re.Pattern[str]]:
    """The lexicon with every plural, and the British spelling of edema."""
    found = {}
    for entity, names in LEXICON.items():
        spelled = {s for n in names.split("|") for s in (n, n.replace("edema", "oedema"))}
        spelled |= {other for name in spelled for other in plurals(name)}
        either = "|".join(map(re.escape, sorted(spelled, key=len, reverse=True)))
        found[entity] = re.compile(f"(?<![a-z])(?:{either})(?![a-z])")
    return found


def asserted_entities(text: str) -> frozenset[str]:
    """Entities that a text names, plurals among them; a denied finding becomes `no <finding>`.

    Only findings can be denied: "no effusion in the left lung" says nothing against the lung.
    """
    found: set[str] = set()
    for sentence in sentences(text):
        spans = denials(sentence)
        for entity, pattern in _counted_patterns().items():
            for place in pattern.finditer(sentence):
                no = entity in _FINDINGS and any(a <= place.start() < b for a, b in spans)
                found.add(f"no {entity}" if no else entity)
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
