"""A night: lease, run, gate against the last good night, publish, tell, tidy up."""

import zoneinfo
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

from medgen.conf import RunConf
from medgen.engine.errors import ConfigError, MedgenError, StoreError
from medgen.engine.results.comparison import Side
from medgen.engine.results.gate import GateVerdict, gate
from medgen.engine.run.events import Event
from medgen.engine.run.folder import RunFolder, now, run_ids
from medgen.engine.run.reader import RunReader
from medgen.engine.store.connect import connect
from medgen.engine.store.lease import Lease, LeaseHeld
from medgen.engine.store.objects import Objects
from medgen.launch import exits
from medgen.launch.exits import code_of
from medgen.launch.housekeeping.garbage import Removal, free_stages, heard_of, remove
from medgen.launch.nightly.history import History, Night, NightOutcome, named_runs
from medgen.launch.nightly.webhook import notify
from medgen.launch.report.verdicts import gate_markdown
from medgen.launch.rules import rules_of
from medgen.launch.run.evaluation import RunOptions, RunResult, evaluate
from medgen.launch.run.publish import publish
from medgen.launch.run.stop import Stop

_ORDER: tuple[NightOutcome, ...] = (
    "regression",
    "inconclusive",
    "first",
    "pass",
)  # the worst is said
_CODES: dict[NightOutcome, int] = {
    "regression": exits.REGRESSION,
    "inconclusive": exits.INCONCLUSIVE,
    "first": exits.OK,
    "pass": exits.OK,
}


@dataclass(frozen=True, slots=True)
class NightlyRun:
    """What a night is started with."""

    conf: RunConf  # as the user wrote it
    day: str  # ISO 8601
    tell: Callable[[Event], None]
    quiet: bool
    retry_errors: bool  # of an earlier try of the same night
    say: Callable[[str], None] = lambda line: None  # of what takes a while before it begins


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gates say of one night's systems, together."""

    outcome: NightOutcome
    verdicts: dict[str, str]
    reasons: tuple[str, ...]
    pages: tuple[str, ...] = ()


def today(conf: RunConf) -> str:
    """The date in the configured time zone.

    Raises:
        ConfigError: there is no such zone.
    """
    try:
        zone = zoneinfo.ZoneInfo(conf.nightly.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as err:
        raise ConfigError(f"nightly.time_zone {conf.nightly.time_zone!r} is unknown") from err
    return datetime.now(zone).date().isoformat()


def tonight(conf: RunConf, day: str) -> RunConf:
    """The night's run: its id is the date and a hash of the rest, so a retry resumes it.

    Raises:
        ConfigError: the date is none, or there is no system to gate.
    """
    try:
        compact = date.fromisoformat(day).strftime("%Y%m%d")
    except ValueError as err:
        raise ConfigError(f"{day!r} is no date such as 2026-01-31") from err
    if unknown := set(conf.nightly.systems) - set(conf.system):
        raise ConfigError(f"nightly.systems: no system {', '.join(sorted(unknown))}")
    if not _gated_systems(conf):
        raise ConfigError("nightly: nothing to gate; name a control in nightly.systems, or add one")
    nonce = day if conf.nightly.fresh else conf.nonce
    return replace(conf, name=f"{conf.name}-{compact}", nonce=nonce)


def run_night(nightly: NightlyRun, stop: Stop) -> Night:
    """Carry a night out and leave its record, whatever becomes of it.

    Raises:
        LeaseHeld: the night before is still running; said in the history and to the webhook.
        MedgenError: the run could not be carried out; recorded as well.
    """
    conf = tonight(nightly.conf, nightly.day)
    objects = connect(conf.store)
    _refuse_baseline(conf, objects)
    history = History(objects, nightly.conf.name, conf.nightly.every_days)
    lease = Lease(objects, history.place.lease, conf.nightly.lease_s)
    night = Night(
        nightly.conf.name,
        nightly.day,
        "error",
        exits.INTERNAL,
        missed=history.missed_dates(nightly.day),
        started=now(),
    )
    try:
        # Started again after its machine died, a night finds its own lease: it is waited out.
        with lease.hold(stop.ask, nightly.say):
            return _run_held(nightly, conf, history, night, stop)
    except LeaseHeld as err:
        _keep_out(history, replace(night, reasons=(str(err),)), conf.nightly.webhook_env)
        raise
    except BaseException as err:
        code = code_of(err) or exits.INTERNAL
        failed = replace(night, exit_code=code, reasons=(str(err) or type(err).__name__,))
        with suppress(StoreError):  # the error itself matters more than its record
            history.save(failed)
        notify(failed, conf.nightly.webhook_env)
        raise


def _keep_out(history: History, night: Night, variable: str) -> None:
    night = replace(night, outcome="kept out", exit_code=exits.PREFLIGHT)
    if all(n.date != night.date for n in history.nights()):  # else it is a second start of it
        history.save(night)
    notify(night, variable)


def _run_held(
    nightly: NightlyRun, conf: RunConf, history: History, night: Night, stop: Stop
) -> Night:
    computed = 0

    def tell(event: Event) -> None:
        nonlocal computed
        computed += event.receipt is not None and event.receipt.part is None
        nightly.tell(event)

    options = RunOptions(retry_errors=nightly.retry_errors, quiet=nightly.quiet)
    result = evaluate(conf, options, stop, tell)
    code = publish(result, conf, stop, shown=not nightly.quiet)
    seconds = round(result.seconds, 3)
    night = replace(night, run_id=result.plan.run_id, seconds=seconds, computed=computed)
    night, judged = _conclude(night, code, result, conf, history)
    told = _earlier_notice(night, history)
    history.save(night, "\n".join(judged.pages))
    night = replace(night, retention=tidy(history, conf))
    return history.note(night, told or notify(night, conf.nightly.webhook_env))


def _earlier_notice(night: Night, history: History) -> str:
    """What came of telling of this very night: whoever starts a failed job again hears it once."""
    same = [n for n in history.nights() if n.date == night.date and n.run_id == night.run_id]
    if (
        same
        and not night.computed
        and (same[0].outcome, same[0].reasons) == (night.outcome, night.reasons)
    ):
        return same[0].notified if same[0].notified.startswith("told") else ""
    return ""


def _conclude(
    night: Night, code: int, result: RunResult, conf: RunConf, history: History
) -> tuple[Night, Judged]:
    """The night with its outcome: a regression is said before gaps, gaps before doubts."""
    if code > 128:
        stopped = replace(
            night, outcome="stopped", exit_code=code, reasons=("the run was stopped",)
        )
        return stopped, Judged("inconclusive", {}, ())
    baseline = _baseline(conf, history, night)
    judged = _judge(result.reader, baseline, conf)
    moved = "; ".join(f"{group}: {d.words}" for group, d in result.drifts.items() if d.moved)
    outcome, reasons = judged.outcome, judged.reasons
    if outcome == "pass" and moved:
        # Scores of a judge that moved say nothing of the systems, for better or for worse.
        outcome, reasons = "inconclusive", (moved, *reasons)
    final = _CODES[outcome]
    if code == exits.INCOMPLETE and outcome != "regression":
        gaps = [f"{_who(result, g)} was given up: {why}" for g, why in result.ending.failed.items()]
        missing = "rows are missing or not ok beyond the allowed share"
        outcome, final, reasons = "partial", code, (missing, *gaps, *reasons)
    concluded = replace(
        night,
        outcome=outcome,
        exit_code=final,
        reasons=reasons,
        verdicts=judged.verdicts,
        judge=moved,
        baseline=baseline.plan.run_id if baseline else "",
    )
    return concluded, judged


def _who(result: RunResult, group: str) -> str:
    nodes = [n for n in result.plan.nodes.values() if n.group == group]
    return f"{nodes[0].stage} of {', '.join(sorted({s for n in nodes for s in n.systems}))}"


def _refuse_baseline(conf: RunConf, objects: Objects) -> None:
    """Before the night, not after it.

    Raises:
        ConfigError: the run that `nightly.baseline` names is not there, or has no summary.
    """
    run = conf.nightly.baseline
    if run and run not in run_ids(objects):
        known = ", ".join(run_ids(objects)[-5:]) or "none"
        raise ConfigError(f"nightly.baseline: no run {run!r} in {objects.url}; there are {known}")


def _baseline(conf: RunConf, history: History, night: Night) -> RunReader | None:
    """The run to compare with; None when there was no good night before."""
    run = conf.nightly.baseline
    if not run:
        good = history.last_good(night.date)
        run = good.run_id if good else ""
    if not run:
        return None
    return RunReader(history.objects, RunFolder(history.objects, run).plan())


def _gated_systems(conf: RunConf) -> list[str]:
    plain = [s.name for s in conf.system.values() if not (s.control or s.checkpoints)]
    return conf.nightly.systems or plain


def _judge(reader: RunReader, baseline: RunReader | None, conf: RunConf) -> Judged:
    """Every gated system against itself in the baseline."""
    if baseline is None:
        return Judged("first", {}, ("no good night before: nothing to compare with",))
    before = {s.name for s in baseline.plan.systems}
    found: dict[str, GateVerdict | str] = {}
    for system in _gated_systems(conf):
        if system not in before:
            found[system] = "new"
            continue
        try:
            rules = rules_of(conf.nightly.gate)
            found[system] = gate(Side(baseline, system), Side(reader, system), rules)
        except ConfigError as err:  # nothing in common with the baseline, or not made alike
            found[system] = f"inconclusive: {err}"
    return _together(found)


def _together(found: dict[str, GateVerdict | str]) -> Judged:
    said = {s: v if isinstance(v, str) else v.word for s, v in found.items()}
    seen = {"first" if w == "new" else w.partition(":")[0] for w in said.values()}
    outcome = next(w for w in _ORDER if w in seen)
    reasons = [f"{s}: {v}" for s, v in found.items() if isinstance(v, str)]
    for system, verdict in found.items():
        if isinstance(verdict, GateVerdict):
            reasons += [f"{system}: {reason}" for reason in verdict.reasons]
    pages = [gate_markdown(v) for v in found.values() if isinstance(v, GateVerdict)]
    return Judged(
        outcome, {s: w.partition(":")[0] for s, w in said.items()}, tuple(reasons), tuple(pages)
    )


def tidy(history: History, conf: RunConf, apply: bool = False) -> str:
    """Remove old nights, or only say what would go, in words."""
    rule = conf.nightly.retention
    objects: Objects = history.objects
    also = [conf.nightly.baseline] if conf.nightly.baseline else []
    try:
        also += named_runs(objects, but=history.name)  # nights of another name may be held to them
        removal = removable(objects, history.nights(), rule.keep, also)
        if not (apply or rule.apply):
            return f"would remove {removal.words}" if removal.runs else ""
        return f"removed {remove(objects, removal).words}" if removal.runs else ""
    except MedgenError as err:  # results are safe; tidying can wait for somebody to look
        return str(err)


def removable(
    objects: Objects, nights: Sequence[Night], keep: int, also: Sequence[str] = ()
) -> Removal:
    """What may go: the runs of all nights but the last `keep`, and what only they refer to.

    The last good night stays however old it is, a run that has not ended stays, and so do those
    named in `also`. A stage that any other run in the store refers to stays.

    Raises:
        StoreError: some other run has no plan, so nobody knows what it needs.
        CorruptError: or one that cannot be read.
    """
    there = set(run_ids(objects))
    by_date = [n for n in sorted(nights, key=lambda n: n.date) if n.run_id]
    good = [n.run_id for n in by_date if n.good]
    stay = {n.run_id for n in by_date[-keep:]} if keep else set()
    stay |= {*good[-1:], *also}
    gone = {n.run_id for n in by_date if n.run_id in there and n.run_id not in stay}
    gone = {run for run in gone if _has_ended(objects, run)}
    freed = free_stages(objects, sorted(gone), orphans=False)
    heard = heard_of(objects, gone)
    return Removal(tuple(sorted(gone)), tuple(sorted(freed)), heard=heard)


def _has_ended(objects: Objects, run: str) -> bool:
    status = RunFolder(objects, run).status()
    return status is not None and status.status != "started"
