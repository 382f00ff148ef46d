"""Labels of a fixed list over many items: counts of each, and what is made of them.

For every item the columns are: right and named, right, named, of each label; then whether both
sets are equal. All that is made of them is made of their sums, so that sources can be drawn.
"""

from collections.abc import Mapping

import numpy as np

from medgen.engine.results.statistics import Floats


def tally(right: Floats, named: Floats) -> Floats:
    """The columns of every item, from two tables of 0 and 1 (items by labels)."""
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
