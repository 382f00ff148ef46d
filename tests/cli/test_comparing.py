"""`compare` and `gate` as a person and a program start them: sides, rules, exit codes, output."""

import json
import random
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import medgen
from results.fake_runs import FakeRun, make_samples, steady

from medgen.engine.data import Prediction, Sample
from medgen.engine.run.folder import RunFolder, Status, now
from medgen.engine.store.connect import connect

LOSSES = {"base": 0.0, "same": 0.0, "worse": 2.5}
PASSPORT = {"profile": "strict", "versions": {"numpy": "2"}}


def value(system: str, sample: Sample) -> float:
    number = random.Random(f"{sample.id}/{system}")
    jitter = number.gauss(0, 0.5) if number.random() < 0.125 else 0.0
    return 30 + 3 * random.Random(sample.id).gauss(0, 1) + jitter - LOSSES.get(system, 0.0)


def fake(count: int = 480, **more: Any) -> FakeRun:
    body = {"systems": tuple(LOSSES), "score": steady(value), "passports": {"psnr": PASSPORT}}
    return FakeRun(make_samples(count), **{**body, "shard_size": 60, **more})


def stored(run: FakeRun, url: str) -> str:
    reader = run.write(url)
    folder = RunFolder(connect(url), reader.plan.run_id)
    folder.save_plan(reader.plan, "name: fake\n")
    folder.save_status(Status("success", reader.plan.run_id, now(), now()))
    return reader.plan.run_id


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("store"))
    stored(fake(), url)
    return url


def only_line(text: str) -> dict[str, Any]:
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("sides", "code", "word"),
    [
        (("base", "base"), 0, "pass"),
        (("base", "same"), 0, "pass"),
        (("base", "worse"), 4, "regression"),
        (("worse", "base"), 0, "pass"),
        (("same", "worse"), 4, "regression"),
    ],
)
def test_a_gate_ends_with_its_verdicts_code_and_never_swaps_its_sides(
    sides: tuple[str, str], code: int, word: str, store: str
) -> None:
    got, out, _ = medgen("gate", *sides, "--store", store)
    assert (got, out.split()[0]) == (code, word.upper())
    got, out, _ = medgen("gate", *sides, "--store", store, "--json")
    verdict = only_line(out)
    assert (got, verdict["word"], verdict["exit_code"]) == (code, word, code)
    assert verdict["baseline"].endswith(f"/ {sides[0]}")
    assert verdict["candidate"].endswith(f"/ {sides[1]}")


def test_words_come_first_and_fit_eighty_columns(store: str) -> None:
    _, out, _ = medgen("compare", "base", "worse", "--store", store)
    lines = [line for line in out.splitlines() if not line.startswith(("all ", "look "))]
    assert lines[0].startswith("Left is shown to be better")
    assert lines[1] == "left base, right worse"
    assert any("PSNR, dB" in line and line.endswith("● left") for line in lines)
    # The next command is copied whole, and finds the same store.
    assert f"--store {store}" in out.splitlines()[-1]
    _, out, _ = medgen("status", "--store", store)
    lines += [line for line in out.splitlines() if not line.startswith(("go on ", "look "))]
    assert "complete" in out.splitlines()[0]
    assert max(map(len, lines)) <= 80


def test_too_little_to_tell_ends_with_5(tmp_path: Path) -> None:
    stored(fake(16), str(tmp_path))
    assert medgen("gate", "base", "same", "--store", str(tmp_path))[0] == 5


RULES: dict[str, tuple[dict[str, Any], tuple[str, str], int]] = {
    "a loss that is tolerated": ({"margins": {"psnr": 4.0}}, ("base", "worse"), 0),
    "and one that is not": ({"margins": {"psnr": 0.5}}, ("base", "worse"), 4),
    "the other direction": ({"directions": {"psnr": "lower"}}, ("base", "worse"), 0),
    "the other direction turned": ({"directions": {"psnr": "lower"}}, ("worse", "base"), 4),
    "what is ignored": ({"ignore": ["psnr"]}, ("base", "worse"), 0),
    "what is asked for": ({"metrics": ["psnr"], "by_task": False}, ("base", "worse"), 4),
    "more pairs than there are": ({"least_pairs": 1000}, ("base", "same"), 5),
    "more sources than there are": ({"least_clusters": 1000}, ("base", "same"), 5),
    "nothing tolerated, the same": ({"margin_sd": 0, "metrics": ["psnr"]}, ("base", "base"), 0),
    "nothing tolerated, as good": ({"margin_sd": 0}, ("base", "same"), 5),
    "deviations": ({"margin_sd": 3.0}, ("base", "worse"), 0),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rules_file_is_kept(kind: str, store: str, tmp_path: Path) -> None:
    rules, sides, code = RULES[kind]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rules))
    assert medgen("gate", *sides, "--store", store, "--rules", str(path))[0] == code


@pytest.mark.parametrize("wrong", ["alhpa: 0.1", "alpha: 0.9", "margins: 3", "- psnr", "{"])
def test_a_rules_file_that_cannot_be_kept_ends_with_2(
    wrong: str, store: str, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(wrong)
    rules = str(tmp_path / "rules.yaml")
    code, out, err = medgen("gate", "base", "same", "--store", store, "--rules", rules)
    assert (code, out) == (2, "")
    assert err


def test_the_verdict_is_written_beside_as_markdown(store: str, tmp_path: Path) -> None:
    path = tmp_path / "verdict.md"
    code, out, _ = medgen(
        "gate", "base", "worse", "--store", store, "--json", "--markdown", str(path)
    )
    assert code == 4
    assert path.read_text().startswith("## Gate: regression\n")
    assert only_line(out)["schema"] == "gate/1"


def test_compare_speaks_one_json_line_a_table_or_markdown(store: str) -> None:
    code, out, _ = medgen("compare", "base", "worse", "--store", store, "--json")
    found = only_line(out)
    assert code == 0
    assert (found["event"], found["schema"]) == ("comparison", "comparison/1")
    rows = [c for c in found["contrasts"] if (c["metric"], c["kind"]) == ("psnr", "all")]
    assert all(row["difference"] < -2 and row["better"] == "left" for row in rows)
    code, out, _ = medgen("compare", "worse", "base", "--store", store, "--markdown")
    assert code == 0
    assert out.splitlines()[0].endswith("/ worse")
    assert "| right |" in out
    code, out, _ = medgen("compare", "base", "worse", "--store", store)
    assert (code, "difference" in out) == (0, True)


@pytest.mark.parametrize("command", ["compare", "gate"])
def test_what_was_not_made_alike_ends_with_2_in_words_unless_across(
    command: str, tmp_path: Path
) -> None:
    url = str(tmp_path)
    strict = stored(fake(), url)
    compat = {"psnr": {**PASSPORT, "profile": "compat"}}
    other = fake(passports=compat, arguments={"psnr": {"profile": "compat"}})
    theirs = stored(other, url)
    sides = (f"{strict}/base", f"{theirs}/base")
    code, out, err = medgen(command, *sides, "--store", url)
    assert (code, out) == (2, "")
    assert "psnr: profile strict against compat" in err
    assert "--across" in err
    code, out, _ = medgen(command, *sides, "--store", url, "--across", "--json")
    assert code == 0
    assert only_line(out)["across"] == ["psnr: profile strict against compat"]
    markdown = ("--markdown",) if command == "compare" else ()
    code, out, _ = medgen(command, *sides, "--store", url, "--across", *markdown)
    assert code == 0
    assert "Compared across a difference: psnr: profile strict against compat" in out


def test_other_benchmarks_under_the_same_names_end_with_2(tmp_path: Path) -> None:
    url = str(tmp_path)
    first = stored(fake(), url)
    changed = [replace(s, instruction="Do another thing") for s in make_samples(480)]
    second = stored(replace(fake(), samples=changed), url)
    code, _, err = medgen("compare", f"{first}/base", f"{second}/base", "--store", url)
    assert code == 2
    assert "every value: benchmark fake-" in err


@pytest.mark.parametrize("command", ["compare", "gate"])
def test_sides_that_are_not_there_end_with_2_or_6(command: str, store: str) -> None:
    code, _, err = medgen(command, "base", "wrose", "--store", store)
    assert (code, "Did you mean 'worse'?" in err) == (2, True)
    assert "the last one (`RUN/SYSTEM` is of another)" in err
    assert medgen(command, "base", "nothing/base", "--store", store)[0] == 6


@pytest.mark.parametrize("sides", [("base", "nothing"), ("nothing", "base")])
def test_a_system_without_a_value_is_told_and_is_no_system_that_is_close(
    sides: tuple[str, str], tmp_path: Path
) -> None:
    url = str(tmp_path)
    lost = frozenset(("nothing", stage, shard) for stage in ("answer", "score") for shard in (0, 1))
    says = {"psnr": {**PASSPORT, "outputs": [{"name": "psnr", "higher_is_better": True}]}}
    stored(fake(120, systems=sides, without=lost, passports=says, thresholds={}), url)
    code, out, err = medgen("compare", *sides, "--store", url)
    assert (code, err) == (0, "")
    assert out.startswith("Nothing can be compared: no sample has a value of both systems.")
    assert medgen("gate", *sides, "--store", url)[0] == 5


def test_too_few_pairs_are_no_sign_that_systems_are_close(tmp_path: Path) -> None:
    stored(fake(16), str(tmp_path))
    code, out, _ = medgen("compare", "base", "worse", "--store", str(tmp_path))
    assert code == 0
    assert out.startswith("Too few independent pairs to show a difference in any value.")


@pytest.mark.parametrize("command", ["compare", "gate"])
def test_systems_called_like_a_hubs_models_are_named_as_they_are(
    command: str, tmp_path: Path
) -> None:
    url, hubs = str(tmp_path), ("Qwen/Qwen3-VL-8B", "org/model[x]")
    run = stored(fake(systems=hubs), url)

    def told(*words: str) -> str:
        code, out, err = medgen(command, *words, "--store", url)
        assert code == 0, err
        return out

    first = told(*hubs)
    assert "Qwen/Qwen3-VL-8B" in first
    stored(fake(name="later"), url)
    for words in ([f"{run}/{hub}" for hub in hubs], [*hubs, "--run", run]):
        found = told(*words)
        assert found.splitlines()[:2] == first.splitlines()[:2]
        (again,) = re.findall(r"(?:all|why) +medgen (compare .*?)(?: --all)?\n", found)
        assert "fake-" in again, "of that run, and not of the last one"
        code, out, _ = medgen(*shlex.split(again))
        assert (code, f"right {hubs[1]}" in out) == (0, True)
    code, _, err = medgen(command, *hubs, "--store", url)
    assert code == 6
    assert "begin with 'Qwen'" in err


def test_failed_answers_are_gated_by_their_own_margin(tmp_path: Path) -> None:
    def predict(system: str, sample: Sample) -> Prediction:
        failed = system == "worse" and int(sample.id[1:]) % 5 == 0
        return Prediction(sample.id, "model_error", "no") if failed else Prediction(sample.id)

    url = str(tmp_path)
    calm = steady(lambda system, sample: 30.0 + random.Random(sample.id).gauss(0, 1))
    stored(fake(predict=predict, score=calm), url)
    (tmp_path / "rules.yaml").write_text("margin_answered: 0.4\nleast_coverage: 0.5\n")
    assert medgen("gate", "base", "worse", "--store", url)[0] == 4
    rules = str(tmp_path / "rules.yaml")
    assert medgen("gate", "base", "worse", "--store", url, "--rules", rules)[0] == 0
