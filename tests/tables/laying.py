"""Files of made-up benchmarks: pictures, tables, JSON."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image as Pillow

from medgen.engine.images import png


def picture(grey: int) -> bytes:
    return png(Pillow.new("L", (100, 80), grey))


def lay(root: Path, *names: str) -> None:
    for grey, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(grey))


def table(file: Path, rows: Iterable[Sequence[object]], **how: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=how.get("delimiter", ",")).writerows(rows)
    file.write_bytes(text.getvalue().encode(how.get("encoding", "utf-8")))


def document(file: Path, value: object) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")
