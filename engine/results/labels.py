"""Labels of a fixed list, over a whole run: F1 of each and their mean, AUROC, Cohen's kappa.

A task has a fixed list where all its items have the same options, in any order. An answer that
cannot be read names no label; one that failed is left out, and counted. What systems are asked
about, and how they were read, is as in the metric `choice_accuracy`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np

from medgen.engine.answers.forms import canonical
from medgen.engine.answers.options import options_of
from medgen.engine.answers.several import read_choices
from medgen.engine.chat.odds import stored_odds
from medgen.engine.data import Prediction, Sample
from medgen.engine.plan.plan import System
from medgen.engine.results.aside import Aside
from medgen.engine.results.reduced import by_source, reduced_interval
from medgen.engine.results.statistics import Floats
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORE

METRICS = frozenset({"labels", "choice_accuracy"})  # a run with one of these has such tables
OVER_ALL = ""  # the name of the mean over labels
_MOST_LABELS = 200


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label of one task and system, or the mean over labels (`label` is empty)."""

    system: str
    task: str
    label: str
    n: int  # items
    left_out: int  # items whose prediction failed
    right: int  # items of which it is right; over all: labels that have both classes
    named: int  # items whose answer names it
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    balanced_accuracy: float | None = None
    auroc: float | None = None
    f1_low: float | None = None
    f1_high: float | None = None
    equal: float | None = None  # over all: exactly the right labels
    kappa: float | None = None  # over all, where one label is right
    kappa_low: float | None = None
    kappa_high: float | None = None


@dataclass
class _Items:
    """What one system did in one task."""

    labels: tuple[str, ...] = ()
    right: list[frozenset[str]] = field(default_factory=list)
    named: list[frozenset[str]] = field(default_factory=list)
    odds: list[Mapping[str, float] | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    left_out: int = 0
    one_right: bool = True
    fixed: bool = True

    def add(self, sample: Sample, prediction: Prediction) -> None:
        words = {option.key: canonical(option.words) for option in options_of(sample.choices).each}
        labels = tuple(sorted(words.values()))
        self.labels = self.labels or labels
        self.fixed = self.fixed and labels == self.labels and len(set(labels)) == len(labels)
        if not self.fixed:
            return
        self.one_right = self.one_right and sample.asks == "choice"
        if prediction.status != "ok":
            self.left_out += 1
            return
        keys = [*words]
        named, _ = read_choices(prediction.text or "", sample.choices)
        odds = stored_odds(prediction)
        self.right.append(frozenset(words[keys[place]] for place in sample.reference_choices))
        self.named.append(frozenset(words[key] for key in named))
        self.odds.append(dict(zip(words.values(), odds, strict=True)) if odds else None)
        self.sources.append(sample.source or sample.id)


def label_rows(reader: RunReader) -> list[LabelRow]:
    """The rows of every system; none of a run that asks for no labels of a fixed list.

    Reads one shard at a time; memory holds the read answers.

    Raises:
        CorruptError: stored rows are damaged.
    """
    if not has_labels(reader):
        return []
    systems = [system for system in reader.plan.systems if not system.of]
    found: dict[tuple[str, str], _Items] = {}
    for shard in range(reader.plan.shards):
        samples = {s.id: s for s in reader.benchmark.samples_in_words(shard) if _is_asked(s)}
        for system in systems if samples else ():
            _add(reader, system, shard, (samples, found))
    return [
        row
        for (system, task), items in sorted(found.items())
        if items.fixed and len(items.labels) <= _MOST_LABELS
        for row in _rows(system, task, items)
    ]


def has_labels(reader: RunReader) -> bool:
    """Whether a metric of the run reads choices."""
    nodes = reader.plan.nodes.values()
    return any(node.stage == SCORE.name and node.label in METRICS for node in nodes)


def _is_asked(sample: Sample) -> bool:
    return sample.asks in ("choice", "choices") and bool(sample.reference_choices)


def _add(
    reader: RunReader,
    system: System,
    shard: int,
    of: tuple[Mapping[str, Sample], dict[tuple[str, str], _Items]],
) -> None:
    samples, found = of
    for prediction in reader.predictions(system.name, shard):
        if sample := samples.get(prediction.sample_id):
            found.setdefault((system.name, sample.task), _Items()).add(sample, prediction)


def _rows(system: str, task: str, items: _Items) -> Iterator[LabelRow]:
    if not items.right:  # every prediction failed: owed, and without a value
        yield LabelRow(system, task, OVER_ALL, 0, items.left_out, 0, 0)
        return
    right, named = _table(items.right, items.labels), _table(items.named, items.labels)
    sums = tally(right, named)
    _, codes = np.unique(items.sources, return_inverse=True)
    sources, whole = by_source(sums, codes), sums.sum(axis=0, keepdims=True)
    areas = _areas(right, items)
    about = {"system": system, "task": task, "n": len(sums), "left_out": items.left_out}
    yield _mean_row(about, sources, items, [area for area in areas if area is not None])
    each, count = of_labels(whole), len(items.labels)
    for place, label in enumerate(items.labels):
        # Of a label that one source alone has nothing else can be drawn.
        bearing = sources[:, count + place] + sources[:, 2 * count + place] > 0
        several = np.count_nonzero(bearing) > 1
        low, high = _ends(reduced_interval(sources, partial(_f1_of, place)) if several else ())
        found = {name: _plain(each[name][0, place]) for name in _VALUES}
        counts = {"right": whole[0, count + place], "named": whole[0, 2 * count + place]}
        own = {"label": label, "auroc": areas[place], "f1_low": low, "f1_high": high}
        own |= {name: int(count) for name, count in counts.items()}
        yield msgspec.convert({**about, **found, **own}, LabelRow)


def _mean_row(
    about: Mapping[str, object], sources: Floats, items: _Items, areas: Sequence[float]
) -> LabelRow:
    whole = sources.sum(axis=0, keepdims=True)
    low, high = _ends(reduced_interval(sources, partial(macro, name="f1")))
    found: dict[str, object] = {name: _plain(macro(whole, name)[0]) for name in _VALUES}
    found |= {"f1_low": low, "f1_high": high, "equal": _plain(equal_share(whole)[0])}
    found |= {"auroc": sum(areas) / len(areas) if areas else None, "label": OVER_ALL}
    found["right"] = int(np.isfinite(of_labels(whole)["f1"]).sum())
    found["named"] = sum(map(bool, items.named))
    if items.one_right:
        ends = _ends(reduced_interval(sources, kappa))
        found |= {"kappa": _plain(kappa(whole)[0]), "kappa_low": ends[0], "kappa_high": ends[1]}
    return msgspec.convert({**about, **found}, LabelRow)


def _f1_of(place: int, sums: Floats) -> Floats:
    return of_labels(sums)["f1"][:, place]


_VALUES = ("precision", "recall", "f1", "balanced_accuracy")


def _table(sets: Sequence[frozenset[str]], labels: Sequence[str]) -> Floats:
    return np.array([[float(label in one) for label in labels] for one in sets])


def _areas(right: Floats, items: _Items) -> list[float | None]:
    """One label against all others, over the items that have probabilities."""
    held = [at for at, odds in enumerate(items.odds) if odds]
    if not held:
        return [None] * len(items.labels)
    scores = np.array([[(items.odds[at] or {})[label] for label in items.labels] for at in held])
    return [auroc(right[held, at], scores[:, at]) for at in range(len(items.labels))]


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ends(interval: tuple[float, ...]) -> tuple[float | None, float | None]:
    return (interval[0], interval[1]) if interval else (None, None)


LABELS = Aside("labels", LabelRow, label_rows)


def tally(right: Floats, named: Floats) -> Floats:
    """The columns of every item, from two tables of 0 and 1 (items by labels).

    They are: right and named, right, named, of each label; whether both sets are equal; and one.
    All that is made of them is made of their sums, so that sources can be drawn.
    """
    equal = (right == named).all(axis=1, keepdims=True)
    return np.hstack([right * named, right, named, equal, np.ones_like(equal)]).astype(np.float64)


def of_labels(sums: Floats) -> Mapping[str, Floats]:
    """Values of each label from rows of sums; NaN where there is none.

    F1 is 2 hits / (right + named): 0 for a label that is right and never named. A label that is
    never right, or always, has neither recall nor specificity, and enters no mean.
    """
    hits, right, named, _, items = _parts(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / right
        specificity = (items - right - named + hits) / (items - right)
        both = (right > 0) & (right < items)
        found = {
            "precision": hits / named,
            "recall": recall,
            "f1": 2 * hits / (right + named),
            "balanced_accuracy": (recall + specificity) / 2,
        }
    return {name: np.where(both, value, np.nan) for name, value in found.items()}


def macro(sums: Floats, name: str) -> Floats:
    """The mean of a value over the labels that have both classes, for each row of sums."""
    values = of_labels(sums)[name]
    if name == "precision":
        # A label that is never named has no precision; it is no reason to leave the label out.
        values = np.where(np.isnan(values) & ~np.isnan(of_labels(sums)["f1"]), 0.0, values)
    count = np.isfinite(values).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.nansum(values, axis=1) / count
    return mean


def equal_share(sums: Floats) -> Floats:
    """The share of items of which exactly the right labels are named."""
    _, _, _, equal, items = _parts(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (equal / items)[:, 0]


def kappa(sums: Floats) -> Floats:
    """Cohen's kappa of right and named, for items with one right label and at most one named.

    What is not read is a label of its own that is never right. Source: Cohen, Educational and
    Psychological Measurement 1960, 20:37.
    """
    hits, right, named, _, items = _parts(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = hits.sum(axis=1) / items[:, 0]
        chance = (right * named).sum(axis=1) / items[:, 0] ** 2
        found: Floats = np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)
    return found


def auroc(right: Floats, scores: Floats) -> float | None:
    """The area under the ROC curve; None of one class only. Ties count half.

    Source: Hanley and McNeil, Radiology 1982, 143:29 (as the rank statistic).
    """
    from scipy.stats import rankdata

    positive = int(right.sum())
    negative = len(right) - positive
    if not positive or not negative:
        return None
    ranks = rankdata(scores)
    over = float(ranks[right == 1].sum()) - positive * (positive + 1) / 2
    return over / (positive * negative)


def _parts(sums: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    labels = (sums.shape[1] - 2) // 3
    hits, right, named = (sums[:, at * labels : (at + 1) * labels] for at in range(3))
    return hits, right, named, sums[:, -2:-1], sums[:, -1:]
