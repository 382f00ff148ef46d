"""`medgen run`, `plan`, `score` and `judge`."""

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from medgen.launch.commands.options import (
    as_json,
    config_options,
    configuration,
    emit,
    ours_alone,
    say,
)
from medgen.launch.hints import store_words

if TYPE_CHECKING:
    from medgen.conf import RunConf
    from medgen.engine.plan.plan import Plan
    from medgen.engine.run.events import Event
    from medgen.engine.run.reader import RunReader
    from medgen.engine.run.survey import Todo
    from medgen.launch.run.evaluation import RunOptions, RunResult

Overrides = tuple[str, ...]


_NOTHING_ASKED = """what is to be run? Name a configuration:
    medgen run --config demo        the example, some minutes on two cores
    medgen run --config FILE        one of your own; `medgen list runs` names what is stored"""


def _again(command: Any) -> Any:
    for option, words in (
        ("--accept-changed", "Keep the rows of a model or metric that is another by now."),
        ("--retry-errors", "Repeat the rows that are not ok, and only those."),
    ):
        command = click.option(option, is_flag=True, help=words)(command)
    return command


@click.command("run")
@config_options
@_again
@as_json
@click.option("--repair", is_flag=True, help="Prove every object first; replace damaged ones.")
@click.option("--chaos", help="Rehearse faults: seed=1,worker_kill=0.2,store_errors=0.1 …")
@click.option("--protected", is_flag=True, help="No sample's words in logs; no unlisted endpoint.")
@click.option("--allow-endpoint", multiple=True, help="A host that --protected lets models reach.")
def run_command(
    config: str | None,
    store: str | None,
    overrides: Overrides,
    retry_errors: bool,
    accept_changed: bool,
    as_json: bool,
    repair: bool,
    chaos: str | None,
    protected: bool,
    allow_endpoint: tuple[str, ...],
) -> int:
    """Predict, score, judge and report; starts where the last run stopped.

    OVERRIDES are dotted settings: `systems=[oracle,blank] protocol=table-iv cluster.num_cpus=8`.
    """
    from medgen.conf.reading import ConfError
    from medgen.engine.store.chaos import parse_chaos
    from medgen.launch.run.evaluation import RunOptions
    from medgen.launch.run.protect import protect, words_withheld

    if config is None and not overrides:
        raise ConfError(_NOTHING_ASKED)
    conf = configuration(config, store, overrides)
    if protected:
        protect(conf, allow_endpoint)
    faults = parse_chaos(chaos) if chaos else None
    options = RunOptions(
        retry_errors=retry_errors,
        quiet=as_json,
        repair=repair,
        chaos=faults,
        discreet=protected,
        accept_changed=accept_changed,
    )
    with words_withheld() if protected else nullcontext():
        return carry_out(conf, options)


def _of_stage(stage: str, words: str) -> click.Command:
    """The command that does one stage over what exists."""

    @click.command(stage, help=words)
    @config_options
    @_again
    @as_json
    def command(
        config: str | None, store: str | None, overrides: Overrides, as_json: bool, **again: Any
    ) -> int:
        from medgen.launch.run.evaluation import RunOptions

        options = RunOptions((stage,), quiet=as_json, **again)
        return carry_out(configuration(config, store, overrides), options)

    return command


score_command = _of_stage("score", "Score the predictions that exist; no model is run.")
judge_command = _of_stage(
    "judge", "Judge the predictions that exist; no model but the judge is run."
)


def carry_out(conf: "RunConf", options: "RunOptions") -> int:
    """Carry a run out, publish it, and give the exit code."""
    from medgen.launch.run.evaluation import evaluate
    from medgen.launch.run.progress import line, words_of_change
    from medgen.launch.run.publish import publish
    from medgen.launch.run.stop import Stop

    as_json = options.quiet
    stop = Stop()
    if as_json:
        emit("launch", store=conf.store, systems=list(conf.system), stages=list(options.stages))

    def tell(event: "Event") -> None:
        if as_json:
            body = line(event)
            emit(body.pop("event"), **body)
        elif event.kind in ("quarantined", "chaos", "predictions", "warning", "taken_over"):
            say(f"{event.kind}: {': '.join(event.details.values())}", err=True)
        elif event.kind == "identity":
            say(words_of_change(event.details), err=True)

    with ours_alone():
        result = evaluate(conf, options, stop, tell)
    code = publish(result, conf, stop, shown=not as_json)
    _say_given_up(result, conf.store)
    for group, drift in result.drifts.items():
        say(f"{group}: {drift.words}", err=True)
    if as_json:
        emit(
            "done", run=result.plan.run_id, exit_code=code, complete=result.complete,
            seconds=round(result.seconds, 3), work_seconds=round(result.work_seconds, 3),
            failed=dict(result.ending.failed),
        )  # fmt: skip
    else:
        say(f"run {result.plan.run_id} in {conf.store}: exit code {code}", err=True)
    return code


def _say_taken_over(reader: "RunReader") -> None:
    from medgen.engine.run.adopting import take_over

    for model, rows in take_over(reader, write=False).items():
        words = f"{model}: {rows} rows stand under other shards; a run takes them over"
        say(words, err=True)


def _say_changes(plan: "Plan", todo: "Todo") -> None:
    from medgen.launch.run.progress import words_of_change

    for key, words in todo.changed.items():
        told = {"label": plan.nodes[key].label, "changes": words}
        say(words_of_change(told), err=True)


def _say_given_up(result: "RunResult", store: str) -> None:
    from medgen.launch.run.plan import given_up_lines

    for line in given_up_lines(result.plan, result.ending.failed):
        say(line, err=True)
    if result.ending.failed:
        shown = f"medgen logs {result.plan.run_id} --errors{store_words(store)}"
        say(f"what was raised, with tracebacks: {shown}", err=True)


def _refuse_unknown(conf: "RunConf") -> None:
    """Refuse classes that are not here, where no other machine could have them."""
    from medgen.launch.compose import recipe
    from medgen.launch.own_code import refuse_unknown

    if conf.cluster.pool == "local" or conf.cluster.address is None:
        refuse_unknown(recipe(conf))


@click.command("plan")
@config_options
@as_json
@click.option("--mermaid", is_flag=True, help="The stage graph as Mermaid text.")
@click.option(
    "--tree/--no-tree", default=True, help="The graph and a row a stage below the totals."
)
def plan_command(
    config: str | None,
    store: str | None,
    overrides: Overrides,
    as_json: bool,
    mermaid: bool,
    tree: bool,
) -> int:
    """Show stages, shards done and to do, resources and estimates; refuse what cannot fit."""
    from medgen.engine.codec import plain
    from medgen.engine.plan import graph
    from medgen.engine.run.reader import RunReader
    from medgen.engine.run.survey import survey
    from medgen.engine.store.connect import connect
    from medgen.launch.compose import plan_of
    from medgen.launch.run.plan import check_cluster, foretell, plan_totals, show_tree

    conf = configuration(config, store, overrides)
    _refuse_unknown(conf)
    objects = connect(conf.store)
    plan = plan_of(conf, objects)
    reader = RunReader(objects, plan)
    todo = survey(reader)
    _say_taken_over(reader)
    if as_json:
        left = {key: len(targets) for key, targets in todo.targets.items()}
        emit("plan", plan=plain(plan), shards_to_do=left)
    elif mermaid:
        sys.stdout.write(graph.mermaid(plan) + "\n")
    else:
        for line in [*plan_totals(plan, todo), foretell(objects, conf.cluster, plan, todo)]:
            say(line)
        if tree:
            show_tree(objects, plan, todo)
    _say_changes(plan, todo)
    _warn(conf, plan, todo)
    check_cluster(plan, conf.cluster)
    return 0


def _warn(conf: "RunConf", plan: "Plan", todo: "Todo") -> None:
    """Say what a run of this plan would be told, or would have to be allowed."""
    from medgen.launch.run.offered import check_offered, narrow_models, strange_arguments
    from medgen.launch.run.pinned import loose_models

    said = check_offered(conf, plan, todo) + narrow_models(conf, plan, todo)
    said += strange_arguments(plan, todo)
    said += [f"{model}: runs with --allow-unpinned only" for model in loose_models(plan, todo)]
    for warning in said:
        say(f"warning: {warning}", err=True)
