"""What is left of a run when it is over: summary, report, a table on the terminal, an exit code."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from rich.console import Console

from medgen.conf import RunConf
from medgen.engine.allocation import give_back
from medgen.engine.data import FINE
from medgen.engine.results.columns import PREDICTION_STATUSES
from medgen.engine.results.gaps import prediction_statuses
from medgen.engine.results.publishing import Summaries, TablePublisher
from medgen.engine.run.folder import RunFolder, RunStatus, now
from medgen.engine.run.reader import RunReader
from medgen.engine.store.layout import RunPlace
from medgen.engine.store.parquet import parquet_bytes
from medgen.launch import exits
from medgen.launch.hints import view_command
from medgen.launch.report.beside import write_beside
from medgen.launch.report.escaping import visible
from medgen.launch.run.evaluation import RunResult
from medgen.launch.run.published import (
    Published,
    forget_published,
    keep_published,
    made_from,
    read_published,
)
from medgen.launch.run.stop import Stop
from medgen.launch.run.tracking import track
from medgen.launch.view.certain import certainty_of, write_certainty
from medgen.launch.view.data import StoredRun
from medgen.launch.view.numbers import percent

_OWING = 3  # values that are named as not ok
# How metrics begin the reason of an `error` that is the prediction's: it failed, or holds nothing
# for them to look at; of a picture that is there and cannot be decoded they say the second.
_OF_PREDICTION, _UNDECODED = "prediction: ", "prediction: image "


def publish(result: RunResult, conf: RunConf, stop: Stop, shown: bool) -> int:
    """Write `summary.parquet`, the tables and the report beside the plan; print when shown.

    Returns the exit code, which is published last: it says that the rest is there as well.
    """
    folder = RunFolder(result.reader.objects, result.plan.run_id)
    origin = made_from(result.reader, conf.report) if result.complete else ""
    made = read_published(folder.objects, folder.run_id)
    if not origin or made.made_from != origin:
        made = _make(result, conf, origin)
    stored = StoredRun(result.reader.objects, result.plan.run_id, result.reader)
    if shown and stop.signal is not None:
        _say_how_to_go_on(stored)
    elif shown:
        _show(stored, made)
    for problem in track(conf.tracking, result.plan, stored.summary_table):
        words = visible(problem)
        Console(stderr=True).print(words, markup=False, highlight=False, soft_wrap=True)
    code = exit_code(result, made.failed, conf.allowed_failures, stop)
    owing = code == exits.INCOMPLETE and result.complete
    told = why_incomplete(result, stored, conf.allowed_failures) if owing else []
    for line in told if shown else ():
        words = visible(f"not ok: {line}")
        Console(stderr=True).print(words, markup=False, highlight=False, soft_wrap=True)
    if (status := folder.status()) is not None:
        word: RunStatus = "partial" if code == exits.INCOMPLETE else status.status
        why = "\n".join(f"not ok: {line}" for line in told) if result.complete else status.reason
        folder.save_status(replace(status, status=word, updated=now(), reason=why, exit_code=code))
    return code


def _make(result: RunResult, conf: RunConf, origin: str) -> Published:
    """Make all of it anew; a note has the digests, and of a complete run from what it was made."""
    from medgen.launch.report.report import write_report

    reader, run_id = result.reader, result.plan.run_id
    forget_published(reader.objects, run_id)
    summary = write_tables(reader, result.summaries)
    give_back()
    write_certainty(StoredRun(reader.objects, run_id, reader))
    beside = tuple(write_beside(reader))
    report = write_report(reader, summary)[0] if conf.report else ""
    failed = max(
        failed_share(summary, _pairings(result), control_systems(reader)),
        failed_predictions(reader, result.summaries),
    )
    made = Published(origin, failed, beside, report)
    keep_published(reader.objects, run_id, made)
    return made


def write_tables(reader: RunReader, summaries: Summaries, prove: bool = False) -> pa.Table:
    """Summarize a run and write its summary and tables; gives the summary.

    What `summaries` has of rows that are the same is not made anew. To `prove` is to read the
    tables that need not be written, and write those that are damaged.
    """
    summary = summaries.table(reader)
    reader.objects.replace(RunPlace(reader.plan.run_id).summary, parquet_bytes(summary))
    publisher = TablePublisher(reader)
    if prove:
        publisher.prove()
    publisher.publish_all(reader)
    return summary


def _show(stored: StoredRun, made: Published) -> None:
    from medgen.launch.view.terminal import print_results

    print_results(stored, certainty_of(stored))
    report = [visible(f"report: {stored.objects.url}/{made.report}")] if made.report else []
    for text in (*made.beside, *report):
        Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _pairings(result: RunResult) -> list[str]:
    return [system.name for system in result.plan.systems if system.is_pairing]


def why_incomplete(result: RunResult, stored: StoredRun, allowed: float) -> list[str]:
    """Where every row is there, and too many are not ok: whose, or the word `complete` misleads."""
    controls = control_systems(result.reader)
    lines = owing_lines(stored.summary_table, allowed, _pairings(result), controls)
    more = [f"{len(lines) - _OWING} more: medgen report --all"] if len(lines) > _OWING else []
    return [*lines[:_OWING], *more]


def _say_how_to_go_on(stored: StoredRun) -> None:
    """What an interrupted run leaves: no tables of what is missing."""
    status = stored.status
    total = sum(stored.plan.shards * n.split for n in stored.plan.nodes.values())
    share = percent(sum(status.done.values()) if status else 0, total)
    lines = (
        f"stopped. {share} is done and kept, nothing is half written.",
        "go on   run the same command; it starts where this one stopped",
        f"look    {view_command(stored.run_id, stored.objects.url)}    (what is there so far)",
    )
    for line in lines:
        Console().print(visible(line), markup=False, highlight=False, soft_wrap=True)


def exit_code(result: RunResult, failed: float, allowed_failures: float, stop: Stop) -> int:
    """0 complete, 3 rows are missing or not ok beyond the allowed share, 128 + signal."""
    if stop.signal is not None:
        return 128 + stop.signal
    if not result.complete or failed > allowed_failures:
        return exits.INCOMPLETE
    return exits.OK


def failed_predictions(reader: RunReader, summaries: Summaries) -> float:
    """The largest share, over systems, of predictions that failed; no metric need apply."""
    worst = 0.0
    for system in reader.plan.answering:
        counts = summaries.of(reader, system.name).predictions
        if counts is None:  # neither a metric nor a judge: only the answers are owed
            shards = range(reader.plan.shards)
            found = (prediction_statuses(reader, system.name, s).values() for s in shards)
            counts = Counter(word for words in found for word in words)
        fine, owed = sum(counts.get(word, 0) for word in FINE), sum(counts.values())
        worst = max(worst, 1 - fine / owed if owed else 0.0)
    return worst


def control_systems(reader: RunReader) -> frozenset[str]:
    """The systems whose models say of themselves that they are controls, as ours do.

    That somebody calls a system so (`control: true`, a replay of predictions) is not enough.
    """
    return frozenset(s.name for s in reader.plan.systems if _is_control(reader, s.name))


def _is_control(reader: RunReader, system: str) -> bool:
    made = (one for n in reader.plan.predictions(system) for one in reader.identities(n))
    kinds = {str(one.passport.get("kind")) for one in made}
    return kinds == {"control"}


def failed_share(
    summary: pa.Table, pairings: Collection[str] = (), controls: Collection[str] = ()
) -> float:
    """The largest share, over systems and values, of samples with neither value nor verdict.

    An answer that cannot be parsed is the model's own and no failure of the run. Neither is a pair
    that cannot be made: `pairings` are the systems as judges are shown them. Nor what a metric
    does not find in the answers of `controls`: that a blank text has no BERTScore is their point.
    """
    return max((share for _, share in _rows_owing(summary, pairings, controls)), default=0.0)


def owing_lines(
    summary: pa.Table,
    allowed: float,
    pairings: Collection[str] = (),
    controls: Collection[str] = (),
) -> list[str]:
    """What makes a run incomplete whose rows are all there: values that more than `allowed` lack.

    Several outputs of one metric fail together, and are said once.
    """
    found: dict[str, None] = {}
    for row, share in _rows_owing(summary, pairings, controls):
        if share > allowed:
            name = str(row["label"])
            bad = {k[7:]: n for k, n in row.items() if k.startswith("status_") and n}
            how = ", ".join(f"{s} {n:,}" for s, n in bad.items() if s != "not_applicable")
            where = f"{row['system']}, {row['format']}"
            lacks = f"{round(share * row['expected']):,} of {row['expected']:,} values"
            found[f"{where}: {name} lacks {lacks} ({how or 'missing'})"] = None
    return list(found)


def _rows_owing(
    summary: pa.Table, pairings: Collection[str], controls: Collection[str]
) -> Iterator[tuple[dict[str, Any], float]]:
    """Rows over whole formats, and the share of each that has neither value nor verdict."""
    for row in summary.to_pylist():
        if row["group_kind"] == "all" and row["expected"]:
            settled = row["n"] + row["not_applicable"] + (row.get("status_unparseable") or 0)
            skipped = row["status_skipped"]
            not_asked = min(skipped, row["prediction_not_applicable"])
            settled += skipped if row["system"] in pairings else not_asked
            settled += _nothing_in_it(row) if row["system"] in controls else 0
            yield row, 1 - settled / row["expected"]


def _nothing_in_it(row: Mapping[str, Any]) -> int:
    """How many answers are there, and hold no text or picture that the metric could look at.

    Scores of answers that failed are an `error` as well, and are not among them.
    """
    reason = str(row["reason"] or "")
    if not reason.startswith(_OF_PREDICTION) or reason.startswith(_UNDECODED):
        return 0
    failed = sum(int(row[f"prediction_{word}"]) for word in PREDICTION_STATUSES if word not in FINE)
    return max(0, int(row["status_error"]) - failed)
