"""What `compare` and `gate` say first, on a terminal of 80 columns: the verdict, then why."""

from collections.abc import Iterator, Sequence

from medgen.engine.results.certainty import LEAST_PAIRS, LEAST_SOURCES
from medgen.engine.results.comparison import Comparison, Contrast
from medgen.engine.results.gate import CellFinding, GateVerdict
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import FEW, PLUMBING, number
from medgen.launch.view import numbers
from medgen.launch.view.board import format_short
from medgen.launch.view.data import value_title

_SUREST = 3
_FINDINGS = 12
_TOO_FEW = "○ too few"
_NAME = 32  # letters of a system's name in the line that names both


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The verdict, a line a format, the surest of the rest, and what is left out."""
    yield _verdict(comparison)
    yield from _sides(comparison)
    if comparison.random_weights:
        yield PLUMBING
    yield from map(visible, comparison.stopped)
    if comparison.across:
        yield visible(f"Compared across a difference: {'; '.join(comparison.across)}")
    yield ""
    yield f"{'where':<14} {'value':<16} {'left':>6} {'right':>6} {'difference':<24} shown?"
    whole = [c for c in comparison.contrasts if c.kind == "all"]
    heads = list({c.format: c for c in reversed(_by_weight(whole))}.values())[::-1]
    yield from (_line(c, format_short(c.format)) for c in heads)
    rest = [c for c in whole if c not in heads]
    tasks = [c for c in comparison.contrasts if c.kind == "task"]
    shown = list(heads)
    for title, group in (
        (f"surest of the other {len(rest)} values", _surest(rest)),
        ("surest of the tasks", _surest(tasks)),
    ):
        if group:
            yield title
            shown += group
        for one in group:
            yield _line(one, one.group if one.kind == "task" else format_short(one.format))
    for remark in dict.fromkeys(_remark(c) for c in shown if _remark(c)):
        yield f"{FEW} interval: {remark}"
    yield from _missing(whole)


def _verdict(comparison: Comparison) -> str:
    whole = [c for c in comparison.contrasts if c.kind == "all"]
    right = sum(c.better == "right" for c in whole)
    left = sum(c.better == "left" for c in whole)
    if not any(c.n for c in whole):
        return "Nothing can be compared: no sample has a value of both systems."
    if all(_word(c) == _TOO_FEW for c in whole):
        return "Too few independent pairs to show a difference in any value."
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


def _sides(comparison: Comparison) -> Iterator[str]:
    """Which is which, and of which run where there are two."""
    (one, left), (two, right) = (_run_and_system(s) for s in (comparison.left, comparison.right))
    same = one == two
    names = [_cut(visible(n if same or not r else f"{r}/{n}"), _NAME)
             for r, n in ((one, left), (two, right))]  # fmt: skip
    yield f"left {names[0]}, right {names[1]}"
    yield f"difference = right - left, paired on {comparison.shared:,} samples" + (
        f" of {visible(one)}" if same and one else ""
    )


def _run_and_system(side: str) -> tuple[str, str]:
    run, _, system = side.rpartition(" / ")
    return run, system


def _line(contrast: Contrast, where: str) -> str:
    """A value of both sides, rounded to the interval of their difference."""
    low, high = contrast.ci_low, contrast.ci_high
    places = numbers.decimals(numbers.half_width(low, high))

    def as_text(value: float | None, sign: bool = False) -> str:
        return numbers.number(value, places, sign).replace(numbers.MINUS, "-")

    arrow = {"higher": " ↑", "lower": " ↓"}.get(contrast.direction or "", "")
    title = visible(value_title(contrast.metric, _key(contrast))).replace(", with ref.", ", ref.")
    value = f"{_cut(title, 14)}{arrow}"
    change = as_text(contrast.difference, sign=True)
    if low is not None:  # both ends are there or none
        change += f" [{as_text(low, sign=True)}, {as_text(high, sign=True)}]"
    change += FEW if _remark(contrast) else ""
    means = f"{as_text(contrast.left_mean):>6} {as_text(contrast.right_mean):>6}"
    return f"{_cut(visible(where), 14):<14} {value:<16} {means} {change:<24} {_word(contrast)}"


def _remark(contrast: Contrast) -> str:
    """What must be known beside the interval; of no value there is nothing to say."""
    return "" if contrast.difference is None else contrast.ci_note


def _key(contrast: Contrast) -> tuple[str, str, str]:
    return contrast.stage, contrast.label, contrast.output


def _word(contrast: Contrast) -> str:
    """What is shown, by the words of certainty."""
    if contrast.better in ("left", "right"):
        return f"● {contrast.better}"
    if contrast.better == "unknown direction":
        return "○ ?"
    if contrast.n < LEAST_PAIRS or contrast.clusters < LEAST_SOURCES:
        return _TOO_FEW
    low, high = contrast.ci_low, contrast.ci_high
    apart = low is not None and high is not None and low * high > 0
    return "◐ likely" if apart else "○ no"


def _cut(text: str, most: int) -> str:
    """A text cut in its middle."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[-half:]}"


def _missing(whole: Sequence[Contrast]) -> Iterator[str]:
    lost = max((c.applicable - c.n for c in whole), default=0)
    if lost:
        yield f"up to {lost:,} pairs are left out: one side has no value there (--all: bounds)"


def gate_lines(verdict: GateVerdict) -> Iterator[str]:
    """The word and how far it reaches, then the cells that regressed."""
    bad, total = verdict.regressions, len(verdict.findings)
    one, two = _gate_names(verdict)
    if verdict.word == "regression":
        yield f"REGRESSION  {one} is worse than {two}"
        yield f"            beyond what is tolerated, in {len(bad)} of {total} cells"
        yield f"{'where':<20} {'value':<18} {'baseline':>9} {'candidate':>9} {'loss':>9} tolerated"
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
    yield from map(visible, verdict.stopped)
    if verdict.across:
        yield visible(f"Compared across a difference: {'; '.join(verdict.across)}")
    if verdict.random_weights:
        yield PLUMBING


def _gate_names(verdict: GateVerdict) -> tuple[str, str]:
    """Candidate and baseline, with their runs where those differ; short enough for a line."""
    sides = [_run_and_system(side) for side in (verdict.candidate, verdict.baseline)]
    same = sides[0][0] == sides[1][0]
    names = [name if same or not run else f"{run}/{name}" for run, name in sides]
    return _cut(visible(names[0]), _NAME - 6), _cut(visible(names[1]), _NAME - 6)


def _finding_line(finding: CellFinding) -> str:
    where = _cut(visible(finding.format if finding.kind == "all" else finding.group), 20)
    numbers = (finding.baseline, finding.candidate, finding.loss, finding.margin)
    cells = " ".join(f"{number(x):>9}" for x in numbers)
    return f"{where:<20} {_cut(visible(finding.metric), 18):<18} {cells}"
