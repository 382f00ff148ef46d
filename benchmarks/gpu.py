"""What a machine with one NVIDIA GPU shows: equality and speed, against bare libraries.

    python -m benchmarks.gpu [--device cuda] [--small] [--wheels FOLDER] [--seconds 360]

It needs Python 3.11 or 3.12, PyTorch, transformers, scikit-image and pyarrow, and neither network
nor Ray nor vLLM. What is missing and small (msgspec, fsspec, lpips, bert-score, torchmetrics,
diffusers, nltk …) lies beside it as wheels in FOLDER, which are unpacked for this process alone;
a yardstick whose library is nowhere is named and left out, as is a part that no time is left for.

1. equal: each fused metric on the device against the CPU, within the bound that it is held to.
2. metrics: samples a second of PSNR, SSIM, LPIPS, BERTScore (BERT-base) and an image encoder of
   ViT-B's size, beside the naive way (torchmetrics, lpips, bert-score, transformers, one pair at a
   time on the same device) and, for networks, beside their bare forward passes at the best of some
   batch sizes, which is the card's limit for them.
3. chat: a Qwen2.5-VL of 3 B with random weights through our adapter for transformers, batched, with
   a picture of 1,024 x 1,024 in each question, against the bare library with the same batch.
4. pipeline: a diffusers pipeline of SDXL's size with random weights through our adapter, batched,
   against the bare library with the same batch.

All weights are random and of the size of trained ones: speeds mean something, values nothing.
`--small` takes tiny ones and few items, to prove the path. Results go to
`benchmarks/results/gpu.json` with the card's name and every version; `--table` prints them.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._gpu import Bench, chat, pipeline

RESULTS = Path(__file__).parent / "results" / "gpu.json"
METRICS = ("psnr", "ssim", "lpips", "bertscore", "embedding_similarity")
LIBRARIES = (
    *("torch", "torchvision", "transformers", "scikit-image", "pyarrow", "numpy", "lpips"),
    *("bert-score", "torchmetrics", "diffusers"),
)
_BATCHES = (1, 8, 32, 64)


def main() -> None:
    """Measure, and write the results."""
    asked = _arguments()
    if asked.table:
        print(table(json.loads(RESULTS.read_text(encoding="utf-8"))), end="")
        return
    with tempfile.TemporaryDirectory() as folder:
        unpack(asked.wheels, Path(folder) / "wheels")
        bench = Bench(asked.device, asked.small, Path(folder), time.monotonic() + asked.seconds)
        found = measure(bench)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found), end="")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to prove the path")
    parser.add_argument("--small", action="store_true", help="tiny weights and few items")
    parser.add_argument("--wheels", type=Path, help="folder with what is missing and small")
    parser.add_argument("--seconds", type=float, default=360, help="at most, in all")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("--table", action="store_true", help="print the stored results")
    return parser.parse_args()


def unpack(wheels: Path | None, folder: Path) -> None:
    """Make what lies in wheels importable in this process; what is installed comes first."""
    found = sorted(wheels.glob("*.whl")) if wheels else []
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    if found:
        sys.path.append(str(folder))


def measure(bench: Bench) -> dict[str, Any]:
    """All parts, in order; one that fails says why and costs the others nothing."""
    found: dict[str, Any] = {"machine": machine(bench), "small": bench.small}
    for name, part in PARTS.items():
        if bench.left() <= 0:
            found[name] = {"left_out": "no time was left"}
            continue
        start = time.monotonic()
        try:
            found[name] = part(bench)
        except Exception as err:  # noqa: BLE001 - of whatever library; the next part may work
            found[name] = {"failed": f"{type(err).__name__}: {err}"[:300]}
        found[name]["seconds"] = round(time.monotonic() - start, 1)
    return found


def machine(bench: Bench) -> dict[str, Any]:
    """The device, what it does at most here, and every version."""
    import torch

    side = 256 if bench.small else 8192
    cuda = bench.device != "cpu"
    kind = torch.bfloat16 if cuda else torch.float32
    a = torch.randn(side, side, device=bench.device, dtype=kind)
    product = bench.seconds(lambda: a @ a)
    copied = bench.seconds(lambda: a.clone())
    return {
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or "cpu",
        "memory_gib": torch.cuda.mem_get_info()[1] / 2**30 if cuda else None,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "tflops": 2 * side**3 / product / 1e12,
        "gb_per_s": 2 * a.numel() * a.element_size() / copied / 1e9,
        "versions": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not here"


def weights(bench: Bench) -> Path:
    """Weights of full size, or tiny ones, seeded and random."""
    from medgen.metrics import tiny

    place = bench.folder / "weights"
    if place.is_dir():
        return place
    tiny.make_alexnet(place / "lpips-alex-trunk")
    tiny.make_text_encoder(
        place / "pubmedbert", widths=tiny.SMALL if bench.small else tiny.BERT_BASE
    )
    if bench.small:
        tiny.make_vision_encoder(place / "rad-dino")
    else:
        _vit_base(place / "rad-dino")
    return place


def _vit_base(folder: Path) -> None:
    """A DINOv2 of ViT-B's size at 518 pixels, as RAD-DINO is."""
    import torch
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(image_size=518)).save_pretrained(folder)
    size = {"height": 518, "width": 518}
    BitImageProcessor(size={"shortest_edge": 518}, crop_size=size).save_pretrained(folder)


def scorer(bench: Bench, names: tuple[str, ...], device: str) -> Any:
    """The fused scorer with these metrics and the benchmark's weights."""
    from medgen.engine.codec import plain
    from medgen.metrics.catalogue import metric_spec
    from medgen.metrics.scorer import FusedScorer

    place = weights(bench)
    paths = {
        "lpips": {"weights": str(place / "lpips-alex-trunk")},
        "bertscore": {"model": str(place / "pubmedbert")},
        "embedding_similarity": {"model": str(place / "rad-dino")},
    }
    recipes = {name: plain(metric_spec(name, paths.get(name, {}))) for name in names}
    return FusedScorer(recipes, threads=4, device=device)


def pairs(bench: Bench, name: str) -> tuple[list[Any], dict[str, list[Any]]]:
    """Samples and one system's predictions that a metric applies to."""
    from benchmarks.metrics import Work, shard

    form = "VQA" if name == "bertscore" else "ImageEditing"
    side = 64 if bench.small else 512
    return shard(Work(form, bench.items, 1, 0, 4, str(weights(bench)), side=side))


def equal(bench: Bench) -> dict[str, Any]:
    """The largest difference between the device and the CPU, beside what is allowed."""
    from medgen.metrics.laws import NEURAL

    found: dict[str, Any] = {}
    for name in METRICS:
        samples, predictions = pairs(bench, name)
        few = samples[:8], {system: rows[:8] for system, rows in predictions.items()}
        wanted = dict.fromkeys(predictions, (name,))
        cpu, ours = (scorer(bench, (name,), d).score(*few, wanted) for d in ("cpu", bench.device))
        both = [pair for key in cpu for pair in zip(cpu[key], ours[key], strict=True)]
        if bad := next((s.reason for pair in both for s in pair if s.status != "ok"), ""):
            found[name] = {"failed": bad}
            continue
        apart = max(abs(v - b.values[n]) for a, b in both for n, v in a.values.items())
        found[name] = {"apart": apart, "allowed": NEURAL, "holds": apart <= NEURAL}
    return found


def metrics(bench: Bench) -> dict[str, Any]:
    """Samples a second: fused, naive, and the networks alone."""
    found: dict[str, Any] = {}
    for name in METRICS:
        if bench.left() <= 0:
            found[name] = {"left_out": "no time was left"}
            continue
        samples, predictions = pairs(bench, name)
        fused, wanted = scorer(bench, (name,), bench.device), dict.fromkeys(predictions, (name,))
        taken = bench.seconds(lambda: fused.score(samples, predictions, wanted))  # noqa: B023
        row: dict[str, Any] = {"fused_per_s": len(samples) / taken}
        for label, measured in (("naive_per_s", _naive), ("limit_per_s", _limit)):
            try:
                row[label] = measured(bench, name, samples, predictions)
            except ImportError as err:
                row[label] = None
                row[f"no_{label}"] = str(err)
        row["over_naive"] = row["fused_per_s"] / row["naive_per_s"] if row["naive_per_s"] else None
        row["of_limit"] = row["fused_per_s"] / row["limit_per_s"] if row["limit_per_s"] else None
        found[name] = row
    return found


def _naive(bench: Bench, name: str, samples: list[Any], predictions: dict[str, Any]) -> float:
    """Samples a second of a library used as its README shows, one pair at a time."""
    (rows,) = predictions.values()
    few = 4 if bench.small else 32
    one = _one_pair(bench, name)
    chosen = list(zip(samples[:few], rows[:few], strict=True))

    def work() -> None:
        for sample, prediction in chosen:
            one(sample, prediction)

    return few / bench.seconds(work)


def _one_pair(bench: Bench, name: str) -> Callable[[Any, Any], None]:
    import torch

    if name == "bertscore":
        import bert_score

        model = str(weights(bench) / "pubmedbert")
        return lambda sample, prediction: bert_score.score(
            [prediction.text], [sample.reference_text], model_type=model, num_layers=12,
            device=bench.device,
        )  # fmt: skip
    if name == "embedding_similarity":
        return _one_embedding(bench)
    if name == "lpips":
        import lpips

        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).to(bench.device).eval()

        def distance(sample: Any, prediction: Any) -> None:
            ours, theirs = _tensors(bench, sample, prediction)
            with torch.no_grad():
                network(ours * 2 - 1, theirs * 2 - 1).item()

        return distance
    image: Any = importlib.import_module("torchmetrics.functional.image")
    measure: Callable[[Any, Any], Any] = {
        "psnr": lambda a, b: image.peak_signal_noise_ratio(a, b, data_range=1.0),
        "ssim": lambda a, b: image.structural_similarity_index_measure(a, b, data_range=1.0),
    }[name]
    return lambda sample, prediction: measure(*_tensors(bench, sample, prediction)).item()


def _one_embedding(bench: Bench) -> Callable[[Any, Any], None]:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    place = weights(bench) / "rad-dino"
    model = AutoModel.from_pretrained(place).to(bench.device).eval()
    load: Any = AutoImageProcessor.from_pretrained
    processor = load(place)

    def similarity(sample: Any, prediction: Any) -> None:
        with torch.no_grad():
            vectors = [
                model(**processor(picture, return_tensors="pt").to(bench.device)).pooler_output
                for picture in _opened(sample, prediction)
            ]
        torch.nn.functional.cosine_similarity(*vectors).item()

    return similarity


def _opened(sample: Any, prediction: Any) -> list[Any]:
    import io

    from PIL import Image

    both = (prediction.images[0], sample.reference_images[0])
    ours, theirs = (Image.open(io.BytesIO(image.data)).convert("RGB") for image in both)
    return [ours.resize(theirs.size, Image.Resampling.LANCZOS), theirs]


def _tensors(bench: Bench, sample: Any, prediction: Any) -> list[Any]:
    import numpy as np
    import torch

    arrays = (np.asarray(picture, np.float32) / 255 for picture in _opened(sample, prediction))
    return [torch.from_numpy(a).permute(2, 0, 1)[None].to(bench.device) for a in arrays]


def _limit(
    bench: Bench, name: str, samples: list[Any], predictions: dict[str, Any]
) -> float | None:
    """Samples a second of the bare network at the best batch size; None for what has none."""
    import torch
    from transformers import AutoModel

    if name == "embedding_similarity":
        model = AutoModel.from_pretrained(weights(bench) / "rad-dino").to(bench.device).eval()
        side = model.config.image_size
        batches = [torch.rand(n, 3, side, side, device=bench.device) for n in _BATCHES]
        passes = 2  # a candidate and its reference
    elif name == "bertscore":
        model = AutoModel.from_pretrained(weights(bench) / "pubmedbert").to(bench.device).eval()
        longest = max(len((s.reference_text or "").split()) for s in samples)
        shape = (min(512, 2 * longest),)
        batches = [torch.ones((n, *shape), dtype=torch.long, device=bench.device) for n in _BATCHES]
        passes = 2
    else:
        return None
    best = 0.0
    with torch.inference_mode():
        for batch in batches[: 2 if bench.small else None]:
            taken = bench.seconds(lambda: model(batch))  # noqa: B023
            best = max(best, len(batch) / taken)
    return best / passes


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    here = found["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in here["versions"].items() if v != "not here")
    small = " Tiny weights and few items: a proof of the path, no measurement."
    said = f"{here['device']}, {here['tflops']:.1f} TFLOP/s, {versions}."
    heads = ("metric", "fused, samples/s", "naive", "ratio", "of its limit", "apart from the CPU")
    out = [said + (small if found["small"] else ""), ""]
    out += [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---:|"]
    for name in METRICS:
        row, same = found["metrics"].get(name, {}), found["equal"].get(name, {})
        cells = (row.get(k) for k in ("fused_per_s", "naive_per_s", "over_naive", "of_limit"))
        shown = " | ".join("-" if v is None else f"{v:.3g}" for v in (*cells, same.get("apart")))
        out.append(f"| {name} | {shown} |")
    return (
        "\n".join([*out, "", _chat_line(found["chat"]), "", _pipeline_line(found["pipeline"])])
        + "\n"
    )


def _chat_line(row: dict[str, Any]) -> str:
    if "of_bare" not in row:
        return f"Vision-language model: {row.get('left_out') or row.get('failed')}."
    asked = f"{row['prompt_tokens']:,} tokens with a picture of {row['side']} pixels"
    pace = f"{row['tokens_per_s']:.3g} tokens/s"
    return (
        f"Vision-language model by transformers of {_size(row)}, {asked} in, {row['tokens']} out: "
        f"{row['ours_per_s']:.3g} replies/s, {pace}, {row['of_bare']:.2f} of the bare library."
    )


def _pipeline_line(row: dict[str, Any]) -> str:
    if "of_bare" not in row:
        return f"Image model: {row.get('left_out') or row.get('failed')}."
    steps = f"{row['steps']} steps at {row['side']} pixels"
    pace = f"{row['ours_per_s']:.3g} pictures/s, {row['of_bare']:.2f} of the bare library"
    return f"Image model of {_size(row)}, {steps}: {pace}."


def _size(row: dict[str, Any]) -> str:
    return f"{row['billion_numbers']:.2f} billion numbers, batch {row['batch']}"


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "equal": equal,
    "metrics": metrics,
    "chat": chat,
    "pipeline": pipeline,
}


if __name__ == "__main__":
    main()
