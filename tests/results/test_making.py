"""Only like is compared with like: what makes two columns unlike, and in which words."""

import json
from dataclasses import replace

import pytest
from results.fake_runs import THRESHOLDS, FakeRun, make_samples, steady

from medgen.engine.data import Verdict
from medgen.engine.errors import ConfigError
from medgen.engine.results.comparison import Side, compare
from medgen.engine.results.gate import GateRules, gate
from medgen.engine.results.making import differences
from medgen.engine.results.summary import summarize
from medgen.engine.stages import SCORES
from medgen.launch.report.pages import page
from medgen.launch.report.report import make_report
from medgen.launch.report.tables import format_tables
from medgen.launch.report.verdicts import (
    comparison_json,
    comparison_markdown,
    comparison_tables,
    gate_json,
    gate_markdown,
)

METRIC = {
    "profile": "compat",
    "model": "biomed-bert",
    "folder_sha256": "aa11",
    "versions": {"torch": "2.13.0", "transformers": "5.0"},
    "device": "cpu",
    "outputs": [{"name": "psnr", "higher_is_better": True, "low": 0.0, "high": 100.0}],
}
JUDGE = {
    "model": "qwen",
    "commit": "c1",
    "protocol": "table-iv/1",
    "protocol_hash": "p1",
    "prompt_hash": "h1",
    "temperature": 0.0,
    "endpoint": "http://127.0.0.1:8000/v1",
    "versions": {"aiohttp": "3.14"},
}


def verdict(system, label, sample, view, repeat):
    return Verdict(sample.id, view, label, scores={"overall_score": 7.0, "instruction": 6.0})


def run(**more):
    return FakeRun(
        more.pop("samples", make_samples(32)),
        systems=("base",),
        judges=("q",),
        judge=verdict,
        score=steady(lambda system, sample: 30.0 + int(sample.id[1:])),
        passports={"psnr": METRIC, "q": JUDGE},
        **more,
    )


def passport(label, **changed):
    whole = {"psnr": METRIC, "q": JUDGE}
    return {"passports": {**whole, label: {**whole[label], **changed}}}


UNLIKE = {
    "a metric's profile": (passport("psnr", profile="strict"), "psnr: profile compat against"),
    "its argument": ({"arguments": {"psnr": {"window": 11}}}, "psnr: window nothing against 11"),
    "its weights' folder": (passport("psnr", folder_sha256="bb22"), "folder_sha256 aa11 against"),
    "its weights' name": (passport("psnr", model="bert-base"), "model biomed-bert against"),
    "random weights": (passport("psnr", random_weights=True), "random_weights nothing against"),
    "a library": (
        passport("psnr", versions={"torch": "2.12.0", "transformers": "5.0"}),
        "versions.torch 2.13 against 2.12",
    ),
    "a library that is gone": (
        passport("psnr", versions={"torch": "2.13.0"}),
        "versions.transformers 5.0 against nothing",
    ),
    "what a metric says of itself": (passport("psnr", range="[0, 1]"), "range nothing against"),
    "a nested argument": (
        {"arguments": {"psnr": {"how": {"sigma": 1.5}}}},
        "how.sigma nothing against 1.5",
    ),
    "the judge's model": (passport("q", model="gpt"), "model qwen against gpt"),
    "the judge's revision": (passport("q", commit="c2"), "commit c1 against c2"),
    "the judge's protocol": (passport("q", protocol="paper-v1/1"), "protocol table-iv/1 against"),
    "the judge's scale": (passport("q", protocol_hash="p2"), "protocol_hash p1 against p2"),
    "the judge's prompt": (passport("q", prompt_hash="h2"), "prompt_hash h1 against h2"),
    "the judge's temperature": (passport("q", temperature=1.0), "temperature 0 against 1"),
    "the judge's repeats": ({"arguments": {"q": {"repeats": 3}}}, "repeats nothing against 3"),
    "a rehearsal's faults": (passport("q", chaos="parse_error=0.1"), "chaos nothing against"),
    "the protocol": (
        {"protocol": "paper-v1"},
        "every value: evaluation protocol table-iv against paper-v1",
    ),
    "a direction": (
        {"thresholds": {**THRESHOLDS, "psnr": {"direction": "lower"}}},
        "psnr: direction higher against lower",
    ),
    "the benchmark's size": ({"samples": make_samples(40)}, "every value: benchmark fake-"),
    "the benchmark's order": ({"samples": make_samples(32)[::-1]}, "every value: benchmark fake-"),
    "the benchmark's answers": (
        {"samples": [replace(s, reference_texts=("other",)) for s in make_samples(32)]},
        "every value: benchmark fake-",
    ),
}
ALIKE = {
    "where a metric ran": passport("psnr", device="cuda:0"),
    "where a judge answered": passport("q", endpoint="http://10.0.0.7:9000/v1"),
    "what carried the question": passport("q", versions={"aiohttp": "3.15"}),
    "a release that only mends": passport(
        "psnr", versions={"torch": "2.13.1", "transformers": "5.0.2"}
    ),
    "another cut into nothing else": {"name": "other"},
}


@pytest.mark.parametrize("kind", UNLIKE)
def test_what_was_not_made_alike_is_refused_in_words(kind, tmp_path):
    changed, words = UNLIKE[kind]
    left = Side(run().write(str(tmp_path / "a")), "base")
    right = Side(FakeRun(**{**vars(run()), **changed}).write(str(tmp_path / "b")), "base")
    for refused in (compare, gate):
        for first, second in ((left, right), (right, left)):
            with pytest.raises(ConfigError, match="not made alike") as err:
                refused(first, second)
            assert "--across" in str(err.value)
            if first is left:
                assert words in str(err.value)
    said = compare(left, right, across=True)
    assert any(words in line for line in said.across)
    assert json.loads(comparison_json(said))["across"] == list(said.across)
    text = comparison_markdown(said)
    assert text.count("Compared across a difference") == sum(
        f"\n## {heading}" in text for heading in ("By format", "By task", "By modality")
    )
    assert all("compared across" in str(t.caption) for t in comparison_tables(said))
    verdict = gate(left, right, across=True)
    assert json.loads(gate_json(verdict))["across"] == list(verdict.across) != []
    assert "Compared across a difference" in gate_markdown(verdict)


@pytest.mark.parametrize("kind", ALIKE)
def test_where_and_how_fast_is_no_difference(kind, tmp_path):
    left = Side(run().write(str(tmp_path / "a")), "base")
    other = FakeRun(**{**vars(run()), **ALIKE[kind]})
    right = Side(other.write(str(tmp_path / "b")), "base")
    assert compare(left, right).across == ()
    assert gate(left, right).across == ()


@pytest.mark.parametrize("bare", ["a", "b"])
def test_a_side_without_a_value_says_nothing_of_how_it_would_be_made(bare, tmp_path):
    """Its rows ran without the metric, so their passport does not hold what the other's does."""
    empty = steady(lambda system, sample: float("nan"))
    without = {"passports": {"psnr": {}, "q": JUDGE}, "score": empty}
    sides = {}
    for name in ("a", "b"):
        fake = FakeRun(**{**vars(run()), **(without if name == bare else {})})
        sides[name] = Side(fake.write(str(tmp_path / name)), "base")
    assert compare(sides["a"], sides["b"]).across == ()
    argument = {**without, "arguments": {"psnr": {"window": 11}}}
    other = Side(FakeRun(**{**vars(run()), **argument}).write(str(tmp_path / "c")), "base")
    with pytest.raises(ConfigError, match="psnr: window nothing against 11"):
        compare(Side(run().write(str(tmp_path / "d")), "base"), other)


def test_an_unlike_value_that_the_gate_ignores_does_not_refuse_it(tmp_path):
    left = Side(run().write(str(tmp_path / "a")), "base")
    other = FakeRun(**{**vars(run()), **passport("psnr", profile="strict")})
    right = Side(other.write(str(tmp_path / "b")), "base")
    assert gate(left, right, GateRules(ignore=("psnr",))).across == ()


def test_means_of_other_judges_are_not_alike_within_one_run(tmp_path):
    fake = replace(run(), systems=("one", "two"), judges=("a", "b", "c"))
    fake.judged = {"b": ("one",), "c": ("two",)}
    reader = fake.write(str(tmp_path))
    with pytest.raises(ConfigError, match=r"[bc]\.component"):
        compare(Side(reader, "one"), Side(reader, "two"))
    found = compare(Side(reader, "one"), Side(reader, "two"), across=True)
    assert "b:overall_score/reference_free (only on the left)" in found.left_out
    assert "c:overall_score/reference_free (only on the right)" in found.left_out
    assert "Not compared, since only one side has it" in comparison_markdown(found)
    tables = [t for t in format_tables(summarize(reader)) if t.title == "VQA"]
    assert any("was not made alike for one and two: b.component" in n for n in tables[0].notes)


def test_judges_of_different_systems_do_not_share_a_name(tmp_path):
    fake = replace(run(), systems=("one", "two"), judges=("a", "c"))
    fake.judged = {"a": ("one",), "c": ("two",)}
    reader = fake.write(str(tmp_path))
    found = compare(Side(reader, "one"), Side(reader, "two"))
    assert {c.stage for c in found.contrasts} == {"answer", "score"}
    assert {name.partition(":")[0] for name in found.left_out} == {"a", "c"}


def test_a_column_whose_shards_were_made_by_two_libraries_says_both(tmp_path):
    reader = run().write(str(tmp_path / "a"))
    mixed = run(shard_size=8)
    node_of = reader.plan.giving("base", SCORES)[0]
    mixed_reader = mixed.write(str(tmp_path / "b"))
    newer = {**METRIC, "versions": {"torch": "2.14.0", "transformers": "5.0"}}
    again = FakeRun(**{**vars(run()), "passports": {"psnr": newer, "q": JUDGE}})
    replaced = again.write(str(tmp_path / "c"))
    into, taken = mixed_reader.stage(node_of), replaced.stage(node_of)
    mixed_reader.objects.replace(into.path(0), replaced.objects.read(taken.path(0)))
    (newer_one,) = replaced.identities(node_of)
    newer_record = replaced.objects.read(taken.place.identity())
    mixed_reader.objects.create(into.place.identity(newer_one.name), newer_record)
    mixed_reader = mixed_reader.anew()
    with pytest.raises(ConfigError, match=r"versions.torch 2.13 against 2.13 and also 2.14"):
        compare(Side(reader, "base"), Side(mixed_reader, "base"))
    report = make_report(mixed_reader, summarize(mixed_reader))
    said = "psnr of base was not made alike in all its shards: versions.torch 2.13 and also"
    assert all(said in table.notes[0] for table in report.tables if "psnr" in str(table.metrics))
    assert "was not made alike in all its shards" in page("index.md.j2", report=report)


def test_differences_are_a_law():
    one, two = {"a": "1", "b": "2"}, {"b": "3", "c": "4"}
    assert differences(one, one) == []
    assert differences(one, two) == ["a 1 against nothing", "b 2 against 3", "c nothing against 4"]
    assert len(differences(two, one)) == 3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x" * 100, "x" * 100 + ", Porter stems"), ("a" * 59 + "b", "a" * 59 + "c"),
        ("x" * 80 + "left" + "y" * 80, "x" * 80 + "right" + "y" * 80), ("short", "other"),
        ("x" * 200, "y" * 200), ("x" * 70, None), ("1", "2" + "x" * 90),
    ],
)  # fmt: skip
def test_a_difference_is_seen_however_far_in_it_stands(left, right):
    (words,) = differences({"tokens": left}, {"tokens": right} if right else {})
    one, _, other = words.removeprefix("tokens ").partition(" against ")
    assert one != other
    assert max(len(one), len(other)) <= 60
