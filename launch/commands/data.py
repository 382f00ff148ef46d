"""`medgen import`, `validate`, `build` and `list`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medgen.launch.commands.options import as_json, emit, say, store_option

if TYPE_CHECKING:
    from medgen.conf.schema import BenchmarkConf
    from medgen.engine.benchmark.manifest import Manifest
    from medgen.engine.store.objects import Objects

_KINDS = (
    *("runs", "benchmarks", "systems", "judges", "protocols", "metrics", "tasks", "configs"),
    "clusters",
)


def _conf(source: str, name: str | None, layout: str | None, place: str) -> "BenchmarkConf":
    """A source is a preset's name or file, or the URL of one of the layouts."""
    from medgen.conf.loading import benchmark_conf, benchmark_file
    from medgen.conf.schema import BenchmarkConf

    conf = benchmark_file(source) if source.endswith((".yaml", ".yml")) else benchmark_conf(source)
    if conf:
        conf.source = place or conf.source
        _check_protocol(conf.protocol, source)
        return conf
    stem = source.rstrip("/").rpartition("/")[2] or "benchmark"
    return BenchmarkConf(name=name or stem, source=source, layout=layout)


def _check_protocol(name: str, source: str) -> None:
    """Refuse a preset whose protocol nobody has, before anything of it is read."""
    from medgen.conf.loading import group_names
    from medgen.conf.reading import ConfError
    from medgen.engine.names import hint

    known = group_names("protocol", Path(source).parent)
    if name and name not in known and not name.endswith((".yaml", ".yml")):
        raise ConfError(f"{source}: no protocol {name!r}. {hint(name, known)}")


_number_repeats = click.option(
    "--number-repeats",
    is_flag=True,
    help="Give a repeated id a number (-2, -3 …) instead of refusing it.",
)


@click.command("import")
@click.argument("source")
@click.option("--name", help="Name in the store; by default the last part of the URL.")
@click.option("--layout", help="The layout's name, where it cannot be told.")
@click.option("--shard-size", type=click.IntRange(1, 4096), help="Samples in a shard (64).")
@click.option("--seed", type=int, help="Seed of the stratified shard order (0).")
@click.option("--expect", type=int, help="Refuse the source unless it has so many samples.")
@click.option("--from", "place", default="", help="Where a preset's data lies: folder or URL.")
@click.option("--image", default="", help="Of your own table: the column of the picture.")
@click.option("--question", default="", help="… of the question.")
@click.option("--answer", default="", help="… of the answer.")
@click.option("--choices", default="", help="… of the options, with commas between: A,B,C,D.")
@click.option("--reference", default="", help="… of the picture that an edit should give.")
@click.option("--only-preset", is_flag=True, help="Write and show the preset; import nothing.")
@_number_repeats
@store_option
@as_json
def import_command(
    source: str,
    name: str | None,
    layout: str | None,
    shard_size: int | None,
    seed: int | None,
    expect: int | None,
    place: str,
    image: str,
    question: str,
    answer: str,
    choices: str,
    reference: str,
    only_preset: bool,
    number_repeats: bool,
    store: str,
    as_json: bool,
) -> int:
    """Read a benchmark into the store, whole or not at all.

    SOURCE is the URL of one of the layouts (a directory, s3:// …), a preset (`mini`, `vqa-rad`, or
    a YAML file of yours), or a table of your own (CSV, JSON, Parquet …, or the folder that holds
    it, or one of pairs with input/, output/ and prompt.txt). For a table a preset is guessed,
    shown with the first samples, and written beside it.
    """
    from dataclasses import replace

    from medgen.engine.benchmark.importing import import_benchmark
    from medgen.engine.store.connect import connect
    from medgen.launch.commands.own import own_conf
    from medgen.launch.compose import import_options, source_of

    own = own_conf(source, layout, (image, question, answer, choices, reference), as_json)
    if own and only_preset:
        return 0
    conf = own or _conf(source, name, layout, place)
    if name:
        conf.name = name
    options = import_options(conf)
    given = {"shard_size": shard_size, "seed": seed, "expected_count": expect}
    given["number_repeats"] = number_repeats or None
    options = replace(options, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    objects = connect(store)
    manifest = import_benchmark(source_of(conf), objects, options)
    _show_import(objects, manifest, as_json)
    return 0


def _show_import(objects: "Objects", manifest: "Manifest", as_json: bool) -> None:
    from medgen.engine.benchmark.laying import grown
    from medgen.engine.benchmark.manifest import Benchmark

    if as_json:
        emit("imported", benchmark=manifest.ref, samples=manifest.samples, tasks=manifest.tasks)
        return
    say(f"{manifest.ref}: {manifest.samples} samples in {len(manifest.shards)} shards")
    if manifest.grown_from:
        before = Benchmark(objects, manifest.grown_from).manifest
        say(f"grew from {before.ref}: {grown(before, manifest)}")
    for title, counts in (("formats", manifest.formats), ("tasks", manifest.tasks)):
        say(f"{title}: " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
    say("modalities: " + ", ".join(f"{k} {n}" for k, n in manifest.modalities.items()))
    for note in manifest.notes:
        say(f"note: {note}")


@click.command("validate")
@click.argument("source")
@click.option("--layout", help="The layout's name, where it cannot be told.")
@click.option("--expect", type=int, help="Samples that there should be.")
@_number_repeats
@click.option(
    "--predictions",
    multiple=True,
    help="A predictions file to hold against the benchmark; may be given for each format.",
)
@click.option("--images", default="", help="The folder of the predictions' images.")
@click.option("--from", "place", default="", help="Where a preset's data lies: folder or URL.")
@as_json
def validate_command(
    source: str,
    layout: str | None,
    place: str,
    expect: int | None,
    number_repeats: bool,
    predictions: tuple[str, ...],
    images: str,
    as_json: bool,
) -> int:
    """List every problem of a benchmark: file, line or row, sample, what is wrong.

    With --predictions also those of predictions: failed and unreadable ones, and those whose id
    the benchmark does not have. Samples without a prediction are counted and named.
    """
    from dataclasses import asdict, replace

    from medgen.adapters.controls.replay import Replay
    from medgen.engine.benchmark.faithful import description_of
    from medgen.engine.benchmark.importing import examine
    from medgen.engine.benchmark.source import Problem
    from medgen.launch import exits
    from medgen.launch.compose import import_options, source_of
    from medgen.launch.run.replayed import examine_predictions, name_some

    conf = _conf(source, None, layout, place)
    options = import_options(conf)
    expected = expect or conf.expected_count
    repeats = number_repeats or options.number_repeats
    options = replace(options, expected_count=expected, number_repeats=repeats)
    read = source_of(conf)
    found, missing, count = examine(read, options), list[str](), 0
    if predictions:
        found = examine_predictions(found, Replay(predictions, images), missing)
    for problem in found:
        if isinstance(problem, Problem):
            count += 1
            emit("problem", **asdict(problem)) if as_json else say(str(problem))
    if missing:
        said = f"{len(missing)} samples have no prediction: {name_some(missing, len(missing))}"
        emit("missing", samples=missing) if as_json else say(said, err=True)
    if conf.reader and not as_json:
        _show_first(conf)
    for note in description_of(read).get("notes", ()):
        emit("note", what=note) if as_json else say(f"note: {note}", err=True)
    if as_json:
        emit("validated", source=source, problems=count)
    say(f"{source}: {count or 'no'} problem(s)", err=True)
    return exits.USAGE if count else exits.OK


def _show_first(conf: "BenchmarkConf") -> None:
    """What a preset makes of the first rows: a mapping that fits may still be the wrong one."""
    from medgen.launch.own_data import first_samples, words_of

    samples, _ = first_samples(conf)
    for sample in samples:
        for line in words_of(sample):
            say(line)


@click.command("build")
@click.argument("what", type=click.Choice(["mini", "layouts", "weights"]))
@click.option("--to", type=click.Path(file_okay=False), help="Directory, for layouts and weights.")
@store_option
def build_command(what: str, to: str | None, store: str) -> int:
    """Make the miniature benchmark, its three outside layouts, or tiny random weights.

    `mini` puts it into the store; `layouts` writes it to a directory in the layouts that
    `medgen import` reads; `weights` makes the seeded weights that tests and the demo use.
    """
    if what == "mini":
        from medgen.conf.loading import benchmark_conf
        from medgen.engine.benchmark.importing import import_benchmark
        from medgen.engine.store.connect import connect
        from medgen.launch.compose import import_options, source_of

        conf = benchmark_conf("mini")
        assert conf is not None, "the miniature benchmark is part of the package"
        manifest = import_benchmark(source_of(conf), connect(store), import_options(conf))
        say(f"{manifest.ref}: {manifest.samples} samples")
    elif what == "layouts":
        from medgen.adapters.mini.build import build_mini
        from medgen.adapters.mini.layouts import write_layouts
        from medgen.engine.data import Sample

        samples = [item for item in build_mini() if isinstance(item, Sample)]
        for layout, path in write_layouts(Path(to or "var/mini"), samples).items():
            say(f"{layout}: {path}")
    else:
        from medgen.launch.setup.tiny import make_all

        for path in make_all(Path(to or "var/weights")):
            say(str(path))
    return 0


@click.command("list")
@click.argument("kind", type=click.Choice(_KINDS))
@click.option("--known", is_flag=True, help="Benchmarks that presets know, imported or not.")
@store_option
@as_json
def list_command(kind: str, known: bool, store: str, as_json: bool) -> int:
    """List what there is of a kind."""
    if known:
        return _list_known(as_json)
    for name, words in _listing(kind, store):
        if as_json:
            emit("item", kind=kind, name=name, about=words)
        else:
            sys.stdout.write(f"{name:<32} {words}".rstrip() + "\n")
    return 0


def _list_known(as_json: bool) -> int:
    from medgen.launch.presets import known_benchmarks

    for entry in known_benchmarks():
        if as_json:
            emit("item", kind="benchmark", **entry)
            continue
        shown = (entry[key] for key in ("family", "count", "licence", "access", "confidence"))
        sys.stdout.write(f"{entry['name']:<26} {' | '.join(shown)}\n")
    return 0


def _listing(kind: str, store: str) -> list[tuple[str, str]]:
    from medgen.conf.loading import group_names
    from medgen.engine.benchmark.vocabulary import TASKS

    groups = {
        "systems": "system",
        "judges": "judge",
        "protocols": "protocol",
        "configs": "run",
        "clusters": "cluster",
    }
    if kind in groups:
        return [(name, "") for name in group_names(groups[kind])]
    if kind == "tasks":
        return [(task, str(kind_)) for task, kind_ in TASKS.items()]
    if kind == "metrics":
        from medgen.metrics.catalogue import CATALOGUE, names

        return [(n, ", ".join(CATALOGUE[n].profiles) if n in CATALOGUE else "") for n in names()]
    return _stored_listing(kind, store)


def _stored_listing(kind: str, store: str) -> list[tuple[str, str]]:
    from medgen.engine.benchmark.manifest import Benchmark, benchmark_refs
    from medgen.engine.run.folder import RunFolder, run_ids
    from medgen.engine.store.connect import connect
    from medgen.launch.run.standing import is_doubtful

    objects = connect(store)
    if kind == "benchmarks":
        return [
            (ref, f"{Benchmark(objects, ref).manifest.samples} samples")
            for ref in benchmark_refs(objects)
        ]
    found = []
    for run_id in run_ids(objects):
        status = RunFolder(objects, run_id).status()
        words = f"{status.status}, {status.updated}" if status else "not started"
        doubt = " (not heard of lately: `medgen status` finds out whether its driver lives)"
        found.append((run_id, words + (doubt if status and is_doubtful(status) else "")))
    return found
