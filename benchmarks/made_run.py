"""A whole run with made-up values, written straight into a store: for the pages and their tests.

No model, metric or judge runs: values are drawn around a quality that each system is given, so that
25 systems on 6,422 samples take a minute. Nothing in it is a result of anything.
"""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Pillow

from medgen.engine.benchmark.manifest import Manifest, ShardEntry
from medgen.engine.data import Asks
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Plan, Recipe, System, make_plan
from medgen.engine.results.statistics import clustered_means
from medgen.engine.results.summary import SUMMARY
from medgen.engine.run.folder import RunFolder, Status
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace, RunPlace
from medgen.engine.store.objects import Objects
from medgen.engine.store.parquet import parquet_bytes

FORMATS = ("ImageEditing", "MultimodalGeneration", "VQA")
ASKS: dict[str, Asks] = {
    "ImageEditing": "image",
    "MultimodalGeneration": "image+text",
    "VQA": "text",
}
TASKS = {
    "ImageEditing": ("noise-reconstruction", "style-transfer", "contrast-enhancement"),
    "MultimodalGeneration": ("disease-prediction", "organic-removal"),
    "VQA": ("multiple-choice", "question-answering"),
}
MODALITIES = ("CT", "Pathology", "X-ray", "MRI", "Ultrasound")
NAMES = (
    "aster-30b+aster-edit", "birch-omni", "cedar-med-8b+brush", "dune-unified-7b",
    "elm-vl-72b+brush", "fern-8b+fern-paint", "grove-med-4b+brush", "heath-unified-1b",
)  # fmt: skip
CONTROLS = {"oracle": 0.97, "copy-input": 0.33, "blank": 0.05, "unrelated": 0.12}
VIEWS = ("reference_based", "reference_free")
SCALES = (
    "overall_score", "anatomical_accuracy", "clinical_finding_accuracy", "instruction_compliance",
    "cross_modal_consistency", "hallucination_omission",
)  # fmt: skip
# name -> (lowest, highest, direction, formats, threshold)
METRICS: Mapping[str, tuple[float, float, str, tuple[str, ...], float | None]] = {
    "psnr": (8.0, 32.0, "higher", FORMATS[:2], 28.0),
    "ssim": (0.1, 1.0, "higher", FORMATS[:2], 0.7),
    "lpips": (0.8, 0.05, "lower", FORMATS[:2], 0.6),
    "bertscore": (0.7, 1.0, "higher", FORMATS[1:], 0.9),
    "exact_match": (0.0, 1.0, "higher", FORMATS[2:], None),
    "token_f1": (0.0, 1.0, "higher", FORMATS[2:], None),
}
FAILURES = ("invalid_image", "truncated", "timeout", "refused")
REASONS = {
    "invalid_image": "image file is truncated ({n} bytes not processed)",
    "truncated": "token limit {n} reached inside a picture",
    "timeout": "no reply in {n} s from http://127.0.0.1:8000/v1",
    "refused": "the model refused: I can't help with editing medical images",
}
# Pages draw maps of LPIPS with the metric itself, where its weights are.
_METRIC = {"lpips": Spec("lpips")}
_GROUPS = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))
Texts = Callable[[str, int], str]


@dataclass(frozen=True)
class MadeRun:
    """What to write. `text` gives a system's words for a sample; `instruction` the sample's."""

    systems: int = 8
    samples: int = 240
    pictures: bool = True
    seed: int = 7
    name: str = "line-up"
    random: int = 1
    fails: float = 0.01
    text: Texts = lambda system, n: (
        f"The structure of sample {n} is seen on the left, says {system}."
    )
    instruction: Callable[[int], str] = lambda n: (
        f"Reconstruct section {n} of colon glands from this noisy picture: take out the Gaussian "
        "noise and keep the edges of the small round gland."
    )
    sample_id: Callable[[str, int], str] = lambda task, n: f"{task}-{n:04d}"
    judge: str = "aspen-vl-72b"
    done: bool = True
    side: int = 96  # pixels of a picture
    qualities: Mapping[str, float] = field(default_factory=dict)

    def write(self, url: str) -> str:
        """Write the run into a store; its id."""
        objects = connect(url)
        made = _Making(self, objects)
        made.write()
        return made.plan.run_id


class _Making:
    def __init__(self, asked: MadeRun, objects: Objects) -> None:
        self.asked, self.objects = asked, objects
        self.rng = np.random.default_rng(asked.seed)
        n = asked.samples
        self.format = np.array([FORMATS[(i // 2) % 3] for i in range(n)])
        self.task = np.array([_pick(TASKS[f], i) for i, f in enumerate(self.format)])
        self.modality = np.array([MODALITIES[(i // 3) % 5] for i in range(n)])
        self.source = np.array([f"source-{i // 4}" for i in range(n)])
        self.groups = [[{"name": "hospital", "value": "AB"[i // 4 % 2]}] for i in range(n)]
        self.ids = [asked.sample_id(str(t), i) for i, t in enumerate(self.task)]
        self.effect = (
            self.rng.normal(0, 0.12, n) + np.repeat(self.rng.normal(0, 0.06, -(-n // 4)), 4)[:n]
        )
        self.names = self._names()
        self.manifest = self._manifest()
        self.plan = self._plan()
        self.bank = _bank(self.rng, asked.side)

    def _names(self) -> list[str]:
        more = [f"system-{i:02d}" for i in range(len(NAMES), self.asked.systems)]
        own = [*NAMES[: self.asked.systems], *more]
        return [*own, *CONTROLS, *(f"tiny-random-{i}" for i in range(self.asked.random))]

    def _manifest(self) -> Manifest:
        count = self.asked.samples
        formats = Counter(map(str, self.format))
        asks = {ASKS[name]: formats[name] for name in ASKS if formats[name]}
        kinds = {ASKS[name]: {name: formats[name]} for name in ASKS if formats[name]}
        entry = ShardEntry(count, kinds, "0" * 32, "0" * 64)
        return Manifest(
            name="made", fingerprint=f"{self.asked.seed:016x}", shard_size=count, order_seed=0,
            shards=(entry,), asks=asks, formats=formats,
            tasks=Counter(map(str, self.task)), modalities=Counter(map(str, self.modality)),
            notes=("made-up values: nothing here is a result",),
        )  # fmt: skip

    def _plan(self) -> Plan:
        systems = tuple(
            System(n, answer=Model(Spec("made:Model", {"model": n})), control=n in CONTROLS)
            for n in self.names
        )
        return make_plan(
            Recipe(
                self.asked.name,
                systems,
                {m: _METRIC.get(m, Spec("made:Metric", {"name": m})) for m in METRICS},
                {self.asked.judge: Model(Spec("made:Judge", {"name": self.asked.judge}))},
                protocol="table-iv",
                thresholds={"overall_score": {"pass_when": ">=", "value": 8, "range": [1, 10]}},
            ),
            self.manifest,
        )

    def write(self) -> None:
        place = BenchmarkPlace(self.manifest.ref)
        self.objects.replace(place.manifest, self.manifest.to_json())
        folder = RunFolder(self.objects, self.plan.run_id)
        folder.save_plan(self.plan, f"name: {self.asked.name}\n")
        folder.save_status(self._status())
        self._save(f"{place.folder}/tables/samples/part-00000.parquet", self._samples(), 64)
        rows: list[dict[str, Any]] = []
        for name in self.names:
            statuses = self._statuses(name)
            values = self._values(name, statuses)
            base = f"{RunPlace(self.plan.run_id).folder}/tables"
            at = f"{name.replace('+', '%2B')}/part-00000.parquet"
            self._save(f"{base}/predictions/{at}", self._predictions(name, statuses), 64)
            self._save(f"{base}/values/{at}", self._value_table(name, statuses, values), 50_000)
            self._save(f"{base}/verdicts/{at}", self._verdicts(name, statuses, values), 4_000)
            rows += self._summary(name, statuses, values)
        table = pa.Table.from_pylist(rows, SUMMARY)
        self.objects.replace(RunPlace(self.plan.run_id).summary, parquet_bytes(table))

    def _status(self) -> Status:
        word = "success" if self.asked.done else "started"
        return Status(
            word, self.plan.run_id, "2026-11-27T01:00:00.000+00:00",
            "2026-11-27T04:12:00.000+00:00", dict.fromkeys(self.plan.nodes, 1),
            exit_code=0 if self.asked.done else None,
        )  # fmt: skip

    def _save(self, path: str, table: pa.Table, group: int) -> None:
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=group, compression="zstd")
        self.objects.replace(path, sink.getvalue())

    # ---- what is drawn ---------------------------------------------------------------------

    def quality(self, name: str) -> float:
        if name in CONTROLS:
            return CONTROLS[name]
        if name.startswith("tiny-random"):
            return 0.06
        place = self.names.index(name)
        return self.asked.qualities.get(name, 0.66 - 0.055 * (place * 3 % 8) - 0.004 * place)

    def _statuses(self, name: str) -> np.ndarray[Any, Any]:
        found = np.full(self.asked.samples, "ok", dtype=object)
        if name in CONTROLS:
            return found
        share = self.asked.fails * (1 + 6 * (name == "heath-unified-1b"))
        lost = self.rng.random(len(found)) < share
        found[lost] = self.rng.choice(FAILURES, int(lost.sum()))
        return found

    def _values(self, name: str, statuses: Any) -> dict[tuple[str, str, str], Any]:
        found = {}
        q = self.quality(name)
        level = np.clip(q + self.effect + self.rng.normal(0, 0.1, len(statuses)), 0, 1)
        for view in VIEWS:
            for scale in SCALES:
                own = np.clip(level + self.rng.normal(0, 0.05, len(level)), 0, 1)
                marks = np.round(1 + 9 * own + (view == "reference_free") * 0.4)
                found["judge", self.asked.judge, f"{scale}/{view}"] = np.clip(marks, 1, 10)
        for metric, (low, high, _, formats, _) in METRICS.items():
            own = np.clip(level + self.rng.normal(0, 0.08, len(level)), 0, 1)
            raw = low + (high - low) * own
            if metric == "exact_match":
                raw = (own > 0.5).astype(float)
            found["score", metric, metric] = np.where(np.isin(self.format, formats), raw, np.nan)
        for values in found.values():
            values[statuses != "ok"] = np.nan
        return found

    # ---- tables ----------------------------------------------------------------------------

    def _head(self, name: str, repeat: int = 1) -> dict[str, Any]:
        n = self.asked.samples

        def spread(values: Any) -> Any:
            return [value for value in values for _ in range(repeat)]

        return {
            "run": pa.array([self.plan.run_id] * n * repeat),
            "benchmark": pa.array([self.plan.benchmark] * n * repeat),
            "system": pa.array([name] * n * repeat),
            "control": pa.array([name in CONTROLS] * n * repeat),
            "sample": pa.array(spread(self.ids)),
            "position": pa.array(np.repeat(np.arange(n), repeat)),
            "format": pa.array(spread(self.format)),
            "task": pa.array(spread(self.task)),
            "subtask": pa.array([None] * n * repeat, pa.string()),
            "modality": pa.array(spread(self.modality)),
            "source": pa.array(spread(self.source)),
            "groups": pa.array(spread(self.groups), _GROUPS),
        }

    def _samples(self) -> pa.Table:
        head = self._head("")
        for name in ("run", "system", "control"):
            head.pop(name)
        n = self.asked.samples
        roles = [("input", self._picture(i, 1)) for i in range(n)]
        images = [
            [{"role": r, "bytes": b, "path": ""}]
            + ([{"role": "reference", "bytes": self._picture(i, 0), "path": ""}]
               if self.format[i] != "VQA" else [])
            for i, (r, b) in enumerate(roles)
        ]  # fmt: skip
        image = pa.struct([("role", pa.string()), ("bytes", pa.binary()), ("path", pa.string())])
        reference = [
            None if f == "ImageEditing" else f"The structure of sample {i} is seen on the right."
            for i, f in enumerate(self.format)
        ]
        return pa.table(
            head
            | {
                "instruction": pa.array([self.asked.instruction(i) for i in range(n)]),
                "choices": pa.array([[] for _ in range(n)], pa.list_(pa.string())),
                "reference_text": pa.array(reference, pa.string()),
                "images": pa.array(images if self.asked.pictures else [[]] * n, pa.list_(image)),
                "raw": pa.array(["{}"] * n),
            }
        )

    def _picture(self, position: int, blur: int) -> bytes:
        return self.bank[position % len(self.bank)][blur]

    def _predictions(self, name: str, statuses: Any) -> pa.Table:
        n = self.asked.samples
        ok = statuses == "ok"
        worse = min(5, 5 - round(5 * self.quality(name)))
        pictured = ok & (self.format != "VQA") & self.asked.pictures
        images = [
            {"bytes": self._picture(i, worse), "path": ""} if p else None
            for i, p in enumerate(pictured)
        ]
        texts = [
            self.asked.text(name, i) if o and f != "ImageEditing" else None
            for i, (o, f) in enumerate(zip(ok, self.format, strict=True))
        ]
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        tokens = self.rng.integers(50, 2000, n)
        return pa.table(
            self._head(name)
            | {
                "status": pa.array(statuses),
                "reason": pa.array([_reason(s, i) for i, s in enumerate(statuses)], pa.string()),
                "text": pa.array(texts, pa.string()),
                "image_prompt": pa.array([None] * n, pa.string()),
                "image": pa.array(images, image),
                "more_images": pa.array([[]] * n, pa.list_(image)),
                "prompt_tokens": pa.array(tokens),
                "completion_tokens": pa.array(tokens // 7),
                "cached_tokens": pa.array(tokens // 2),
                "seconds": pa.array(self.rng.gamma(2, 1.2, n)),
                "cost_usd": pa.array(tokens * self._price(name)),
                "finish_reason": pa.array(["stop"] * n),
                "details": pa.array(["{}"] * n),
                "random_weights": pa.array([name.startswith("tiny-random")] * n),
            }
        )  # fmt: skip

    def _price(self, name: str) -> float:
        return 0.0 if name in CONTROLS else 1e-5 * self.quality(name) ** 2

    def _value_table(self, name: str, statuses: Any, values: Mapping[Any, Any]) -> pa.Table:
        tables = []
        for (stage, label, output), found in values.items():
            n, here = len(found), self._applies(stage, label)
            status = np.where(statuses == "ok", np.where(here, "ok", "not_applicable"), "error")
            direction = METRICS[label][2] if stage == "score" else "higher"
            mark = METRICS[label][4] if stage == "score" else 8.0
            passed = found <= mark if mark and direction == "lower" else found >= (mark or 0)
            tables.append(pa.table(self._head(name) | {
                "stage": pa.array([stage] * n), "label": pa.array([label] * n),
                "output": pa.array([output] * n), "metric": pa.array([output] * n),
                "value": pa.array(found, from_pandas=True), "status": pa.array(status.tolist()),
                "reason": pa.array(np.where(status == "ok", None, status).tolist(), pa.string()),
                "direction": pa.array([direction] * n),
                "threshold": pa.array([mark] * n, pa.float64()),
                "passed": pa.array([None if mark is None else bool(p) for p in passed], pa.bool_()),
                "prediction_status": pa.array(statuses),
                "random_weights": pa.array([name.startswith("tiny-random")] * n),
            }))  # fmt: skip
        return pa.concat_tables(tables)

    def _verdicts(self, name: str, statuses: Any, values: Mapping[Any, Any]) -> pa.Table:
        n, each = self.asked.samples, len(VIEWS) * len(SCALES)
        marks = np.stack([values["judge", self.asked.judge, f"{s}/{v}"]
                          for v in VIEWS for s in SCALES], axis=1).ravel()  # fmt: skip
        said = [f"On {s.replace('_', ' ')}: a round, pale lumen stands in the upper right."
                for _ in VIEWS for s in SCALES]  # fmt: skip
        first = np.tile(np.arange(each) % len(SCALES) == 0, n)
        bad = np.repeat(statuses != "ok", each)
        empty = pa.array([None] * n * each, pa.float64())
        return pa.table(self._head(name, each) | {
            "label": pa.array([self.asked.judge] * n * each),
            "judge": pa.array([self.asked.judge] * n * each),
            "view": pa.array([v for v in VIEWS for _ in SCALES] * n),
            "scale": pa.array(list(SCALES) * len(VIEWS) * n),
            "repeat": pa.array(np.zeros(n * each, np.int64)),
            "value": pa.array(marks, from_pandas=True), "expected": empty,
            "explanation": pa.array(said * n),
            "status": pa.array(np.where(bad, "skipped", "ok").tolist()),
            "reason": pa.array(np.where(bad, "there is no prediction", None).tolist(), pa.string()),
            "raw": pa.array(np.where(first, '{"overall_score": 7}', None).tolist(), pa.string()),
            "prompt_digest": pa.array(["0" * 16] * n * each),
            "protocol": pa.array(["table-iv/1"] * n * each),
            "cost_usd": pa.array(np.where(first, 1e-4, 0.0)),
            "random_weights": pa.array([name.startswith("tiny-random")] * n * each),
        })  # fmt: skip

    def _applies(self, stage: str, label: str) -> Any:
        every = np.ones(self.asked.samples, bool)
        return every if stage == "judge" else np.isin(self.format, METRICS[label][3])

    # ---- summary ---------------------------------------------------------------------------

    def _summary(self, name: str, statuses: Any, values: Mapping[Any, Any]) -> list[dict[str, Any]]:
        rows, waiting = [], []
        _, clusters = np.unique(self.source, return_inverse=True)
        for (stage, label, output), found in values.items():
            here = self._applies(stage, label)
            for format_, kind, group, mask in self._groups():
                if not (mask & here).any():
                    continue
                held = mask & np.isfinite(found)
                row = _blank_row(name, (format_, kind, group), (stage, label, output))
                row |= {"n": int(held.sum()), "expected": int(mask.sum()),
                        "coverage": float(held.sum() / mask.sum()),
                        "random_weights": name.startswith("tiny-random")}  # fmt: skip
                bad = Counter(statuses[mask])
                row |= {f"prediction_{s}": bad.get(s, 0) for s in ("ok", *FAILURES)}
                row |= {"status_ok": row["n"], "status_error": row["expected"] - row["n"]}
                waiting.append((found[held], clusters[held]))
                rows.append(row)
        quick = [(v, c) if len(v) < 60 else _thin(v, c) for v, c in waiting]
        for row, interval, (v, _) in zip(rows, clustered_means(quick), waiting, strict=True):
            row |= {"mean": float(v.mean()) if len(v) else None, "ci_low": interval.low,
                    "ci_high": interval.high, "ci_method": interval.method,
                    "ci_note": interval.note, "sd": float(v.std()) if len(v) else None}  # fmt: skip
        return rows

    def _groups(self) -> Any:
        for format_ in FORMATS:
            inside = self.format == format_
            yield format_, "all", "all", inside
            for kind, words in (("task", self.task), ("modality", self.modality)):
                for word in sorted(set(words[inside])):
                    yield format_, kind, str(word), inside & (words == word)


def _pick(words: Sequence[str], at: int) -> str:
    return words[(at // 6) % len(words)]


def _thin(values: Any, clusters: Any) -> Any:
    """The means of sources: as wide an interval, for fewer draws."""
    _, codes = np.unique(clusters, return_inverse=True)
    means = np.bincount(codes, values) / np.bincount(codes)
    return means, np.arange(len(means))


def _reason(status: str, at: int) -> str | None:
    return None if status == "ok" else REASONS[status].format(n=1000 + at)


def _blank_row(name: str, group: tuple[str, str, str], key: tuple[str, str, str]) -> dict[str, Any]:
    stage, label, output = key
    row: dict[str, Any] = dict.fromkeys(SUMMARY.names)
    row |= {n: 0 for n in SUMMARY.names if n.startswith(("status_", "prediction_"))}
    mark = METRICS[label][4] if stage == "score" else 8.0
    direction = METRICS[label][2] if stage == "score" else "higher"
    return row | {
        "system": name, "control": name in CONTROLS, "format": group[0], "group_kind": group[1],
        "group": group[2], "stage": stage, "label": label, "output": output, "metric": output,
        "direction": direction, "threshold": mark, "not_applicable": 0, "making": "{}",
        "pass_when": "<=" if direction == "lower" else ">=",
    }  # fmt: skip


def _bank(rng: np.random.Generator, side: int) -> list[list[bytes]]:
    """Some pictures, each sharp, noisy and in four more states, as PNG."""
    grid = np.mgrid[0:side, 0:side] / side
    found = []
    for _ in range(24):
        x, y, r = rng.uniform(0.2, 0.8, 3)
        tint = rng.uniform(0.4, 1.0, 3)
        rings = np.sin(18 * np.hypot(grid[0] - x, grid[1] - y) + 6 * r * grid[0])
        shape = np.hypot(grid[0] - y, grid[1] - x) < 0.08 + r / 8
        base = (0.5 + 0.3 * rings + 0.3 * shape)[..., None] * tint
        states = []
        for noise in (0.0, 0.16, 0.02, 0.05, 0.1, 0.22):
            image = np.clip(base + rng.normal(0, noise, base.shape), 0, 1)
            sink = io.BytesIO()
            Pillow.fromarray((255 * image).astype(np.uint8)).save(sink, "PNG")
            states.append(sink.getvalue())
        found.append(states)
    return found
