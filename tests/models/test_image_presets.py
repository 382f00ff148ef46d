"""Presets of image models can be built as they are written, and pairings share their stages."""

import inspect
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from models.composed import systems

from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
from medgen.adapters.models.managed_server import ManagedServer
from medgen.adapters.models.openai_images import OpenAIImages
from medgen.adapters.models.settings import PipelineExecution, PipelineSampling, ServerExecution
from medgen.adapters.models.unified import UnifiedChat, UnifiedInProcess
from medgen.adapters.tiny.diffusers import PIPELINES, TinyPipeline
from medgen.conf.loading import group_names, load, member
from medgen.conf.reading import ConfError
from medgen.conf.schema import ModelConf, SystemConf
from medgen.engine.benchmark.manifest import Manifest, ShardEntry
from medgen.engine.data import ASKS, Asks
from medgen.engine.errors import AdapterError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Plan, make_plan
from medgen.engine.settings import read

OURS: dict[str, Any] = {
    "diffusers": DiffusersPipeline,
    "managed-server": ManagedServer,
    "openai-images": OpenAIImages,
    "tiny-pipeline": TinyPipeline,
    "unified-chat": UnifiedChat,
    "unified-in-process": UnifiedInProcess,
}
HOSTED = ("ARK_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")


def chosen(*names: Any) -> dict[str, SystemConf]:
    import json

    base = ("store=/s", "benchmark=mini", "cluster=local", "protocol=weight-free")
    return load(None, [*base, f"systems={json.dumps(names)}"]).system


def models() -> dict[str, ModelConf]:
    """The model of every preset that one of our adapters runs."""
    found = {}
    for name, system in systems().items():
        for model in (system.answer, system.render):
            if model is not None and model.target in OURS:
                found[name] = model
    return found


MODELS = models()
PUBLISHED = {
    *("seedream-4", "dall-e-3", "imagen-4", "gpt-image-1", "qwen-image-edit", "instruct-pix2pix"),
    *("gemini-25-flash-image", "show-o", "ming-univision"),
}


def test_the_published_image_models_have_presets() -> None:
    assert set(MODELS) >= PUBLISHED


@pytest.mark.parametrize("name", MODELS)
def test_arguments_are_ones_that_the_adapter_takes(name: str) -> None:
    model = MODELS[name]
    inspect.signature(OURS[model.target]).bind(**model.kwargs)
    assert systems()[name].needs or "127.0.0.1" in str(model.kwargs) or name[:5] == "tiny-"


@pytest.mark.parametrize("name", MODELS)
def test_http_adapters_start_as_they_are_written(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in HOSTED:
        monkeypatch.setenv(key, "sk-nothing")
    target, kwargs = MODELS[name].target, dict(MODELS[name].kwargs)
    if target == "managed-server":
        inner = kwargs["inner"]
        read(ServerExecution, kwargs["execution"], "execution")
        if "chat" in inner["kwargs"]:
            return  # one that answers with words
        target, kwargs = inner["target"], dict(inner["kwargs"])
        kwargs["endpoint"] = {**kwargs["endpoint"], "base_url": "http://127.0.0.1:1/v1"}
    if target in (
        "openai-images",
        "unified-chat",
    ):
        made = Spec(target, kwargs).build()
        made.passport()
        made.close()


@pytest.mark.parametrize("name", [n for n in MODELS if n in PUBLISHED])
def test_a_hosted_model_has_a_key_a_cap_and_a_price(name: str) -> None:
    kwargs = MODELS[name].kwargs
    if "endpoint" in kwargs:
        assert kwargs["endpoint"]["api_key_env"] in HOSTED
        assert kwargs["endpoint"]["spending_cap_usd"] > 0
        assert sum(kwargs["prices"].values()) > 0
        assert kwargs["endpoint"]["api_key_env"] in " ".join(systems()[name].needs)
    else:
        assert MODELS[name].resources.gpus == 1
        assert "GPU" in " ".join(systems()[name].needs)


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.target == "diffusers"])
def test_pipelines_take_what_they_are_given(name: str) -> None:
    import diffusers

    kwargs = MODELS[name].kwargs
    sampling = read(PipelineSampling, kwargs.get("sampling"), "sampling")
    kind = getattr(diffusers, kwargs["pipeline"])
    taken = set(inspect.signature(kind.__call__).parameters)
    assert set(sampling.call) <= taken
    given = set() if kwargs["mode"] == "text_to_image" else {"image"}
    assert {"prompt", "generator", "num_inference_steps"} | given <= taken
    assert kwargs["load"]["revision"]
    read(PipelineExecution, kwargs.get("execution"), "execution")


def test_every_tiny_pipeline_has_a_preset_that_says_what_it_is() -> None:
    tiny = {n: systems()[n] for n in MODELS if n.startswith("tiny-")}
    assert {s.render.kwargs["mode"] for s in tiny.values() if s.render} == set(PIPELINES)
    assert all("random weights" in s.notes[0] for s in tiny.values())


def test_a_missing_class_of_the_authors_is_named() -> None:
    from medgen.engine.errors import ConfigError

    kwargs = {"target": "own_replier:Own", "model": "own/model", "load": {"revision": "main"}}
    with pytest.raises(ConfigError, match="own_replier"):
        Spec("unified-in-process", kwargs).build()


def test_a_missing_environment_is_named() -> None:
    with pytest.raises(AdapterError, match="/opt/envs/vllm-omni"):
        Spec(MODELS["qwen-image-edit-omni"].target, MODELS["qwen-image-edit-omni"].kwargs).build()


def test_a_managed_server_s_weights_are_named_where_a_commit_is_asked_for() -> None:
    """What a command alone names is looked for by nobody who asks which weights answered."""
    found = 0
    for name in group_names("system"):
        body = member("system", name)
        for half in ("answer", "render"):
            model = body.get(half)
            if not isinstance(model, dict) or model.get("target") != "managed-server":
                continue
            kwargs = model["kwargs"]
            assert kwargs["model"], name
            assert "{model}" in kwargs["command"], name
            assert kwargs.get("revision") or kwargs["model"].startswith("./"), name
            assert not kwargs.get("revision") or "{revision}" in kwargs["command"], name
            found += 1
    assert found >= 18


def test_a_pair_takes_one_half_of_each() -> None:
    pair = chosen("gpt-4o+seedream-4")["gpt-4o+seedream-4"]
    assert pair.answer == systems()["gpt-4o"].answer
    assert pair.render == MODELS["seedream-4"]
    assert {"OPENAI_API_KEY", "ARK_API_KEY"} <= set(" ".join(pair.needs).split())
    assert tuple(pair.gives) == ASKS
    own = chosen({"name": "mine", "answer": "gpt-4o", "render": "seedream-4"})["mine"]
    assert (own.answer, own.render) == (pair.answer, pair.render)


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("gpt-4o+gpt-4o", "no render model"),
        ("seedream-4+seedream-4", "no answer model"),
        ("gpt-4o+seedraem-4", "seedream-4"),
        ("+seedream-4", "no system named ''"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(system: str, words: str) -> None:
    with pytest.raises(ConfError, match=words):
        chosen(system)


def manifest(samples: int, size: int) -> Manifest:
    """Of the published size; no sample stands behind it."""
    asks: dict[Asks, float] = {"text": 0.17, "image": 0.6, "image+text": 0.23}
    counts = {name: round(samples * share) for name, share in asks.items()}
    shards = tuple(ShardEntry(size, {}, str(n), "") for n in range(samples // size))
    return Manifest("published", "0" * 16, size, 0, shards, counts, {}, {}, {})


def line_up() -> Plan:
    from medgen.launch.compose import recipe

    return make_plan(recipe(load("line-up-2026")), manifest(6422, 64))


def test_the_line_up_shares_its_stages() -> None:
    plan = line_up()
    stages = [n.stage for n in plan.nodes.values()]
    pairs = [s for s in plan.systems if s.answer and s.render]
    alone = [s for s in plan.systems if not (s.answer and s.render)]
    readers = {s.name.partition("+")[0] for s in plan.systems if s.answer}
    painters = {s.name for s in alone if s.render}
    assert len(pairs) >= 8
    assert (stages.count("answer"), stages.count("render")) == (
        len(readers),
        len(pairs) + len(painters),
    )
    shared = sorted(len(n.systems) for n in plan.nodes.values() if n.stage == "answer")
    assert shared[-1] == 2


def test_the_line_up_has_no_model_that_its_vendor_ended() -> None:
    conf = load("line-up-2026")
    assert all(not system.ends for system in conf.system.values())
    assert {model for s in conf.system.values() for model in _presets(s.name)} <= set(
        group_names("system")
    )


def _presets(name: str) -> list[str]:
    return name.split("+")


def test_the_line_up_says_what_it_will_take() -> None:
    plan = line_up()
    unread = {"Qwen/Qwen-Image-2.1", "Qwen/Qwen-Image-Edit-2511"}  # whose pace nobody gave
    for group in plan.groups.values():
        if group.stage != "score" and group.spec.kwargs.get("model") not in unread:
            assert group.seconds_per_sample > 0, group.name
        if group.spec.target in ("answers", "chat-judge"):
            assert group.tokens_per_sample > 0, group.name


def test_the_line_up_is_planned_without_any_model() -> None:
    script = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from models.test_image_presets import load, make_plan, manifest\n"
        "from medgen.launch.compose import recipe\n"
        "make_plan(recipe(load('line-up-2026')), manifest(6422, 64))\n"
        "heavy = {'torch', 'vllm', 'diffusers', 'transformers', 'ray'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script], timeout=120, check=True, cwd=root)


def test_settings_that_change_no_picture_change_no_key() -> None:
    def keys(**changes: Any) -> set[str]:
        from medgen.launch.compose import recipe

        base = ["store=/s", "benchmark=mini", "cluster=local", "protocol=weight-free"]
        base += ["systems=[gpt-image-1]"]
        where = "system.gpt-image-1.render"
        base += [f"{where}.{k.replace('__', '.')}={v}" for k, v in changes.items()]
        plan = make_plan(recipe(load(None, base)), manifest(640, 64))
        return {k for k, n in plan.nodes.items() if n.stage == "render"}

    start = time.perf_counter()
    same = keys(
        kwargs__endpoint__spending_cap_usd=500,
        kwargs__endpoint__concurrency=1,
        kwargs__prices__image=1.0,
        resources__workers=3,
    )
    assert same == keys()
    assert keys(kwargs__size="1024x1024") != keys()
    assert time.perf_counter() - start < 30
