import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
from medgen.engine.data import Image, Prediction, Request, Sample
from medgen.engine.errors import AdapterError, ConfigError, EngineDied

pytestmark = pytest.mark.usefixtures("one_thread")
MODES = ("text_to_image", "image_to_image", "edit")
# Other batch sizes are other orders of summing; float64 keeps that out of the 8 bits of a PNG.
EXACT = {"dtype": "float64"}
FAST = {"steps": 2, "call": {}}
Samples = Callable[..., list[Sample]]


@pytest.fixture(scope="module")
def load(tiny_pipelines: Path) -> Callable[..., DiffusersPipeline]:
    made: dict[str, DiffusersPipeline] = {}

    def make(mode: str, **changes: Any) -> DiffusersPipeline:
        sampling = FAST | changes.pop("sampling", {})
        if mode == "text_to_image":
            # Twice the U-Net's 32: the tiny VAE halves sides once.
            sampling["call"] = {"height": 64, "width": 64} | sampling["call"]
        if mode == "image_to_image":
            sampling["call"] = {"strength": 1.0} | sampling["call"]
        key = repr((mode, sampling, changes))
        if key not in made:
            folder = str(tiny_pipelines / mode)
            made[key] = DiffusersPipeline(folder, mode, sampling=sampling, **changes)  # type: ignore[arg-type]
        return made[key]

    return make


def run(pipeline: DiffusersPipeline, samples: Sequence[Sample]) -> list[Prediction]:
    return list(pipeline.predict([Request(s) for s in samples]))


def pictures(rows: Sequence[Prediction]) -> dict[str, bytes]:
    assert {r.status for r in rows} == {"ok"}, [r.reason for r in rows]
    return {r.sample_id: r.images[0].data for r in rows}


@pytest.mark.parametrize("mode", MODES)
def test_bytes_do_not_depend_on_company(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples, mode: str
) -> None:
    samples = editing_samples(5)
    pipeline = load(mode)
    every = pictures(run(pipeline, samples))
    assert pictures(run(pipeline, samples[::-1])) == every
    assert pictures(run(pipeline, samples[3:4])) == {"s003": every["s003"]}
    assert len(set(every.values())) == 5


_ELSEWHERE = """
import json, sys, torch
from pathlib import Path
torch.set_num_threads(2)
from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
from medgen.engine.data import Image, Request, Sample

def sample(index, file):
    return Sample(f"s{index:03d}", "image", "noise-reconstruction", "CT",
        f"remove noise number {index}", input_images=(Image(Path(file).read_bytes()),))

calls, *files = json.loads(sys.argv[1]), *sys.argv[2:]
requests = [Request(sample(i, f)) for i, f in enumerate(files)]
for model, mode, sampling in calls:
    exact = {"dtype": "float64"}
    rows = DiffusersPipeline(model, mode, load=exact, sampling=sampling).predict(requests)
    print(json.dumps({r.sample_id: r.images[0].data.hex() for r in rows}))
"""


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_process_or_its_threads(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples, tmp_path: Path
) -> None:
    # Other threads sum in another order as well, on some processors.
    samples = editing_samples(2)
    here = [load(mode, load=EXACT) for mode in MODES]
    files = [tmp_path / f"{s.id}.png" for s in samples]
    for file, sample in zip(files, samples, strict=True):
        file.write_bytes(sample.input_images[0].data)
    calls = [(p.model, p.mode, FAST | {"call": dict(p.sampling.call or {})}) for p in here]
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, json.dumps(calls), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    there = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for pipeline, rows in zip(here, there, strict=True):
        found = {k: bytes.fromhex(v) for k, v in rows.items()}
        assert found == pictures(run(pipeline, samples))


def test_the_run_seed_changes_every_picture(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    samples = editing_samples(3)
    first = pictures(run(load("edit"), samples))
    second = pictures(run(load("edit", sampling={"seed": 1}), samples))
    assert not {first[s.id] == second[s.id] for s in samples} & {True}


def test_the_prompt_is_the_answers_else_the_instruction(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    (sample,) = editing_samples(1)
    answers = [
        Prediction(sample.id, image_prompt="mark the lesion"),
        Prediction(sample.id, image_prompt=sample.instruction),
        None,
    ]
    pipeline = load("edit")
    rows = [pipeline.predict([Request(sample, a)])[0] for a in answers]
    assert rows[0].image_prompt == "mark the lesion"
    assert rows[0].images != rows[1].images == rows[2].images


def test_rows_without_a_call_keep_their_place(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    samples = editing_samples(5)
    no_input = Sample("none", "image", "t", "CT", "do something")
    bad_input = Sample("bad", "image", "t", "CT", "do", input_images=(Image(b"no"),))
    requests = [
        Request(samples[0]),
        Request(samples[1], Prediction(samples[1].id, "truncated", "token limit")),
        Request(samples[2], Prediction(samples[2].id, text="only words")),
        Request(no_input),
        Request(bad_input),
        Request(samples[4]),
    ]
    rows = load("edit", execution={"batch_size": 2}).predict(requests)
    assert [r.sample_id for r in rows] == [r.sample.id for r in requests]
    assert [r.status for r in rows] == [
        "ok",
        "truncated",
        "model_error",
        "model_error",
        "model_error",
        "ok",
    ]
    assert rows[1].reason == "answer: token limit"
    assert "input: " in rows[3].reason
    assert "input: " in rows[4].reason


def test_inputs_of_several_sizes_share_a_shard(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    mixed = [
        s if i % 2 else editing_samples(i + 1, size=(41, 24))[i]
        for i, s in enumerate(editing_samples(4))
    ]
    rows = run(load("edit", execution={"batch_size": 4}), mixed)
    assert [r.details["images"][0]["size"] for r in rows] == [[40, 24], [32, 32]] * 2
    assert ["wrong_size" in r.details["images"][0]["cases"] for r in rows] == [True, False] * 2


def test_large_inputs_are_shrunk(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    rows = run(load("edit", sampling={"max_side": 48}), editing_samples(1, size=(100, 50)))
    assert rows[0].details["images"][0]["size"] == [48, 24]


def test_several_pictures_are_one_sheet_unless_said_otherwise(
    load: Callable[..., DiffusersPipeline],
) -> None:
    from models.conftest import picture

    given = tuple(Image(picture(i)) for i in range(2))
    one = Sample("m", "image", "style-transfer", "CT", "merge", input_images=given[:1])
    two = Sample("m", "image", "style-transfer", "CT", "merge", input_images=given)
    sheet = run(load("edit", sampling={"max_side": 64}), [two])[0]
    first = run(load("edit", sampling={"max_side": 64, "inputs": "first"}), [two])[0]
    alone = run(load("edit", sampling={"max_side": 64}), [one])[0]
    assert (sheet.details["images"][0]["size"], sheet.details["inputs_given"]) == ([64, 32], 2)
    assert first.images == alone.images != sheet.images


def test_a_prompt_that_is_read_in_part_is_recorded(
    load: Callable[..., DiffusersPipeline], editing_samples: Samples
) -> None:
    (sample,) = editing_samples(1)
    prompts = ["remove the noise", "remove the noise " * 60]
    answers = [Prediction(sample.id, image_prompt=prompt) for prompt in prompts]
    rows = [load("edit").predict([Request(sample, a)])[0] for a in answers]
    assert [r.details["prompt_cut"] for r in rows] == [False, True]


class Stubborn:
    """A pipeline in place of the loaded one, which fails on a word and blackens another."""

    def __init__(self, real: Any, fatal: bool = False) -> None:
        self.real, self.fatal = real, fatal
        self.components = real.components

    def __call__(self, prompt: str | list[str], **given: Any) -> Any:
        import torch

        prompts = [prompt] if isinstance(prompt, str) else prompt
        if self.fatal:
            raise torch.AcceleratorError("device-side assert")
        if any("number 1" in p for p in prompts):
            raise ValueError("this prompt is too odd")
        output = self.real(prompt=prompt, **given)
        output.nsfw_content_detected = ["number 2" in p for p in prompts]
        output["nsfw_content_detected"] = output.nsfw_content_detected
        return output


def test_a_bad_sample_in_a_batch_is_one_row(
    load: Callable[..., DiffusersPipeline],
    editing_samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = load("edit", load=EXACT, execution={"batch_size": 4})
    clean = pictures(run(pipeline, editing_samples(4)))
    monkeypatch.setattr(pipeline, "_pipe", Stubborn(pipeline._pipe))
    rows = run(pipeline, editing_samples(4))
    assert [r.status for r in rows] == ["ok", "model_error", "refused", "ok"]
    logged = [r for r in caplog.records if r.name == "medgen.adapters.models.diffusers_pipeline"]
    assert [r.sample_id for r in logged] == [rows[1].sample_id]  # type: ignore[attr-defined]
    assert "in __call__" in logged[0].getMessage()
    assert "this prompt is too odd" in rows[1].reason
    assert (rows[0].images[0].data, rows[3].images[0].data) == (clean["s000"], clean["s003"])
    assert rows[2].images == ()


def test_a_dead_device_ends_the_process(
    load: Callable[..., DiffusersPipeline],
    editing_samples: Samples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = load("edit")
    monkeypatch.setattr(pipeline, "_pipe", Stubborn(pipeline._pipe, fatal=True))
    with pytest.raises(EngineDied):
        run(pipeline, editing_samples(1))


def test_random_weights_are_called_so(load: Callable[..., DiffusersPipeline]) -> None:
    passport = load("edit").passport()
    assert passport["random_weights"] is True
    assert passport["pipeline"] == "StableDiffusionInstructPix2PixPipeline"
    assert len(passport["folder_sha256"]) == 64
    assert passport["arguments"] == {"num_inference_steps": 2}
    json.dumps(passport)


def test_weights_are_made_once(tiny_pipelines: Path) -> None:
    from medgen.adapters.provenance import folder_digest
    from medgen.adapters.tiny.diffusers import make

    before = folder_digest(tiny_pipelines / "edit")
    make(tiny_pipelines)
    assert folder_digest(tiny_pipelines / "edit") == before
    assert before != folder_digest(tiny_pipelines / "text_to_image")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": {"call": {"no_such_knob": 1}}}, "no_such_knob"),
        ({"sampling": {"call": {"generator": 1}}}, "generator"),
        ({"sampling": {"stepz": 1}}, "stepz"),
        ({"sampling": {"inputs": "some"}}, "inputs"),
        ({"execution": {"batchsize": 2}}, "batchsize"),
        ({"execution": {"offload": "model"}}, "offload"),
        ({"pipeline": "NoSuchPipeline"}, "NoSuchPipeline"),
        ({"load": {"dtype": "int3"}}, "dtype"),
    ],
)
def test_a_wrong_setting_is_named(
    load: Callable[..., DiffusersPipeline], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load("edit", **({"execution": {"device": "cpu"}} | changes))


def test_a_hub_model_needs_a_revision() -> None:
    with pytest.raises(ConfigError, match="revision"):
        DiffusersPipeline("someone/some-model", "edit")


_FROM_THE_HUB = """
import json
from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
passport = DiffusersPipeline("someone/tiny", "edit", load={"revision": "main"}).passport()
print(json.dumps([passport["revision"], passport["commit"]]))
"""


@pytest.mark.slow
def test_the_commit_behind_a_branch_is_in_the_passport(
    tiny_pipelines: Path, tmp_path: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(tiny_pipelines / "edit", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    done = subprocess.run(
        [sys.executable, "-c", _FROM_THE_HUB],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == ["main", commit]


def test_a_commit_that_was_named_is_known_without_a_cache() -> None:
    from medgen.adapters.provenance import weights

    assert weights("someone/tiny", "f" * 40) == {"commit": "f" * 40}
    assert weights("someone/tiny", "main") == {"unpinned": True}
    assert weights("no/such/name here", "main") == {}


def test_weights_that_are_not_there_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="Are its weights"):
        DiffusersPipeline(str(tmp_path), "edit")


def test_tiny_pipelines_come_from_the_cache(
    editing_samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medgen.adapters.tiny.diffusers import TinyPipeline

    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path))
    samples = editing_samples(1)
    first, again = (pictures(run(TinyPipeline("edit"), samples)) for _ in range(2))
    assert first == again
    assert len(list(tmp_path.iterdir())) == 1
