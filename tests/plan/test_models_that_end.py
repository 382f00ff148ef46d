"""A hosted model that its vendor withdraws is refused by the plan, with its successor's name."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import Lines
from hypothesis import given
from hypothesis import strategies as st

from medgen.adapters.models.settings import need_revision
from medgen.conf.loading import group_names, load
from medgen.conf.schema import RunConf
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.errors import ConfigError, PlanError
from medgen.engine.plan.plan import Plan
from medgen.engine.run.reader import RunReader
from medgen.engine.run.survey import Todo, survey
from medgen.engine.settings import Unusable
from medgen.engine.store.connect import connect
from medgen.launch.compose import plan_of
from medgen.launch.run.offered import (
    WARN_DAYS,
    check_offered,
    narrow_models,
    strange_arguments,
)
from medgen.launch.setup.foreign import strange

LAST = date(2026, 12, 1)


def check(tmp_path: Path, today: date, systems: list[Any], **more: Any) -> list[str]:
    """What a plan of the configuration says on a day."""
    return check_offered(*planned(tmp_path, systems, **more), today)


def planned(tmp_path: Path, systems: list[Any], **more: Any) -> tuple[RunConf, Plan, Todo]:
    store = str(tmp_path / "store")
    import_benchmark(Lines(4), connect(store), ImportOptions("fake", 4))
    body = {"name": "e", "store": store, "benchmark": {"name": "fake"}, "systems": systems, **more}
    body["cluster"] = "in-process"
    body["protocol"] = {"name": "t", "metrics": {"token_f1": {}}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(body))
    conf = load(str(tmp_path / "run.yaml"))
    objects = connect(store)
    plan = plan_of(conf, objects)
    return conf, plan, survey(RunReader(objects, plan))


@pytest.mark.parametrize("name", ["gemini-25-pro", "gemini-25-pro+seedream-4"])
def test_a_model_is_refused_from_its_last_day_on_and_warned_of_before(
    tmp_path: Path, name: str
) -> None:
    assert check(tmp_path, LAST - timedelta(days=WARN_DAYS + 1), [name]) == []
    (said,) = check(tmp_path, LAST - timedelta(days=1), [name])
    assert "withdraws this model on 2026-12-01" in said
    assert "gemini-3.1-pro-preview" in said
    for day in (LAST, LAST + timedelta(days=900)):
        with pytest.raises(PlanError, match=r"has withdrawn .* gemini-3.1-pro-preview"):
            check(tmp_path, day, [name])


def test_a_pairing_ends_with_the_half_that_ends_first(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="2026-05-01"):
        check(tmp_path, date(2026, 9, 1), ["gpt-4o+dall-e-3"])
    with pytest.raises(PlanError, match=r"2027-01-14.*gpt-6-luna"):
        check(tmp_path, date(2027, 1, 14), ["gpt-4o+qwen-image-edit"])


@pytest.mark.parametrize("name", ["maira-2", "maira-2+seedream-4"])
def test_a_model_that_does_less_than_it_is_asked_is_told_of(tmp_path: Path, name: str) -> None:
    (said,) = narrow_models(*planned(tmp_path, [name, "qwen3-vl-8b"]))
    assert said.startswith(f"system '{name}': writes the findings of a chest X-ray, whatever")


def vllm(name: str, **engine: Any) -> dict[str, Any]:
    chat = {"target": "vllm", "kwargs": {"model": "./m", "engine": engine}}
    style = {"mode": "vqa", "prompt": "answer/1", "images": 1}
    return {"name": name, "answer": {"target": "answers", "kwargs": {"style": style, "chat": chat}}}


def test_arguments_that_the_libraries_here_do_not_know_are_told_of(tmp_path: Path) -> None:
    theirs = vllm("theirs")["answer"]
    theirs["kwargs"]["chat"] = {"target": "openai", "kwargs": {"model": "m"}}
    command = ["{python}", "{own}/own_server.py", "radfm:RadFN", "{port}"]
    wrong = {
        "name": "theirs",
        "answer": {"target": "managed-server", "kwargs": {"command": command, "inner": theirs}},
    }
    systems = [vllm("good", max_model_len=9), vllm("bad", max_modell_len=9), wrong]
    _, plan, todo = planned(tmp_path, systems)
    assert strange_arguments(plan, todo) == [
        "system 'bad': vLLM has no engine argument 'max_modell_len'. Did you mean 'max_model_len'?",
        "system 'theirs': its code is to be written: there is no radfm:RadFN (docs/systems.md). "
        "Did you mean 'RadFM'?",
    ]
    assert strange_arguments(plan, replace(todo, targets={})) == []


def test_a_class_beside_the_authors_code_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Reader: ...")
    own = {
        "command": ["{python}", "{own}/own_server.py", "mine:Reader", "{port}"],
        "execution": {"cwd": str(tmp_path)},
    }
    assert list(strange("managed-server", own)) == []
    (said,) = strange("managed-server", own | {"execution": {}})
    assert "there is no mine:Reader" in said


def test_nobody_is_told_of_a_model_that_has_nothing_left_to_do(tmp_path: Path) -> None:
    conf, plan, todo = planned(tmp_path, ["maira-2"])
    assert narrow_models(conf, plan, replace(todo, targets={})) == []


def test_what_has_no_end_is_never_refused(tmp_path: Path) -> None:
    assert check(tmp_path, date(2099, 1, 1), ["seedream-4", "qwen3-vl-8b"]) == []


def test_an_end_that_is_no_date_is_said(tmp_path: Path) -> None:
    oracle = {"name": "o", "answer": {"target": "oracle"}, "ends": "soon"}
    with pytest.raises(ConfigError, match="`ends` is a date"):
        check(tmp_path, LAST, [oracle])


def test_every_end_of_a_preset_is_a_date_with_a_successor() -> None:
    ending = {}
    for group in ("system", "judge"):
        for name in group_names(group, None):
            body = yaml.safe_load(Path("conf", group, f"{name}.yaml").read_text())
            if "ends" in body:
                date.fromisoformat(body["ends"])
                assert body["successor"], name
                ending[f"{group} {name}"] = body["ends"]
    assert ending["system gemini-25-pro"] == "2026-12-01"
    assert ending["system gpt-4o"] == ending["judge gpt-4o"] == "2027-01-14"
    gone = {"system gpt-image-1", "system dall-e-3", "system imagen-4"}
    assert {*gone, "system gemini-25-flash-image"} <= ending.keys()


@pytest.mark.parametrize("model", ["Qwen/Qwen3-VL-8B-Instruct", "a/b", "org-1/m.x_y"])
@pytest.mark.parametrize("revision", [None, ""])
def test_a_hub_model_without_a_revision_is_refused(model: str, revision: str | None) -> None:
    with pytest.raises(Unusable, match="revision"):
        need_revision(model, revision, "revision")
    need_revision(model, "0123abc", "revision")


@pytest.mark.parametrize("model", ["/w/m", "./m", "m", "s3://b/m", "a/b/c", "~/m", "tests/cli"])
def test_a_folder_needs_none(model: str) -> None:
    need_revision(model, None, "revision")


@pytest.mark.parametrize(
    ("target", "kwargs"),
    [
        ("answers", {"chat": {"target": "vllm", "kwargs": {"model": "a/b"}}}),
        ("diffusers", {"model": "a/b", "mode": "text_to_image"}),
        ("diffusers", {"model": "a/b", "mode": "text_to_image", "load": {"dtype": "float16"}}),
    ],
)
def test_the_plan_refuses_a_hub_model_without_a_revision(
    tmp_path: Path, target: str, kwargs: dict[str, Any]
) -> None:
    system = {"name": "x", "answer": {"target": target, "kwargs": kwargs}}
    with pytest.raises(ConfigError, match=r"a hub model needs .*revision"):
        check(tmp_path, LAST, [system])


@given(st.dates(), st.dates())
def test_no_day_from_the_last_on_is_let_through(today: date, ends: date) -> None:
    from medgen.launch.run.offered import Withdrawal

    said = Withdrawal("system 'x'", ends, "y").sentence(today)
    assert ("has withdrawn" in said) is (ends <= today)
