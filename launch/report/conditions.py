"""What conditions did, as tables: of models a row each, of judges the authors' table of pairing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medgen.engine.conditions.kinds import CONDITIONS
from medgen.engine.results.conditions import ALL, ConditionEffect
from medgen.launch.report.escaping import visible
from medgen.launch.report.tables import number

# The dimension that the authors' table has its interval and p value of, where judges know it.
_FIRST = ("cross_modal_consistency", "visual_textual_alignment", "overall_score")
_VIEWS = {"reference_based": "with reference", "reference_free": "without reference"}
_VALUES = 2  # of each format on a terminal


@dataclass(frozen=True, slots=True)
class PairingTable:
    """One system as one judge saw it in one view: controls down, dimensions across.

    A row's effects are by dimension, as `drop` of the judge's score.
    """

    system: str
    judge: str
    view: str
    dimensions: tuple[str, ...]  # the first has its interval and p value
    rows: tuple[tuple[str, dict[str, ConditionEffect]], ...]  # in the authors' order

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.system}, judge {self.judge}, {_VIEWS.get(self.view, self.view)}"


def model_rows(effects: Sequence[ConditionEffect], most: int = 0) -> list[ConditionEffect]:
    """Effects of conditions of models, of metrics that have a value; `most` of each format."""
    able = [e for e in effects if e.of == "model" and e.n and e.stage == "score"]
    if not most:
        return able
    names: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for e in able:
        known = names.setdefault((e.format, e.stage), [])
        if (e.label, e.output) not in known:
            known.append((e.label, e.output))
    return [e for e in able if (e.label, e.output) in names[e.format, e.stage][:most]]


def pairing_tables(effects: Sequence[ConditionEffect]) -> list[PairingTable]:
    """The tables of pairing, over all formats, in the plan's order of systems and judges."""
    found: dict[tuple[str, str, str], dict[str, dict[str, ConditionEffect]]] = {}
    for e in effects:
        if e.of == "judge" and e.format == ALL:
            dimension, _, view = e.output.partition("/")
            rows = found.setdefault((e.system, e.label, view), {})
            rows.setdefault(e.condition, {})[dimension] = e
    tables = []
    for (system, judge, view), rows in found.items():
        order = [name for name in CONDITIONS if name in rows]
        known = list(dict.fromkeys(d for row in rows.values() for d in row))
        first = next((d for d in _FIRST if d in known), known[0])
        others = [d for d in known if d != first]
        kept = tuple((name, rows[name]) for name in order)
        tables.append(PairingTable(system, judge, view, (first, *others), kept))
    return tables


def condition_lines(effects: Sequence[ConditionEffect]) -> Iterator[str]:
    """Both kinds of tables for a terminal of 80 columns."""
    rows = model_rows(effects, _VALUES)
    if rows:
        yield "What conditions change"
        head = f"{'condition':<17}{'system':<16}{'value':<19}{'full':>6}{'under':>7}"
        yield f"{head}  drop [95 %], flips, p"
    for e in rows:
        name = f"{_cut(visible(e.system), 15):<16}{_value_name(e):<19}"
        means = f"{number(e.full):>6}{number(e.under):>7}"
        yield f"{e.condition:<17}{name}{means}  {_effect_words(e)}"
    yield from _giveaways(rows)
    yield from _conditions_of_none(effects)
    for table in pairing_tables(effects):
        yield ""
        yield visible(f"Pairing: {table.title}; score less the control's")
        others = [short(d) for d in table.dimensions[1:5]]
        yield f"{'':<21}{short(table.dimensions[0]):<27}" + "".join(f"{o:>9}" for o in others)
        for name, cells in table.rows:
            yield _pairing_line(name, cells, table.dimensions)


def _pairing_line(name: str, cells: dict[str, ConditionEffect], dimensions: Sequence[str]) -> str:
    first = cells.get(dimensions[0])
    said = "-"
    if first is not None:
        said = f"{number(first.drop)} [{number(first.ci_low)}, {number(first.ci_high)}]"
        said += f" p {level(first.wilcoxon_holm)}"
    rest = (number(cells[d].drop) if d in cells else "-" for d in dimensions[1:5])
    return f"{name:<21}{said:<27}" + "".join(f"{r:>9}" for r in rest)


def _effect_words(e: ConditionEffect) -> str:
    interval = f"{number(e.drop)} [{number(e.ci_low)}, {number(e.ci_high)}]"
    flips = "" if e.flips is None else f", {e.flips:.0%}"
    lost = f", {e.left_out} left out" if e.left_out else ""
    return f"{interval}{flips}, {level(e.wilcoxon_holm)}{lost}"


def _conditions_of_none(effects: Sequence[ConditionEffect]) -> Iterator[str]:
    """The conditions that leave every item of a format as it is, or can be of none."""
    pairs: dict[tuple[str, str], int] = {}
    for e in effects:
        if e.of == "model":
            key = (e.condition, e.format)
            pairs[key] = max(pairs.get(key, 0), e.n)
    for (condition, name), count in pairs.items():
        if not count:
            yield visible(
                f"{condition}: no item of {name} is another under it, so none is compared"
            )


def _giveaways(rows: Sequence[ConditionEffect]) -> Iterator[str]:
    """What the words alone give away: of what a system scores above chance, without images."""
    told = set()
    for e in rows:
        key = (e.system, e.format)
        # The oracle has its answers from the reference, and from no words.
        given = e.system != "oracle" and e.condition == "no-image"
        if given and e.kept is not None and key not in told:
            told.add(key)
            yield visible(
                f"{e.system}: without images {e.kept:.0%} of what it scores above chance "
                f"({e.chance:.0%}) is left: the words alone give that away"
            )


def level(p: float | None) -> str:
    """A p value."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def short(dimension: str) -> str:
    """A dimension's name in few letters."""
    words = dimension.split("_")
    return {"overall": "overall", "cross": "cross-modal"}.get(words[0], words[0][:8])


def _value_name(e: ConditionEffect) -> str:
    """The value in 18 letters: where both do not fit, the output says more than its metric."""
    whole = visible(e.metric)
    return whole if len(whole) <= 18 else _cut(whole.rpartition(".")[2], 18)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
