"""Seconds of a full run by folder, and whether each keeps to the table in CONTRIBUTING.md.

python tests/budget.py
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = ROOT / "var" / "test-seconds.json"
SLOW = ROOT / "var" / "slow-tests.txt"
QUICK_S = 0.5  # what a case of a quick test may take
ROW = re.compile(r"^\| `tests/(\w+)` \| (\d+) \|$", re.MULTILINE)


def by_folder(reports: Iterable[Any]) -> dict[str, float]:
    """Seconds of set-up, call and tear-down, by the first folder under tests/."""
    seconds: Counter[str] = Counter()
    for report in reports:
        path = report.nodeid.partition("::")[0].split("/")
        if len(path) > 2:
            seconds[path[1]] += report.duration
    return {folder: round(spent, 1) for folder, spent in seconds.most_common()}


def slow(reports: Iterable[Any]) -> list[str]:
    """The tests of which some case took longer than a quick one may."""
    seconds: Counter[str] = Counter()
    for report in reports:
        seconds[report.nodeid] += report.duration
    return sorted({name.partition("[")[0] for name, spent in seconds.items() if spent > QUICK_S})


def over(seconds: Mapping[str, float], budgets: Mapping[str, int]) -> list[str]:
    """A sentence for each folder that took longer than it may, or has no budget."""
    return [
        f"tests/{folder}: {spent:.0f} s of {budgets.get(folder, 0)} s; make tests share what they "
        "start, move twins to the trial, or change the table in CONTRIBUTING.md"
        for folder, spent in seconds.items()
        if spent > budgets.get(folder, 0)
    ]


def main() -> int:
    """0 if the last full run kept to its budgets, or there was none."""
    if not SECONDS.exists():
        return 0
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    budgets = {folder: int(number) for folder, number in ROW.findall(text)}
    problems = over(json.loads(SECONDS.read_text(encoding="utf-8")), budgets)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
