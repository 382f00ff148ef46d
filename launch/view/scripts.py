"""What the gallery and the sample pages load: columns of all, texts of 200 at a time."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medgen.engine.errors import MedgenError
from medgen.engine.plan.plan import Node
from medgen.engine.results.columns import PREDICTION_STATUSES
from medgen.engine.run.reader import RunReader
from medgen.launch.report.escaping import shorten
from medgen.launch.view import pictures
from medgen.launch.view.board import format_short, format_title
from medgen.launch.view.certain import headline
from medgen.launch.view.data import StoredRun, ValueEntry
from medgen.launch.view.maps import Maps

BLOCK = 200  # samples of which texts come in one script
_STEPS = 65534  # a value is a whole number of these between the column's ends; 65535: none
_NONE = 65535
_LONGEST = 20_000  # letters of a text in a page
_SEARCHED = 1_500_000  # letters of one system's answers that a search can look through
_TEASER = 220

Json = dict[str, Any]


def gallery_columns(data: StoredRun, colors: Mapping[str, int]) -> Json:
    """Ids, facets and statuses of every sample, and which values there are."""
    samples = data.samples
    status = np.full((len(data.systems), len(samples)), _status_code("missing"), np.uint8)
    for entry in data.systems:
        table = data.predictions[entry.name]
        if table.num_rows:
            codes = [_status_code(s) for s in table["status"].to_pylist()]
            status[entry.place, table["position"].to_numpy()] = codes
            status[entry.place][~_owing(data, entry.name)] = 255
    slots = np.array(data.picture_slots or [(0, 0)] * len(samples), np.uint8)
    return {
        "run": data.run_id,
        "ids": list(samples.ids),
        "digests": list(samples.digests),
        "facets": {
            kind: {"words": list(coded.words), "codes": _narrow(coded.codes)}
            for kind in ("format", "task", "modality", *samples.group_kinds)
            for coded in (samples.facet(kind),)
        },
        "sources": _narrow(samples.facet("source").codes),
        "source_words": list(samples.facet("source").words),
        "formats": {
            f: {"title": format_title(f), "short": format_short(f), "place": i,
                "headline": getattr(headline(data, f), "place", None)}
            for i, f in enumerate(data.formats)
        },
        "statuses": list(PREDICTION_STATUSES),
        "status": base64.b64encode(status.tobytes()).decode(),
        "inputs": base64.b64encode(slots[:, 0].tobytes()).decode() if len(slots) else "",
        "references": base64.b64encode(slots[:, 1].tobytes()).decode() if len(slots) else "",
        "systems": [
            {"name": s.name, "control": s.control, "random": s.random, "letter": s.letter,
             "number": colors[s.name]}
            for s in data.systems
        ],
        "values": [_value(v) for v in data.values],
        "block": BLOCK,
        "pictured": data.has_pictures,
    }  # fmt: skip


def _owing(data: StoredRun, system: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    formats = data.samples.facet("format")
    mine = np.array([data.owes(system, word) for word in formats.words], dtype=bool)
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = mine[formats.codes]
    return found


def _status_code(status: str) -> int:
    if status == "not_applicable":
        return 255  # not asked
    return PREDICTION_STATUSES.index(status) if status in PREDICTION_STATUSES else 254


def _narrow(codes: Any) -> str:
    return base64.b64encode(np.asarray(codes, np.uint16).tobytes()).decode()


def _value(value: ValueEntry) -> Json:
    return {
        "title": value.title, "direction": value.direction, "key": list(value.key),
        "threshold": value.threshold, "pass_when": value.pass_when, "overall": value.overall,
        "formats": list(value.formats), "arrow": value.arrow,
        "judge": value.key[0] == "judge",
    }  # fmt: skip


def value_column(data: StoredRun, place: int) -> Json:
    """One value of all systems and samples, in 65,534 steps between its ends."""
    grid = data.grid.get(data.values[place].key)
    if grid is None:
        grid = np.full((len(data.systems), len(data.samples)), np.nan, np.float32)
    known = grid[np.isfinite(grid)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    width = (high - low) or 1.0
    steps = np.full(grid.shape, _NONE, np.uint16)
    fine = np.isfinite(grid)
    steps[fine] = np.round((grid[fine] - low) / width * _STEPS).astype(np.uint16)
    return {"low": low, "high": high, "steps": base64.b64encode(steps.tobytes()).decode()}


def text_block(data: StoredRun, number: int) -> list[Json]:
    """What the gallery shows of 200 samples in words: instruction, reference, first words."""
    span = (number * BLOCK, (number + 1) * BLOCK)
    found: dict[int, Json] = {}
    for row in data.sample_rows(span):
        found[row["position"]] = {
            "instruction": shorten(row["instruction"] or "", 2 * _TEASER),
            "reference": _tease(row["reference_text"]),
            "texts": {},
        }
    for entry in data.systems:
        for row in data.rows("predictions", entry.name, span):
            if row["position"] in found and row["text"]:
                found[row["position"]]["texts"][entry.place] = _tease(row["text"])
    return [found[p] for p in sorted(found)]


def search_words(data: StoredRun) -> list[str]:
    """What a search looks through: instruction and reference of every sample, in small letters."""
    rows = data.sample_rows((0, len(data.samples)))
    found = {r["position"]: f"{r['instruction'] or ''} {r['reference_text'] or ''}" for r in rows}
    return [found[p][: 2 * _TEASER].lower() for p in sorted(found)]


def said_words(data: StoredRun, place: int) -> list[str]:
    """The beginning of every answer of a system, in small letters: searched beside `search_words`.

    All of them together have at most 1.5 million letters: 233 an answer at 6,422 samples.
    """
    size = len(data.samples)
    found, most = [""] * size, min(2 * _TEASER, _SEARCHED // max(size, 1))
    for row in data.rows("predictions", data.systems[place].name, (0, size)):
        found[row["position"]] = (row["text"] or "")[:most].lower()
    return found


def _tease(text: str | None) -> str | None:
    return None if text is None else text[:_TEASER]


def sample_block(data: StoredRun, maps: Maps, position: int) -> Json:
    """Everything of one sample that its page shows, pictures left out."""
    span = (position, position + 1)
    (row,) = data.sample_rows(span) or [{}]
    systems: list[Json] = []
    for entry in data.systems:
        own = data.rows_at("predictions", entry.name, position)
        values = data.rows_at("values", entry.name, position)
        verdicts = data.rows_at("verdicts", entry.name, position)
        systems.append(
            {
                "prediction": _prediction(own[0]) if own else None,
                "values": {
                    "/".join((v["stage"], v["label"], v["output"])): _score(v) for v in values
                },
                "verdicts": [_verdict(v) for v in verdicts],
            }
        )
    return {
        "instruction": _whole(row.get("instruction")),
        "choices": list(row.get("choices") or ()),
        "reference": _whole(row.get("reference_text")),
        "subtask": row.get("subtask"),
        "systems": systems,
        "shard": shard_at(data, position),
        "maps": _means(data, maps, position),
        "kinds": list(maps.kinds),
    }


def shard_at(data: StoredRun, position: int) -> int:
    """The shard that holds a position."""
    end = 0
    for at, shard in enumerate(data.manifest.shards):
        end += shard.samples
        if position < end:
            return at
    return len(data.manifest.shards)


def origins(data: StoredRun) -> list[Json]:
    """Where each system's predictions are from: its stages, and the weights that they named."""
    reader = RunReader(data.objects, data.plan)
    found = []
    for entry in data.systems:
        nodes = [n for n in data.plan.nodes.values()
                 if n.stage in ("answer", "render") and entry.name in n.systems]  # fmt: skip
        made = [_made_by(reader, node) for node in nodes]
        words = [f"{k} {v}" for parts in made for k, v in parts.items() if _is_weights(k)]
        stages = [[n.stage, n.key] for n in nodes]
        found.append({"stages": stages, "weights": ", ".join(dict.fromkeys(words))})
    return found


def _made_by(reader: RunReader, node: Node) -> dict[str, str]:
    """What made a node's rows, where the store says it."""
    try:
        return {k: str(v) for one in reader.identities(node) for k, v in one.parts.items()}
    except MedgenError:
        return {}


def _is_weights(part: str) -> bool:
    return part.startswith(("weights", "model", "commit", "revision"))


def _whole(text: str | None) -> str | None:
    return None if text is None else shorten(text, _LONGEST)


def _prediction(row: Mapping[str, Any]) -> Json:
    kept = (
        "status", "reason", "prompt_tokens", "completion_tokens", "cached_tokens", "seconds",
        "cost_usd", "finish_reason",
    )  # fmt: skip
    return {k: row.get(k) for k in kept} | {
        "text": _whole(row.get("text")),
        "image_prompt": _whole(row.get("image_prompt")),
        "details": _whole(row.get("details") if row.get("details") not in (None, "{}") else None),
    }


def _score(row: Mapping[str, Any]) -> Json:
    value = row["value"]
    return {
        "value": value if value is not None and np.isfinite(value) else None,
        "status": row["status"],
        "reason": row["reason"],
        "passed": row["passed"],
    }


def _verdict(row: Mapping[str, Any]) -> Json:
    kept = (
        *("label", "judge", "view", "scale", "repeat", "value", "status", "reason"),
        *("prompt_digest", "protocol"),
    )
    return {k: row.get(k) for k in kept} | {
        "explanation": _whole(row.get("explanation")),
        "raw": _whole(row.get("raw")),
        "prompt": _whole(row.get("prompt")),
    }


def _means(data: StoredRun, maps: Maps, position: int) -> Json:
    """The mean of each difference map, by slot; only where there is a reference picture.

    That of LPIPS is left to its score: nobody waits for a network who asks for none of its maps.
    """
    reference = data.picture(position, "reference-0") if data.has_pictures else None
    if not reference or not pictures.is_shown(reference):
        return {}
    slots = ["input-0", *(f"s{s.place}" for s in data.systems)]
    found: Json = {}
    for slot in slots:
        drawn = {k: maps.drawn(position, slot, k) for k in pictures.MAPS if k != "lpips"}
        means = {k: round(made[1], 4) for k, made in drawn.items() if made is not None}
        if means:
            found[slot] = means
    return found


def blocks(data: StoredRun) -> Sequence[int]:
    """The numbers of all text blocks."""
    return range(-(-len(data.samples) // BLOCK))
