"""Settings hold their constructors' arguments, and wrong ones are refused with their place."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from medgen.engine import registry
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec, identity
from medgen.engine.settings import Settings, check_arguments
from medgen.launch.cli import main

TYPED = {name: component for name, component in registry.components().items() if component.settings}
VENDORS = ("aiohttp", "torch", "vllm", "diffusers", "transformers", "lpips", "bert_score")
URL = {"base_url": "http://127.0.0.1:1/v1"}


def test_every_system_judge_and_metric_of_ours_has_settings() -> None:
    families = ("systems", "judges", "metrics")
    ours = [c for c in registry.components().values() if c.target.startswith("medgen.")]
    assert {c.name for c in ours if c.family in families} == set(TYPED)


def test_settings_are_read_without_the_libraries_of_the_components() -> None:
    modules = sorted({component.settings.partition(":")[0] for component in TYPED.values()})
    found = f"[m for m in {VENDORS!r} if m in sys.modules]"
    code = f"import sys, {', '.join(modules)}; print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", TYPED)
def test_settings_are_the_constructor_s_arguments(name: str) -> None:
    settings, kind = registry.load(TYPED[name].settings), TYPED[name].load()
    taken = inspect.signature(kind).parameters
    fields = {f.name: f for f in msgspec.structs.fields(settings)}
    assert issubclass(settings, Settings)
    assert list(fields) == sorted(fields, key=list(taken).index), "in the constructor's order"
    assert set(fields) == set(taken)
    needed = {n for n, p in taken.items() if p.default is inspect.Parameter.empty}
    assert {n for n, f in fields.items() if f.required} == needed - {"metrics"}
    for field, known in ((fields[n], p.default) for n, p in taken.items() if n not in needed):
        if known is not None:
            assert field.default == known, field.name


CHAT = {"target": "openai", "kwargs": {"model": "m", "endpoint": URL}}
IMAGES = {"model": "m", "mode": "edit", "endpoint": URL}
PIPELINE = {"model": "m", "mode": "edit"}


def hosted(**endpoint: Any) -> dict[str, Any]:
    return {"chat": {"target": "openai", "kwargs": {"model": "m", "endpoint": URL | endpoint}}}


def vllm(**kwargs: Any) -> dict[str, Any]:
    return {"chat": {"target": "vllm", "kwargs": {"model": "m", **kwargs}}}


def asked(**style: Any) -> dict[str, Any]:
    return {"chat": CHAT, "style": style}


def judge(**kwargs: Any) -> dict[str, Any]:
    return {"chat": CHAT, "name": "j", "protocol": "table-iv", **kwargs}


def served(**endpoint: Any) -> dict[str, Any]:
    inner = {"target": "openai-images", "kwargs": {"model": "m", "mode": "edit"}}
    inner["kwargs"] = {**IMAGES, "endpoint": endpoint}
    return {"command": ["serve", "{port}"], "inner": inner}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "answers",
        hosted(timeout_s="ten minutes"),
        "chat.kwargs.endpoint.timeout_s: a number is expected, not 'ten minutes'",
    ),
    (
        "answers",
        hosted(concurrency=2.5),
        "chat.kwargs.endpoint.concurrency: a whole number is expected, not 2.5",
    ),
    (
        "answers",
        hosted(allowed_hosts="cdn.example.org"),
        "chat.kwargs.endpoint.allowed_hosts: a list is expected, not 'cdn.example.org'",
    ),
    (
        "answers",
        hosted(attempts=-1),
        "chat.kwargs.endpoint.attempts: a whole number >= 1 is expected, not -1",
    ),
    (
        "answers",
        hosted(spending_cap_usd=True),
        "chat.kwargs.endpoint.spending_cap_usd: a number or nothing is expected, not True",
    ),
    (
        "answers",
        hosted(base_url="localhost"),
        "chat.kwargs.endpoint: base_url 'localhost' is not an http(s) URL",
    ),
    (
        "answers",
        hosted(timeout=3),
        "chat.kwargs.endpoint has no field 'timeout'. Did you mean 'timeout_s'?",
    ),
    (
        "answers",
        asked(sampling={"temperature": "hot"}),
        "style.sampling.temperature: a number or nothing is expected, not 'hot'",
    ),
    (
        "answers",
        asked(sampling={"top_p": 1.5}),
        "style.sampling.top_p: a number <= 1.0 is expected, not 1.5",
    ),
    (
        "answers",
        asked(sampling={"max_token": 5}),
        "style.sampling has no field 'max_token'. Did you mean 'max_tokens'?",
    ),
    ("answers", asked(mode="both"), "style.mode: 'vqa' or 'compositional' is expected, not 'both'"),
    ("answers", asked(letters=[100]), "style.letters: a list of length 2 is expected, not [100]"),
    (
        "answers",
        asked(constrained="yes"),
        "style.constrained: true or false is expected, not 'yes'",
    ),
    (
        "answers",
        asked(prompt="answer/0"),
        "style: no answer prompt 'answer/0'; there are ['answer/1', 'official:",
    ),
    ("answers", {"chat": "openai"}, "chat: a mapping is expected, not 'openai'"),
    ("answers", {"style": {}}, " needs the field 'chat'"),
    ("answers", vllm(images=True), "chat.kwargs.images: a whole number is expected, not True"),
    ("answers", vllm(lora={"name": "a"}), "chat.kwargs.lora needs the field 'path'"),
    (
        "answers",
        vllm(execution={"concurrency": "all"}),
        "chat.kwargs.execution.concurrency: a whole number is expected, not 'all'",
    ),
    *(
        (
            "answers",
            vllm(execution={"engine": {name: value}}),
            f"chat.kwargs.execution: execution.engine.{name} is none of the arguments that change "
            "no answer",
        )
        for name, value in {
            "model": "other/model",
            "dtype": "float16",
            "quantization": "fp8",
            "mm_processor_kwargs": {"max_pixels": 1},
            "kv_cache_dtype": "fp8",
            "tokenizer": "other/model",
            "chat_template_content_format": "string",
            "limit_mm_per_prompt": {"image": 1},
            "max_model_len": 64,
            "seed": 3,
        }.items()
    ),
    (
        "answers",
        vllm(revison="main"),
        "chat.kwargs has no field 'revison'. Did you mean 'revision'?",
    ),
    (
        "openai-images",
        IMAGES | {"prices": {"image": -0.04}},
        "prices.image: a number >= 0.0 is expected, not -0.04",
    ),
    (
        "openai-images",
        IMAGES | {"firewall": {"blank": "maybe"}},
        "firewall.blank: 'accept' or 'reject' is expected, not 'maybe'",
    ),
    (
        "openai-images",
        IMAGES | {"firewall": {"damaged": "accept"}},
        "firewall has no field 'damaged'.",
    ),
    ("openai-images", IMAGES | {"images": "1"}, "images: a whole number is expected, not '1'"),
    (
        "diffusers",
        PIPELINE | {"load": {"dtype": "int8"}},
        "load.dtype: 'float64' or 'float32' or 'float16' or 'bfloat16' is expected, not 'int8'",
    ),
    (
        "diffusers",
        PIPELINE | {"sampling": {"steps": 0}},
        "sampling.steps: a whole number >= 1 is expected, not 0",
    ),
    (
        "managed-server",
        served(timeout_s=-5),
        "inner.kwargs.endpoint.timeout_s: a number > 0.0 is expected, not -5",
    ),
    (
        "managed-server",
        {**served(), "command": "serve {port}"},
        "command: a list is expected, not 'serve {port}'",
    ),
    ("chat-judge", judge(repeats=0), "repeats: a whole number >= 1 is expected, not 0"),
    (
        "chat-judge",
        judge(captions="long"),
        "captions: 'literal' or 'shared' is expected, not 'long'",
    ),
    (
        "chat-judge",
        judge(bounds={"analysis": "short"}),
        "bounds.analysis: a whole number is expected, not 'short'",
    ),
    (
        "rule-judge",
        {"name": "r", "protocol": "x", "execution": {"rubbish": 2}},
        "execution.rubbish: a number <= 1.0 is expected, not 2",
    ),
    ("replay", {"url": 5}, "url: a text or a list is expected, not 5"),
    ("oracle", {"noise": 1}, " has no field 'noise'. It takes none"),
    ("bertscore", {"layer": "last"}, "layer: a whole number is expected, not 'last'"),
    ("lpips", {"net": "squeeze"}, "net: 'alex' or 'vgg' is expected, not 'squeeze'"),
    ("fused-scorer", {"threads": 0}, "threads: a whole number >= 1 is expected, not 0"),
]


@pytest.mark.parametrize(("target", "kwargs", "words"), WRONG)
def test_a_wrong_setting_is_refused_with_its_place(
    target: str, kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_arguments("system 'a', answer", target, kwargs)
    dot = "" if words.startswith(" ") else "."
    assert str(refused.value).startswith(f"system 'a', answer.kwargs{dot}{words}")


def test_a_served_model_s_adapter_needs_no_url_and_a_hosted_one_does() -> None:
    check_arguments("system 'a'", "managed-server", served(concurrency=2))
    with pytest.raises(ConfigError, match="endpoint needs the field 'base_url'"):
        check_arguments("system 'a'", "openai-images", IMAGES | {"endpoint": {"concurrency": 2}})


CHAT_OF = "system 'gpt-4o', answer.kwargs.chat.kwargs"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "chat.kwargs.endpoint.timeout_s=ten minutes",
            f"{CHAT_OF}.endpoint.timeout_s: a number is",
        ),
        ("chat.kwargs.endpoint.concurrency=2.5", f"{CHAT_OF}.endpoint.concurrency: a whole number"),
        ("chat.kwargs.endpoint.allowed_hosts=cdn.example.org", "allowed_hosts: a list is expected"),
        ("chat.kwargs.endpoint.attempts=0", "endpoint.attempts: a whole number >= 1 is expected"),
        ("chat.kwargs.endpoint.concurency=2", "Did you mean 'concurrency'?"),
        ("chat.kwargs.prices.prompt=true", f"{CHAT_OF}.prices.prompt: a number is expected"),
        ("chat.kwargs.image_tokens=many", f"{CHAT_OF}.image_tokens: a whole number is expected"),
        (
            "style.sampling.temperature=hot",
            "answer.kwargs.style.sampling.temperature: a number or nothing is",
        ),
        ("style.images=-1", "answer.kwargs.style.images: a whole number >= 0 is expected, not -1"),
    ],
)
def test_medgen_plan_refuses_it_before_anything_is_looked_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, words: str
) -> None:
    key, _, value = setting.partition("=")
    config = {
        "name": "x",
        "benchmark": "mini",
        "protocol": "table-iv",
        "cluster": "local",
        "systems": ["gpt-4o"],
        "system": {"gpt-4o": {"answer": {"kwargs": nest(key.split("."), yaml.safe_load(value))}}},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--config", str(path), "--store", str(tmp_path / "store")])
    assert ended.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "store").exists(), "no benchmark was imported"


def nest(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: nest(keys[1:], value) if keys[1:] else value}


def test_what_is_marked_as_how_enters_no_key() -> None:
    cheap = {"model": "m", "endpoint": URL}
    dear = cheap | {"endpoint": URL | {"concurrency": 99}, "prices": {"prompt": 5}}
    dear["image_tokens"] = 7
    recipes = [{"chat": {"target": "openai", "kwargs": kwargs}} for kwargs in (cheap, dear)]
    first, second = (identity(Spec("answers", kwargs)) for kwargs in recipes)
    assert first == second
    number = registry.find("openai").semantics
    inner = {"component": "openai", "semantics": number, "settings": {"model": "m"}}
    assert first["settings"] == {"chat": inner}
    other = {"chat": {"target": "openai", "kwargs": cheap | {"model": "n"}}}
    assert identity(Spec("answers", other)) != first


def test_a_mark_is_the_field_s_and_not_its_name_s() -> None:
    """vLLM's own arguments may have any name: none of those is taken for ours."""
    one, two = (vllm(engine={"prices": n}) for n in (1, 2))
    assert identity(Spec("answers", one)) != identity(Spec("answers", two))
    small, large = (Spec("lpips", {"batch_size": n}) for n in (1, 64))
    assert identity(small) == identity(large) == identity(Spec("lpips"))


def test_a_served_model_s_port_and_environment_enter_no_key() -> None:
    here, there = served(), {**served(concurrency=5), "execution": {"python": "/opt/python"}}
    assert identity(Spec("managed-server", here)) == identity(Spec("managed-server", there))
