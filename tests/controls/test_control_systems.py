"""Laws of every control, and the order that the controls must stand in."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medgen.adapters.controls.systems import Blank, Classical, CopyInput, Null, Oracle, Unrelated
from medgen.adapters.mini.build import build_mini
from medgen.adapters.sources.synthetic import SyntheticSource
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.benchmark.manifest import Benchmark
from medgen.engine.benchmark.source import UsesBenchmark
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.images import open_image
from medgen.engine.ports import Generator
from medgen.engine.store.connect import connect

CONTROLS: tuple[Callable[[], Generator], ...] = (
    Oracle,
    CopyInput,
    Blank,
    Unrelated,
    Classical,
    Null,
)


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    objects = connect(str(tmp_path_factory.mktemp("store")))
    return Benchmark(objects, import_benchmark(build_mini(), objects, ImportOptions("mini")).ref)


def _made(make: Callable[[], Generator], benchmark: Benchmark) -> Generator:
    generator = make()
    if isinstance(generator, UsesBenchmark):
        generator.use(benchmark)
    return generator


def _all(benchmark: Benchmark) -> list[Sample]:
    return [s for n in range(len(benchmark.manifest.shards)) for s in benchmark.samples(n)]


_GIVEN: dict[tuple[object, str], list[Prediction]] = {}


def _answers(make: Callable[[], Generator], benchmark: Benchmark) -> list[Prediction]:
    """What a control gives to a whole benchmark; asked for once."""
    place = (make, benchmark.manifest.ref)
    if place not in _GIVEN:
        requests = [Request(sample) for sample in _all(benchmark)]
        _GIVEN[place] = list(_made(make, benchmark).predict(requests))
    return _GIVEN[place]


@pytest.mark.parametrize("make", CONTROLS)
def test_one_prediction_a_request_whatever_the_batch(
    make: Callable[[], Generator], mini: Benchmark
) -> None:
    requests = [Request(sample) for sample in _all(mini)[:40]]
    generator = _made(make, mini)
    whole = list(generator.predict(requests))
    assert [p.sample_id for p in whole] == [r.sample.id for r in requests]
    for size in (1, 7):
        parts = [requests[at : at + size] for at in range(0, len(requests), size)]
        assert [p for part in parts for p in _made(make, mini).predict(part)] == whole
    assert list(generator.predict([])) == []
    assert list(generator.predict(requests[::-1])) == whole[::-1]


@pytest.mark.parametrize("make", CONTROLS)
def test_every_sample_gets_what_its_format_asks_for(
    make: Callable[[], Generator], mini: Benchmark
) -> None:
    for sample, given in zip(_all(mini), _answers(make, mini), strict=True):
        assert (given.status, given.reason) == ("ok", "")
        if make is Null:
            continue
        assert (given.text is not None) == (sample.format != "ImageEditing")
        assert len(given.images) == (sample.format != "VQA")
        for image in given.images:
            open_image(image.data)


@pytest.mark.parametrize("make", CONTROLS)
def test_the_passport_names_the_control(make: Callable[[], Generator]) -> None:
    assert make().passport()["kind"] == "control"


def test_the_oracle_gives_the_reference(mini: Benchmark) -> None:
    for sample, given in zip(_all(mini), _answers(Oracle, mini), strict=True):
        assert given.text in (sample.reference_text, None)
        assert given.images == sample.reference_images


def test_copy_input_gives_the_input(mini: Benchmark) -> None:
    for sample, given in zip(_all(mini), _answers(CopyInput, mini), strict=True):
        assert given.images == (sample.input_images[:1] if sample.format != "VQA" else ())


def test_blank_gives_grey_of_the_size_of_the_input(mini: Benchmark) -> None:
    for sample, given in zip(_all(mini), _answers(Blank, mini), strict=True):
        assert given.text in ("", None)
        for image in given.images:
            picture = open_image(image.data)
            assert picture.size == open_image(sample.input_images[0].data).size
            assert picture.getextrema() == ((128, 128),) * 3


def test_unrelated_gives_the_reference_of_another_source(mini: Benchmark) -> None:
    by_id = {sample.id: sample for sample in _all(mini)}
    donors = defaultdict(set)
    for given in _answers(Unrelated, mini):
        sample, donor = by_id[given.sample_id], by_id[given.details["donor"]]
        assert donor.source != sample.source
        assert donor.format == sample.format
        assert given.text in (donor.reference_text, None)
        assert given.images == donor.reference_images[:1]
        donors[sample.format].add(donor.id)
    assert min(map(len, donors.values())) >= 10


def test_unrelated_reads_as_few_shards_as_it_needs(tmp_path: object) -> None:
    objects = connect(str(tmp_path))
    manifest = import_benchmark(SyntheticSource(400), objects, ImportOptions("x", shard_size=50))

    class Counted(Benchmark):
        read = 0

        def samples(self, shard: int) -> list[Sample]:
            self.read += 1
            return super().samples(shard)

    benchmark = Counted(objects, manifest.ref)
    Unrelated().use(benchmark)
    assert benchmark.read <= 2


def test_unrelated_says_when_there_is_nobody_to_borrow_from(tmp_path: object) -> None:
    objects = connect(str(tmp_path))
    ref = import_benchmark(SyntheticSource(1), objects, ImportOptions("x")).ref
    (given,) = _answers(Unrelated, Benchmark(objects, ref))
    assert given.status == "model_error"
    assert "no TextOnly sample with another source picture" in given.reason


@pytest.mark.parametrize(
    ("make", "images"),
    [
        (Blank, (Image(b"no picture"),)),
        (Classical, (Image(b"no picture"),)),
        (Classical, ()),
    ],
)
def test_a_sample_without_a_readable_picture_is_a_row_of_its_own(
    make: Callable[[], Generator], images: tuple[Image, ...], mini: Benchmark
) -> None:
    good = [s for s in _all(mini) if s.format == "ImageEditing"][:3]
    requests = [Request(good[0]), Request(replace(good[1], input_images=images)), Request(good[2])]
    given = make().predict(requests)
    assert [p.status for p in given] == ["ok", "model_error", "ok"]
    assert given[1].reason
    assert given[1].images == ()


def test_no_control_but_the_oracle_looks_at_the_reference(mini: Benchmark) -> None:
    hidden = [
        Request(replace(sample, reference_texts=("secret",), reference_images=(), raw={}))
        for sample in _all(mini)
    ]
    for make in (CopyInput, Blank, Classical, Unrelated):
        assert list(_made(make, mini).predict(hidden)) == _answers(make, mini)


# ---- how they compare ---------------------------------------------------------------------------


def _psnr(given: bytes, wanted: bytes) -> float:
    """PSNR in dB on RGB, the candidate resized to the reference with Lanczos; 100 when equal."""
    reference = open_image(wanted).convert("RGB")
    candidate = open_image(given).convert("RGB")
    if candidate.size != reference.size:
        candidate = candidate.resize(reference.size, 1)
    error = np.mean((np.asarray(candidate, float) - np.asarray(reference, float)) ** 2)
    return 100.0 if error == 0 else float(10 * np.log10(255**2 / error))


def _ssim(given: bytes, wanted: bytes) -> float:
    from skimage.metrics import structural_similarity

    reference = open_image(wanted).convert("L")
    candidate = open_image(given).convert("L")
    if candidate.size != reference.size:
        candidate = candidate.resize(reference.size, 1)
    return float(
        structural_similarity(np.asarray(candidate), np.asarray(reference), data_range=255)
    )


def _scores(
    make: Callable[[], Generator], benchmark: Benchmark, metric: Callable[[bytes, bytes], float]
) -> dict[str, list[float]]:
    found = defaultdict(list)
    for sample, given in zip(_all(benchmark), _answers(make, benchmark), strict=True):
        if sample.format != "VQA":
            value = metric(given.images[0].data, sample.reference_images[0].data)
            found[sample.task].append(value)
    return found


def _mean(scores: dict[str, list[float]]) -> float:
    return float(np.mean([value for values in scores.values() for value in values]))


@pytest.mark.parametrize("metric", [_psnr, _ssim])
def test_ceiling_no_op_and_floor_stand_in_order(
    mini: Benchmark, metric: Callable[[bytes, bytes], float]
) -> None:
    means = {
        make.__name__: _mean(_scores(make, mini, metric))
        for make in (Oracle, Classical, CopyInput, Unrelated, Blank)
    }
    assert means["Oracle"] == (100 if metric is _psnr else 1)
    assert means["Oracle"] > means["Classical"] > means["CopyInput"]
    assert means["CopyInput"] > max(means["Blank"], means["Unrelated"])


def test_classical_denoising_beats_doing_nothing_on_every_sample(mini: Benchmark) -> None:
    task = "noise-reconstruction"
    classical, copied = (_scores(make, mini, _psnr)[task] for make in (Classical, CopyInput))
    assert all(better > worse + 3 for better, worse in zip(classical, copied, strict=True))


@pytest.mark.parametrize(
    "task",
    [
        "artifact-removal",
        "resolution-editing",
        "contrast-enhancement",
        "style-transfer",
        "instruction-editing",
        "organic-reconstruction",
        "3d-to-2d-projection",
    ],
)
def test_classical_beats_doing_nothing_in_the_mean(mini: Benchmark, task: str) -> None:
    classical, copied = (_scores(make, mini, _psnr)[task] for make in (Classical, CopyInput))
    assert np.mean(classical) > np.mean(copied)
