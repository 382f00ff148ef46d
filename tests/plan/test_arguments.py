"""Wrong arguments are found before anything runs, and nothing is imported for it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from medgen.conf import load
from medgen.conf.loading import group_names
from medgen.engine.errors import ConfigError
from medgen.engine.settings import check_arguments
from medgen.launch.compose import recipe

SOURCE = """
import no_such_vendor

class Plain:
    def __init__(self, model, size=1, *, seed, deep=None):
        ...

class Open:
    def __init__(self, model, **others):
        ...

class Overloaded:
    @overload
    def __init__(self, model): ...
    def __init__(self, /, model, size=1):
        ...

class Inherits(Plain):
    pass

def made(model):
    ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "models.py").write_text(SOURCE)
    (package / "broken.py").write_text("class A:\n    def")
    monkeypatch.syspath_prepend(tmp_path)
    return "their_package.models"


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("Plain", {"model": "m", "seed": 0}),
        ("Plain", {"model": "m", "seed": 0, "size": 2, "deep": {"target": 5}}),
        ("Open", {"model": "m", "anything": 1}),
        ("Overloaded", {"model": "m", "size": 2}),
        ("Inherits", {"anything": 1}),
        ("made", {"anything": 1}),
        ("Absent", {"anything": 1}),
    ],
)
def test_what_fits_or_cannot_be_told_passes(module: str, name: str, kwargs: dict[str, Any]) -> None:
    check_arguments("system 'a'", f"{module}:{name}", kwargs)
    assert "their_package" not in sys.modules


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("Plain", {"modle": "m", "seed": 0}, "has no argument 'modle'. Did you mean 'model'?"),
        ("Plain", {"xyz": 1}, "has no argument 'xyz'. It takes model, size, seed, deep"),
        ("Plain", {"model": "m"}, "needs the argument 'seed'"),
        ("Open", {"modle": "m"}, "needs the argument 'model'"),
    ],
)
def test_what_does_not_fit_is_refused(
    module: str, name: str, kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_arguments("system 'a'", f"{module}:{name}", kwargs)
    assert str(refused.value) == f"system 'a': {module}:{name} {words}"


def test_a_recipe_inside_the_arguments_is_checked_too(module: str) -> None:
    inner = {"target": f"{module}:Plain", "kwargs": {"model": "m"}}
    with pytest.raises(ConfigError, match="needs the argument 'seed'"):
        check_arguments("judge 'a'", "absent.module:Judge", {"chat": inner})


def test_source_that_is_no_python_is_named_with_its_line(module: str) -> None:
    with pytest.raises(ConfigError, match=r"broken\.py:2: "):
        check_arguments("system 'a'", "their_package.broken:A", {})


GIVEN = ["name=x", "store=x", "benchmark.name=x", "cluster=local"]


def test_every_system_and_judge_that_comes_with_the_engine_passes() -> None:
    systems, judges = ",".join(group_names("system")), ",".join(group_names("judge"))
    replayed = [f"system.replay.answer.kwargs.{key}=x" for key in ("url", "images", "sha256")]
    words = [f"systems=[{systems}]", f"judges=[{judges}]", "protocol=table-iv"]
    assert recipe(load(None, [*words, *GIVEN, *replayed])).systems


def test_every_protocol_that_comes_with_the_engine_passes() -> None:
    for protocol in group_names("protocol"):
        words = ["systems=[oracle]", "judges=[rule]", f"protocol={protocol}"]
        assert recipe(load(None, [*words, *GIVEN])).systems


def test_a_metric_s_unknown_argument_is_named() -> None:
    words = ["systems=[oracle]", "protocol=table-iv", "protocol.metrics.lpips.kwargs.nett=vgg"]
    with pytest.raises(
        ConfigError, match=r"metric 'lpips'.kwargs .* 'nett'\. Did you mean 'net'\?"
    ):
        recipe(load(None, [*words, *GIVEN]))


@pytest.mark.parametrize(
    ("target", "kwargs", "unknown"),
    [
        ("vllm", {"model": "m", "revison": "main"}, "revison"),
        ("openai", {"model": "m", "endpoint": {"base_url": "http://h"}, "price": {}}, "price"),
    ],
)
def test_a_served_model_s_unknown_argument_is_named(
    target: str, kwargs: dict[str, Any], unknown: str
) -> None:
    with pytest.raises(ConfigError, match=f"kwargs has no field '{unknown}'. Did you mean"):
        check_arguments("system 'a'", target, kwargs)
