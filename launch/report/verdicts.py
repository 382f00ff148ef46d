"""How `compare` and `gate` are shown: a table on the terminal, Markdown, JSON."""

import json

from rich.table import Table
from rich.text import Text

from medgen.engine.codec import plain
from medgen.engine.results.comparison import Comparison, Contrast
from medgen.engine.results.gate import GateVerdict
from medgen.launch.report.escaping import visible
from medgen.launch.report.pages import page
from medgen.launch.report.tables import PLUMBING, number

_HEADINGS = {
    "all": "By format",
    "task": "By task",
    "modality": "By modality",
}
# A comment on a pull request has a limit of 65,536 characters; a reader has less patience.
_FINDINGS_SHOWN = 40
ACROSS = "compared across a difference"


def comparison_json(comparison: Comparison) -> str:
    """Everything, as one line of JSON."""
    return json.dumps({"event": "comparison", **plain(comparison)}, allow_nan=False)


def comparison_markdown(comparison: Comparison) -> str:
    """Tables by format, task and modality."""
    kinds = [
        (heading, [c for c in comparison.contrasts if c.kind == kind])
        for kind, heading in _HEADINGS.items()
    ]
    return page("compare.md.j2", comparison=comparison, kinds=kinds)


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Paired differences as tables: by format, then by task."""
    return [_comparison_table(comparison, kind) for kind in ("all", "task")]


def _comparison_table(comparison: Comparison, kind: str) -> Table:
    note = "difference right - left over complete pairs; p adjusted by Holm's method"
    note += "".join(f"\n{visible(words)}" for words in comparison.stopped)
    if comparison.random_weights:
        note += f"\n{PLUMBING}"
    if comparison.across:
        note += f"\n{ACROSS}: {visible('; '.join(comparison.across))}"
    if comparison.left_out:
        note += f"\nnot compared: {visible(', '.join(comparison.left_out))}"
    table = Table(
        title=Text(visible(f"{comparison.right} (right) against {comparison.left} (left)")),
        caption=Text(note),
        title_justify="left",
        caption_justify="left",
        show_lines=True,
    )
    for name in ("where", "metric", "left, right", "difference [95 % CI]", "evidence", "better"):
        table.add_column(name)
    for contrast in comparison.contrasts:
        if contrast.kind == kind:
            table.add_row(*(Text(visible(c, lines=True)) for c in contrast_cells(contrast)))
    return table


def contrast_cells(contrast: Contrast) -> list[str]:
    """One contrast as the cells of a row, narrow enough for a terminal of 80 columns."""
    where = contrast.format if contrast.kind == "all" else f"{contrast.format}\n{contrast.group}"
    interval = f"[{number(contrast.ci_low)}, {number(contrast.ci_high)}]"
    missing = contrast.applicable - contrast.n
    bounds = f"\nif known: {number(contrast.lowest)} to {number(contrast.highest)}"
    return [
        where,
        contrast.metric,
        f"{number(contrast.left_mean)}, {number(contrast.right_mean)}\n"
        f"n {contrast.n}/{contrast.applicable}",
        "\n".join(filter(None, [number(contrast.difference), interval, contrast.ci_note]))
        + (bounds if missing else ""),
        f"Wilcoxon p {number(contrast.wilcoxon_holm)}\n"
        f"sign-flip p {number(contrast.sign_flip_holm)}\nd {number(contrast.cohen_dz)}",
        contrast.better,
    ]


def gate_json(verdict: GateVerdict) -> str:
    """Everything, as one line of JSON."""
    whole = {"event": "verdict", **plain(verdict), "exit_code": verdict.exit_code}
    return json.dumps(whole, allow_nan=False)


def gate_markdown(verdict: GateVerdict) -> str:
    """The verdict, its reasons, and the cells behind them: short enough for a pull request."""
    order = {"regressed": 0, "open": 1, "not tested": 2, "sound": 3}
    findings = sorted(verdict.findings, key=lambda f: (order[f.word], f.kind != "all"))
    return page(
        "gate.md.j2",
        verdict=verdict,
        findings=findings[:_FINDINGS_SHOWN],
        hidden=max(0, len(findings) - _FINDINGS_SHOWN),
        reasons=verdict.reasons[:_FINDINGS_SHOWN],
    )
