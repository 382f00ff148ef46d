"""A run's tables as LaTeX: means with intervals a format, and a paragraph on how they were made."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import PLUMBING

Row = Mapping[str, Any]
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_SHOWN = ("implementation", "profile", "weights", "resize")


def tex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SIGNS.get(c, c) for c in visible(text))


def latex_tables(summary: pa.Table, run_id: str, protocol: str) -> str:
    """One `table` environment a format, and a methods paragraph from the passports."""
    rows = summary.filter(pc.equal(summary["group_kind"], "all")).to_pylist()
    rows = [r for r in rows if r["stage"] != "judge" or str(r["output"]).startswith("overall")]
    parts = [f"% run {tex(run_id)}; needs the package booktabs"]
    for format_ in dict.fromkeys(r["format"] for r in rows):
        parts.append(_table([r for r in rows if r["format"] == format_], str(format_)))
    return "\n\n".join([*parts, _methods(rows, protocol)]) + "\n"


def _table(rows: Sequence[Row], format_: str) -> str:
    columns = list(dict.fromkeys((r["stage"], r["label"], r["output"]) for r in rows))
    titles = {(r["stage"], r["label"], r["output"]): _title(r) for r in rows}
    lines = [
        r"\begin{table}",
        rf"\caption{{{tex(format_)}: mean with 95\,\% interval by source image, and n.}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["system", *(titles[c] for c in columns)]) + r" \\",
        r"\midrule",
    ]
    for system in dict.fromkeys(r["system"] for r in rows):
        own = {(r["stage"], r["label"], r["output"]): r for r in rows if r["system"] == system}
        plumbing = any(r["random_weights"] for r in own.values())
        name = tex(str(system)) + (r"$^\dagger$" if plumbing else "")
        lines.append(" & ".join([name, *(_cell(own.get(c)) for c in columns)]) + r" \\")
    ends = [r"\bottomrule", r"\end{tabular}"]
    if any(r["random_weights"] for r in rows):
        ends.append(rf"\par $^\dagger$ {tex(PLUMBING)}")
    return "\n".join([*lines, *ends, r"\end{table}"])


def _title(row: Row) -> str:
    arrow = {"higher": r" $\uparrow$", "lower": r" $\downarrow$"}.get(str(row["direction"]), "")
    return tex(str(row["metric"]).replace("_", " ")) + arrow


def _cell(row: Row | None) -> str:
    """A mean with its interval and n; a dash where there is no value, never a 0."""
    if row is None or row["mean"] is None:
        return "--"
    low, high = row["ci_low"], row["ci_high"]
    interval = "" if low is None else rf" [{low:.3g}, {high:.3g}]"
    return rf"{row['mean']:.3g}{interval} ({row['n']})"


def _methods(rows: Iterable[Row], protocol: str) -> str:
    """What made each value, once."""
    said: dict[str, str] = {}
    for row in rows:
        making = json.loads(row["making"])
        words = [f"{k} {making[k]}" for k in _SHOWN if making.get(k)]
        said.setdefault(str(row["metric"]), ", ".join(words))
    values = "; ".join(f"{tex(n)} ({tex(w)})" if w else tex(n) for n, w in said.items())
    return (
        r"\paragraph{Evaluation.} "
        f"Values were computed under protocol {tex(protocol or 'without a name')}: {values}. "
        "Intervals are bootstraps in which whole source images are drawn (1,000 resamples); "
        "a failed answer has no value and is never counted as 0."
    )
