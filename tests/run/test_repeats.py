"""A system that is asked several times: other seeds, rows of its own, and how far they differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import Done, medgen
from fakes import Lines

from medgen.adapters.images.image_jobs import ImageJob, image_job
from medgen.engine.benchmark.importing import ImportOptions, import_benchmark
from medgen.engine.data import Request, Sample
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.results.repeats import pass_at, standard_error
from medgen.engine.store.connect import connect
from medgen.launch.compose import each_time
from medgen.launch.notebook import Store

SAMPLES = 4


def run(folder: Path, repeats: int, **more: Any) -> Done:
    store = str(folder / "store")
    import_benchmark(Lines(SAMPLES), connect(store), ImportOptions("fake", 2))
    kwargs = {"execution": {"calls": str(folder / "calls")}}
    dice = {"name": "dice", "answer": {"target": "run.dice:Dice", "kwargs": kwargs}}
    body = {
        "name": "again",
        "store": store,
        "benchmark": {"name": "fake"},
        "systems": [{**dice, "gives": ["text", "image+text"], "repeats": repeats}],
        "protocol": {"name": "text", "metrics": {"text_em": {}}},
        "cluster": "in-process",
        **more,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(body))
    return medgen("run", "--config", str(folder / "run.yaml"))


def test_further_times_are_rows_of_their_own_and_ask_nothing_twice(tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def asked() -> int:
        return len(calls.read_text().split())

    assert run(tmp_path, 1, report=False).returncode == 0
    once = asked()
    done = run(tmp_path, 3)
    assert asked() == 3 * once, "the first time is what was there"

    # Samples 0 and 3 ask for text, 2 for both; the first is right once, the others each time.
    found = Store(str(tmp_path / "store")).run()
    rows = found.repeats().to_pylist()
    assert {(r["system"], r["output"], r["repeats"]) for r in rows} == {("dice", "text_em", 3)}
    both, words = sorted(rows, key=lambda r: int(r["n"]))
    assert (both["n"], both["means"], both["pass_at"]) == (1, [1, 1, 1], [1, 1, 1])
    assert (words["n"], words["means"], words["left_out"]) == (2, [1, 0.5, 0.5], 0)
    assert words["mean"] == pytest.approx(2 / 3)
    assert words["pass_at"] == pytest.approx([2 / 3, 5 / 6, 1])
    assert words["sd_seeds"] == pytest.approx(np.std([1, 0.5, 0.5], ddof=1))
    assert words["sd_within"] == pytest.approx((np.var([1, 0, 0], ddof=1) / 2) ** 0.5)
    assert words["sd_samples"] == pytest.approx(np.std([1 / 3, 1], ddof=1))
    assert "dice~2" in set(found.summary().column("system").to_pylist())
    assert "Asked again with other seeds" in done.stdout
    assert "pass@3" in done.stdout
    page = connect(str(tmp_path / "store")).read(found.report.partition("store/")[2]).decode()
    assert "## Asked again with other seeds" in page


def test_a_chance_is_that_of_the_draws() -> None:
    rng = np.random.default_rng(3)
    # Of five times two are right: one of two drawn is right unless both are of the three others.
    values = np.array([[1.0], [1.0], [0.0], [0.0], [0.0]])
    assert [float(p[0]) for p in pass_at(values)] == pytest.approx([0.4, 0.7, 0.9, 1, 1])
    # Without bias: over many samples of a known chance the mean is what k such draws give.
    many = (rng.random((4, 20_000)) < 0.3).astype(float)
    assert [float(p.mean()) for p in pass_at(many)] == pytest.approx(
        [1 - 0.7**k for k in range(1, 5)], abs=0.01
    )
    assert pass_at(np.array([[0.5], [1.0]])) == []


def test_sources_count_and_not_their_samples() -> None:
    values = np.random.default_rng(0).normal(size=50)
    alone = standard_error(values, np.arange(50))
    assert alone == pytest.approx(values.std(ddof=1) / 50**0.5)
    assert standard_error(np.repeat(values, 3), np.repeat(np.arange(50), 3)) == pytest.approx(alone)


def test_each_time_has_seeds_of_its_own_and_the_first_those_of_always() -> None:
    sample = next(s for s in Lines(1) if isinstance(s, Sample))
    jobs = [image_job(Request(sample, repeat=n), 7, needs_input=False) for n in range(3)]
    seeds = [job.seed for job in jobs if isinstance(job, ImageJob)]
    assert len(set(seeds)) == 3
    assert Request(sample).draw == (sample.id,)
    assert [
        p.text
        for p in Spec("run.dice:Dice").build().predict([Request(sample), Request(sample, repeat=1)])
    ] == [
        "reference 0",
        "no",
    ]


def test_a_system_is_asked_at_least_once() -> None:
    system = System("a", Model(Spec("fakes:Echo", {})))
    assert [s.name for s in each_time(system, 3)] == ["a", "a~2", "a~3"]
    with pytest.raises(ConfigError, match="`repeats` is 1 or more, not 0"):
        list(each_time(system, 0))
