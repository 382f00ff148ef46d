"""`medgen submit`, `logs`, `cancel` and `attach`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from medgen.launch.commands.completing import complete_run
from medgen.launch.commands.options import (
    as_json,
    config_options,
    configuration,
    emit,
    say,
    store_option,
)
from medgen.launch.hints import store_words

if TYPE_CHECKING:
    from medgen.engine.run.folder import RunFolder
    from medgen.launch.cluster.follow import Follower, Tell
    from medgen.launch.cluster.jobs import Cluster

_KINDS = ["kuberay", "ray", "slurm", "docker-cpu", "docker-gpu"]


def _address_option(command: Any) -> Any:
    return click.option(
        "--address", help="URL of the job API; else RAY_API_SERVER_ADDRESS, or a port-forward."
    )(command)


def _say(as_json: bool) -> "Tell":
    def tell(line: str) -> None:
        if as_json:
            emit("log", line=line)
        else:
            say(line)

    return tell


@click.command("submit")
@config_options
@_address_option
@click.option("--wait", is_flag=True, help="Stream the log and end with the run's exit code.")
@click.option("--retry-errors", is_flag=True, help="Repeat the rows that are not ok.")
@click.option("--render", type=click.Choice(_KINDS), help="Write a cluster's manifests instead.")
@click.option("--site", type=click.Path(dir_okay=False), help="With --render: its description.")
@click.option("--to", type=click.Path(file_okay=False), default=".", help="With --render: where.")
@click.option("--image-digest", multiple=True, help="With --render: cpu=sha256:…, gpu=sha256:…")
@click.option("--pinned", is_flag=True, help="With --render: refuse images named by tags alone.")
@as_json
def submit_command(config: str | None, store: str | None, **given: Any) -> int:
    """Give a run to a Ray cluster as a job; the same plan is the same run.

    A plan that was submitted before is attached to; one that stopped goes on. With --render it
    writes the manifests of a cluster, and OVERRIDES are settings of the site.
    """
    if given["render"]:
        return _render(given)
    from medgen.launch.cluster.follow import Follower
    from medgen.launch.cluster.submit import submit

    # Wherever the file would run it, a job runs on the cluster that it is a job of.
    conf = configuration(config, store, ("cluster=ray", *given["overrides"]))
    conf.submit.address = _named_address(given["address"], conf.submit.address)
    done = submit(conf, given["retry_errors"])
    run = done.plan.run_id
    if given["as_json"]:
        emit("submitted", run=run, job=done.job, started=done.started, store=done.objects.url)
    else:
        word = "submitted" if done.started else "attached to" if done.job else "over already:"
        say(f"{word} {run}: medgen attach {run} --store {quote(done.objects.url)}", err=True)
    from medgen.engine.run.folder import RunFolder

    folder = RunFolder(done.objects, run)
    if not given["wait"]:
        return 0
    follower = Follower(folder, _say(given["as_json"]), done.cluster, done.job)
    return _to_the_end(follower, given["as_json"])


def _named_address(given: str | None, configured: str) -> str:
    """The command line's, else the file's; the environment only speaks where neither does."""
    source = click.get_current_context().get_parameter_source("address")
    if source == click.core.ParameterSource.ENVIRONMENT:
        return configured or given or ""
    return given or configured


def _render(given: dict[str, Any]) -> int:
    from medgen.launch.cluster.render import render
    from medgen.launch.cluster.sites import read_site
    from medgen.launch.writing import write_asked

    path = given["site"] or ("site.yaml" if Path("site.yaml").is_file() else None)
    folder = Path(given["to"])
    more = [f"digests.{said}" for said in given["image_digest"]]
    site = read_site(
        path, (*given["overrides"], *more, *(["pinned=true"] if given["pinned"] else []))
    )
    rendered = render(given["render"], site)
    for name, text in rendered.items():
        say(str(write_asked(folder / name, text)))
    return 0


def _to_the_end(follower: "Follower", as_json: bool) -> int:
    """Follow, then show the table and end with the run's exit code."""
    folder = follower.folder
    try:
        code = follower.follow()
    except KeyboardInterrupt:
        more = store_words(folder.objects.url)
        say(f"the run goes on: medgen attach {folder.run_id}{more}", err=True)
        return 130
    if as_json:
        emit("done", run=folder.run_id, exit_code=code)
    else:
        _show_tables(folder)
        say(f"run {folder.run_id}: exit code {code}", err=True)
    return code


def _show_tables(folder: "RunFolder") -> None:
    from rich.console import Console

    from medgen.engine.results.summary import read_summary
    from medgen.launch.report.tables import terminal_tables

    try:
        summary = read_summary(folder.objects.read(folder.place.summary), folder.place.summary)
    except FileNotFoundError:
        return
    for table in terminal_tables(summary, Console().width):
        Console().print(table)


@dataclass(frozen=True, slots=True)
class _Known:
    """A run, and what the job API says of its last job; empty when it is away or knows none."""

    folder: "RunFolder"
    cluster: "Cluster | None"
    job: str
    state: str


def _find(store: str, run: str | None, address: str | None) -> _Known:
    """A run and its last job; the store is enough."""
    from medgen.engine.run.folder import RunFolder, find_run
    from medgen.engine.store.connect import connect
    from medgen.launch.cluster import jobs

    objects = connect(store)
    folder = RunFolder(objects, find_run(objects, run))
    try:
        cluster = jobs.Cluster(jobs.address(address))
        known = cluster.jobs(jobs.job_name(folder.run_id, objects.url), _driver(folder))
    except jobs.NoDashboard as err:
        say(f"from the store alone: {err}", err=True)
        return _Known(folder, None, "", "")
    job = list(known)[-1] if known else ""
    return _Known(folder, cluster, job, known.get(job, ""))


def _driver(folder: "RunFolder") -> str:
    """The job that the run itself says drives it, which may be one of `ray job submit`."""
    status = folder.status()
    return status.job if status else ""


@click.command("attach")
@click.argument("run", required=False, shell_complete=complete_run)
@store_option
@_address_option
@as_json
def attach_command(run: str | None, store: str, address: str | None, as_json: bool) -> int:
    """Follow a run to its end, show its table, and end with its exit code.

    RUN is its id or the beginning of it; by default the last one.
    """
    from medgen.launch.cluster.follow import Follower

    known = _find(store, run, address)
    cluster = known.cluster if known.job else None
    return _to_the_end(Follower(known.folder, _say(as_json), cluster, known.job), as_json)


@click.command("logs")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--follow", is_flag=True, help="Until the run ends; then with its exit code.")
@click.option("--driver", is_flag=True, help="What the driver wrote, from the job API.")
@click.option("--errors", is_flag=True, help="Each distinct error once, with its traceback.")
@store_option
@_address_option
def logs_command(
    run: str | None, follow: bool, driver: bool, errors: bool, store: str, address: str | None
) -> int:
    """Show what happened in a run, from the store alone.

    RUN is its id or the beginning of it; by default the last one.
    """
    from medgen.engine.run.folder import RunFolder, find_run
    from medgen.engine.store.connect import connect
    from medgen.launch.cluster.follow import Follower, StoredLog

    if errors and (follow or driver):
        raise click.UsageError("--errors goes with neither --follow nor --driver")
    objects = connect(store)
    folder = RunFolder(objects, find_run(objects, run))
    if errors:
        return _show_errors(folder)
    if driver:
        return _driver_log(folder, address)
    if follow:
        return Follower(folder, say).follow()
    for line in StoredLog(folder).news():
        say(line)
    return 0


def _show_errors(folder: "RunFolder") -> int:
    from medgen.launch.cluster.errors import distinct_errors, error_lines

    found = distinct_errors(folder.events())
    for line in error_lines(found, folder.plan(), shutil.get_terminal_size().columns):
        say(line)
    if not found:
        say("no unit failed; a row that is not ok holds its reason", err=True)
    return 0


def _driver_log(folder: "RunFolder", address: str | None) -> int:
    from medgen.engine.errors import StoreError
    from medgen.launch.cluster import jobs

    cluster = jobs.Cluster(jobs.address(address))
    name = jobs.job_name(folder.run_id, folder.objects.url)
    known = list(cluster.jobs(name, _driver(folder)))
    if not known:
        raise StoreError(f"{cluster.url} knows no job of run {folder.run_id}")
    say(cluster.log(known[-1]), nl=False)
    return 0


@click.command("cancel")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--now", is_flag=True, help="Have Ray end the driver, too; it cannot drain then.")
@store_option
@_address_option
@as_json
def cancel_command(
    run: str | None, now: bool, store: str, address: str | None, as_json: bool
) -> int:
    """Ask a run to stop, through the store: running shards finish, everything committed stays.

    RUN is its id or the beginning of it; by default the last one.
    """
    from medgen.launch.cluster.jobs import TERMINAL

    known = _find(store, run, address)
    status = known.folder.status()
    over = (
        status is not None
        and known.job in ("", status.job)
        and (
            status.exit_code is not None
            or known.state in TERMINAL  # a driver that was killed says nothing
        )
    )
    if not over:
        known.folder.ask_to_stop("medgen cancel")
        if known.cluster and known.job and (now or known.state == "PENDING"):
            known.cluster.stop(known.job)
    words = "is over already" if over else "is asked to stop; it drains within its grace time"
    if as_json:
        emit("cancel", run=known.folder.run_id, job=known.job, over=over)
    else:
        say(f"run {known.folder.run_id} {words}", err=True)
    return 0
