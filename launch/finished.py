"""What is said of a system as soon as every row of it is there, while the others go on."""

from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from medgen.engine.results.summary import summarize
from medgen.engine.run.driver import Event
from medgen.engine.run.reader import RunReader


def with_means(reader: RunReader, event: Event) -> Event:
    """The event with the means of the system that it tells of, each beside its n and expected."""
    if event.kind != "system_finished":
        return event
    plan = reader.plan
    own = replace(plan, systems=(plan.system(str(event.details["system"])),))
    summary = summarize(reader.anew(own))
    whole = summary.filter(pc.equal(summary["group_kind"], "all"))
    means: dict[str, Any] = {}
    for row in whole.to_pylist():
        owed = row["expected"] - row["not_applicable"]
        value = {"mean": row["mean"], "n": row["n"], "expected": owed}
        means.setdefault(row["format"], {})[row["metric"]] = value
    return replace(event, details={**event.details, "means": means})


def sentence(event: Event) -> str:
    """The event for people: one line a format."""
    lines = [f"{event.details['system']} is finished"]
    for format_, values in event.details.get("means", {}).items():
        told = (
            f"{m} {v['mean']:.4g} (n {v['n']}/{v['expected']})" for m, v in values.items() if v["n"]
        )
        lines.append(f"  {format_}: " + ", ".join(told))
    return "\n".join(lines)
