"""Components by logical name: keys that survive a move, what each needs, and other packages'."""

from pathlib import Path

import pytest

from medgen.conf.loading import group_names, load
from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec, identity
from medgen.engine.plan.plan import Recipe
from medgen.launch.compose import recipe

BASE = ["name=x", "store=/nowhere", "benchmark=mini", "cluster=local"]
# What serves a model needs the model's library; a preset with none of these runs on the core.
NEEDS = {"vllm": "device", "tiny-vlm": "device", "openai": "api", "openai-images": "api"}


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every component of ours lies in another module."""
    elsewhere = {
        name: registry.Component(
            name, c.family, f"somewhere.else:{name}", c.extra, c.settings, c.stages, c.semantics
        )
        for name, c in registry.components().items()
        if c.family != "stages"
    }
    stages = registry.components("stages")
    monkeypatch.setattr(registry, "_collect", lambda path: {**elsewhere, **stages})


def shipped() -> Recipe:
    words = ["systems=[oracle,gpt-4o,qwen3-vl-8b,qwen-image-edit-omni]", "judges=[gpt-4o,rule]"]
    return recipe(load(None, [*BASE, *words, "protocol=table-iv"]))


def identities(composed: Recipe) -> list[object]:
    models = [m for s in composed.systems for m in (s.answer, s.render) if m]
    specs = [m.spec for m in (*models, *composed.judges.values())] + [*composed.metrics.values()]
    return [identity(spec) for spec in specs]


def test_moving_a_module_changes_no_key(request: pytest.FixtureRequest) -> None:
    composed = shipped()
    before = identities(composed)
    request.getfixturevalue("moved")
    assert registry.find("vllm").target == "somewhere.else:vllm"
    assert identities(composed) == before
    assert "medgen." not in str(before), "no key holds where code lies"


def test_a_raised_semantics_number_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(Spec("psnr", {"profile": "compat"}))
    newer = registry.Component("psnr", "metrics", "x:Y", semantics=2)
    monkeypatch.setattr(registry, "_collect", lambda path: {"psnr": newer})
    assert identity(Spec("psnr", {"profile": "compat"})) != before


def test_a_class_of_ours_is_the_same_by_path_and_by_name() -> None:
    path = registry.find("oracle").target
    assert identity(Spec(path)) == identity(Spec("oracle"))
    assert registry.find("their.package:Model").name == "their.package:Model"
    # One class under two names is neither of them.
    assert registry.find(registry.find("lpips").target).name == registry.find("lpips").target


@pytest.mark.parametrize("name", sorted(registry.components()))
def test_every_component_is_where_the_registry_says(name: str) -> None:
    module, _, attribute = registry.find(name).target.partition(":")
    place = Path(__file__).parents[2].joinpath(*module.split(".")[1:]).with_suffix(".py")
    text = place.read_text(encoding="utf-8")
    assert f"class {attribute}" in text or f"\n{attribute} = " in text


def test_an_unknown_name_is_refused_with_the_closest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'oracle'"):
        registry.find("oracel")
    with pytest.raises(ConfigError, match=r"no metric 'oracle'\. There are accuracy, bertscore"):
        registry.find("oracle", "metrics")
    with pytest.raises(ConfigError, match="not of the form"):
        registry.load("module")


def wanted(spec: Spec) -> set[str]:
    """By hand, from the names in the recipe: what its models are served with."""
    text = str({"target": spec.target, "kwargs": dict(spec.kwargs)})
    return {extra for name, extra in NEEDS.items() if f"'target': '{name}'" in text}


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in ("system", "judge") for name in group_names(group)],
)
def test_every_preset_gets_what_its_models_need(group: str, name: str) -> None:
    other = "systems=[oracle]" if group == "judge" else "judges=[]"
    given = ["system.replay.answer.kwargs.sha256=x"] if name == "replay" else []
    given += ["system.replay.answer.kwargs.url=x"] if name == "replay" else []
    words = [f'{group}s=["{name}"]', other, "protocol=table-iv", *given]
    composed = recipe(load(None, [*BASE, *words]))
    models = [m for s in composed.systems for m in (s.answer, s.render) if m and group == "system"]
    for model in (*models, *composed.judges.values()):
        found = registry.extras(model.spec.target, model.spec.kwargs)
        assert found >= wanted(model.spec)
        if "endpoint" in str(model.spec.kwargs):
            assert "api" in found
        if "diffusers" in model.spec.target or "pipeline" in model.spec.target:
            assert "images" in found


def test_a_name_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = registry.Component("psnr", "metrics", "theirs:PSNR")
    monkeypatch.setattr(registry, "_outside", lambda points: iter([theirs]))
    registry._collect.cache_clear()
    with pytest.raises(ConfigError, match="both named 'psnr'"):
        registry.find("psnr")
    registry._collect.cache_clear()


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({"execution": {"timeout_s": 9.0}}, True),
        ({"images": 8}, True),  # its default, written out
        ({"images": 4}, False),
        ({"engine": {"dtype": "bfloat16"}}, False),
    ],
)
def test_how_a_model_is_run_is_in_no_key(more: dict[str, object], same: bool) -> None:
    def asked(kwargs: dict[str, object]) -> Spec:
        return Spec("answers", {"chat": {"target": "vllm", "kwargs": {"model": "m", **kwargs}}})

    assert (identity(asked(more)) == identity(asked({}))) is same


def test_a_server_s_speaker_has_its_key_without_a_url() -> None:
    chat = {"target": "openai", "kwargs": {"model": "m"}}
    command = ["serve", "--port", "{port}"]
    inner = {"target": "answers", "kwargs": {"chat": chat}}
    kept = identity(Spec("managed-server", {"command": command, "inner": inner}))
    assert "127.0.0.1" not in str(kept)
    assert kept["settings"]["inner"]["settings"]["chat"]["component"] == "openai"


def test_an_unknown_target_is_said_with_its_place() -> None:
    written = "systems=[{name: mine, answer: {target: oracel}}]"
    with pytest.raises(
        ConfigError, match=r"^system 'mine', answer\.target: no component 'oracel'\."
    ):
        recipe(load(None, [*BASE, written, "protocol=weight-free"]))
