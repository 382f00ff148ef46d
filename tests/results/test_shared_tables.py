"""The questions of docs/results.md, put to a run by the libraries that people use."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from results.fake_runs import FakeRun, make_samples, picture, steady

from medgen.engine.data import Prediction, Usage, Verdict
from medgen.engine.results.publishing import TablePublisher

DOCS = Path(__file__).parents[2] / "docs" / "results.md"
QUESTIONS = DOCS.read_text().partition("### Five questions")[2].partition("\n## ")[0]
SQL = re.findall(r"```sql\n(.*?)```", QUESTIONS, re.DOTALL)
PANDAS = re.findall(r"```pandas\n(.*?)```", QUESTIONS, re.DOTALL)
KINDS = {"v": "values", "p": "predictions", "j": "verdicts"}
Rows = set[tuple[Any, ...]]


def predict(system: str, sample: Any) -> Prediction:
    number = int(sample.id[1:])
    if system == "new" and number % 8 == 1:
        return Prediction(sample.id, "refused", "would not")
    image = (picture(number),) if sample.format != "VQA" else ()
    usage = Usage(prompt_tokens=number, completion_tokens=2, cost_usd=0.5)
    return Prediction(sample.id, text=f"{system} of {sample.id}", images=image, usage=usage)


def mark(system: str, sample: Any) -> float:
    return 20.0 + int(sample.id[1:]) % 5 + (1.5 if system == "new" else 0.0)


def judge(system: str, label: str, sample: Any, view: Any, repeat: int) -> Verdict:
    number = int(sample.id[1:])
    scores = {"overall_score": float(number % 9 + 1), "accuracy": 1.0}
    notes = {"overall_score": f"{system} is poor at {sample.id}"}
    return Verdict(sample.id, view, label, repeat, scores=scores, explanations=notes)


RUN = FakeRun(
    make_samples(32, pictures=True),
    systems=("new", "old", "4"),  # one that a partition key would make a number
    judges=("judge",),
    predict=predict,
    score=steady(mark),
    judge=judge,
)


def publish(url: str, *systems: str) -> str:
    """The tables of some systems, as they are while the run goes on."""
    reader = RUN.write(url)
    tables = TablePublisher(reader)
    for system in systems:
        tables.publish(reader, system)
    return f"{url}/runs/{reader.plan.run_id}/tables"


@pytest.fixture(scope="module", params=["directory", "s3"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "directory":
        yield publish(str(tmp_path_factory.mktemp("store")), *RUN.systems)
        return
    import s3fs

    request.getfixturevalue("s3_endpoint")
    bucket = f"tables-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(bucket)
    yield publish(f"s3://{bucket}", *RUN.systems)


def by_duckdb(run: str, number: int) -> Rows:
    import duckdb
    import fsspec

    with duckdb.connect() as base:
        if run.startswith("s3://"):  # its own extension is fetched when first used
            base.register_filesystem(fsspec.filesystem("s3", skip_instance_cache=True))
        for name, kind in KINDS.items():
            base.sql(f"CREATE VIEW {name} AS FROM '{run}/{kind}/*/*.parquet'")
        return set(base.sql(SQL[number]).fetchall())


def by_polars(run: str, number: int) -> Rows:
    import polars as pl

    remote = {"allow_http": "true"} if run.startswith("s3://") else None
    frames = {
        name: pl.scan_parquet(f"{run}/{kind}/*/*.parquet", storage_options=remote)
        for name, kind in KINDS.items()
    }
    return set(pl.SQLContext(frames, eager=True).execute(SQL[number]).rows())


def by_pandas(run: str, number: int) -> Rows:
    import pandas as pd

    return ask_pandas({n: pd.read_parquet(f"{run}/{kind}") for n, kind in KINDS.items()}, number)


def by_datasets(run: str, number: int, cache: Path) -> Rows:
    import datasets

    frames = {
        name: datasets.load_dataset(
            "parquet", data_files=f"{run}/{kind}/*/*.parquet", split="train", cache_dir=str(cache)
        ).to_pandas()
        for name, kind in KINDS.items()
    }
    return ask_pandas(frames, number)


def ask_pandas(frames: dict[str, Any], number: int) -> Rows:
    found = eval(PANDAS[number], {}, frames)
    found = found.to_frame() if found.ndim == 1 else found
    whole = found.reset_index() if found.index.names != [None] else found
    return {tuple(row) for row in whole.itertuples(index=False)}


def expected(number: int) -> Rows:
    """The answers, counted by hand from what the run was made of."""
    ok = [(s, x) for s in RUN.systems for x in RUN.samples if predict(s, x).status == "ok"]
    if number == 0:
        return {
            (system, kind, sum(marks) / len(marks), len(marks))
            for system in RUN.systems
            for kind in ("ImageEditing", "MultimodalGeneration")
            if (marks := [mark(s, x) for s, x in ok if s == system and x.format == kind])
        }
    if number == 1:
        pairs = [x for x in RUN.samples if ("new", x) in ok and x.format != "VQA"]
        return {(t, 1.5, sum(x.task == t for x in pairs)) for t in {x.task for x in pairs}}
    if number == 2:
        return {("new", "refused", "would not", 4)}
    if number == 3:
        return {
            (s, x.id, verdict.scores["overall_score"], f"{s} is poor at {x.id}", predict(s, x).text)
            for s in RUN.systems
            for x in RUN.samples
            if (verdict := judge(s, "judge", x, "reference_based", 0)).scores["overall_score"] <= 3
        }
    usage = {s: [predict(s, x).usage for x in RUN.samples] for s in RUN.systems}
    return {
        (
            s,
            sum(u.cost_usd for u in mine),
            sum(u.prompt_tokens for u in mine),
            sum(u.completion_tokens for u in mine),
        )
        for s, mine in usage.items()
    }


def close(rows: Rows) -> list[tuple[Any, ...]]:
    """Rows to compare: sums are not to the last bit the same in every library."""
    plain = [
        tuple(None if x != x else round(x, 6) if isinstance(x, float) else x for x in row)
        for row in rows
    ]
    return sorted(plain, key=repr)


def test_there_are_five_questions() -> None:
    assert len(SQL) == len(PANDAS) == 5


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("ask", [by_duckdb, by_polars, by_pandas], ids=lambda ask: ask.__name__)
def test_a_question(run: str, ask: Callable[[str, int], Rows], number: int) -> None:
    assert close(ask(run, number)) == close(expected(number))


def test_datasets_answers_all_of_them(run: str, tmp_path: Path) -> None:
    for number in range(5):
        assert close(by_datasets(run, number, tmp_path)) == close(expected(number))
