"""Small runs with known values, written straight into a store."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image as Pillow

from medgen.engine.benchmark.digest import shard_digest
from medgen.engine.benchmark.index import digests_object, index_object
from medgen.engine.benchmark.manifest import Benchmark, Manifest, ShardEntry
from medgen.engine.benchmark.spool import entry_of
from medgen.engine.benchmark.table import publish_samples, sample_tables
from medgen.engine.benchmark.vocabulary import asks_of
from medgen.engine.codec import fingerprint
from medgen.engine.data import VIEWS, Image, Prediction, Sample, Score, Verdict
from medgen.engine.images import png
from medgen.engine.plan.effective import Effective, passport_parts
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Node, Plan, Recipe, System, make_plan
from medgen.engine.run.editions import edition_names, name_edition, record_identity
from medgen.engine.run.reader import RunReader
from medgen.engine.stages import SCORES, VERDICTS
from medgen.engine.store import schemas
from medgen.engine.store.connect import connect
from medgen.engine.store.layout import BenchmarkPlace, sample_shard
from medgen.engine.store.objects import Objects
from medgen.engine.store.sample_rows import sample_table
from medgen.engine.store.sealed import seal
from medgen.engine.store.shards import Stage, label

GIVEN = Image(b"given", "given.png")
THRESHOLDS = {
    "psnr": {"pass_when": ">=", "value": 28, "range": [0, 100]},
    "exact_match": {"direction": "higher", "range": [0, 1]},
    "overall_score": {"pass_when": ">=", "value": 8, "range": [1, 10]},
}
# What the benchmark authors call values, as the metrics say in their passports.
AUTHORS = {"psnr": "PSNR", "ssim": "SSIM", "exact_match": "Text_EM"}


def picture(grey: int) -> Image:
    return Image(png(Pillow.new("RGB", (24, 16), (grey % 256, 40, 90))), f"{grey}.png")


def make_samples(count: int, pictures: bool = False) -> list[Sample]:
    """Editing, question and generation samples in turn; two from each source image."""
    kinds = [
        ("noise-reconstruction", "CT"),
        ("style-transfer", "Pathology"),
        ("multiple-choice", "X-ray"),
        ("disease-prediction", "MRI"),
    ]
    samples = []
    for i in range(count):
        task, modality = kinds[i % len(kinds)]
        asks = asks_of(task)
        samples.append(
            Sample(
                id=f"s{i:05d}",
                asks=asks,
                task=task,
                modality=modality,
                instruction=f"Do what is right with picture {i}",
                input_images=(picture(i) if pictures else GIVEN,),
                reference_texts=() if asks == "image" else (f"answer {i}",),
                reference_images=(picture(i + 1),) if pictures and asks != "choice" else (),
                source=f"source-{i // (2 * len(kinds))}-{i % len(kinds)}",
            )
        )
    return samples


def write_benchmark(objects: Objects, samples: Sequence[Sample], shard_size: int) -> Manifest:
    """In the order in which they are given, which an import would change."""
    entries = [entry_of(sample) for sample in samples]
    cuts = [range(i, min(i + shard_size, len(samples))) for i in range(0, len(samples), shard_size)]
    shards = []
    for cut in cuts:
        digest = shard_digest(entries[i].digest for i in cut)
        data = seal(sample_table(samples[i] for i in cut))
        objects.create(sample_shard(digest), data)
        asks = {samples[i].asks for i in cut}
        formats = {a: Counter(samples[i].format for i in cut if samples[i].asks == a) for a in asks}
        sha256 = hashlib.sha256(data).hexdigest()
        shards.append(ShardEntry(len(cut), formats, digest, sha256))
    manifest = Manifest(
        name="fake",
        fingerprint=fingerprint([shard.digest for shard in shards]),
        shard_size=shard_size,
        order_seed=0,
        shards=tuple(shards),
        asks=Counter(s.asks for s in samples),
        formats=Counter(s.format for s in samples),
        tasks=Counter(s.task for s in samples),
        modalities=Counter(s.modality for s in samples),
    )
    place = BenchmarkPlace(manifest.ref)
    objects.create(place.order, index_object(entries, {}))
    objects.create(place.digests, digests_object(entries))
    objects.create(place.manifest, manifest.to_json())
    benchmark = Benchmark(objects, manifest.ref)
    publish_samples(objects, manifest.ref, sample_tables(benchmark))
    return manifest


@dataclass
class FakeRun:
    """What to write; `without` names (stage, label) shards that are left out."""

    samples: Sequence[Sample]
    systems: Sequence[str] = ("good", "bad")
    metrics: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"psnr": ["psnr"]})
    judges: Sequence[str] = ()
    repeats: int = 1
    shard_size: int = 8
    name: str = "fake"
    predict: Callable[[str, Sample], Prediction] = lambda system, s: Prediction(s.id, text="x")
    score: Callable[[str, str, Sample, Prediction], Score] | None = None
    judge: Callable[[str, str, Sample, str, int], Verdict] | None = None
    without: frozenset[tuple[str, str, int]] = frozenset()
    passports: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    thresholds: Mapping[str, object] = field(default_factory=lambda: THRESHOLDS)
    protocol: str = "table-iv"
    arguments: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # by label
    judged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, url: str) -> RunReader:
        objects = connect(url)
        manifest = write_benchmark(objects, self.samples, self.shard_size)
        plan = self.plan(manifest)
        for system in self.systems:
            self._write_system(objects, plan, system)
        return RunReader(objects, plan)

    def plan(self, manifest: Manifest) -> Plan:
        systems = tuple(
            System(s, answer=Model(Spec("fake:Model", {"model": s})), control=s == "copy-input")
            for s in self.systems
        )
        return make_plan(
            Recipe(
                self.name,
                systems,
                {m: Spec("fake:Metric", self._arguments(m)) for m in self.metrics},
                {j: Model(Spec("fake:Judge", self._arguments(j))) for j in self.judges},
                self.judged,
                protocol=self.protocol,
                thresholds=self.thresholds,
            ),
            manifest,
        )

    def _arguments(self, label: str) -> dict[str, object]:
        return {"name": label, **self.arguments.get(label, {})}

    def _write_system(self, objects: Objects, plan: Plan, system: str) -> None:
        for start in range(0, len(self.samples), self.shard_size):
            samples = self.samples[start : start + self.shard_size]
            shard = start // self.shard_size
            predictions = [self.predict(system, s) for s in samples]
            context = schemas.context(samples, predictions)
            made = schemas.prediction_table(predictions)
            tables = [(node, made) for node in plan.predictions(system)]
            for node in plan.giving(system, SCORES):
                rows = [
                    self.score(system, node.label, s, p)
                    for s, p in zip(samples, predictions, strict=True)
                ]
                outputs = self.metrics[node.label]
                tables.append((node, schemas.score_table(rows, outputs, context)))
            for node in plan.giving(system, VERDICTS):
                verdicts = [
                    self.judge(system, node.label, s, view, repeat)
                    for s in samples
                    for view in VIEWS
                    for repeat in range(self.repeats)
                ]
                tables.append((node, schemas.verdict_table(verdicts, context)))
            digests: dict[str, str] = {}
            for node, table in tables:
                if (system, node.stage, shard) not in self.without:
                    passport = self.passports.get(node.label, self.passports.get(system, {}))
                    outputs = [
                        {"name": name, "authors": AUTHORS.get(name, "")}
                        for name in self.metrics.get(node.label, ())
                    ]
                    stage, held = _edition(objects, plan, node, {"outputs": outputs, **passport})
                    inputs = {
                        f"{key}/{plan.digests[shard]}": digests[key]
                        for key in node.upstream
                        if key in digests
                    }
                    labels = {"key": node.key, "identity": held, "inputs": inputs}
                    stage.declare(node.recipe)
                    _, digests[node.key] = stage.write(shard, label(table, labels))


def _edition(
    objects: Objects, plan: Plan, node: Node, passport: Mapping[str, object]
) -> tuple[Stage, str]:
    """Where a node's rows lie that a component with this passport made, and its identity."""
    found = Effective(passport_parts(passport), passport=passport)
    upstream = {
        key: max(edition_names(objects, plan.nodes[key].stage, key), default="")
        for key in node.upstream
    }
    edition = name_edition(found, upstream, strict=False)
    stage = Stage(objects, node.stage, node.key, plan.shard_names(node), edition=edition)
    return stage, record_identity(objects, stage.place, found, upstream)


def steady(values: Callable[[str, Sample], float]) -> Callable[..., Score]:
    """A pixel metric that gives `values`, applies to pictures, and fails with the prediction."""

    def score(system: str, metric: str, sample: Sample, prediction: Prediction) -> Score:
        if sample.format == "VQA":
            return Score(sample.id, "not_applicable", "no picture")
        if prediction.status != "ok":
            return Score(sample.id, "error", f"prediction is {prediction.status}")
        return Score(sample.id, values={metric: values(system, sample)})

    return score
