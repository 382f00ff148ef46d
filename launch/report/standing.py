"""What `compare` and `gate` say first, on a terminal of 80 columns: the verdict, then why."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.comparison import Comparison, Contrast
from medgen.engine.results.gate import CellFinding, GateVerdict
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import PLUMBING, number

_SUREST = 3
_FINDINGS = 12
_WORDS = {
    "right": "[sure] right", "left": "[sure] left", "neither shown": "[-] no",
    "unknown direction": "[-] ?",
}  # fmt: skip


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The verdict, a line a format, the surest of the rest, and what is left out."""
    yield _verdict(comparison)
    yield f"left {visible(comparison.left)}, right {visible(comparison.right)}; right - left"
    if comparison.random_weights:
        yield PLUMBING
    if comparison.across:
        yield visible(f"Compared across a difference: {'; '.join(comparison.across)}")
    yield ""
    yield f"{'where':<19} {'value':<22} {'left':>7} {'right':>7}  {'difference':<25} shown?"
    whole = [c for c in comparison.contrasts if c.kind == "all"]
    heads = list({c.format: c for c in reversed(_by_weight(whole))}.values())[::-1]
    yield from (_line(c, c.format) for c in heads)
    rest = [c for c in whole if c not in heads]
    for title, group in (
        (f"surest of the other {len(rest)} values", rest),
        ("surest of the tasks", [c for c in comparison.contrasts if c.kind == "task"]),
    ):
        if group:
            yield title
            yield from (_line(c, c.group if c.kind == "task" else c.format) for c in _surest(group))
    yield from _missing(whole)


def _verdict(comparison: Comparison) -> str:
    whole = [c for c in comparison.contrasts if c.kind == "all"]
    right = sum(c.better == "right" for c in whole)
    left = sum(c.better == "left" for c in whole)
    if not right and not left:
        return "Close: neither system is shown to be better in any value."
    if right and left:
        return f"Mixed: right is shown to be better in {right} values, left in {left}."
    side, many = ("right", right) if right else ("left", left)
    return f"{side.capitalize()} is shown to be better in {many} of {len(whole)} values."


def _by_weight(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Judges' overall scores with the reference first, then the plan's order."""

    def weight(contrast: Contrast) -> int:
        overall = contrast.stage == "judge" and contrast.output.startswith("overall")
        if overall and contrast.output.endswith("reference_based"):
            return 0
        return 1 if overall or contrast.stage == "score" else 2

    return sorted(contrasts, key=weight)


def _surest(contrasts: Sequence[Contrast]) -> list[Contrast]:
    tested = [c for c in contrasts if c.sign_flip_p is not None]
    return sorted(tested, key=lambda c: c.sign_flip_p or 0.0)[:_SUREST]


def _line(contrast: Contrast, where: str) -> str:
    interval = f"[{number(contrast.ci_low)}, {number(contrast.ci_high)}]"
    change = f"{number(contrast.difference)} {interval}"
    arrow = {"higher": " ↑", "lower": " ↓"}.get(contrast.direction or "", "")
    value = _cut(f"{visible(contrast.metric)}{arrow}", 22)
    means = f"{number(contrast.left_mean):>7} {number(contrast.right_mean):>7}"
    place = _cut(visible(where), 19)
    return f"{place:<19} {value:<22} {means}  {change:<25} {_WORDS[contrast.better]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 9]}…{text[-8:]}"


def _missing(whole: Sequence[Contrast]) -> Iterator[str]:
    lost = max((c.applicable - c.n for c in whole), default=0)
    if lost:
        yield f"up to {lost:,} pairs are left out: one side has no value there (--all: bounds)"


def gate_lines(verdict: GateVerdict) -> Iterator[str]:
    """The word and how far it reaches, then the cells that regressed."""
    bad, total = verdict.regressions, len(verdict.findings)
    one, two = visible(verdict.candidate), visible(verdict.baseline)
    if verdict.word == "regression":
        yield f"REGRESSION  {one} is worse than {two}"
        yield f"            beyond what is tolerated, in {len(bad)} of {total} cells"
        yield f"{'where':<24} {'value':<20} {'baseline':>9} {'candidate':>9} {'loss':>9} tolerated"
        yield from (_finding_line(f) for f in bad[:_FINDINGS])
    elif verdict.word == "pass":
        yield f"PASS        {one} is not worse than {two}"
    else:
        yield f"INCONCLUSIVE  nothing regressed, but {visible('; '.join(verdict.reasons[:1]))}"
    words = [f.word for f in verdict.findings]
    counts = ", ".join(
        f"{words.count(w)} {w}" for w in ("sound", "open", "not tested") if w in words
    )
    yield f"{counts}; chance of any false alarm {verdict.alpha:.0%} (exit code {verdict.exit_code})"
    if verdict.across:
        yield visible(f"Compared across a difference: {'; '.join(verdict.across)}")
    if verdict.random_weights:
        yield PLUMBING


def _finding_line(finding: CellFinding) -> str:
    where = _cut(visible(finding.format if finding.kind == "all" else finding.group), 24)
    numbers = (finding.baseline, finding.candidate, finding.loss, finding.margin)
    cells = " ".join(f"{number(x):>9}" for x in numbers)
    return f"{where:<24} {_cut(visible(finding.metric), 20):<20} {cells}"
