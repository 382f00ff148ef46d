"""What a run asks and nothing compares is said by its plan, or refused by a metric's name."""

from dataclasses import replace

import pytest
from fakes import GIVEN, PAIR, echo, recipe

from medgen.conf import load
from medgen.engine import registry
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Asks, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, Recipe, System, make_plan
from medgen.engine.store.connect import connect
from medgen.launch.compose import idle_metrics, idle_systems, uncompared_samples
from medgen.launch.compose import recipe as compose
from medgen.metrics.catalogue import metric_spec

RULE = {"name": "j", "protocol": "table-iv/1"}


class Asking:
    def __init__(self, *asks: Asks) -> None:
        self.asks = asks

    def __iter__(self):  # type: ignore[no-untyped-def]
        for number, asks in enumerate(self.asks):
            yield Sample(f"s{number}", asks, "any-slug", "CT", "?", input_images=(GIVEN,))

    def expected_counts(self) -> dict[tuple[str, str], int]:
        return {}

    def describe(self) -> dict[str, str]:
        return {"layout": "given"}


def said(url: str, asked: Recipe, *asks: Asks) -> list[str]:
    manifest = import_benchmark(Asking(*asks), connect(url), ImportOptions("x"))
    return list(uncompared_samples(asked, make_plan(asked, manifest)))


def scoring(
    *names: str, gives: tuple[Asks, ...] = ("text", "image", "mask"), **more: object
) -> Recipe:
    made = recipe(System("echo", echo(), gives=gives), metrics=(), **more)
    return Recipe(
        **{f: getattr(made, f) for f in Recipe.__slots__}
        | {"metrics": {n: metric_spec(n) for n in names}}
    )


def test_what_no_metric_compares_is_refused_with_the_metric_s_name(
    memory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry.components
    every = dict(known("metrics"))
    fewer = {name: one for name, one in every.items() if "mask" not in one.compares}
    assert len(fewer) == len(every) - 1  # as where the one that compares masks is not installed
    monkeypatch.setattr(
        registry, "components", lambda kind: fewer if kind == "metrics" else known(kind)
    )
    with pytest.raises(ConfigError, match=r"2 samples of x-\w+ ask mask.*metric 'masks'.*judge"):
        said(memory_url, scoring("psnr", "bleu"), "mask", "text", "mask", "image")


def test_what_another_metric_would_compare_is_said(memory_url: str) -> None:
    (sentence,) = said(memory_url, scoring("psnr"), "text", "image")
    assert sentence.startswith("1 samples of x-")
    assert "ask text" in sentence
    assert "token_f1" in sentence
    assert "psnr" not in sentence


@pytest.mark.parametrize(
    "asked",
    [
        scoring("psnr", gives=("image",)),
        scoring("psnr", judges={"j": Model(Spec("rule-judge", RULE), PAIR)}),
        scoring(),
    ],
    ids=["not asked of any system", "a judge sees it", "nothing is scored at all"],
)
def test_what_is_compared_or_asked_of_nobody_is_not_said(asked: Recipe, memory_url: str) -> None:
    assert said(memory_url, asked, "mask", "image") == []


@pytest.mark.parametrize(
    ("metrics", "asks", "idle"),
    [
        (("psnr", "bleu"), ("text",), "psnr"),
        (("psnr", "ssim"), ("text", "choice"), "psnr, ssim"),
        (("bleu", "number"), ("text", "image"), "number"),
        (("psnr", "bleu"), ("text", "image"), ""),
        (("psnr",), ("mask", "image"), ""),
    ],
)
def test_a_metric_that_compares_nothing_is_said(metrics, asks, idle, memory_url: str) -> None:
    asked = scoring(*metrics, gives=("text", "choice", "image", "mask"))
    manifest = import_benchmark(Asking(*asks), connect(memory_url), ImportOptions("x"))
    said = list(idle_metrics(asked, make_plan(asked, manifest)))
    assert [sentence.partition(": no value")[0] for sentence in said] == ([idle] if idle else [])


def test_a_metric_that_came_with_a_protocol_of_ours_is_not_said(memory_url: str) -> None:
    """A plain table of choices was told that `short_answer` has no value, which nobody named."""
    asked = scoring("choice_accuracy", "short_answer", "psnr", gives=("choice",))
    manifest = import_benchmark(Asking("choice"), connect(memory_url), ImportOptions("x"))
    ours = replace(asked, protocol="choices")
    (named,) = idle_metrics(ours, make_plan(ours, manifest))
    assert named.startswith("psnr: no value")
    (every,) = idle_metrics(asked, make_plan(asked, manifest))
    assert every.startswith("short_answer, psnr: no value")


def test_a_value_that_a_metric_of_ours_does_not_know_is_refused_before_anything_runs() -> None:
    """All scoring was given up for it, when all answers were there."""
    given = ["systems=[oracle]", "protocol=choices", "benchmark=mini", "store=memory://x"]
    given.append("cluster=in-process")
    key = "protocol.metrics.choice_accuracy.kwargs.reading"
    compose(load(None, [*given, f"{key}=official:mmmu"]))
    with pytest.raises(ConfigError, match="reading 'official:mmm' is none of"):
        compose(load(None, [*given, f"{key}=official:mmm"]))


def test_a_system_that_is_asked_nothing_is_said_and_alone_refused(memory_url: str) -> None:
    """A chat model over pairs of images made a table of the controls, and success."""
    manifest = import_benchmark(Asking("image"), connect(memory_url), ImportOptions("x"))
    chat = System("chat", echo(), gives=("text", "choice"))
    floor = System("blank", echo(), control=True)
    with pytest.raises(ConfigError, match=r"chat gives text, choice, and x-.* asks image: it is"):
        list(idle_systems(make_plan(recipe(chat, floor), manifest)))
    editor = System("editor", echo(), gives=("image",))
    (said,) = idle_systems(make_plan(recipe(chat, editor), manifest))
    assert said.startswith("chat gives text, choice")
    assert list(idle_systems(make_plan(recipe(editor, floor), manifest))) == []
    assert list(idle_systems(make_plan(recipe(floor), manifest))) == []
