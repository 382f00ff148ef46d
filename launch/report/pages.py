"""Markdown pages from templates; foreign text is escaped on its way in."""

from typing import Any

import jinja2

from medgen.launch.report import escaping
from medgen.launch.report.conditions import level
from medgen.launch.report.tables import (
    PLUMBING,
    cell_lines,
    interval_lines,
    interval_notes,
    number,
    prediction_lines,
    share,
)


def page(template: str, **shown: Any) -> str:
    """One page. A template that names something it was not given raises."""
    text = _environment().get_template(template).render(plumbing=PLUMBING, **shown)
    return text.rstrip("\n") + "\n"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("medgen.launch", "templates"),
        autoescape=False,  # it is Markdown: every foreign word goes through `md` or `fence`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "md": escaping.markdown,
        "fence": escaping.fence,
        "shorten": escaping.shorten,
        "number": number,
        "level": level,
        "share": share,
        "cell": cell_lines,
        "prediction_lines": prediction_lines,
        "interval": lambda row: ", ".join((*interval_lines(row), *interval_notes([row]))),
    }
    return environment
