"""A run without any YAML, and the files to start one's own from."""

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from medgen.adapters.sources.folder import Folder
from medgen.conf import RunConf, load
from medgen.conf.loading import benchmark_conf, benchmark_file
from medgen.conf.schema import BenchmarkConf
from medgen.engine.benchmark.importing import import_benchmark
from medgen.engine.benchmark.manifest import Manifest, find_benchmark
from medgen.engine.errors import AdapterError, BenchmarkError, ConfigError
from medgen.engine.settings import read
from medgen.engine.store.connect import connect
from medgen.launch.compose import import_options, recipe, source_of
from medgen.launch.own_data import is_own, own_data
from medgen.launch.writing import write_asked

log = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds for a server to say what it serves
_SERVED = "served-vlm"
CONTROLS = ("oracle", "blank")
_STARTER = ("run.yaml", "benchmark/mine.yaml", "system/mine.yaml", "judge/mine.yaml")


@dataclass(frozen=True, slots=True)
class Quick:
    """What `medgen eval` was asked.

    `model` and `judge` are URLs of OpenAI-compatible servers, or names of systems and judges;
    `name` says which model a server with several is asked for, `key_env` names the variable that
    holds its key.
    """

    data: str
    model: str
    judge: str = ""
    name: str = ""
    key_env: str = ""
    store: str = "var/store"
    limit: int | None = None


def quick_run(asked: Quick) -> RunConf:
    """The configuration of a run of one model over one benchmark, with the controls beside it.

    Raises:
        AdapterError: the server does not say what it serves.
        ConfigError: it serves none or several, and nobody says which.
        BenchmarkError: the data cannot be read.
    """
    bench = _benchmark(asked.data)
    served = _is_url(asked.model)
    first = _SERVED if served else asked.model
    overrides = [
        f"store={json.dumps(asked.store)}",
        f"benchmark.name={json.dumps(bench.name)}",  # the whole of it is put there below
        f"name=eval-{bench.name}",
        f"systems={json.dumps([first, *(c for c in CONTROLS if c != first)])}",
        f"protocol={bench.protocol or 'short-answers'}",
        "cluster=in-process",
    ]
    if served:
        overrides += _server(asked.model, asked, f"system.{_SERVED}.answer.kwargs.chat.kwargs")
    if _is_url(asked.judge):
        overrides.append("judges=[served]")
        overrides += _server(asked.judge, Quick("", ""), "judge.served.kwargs.chat.kwargs")
    elif asked.judge:
        overrides.append(f"judges={json.dumps([asked.judge])}")
    conf = load(None, overrides)
    if served:
        _call_by_model(conf)
    bench.limit = bench.limit if asked.limit is None else asked.limit
    conf.benchmark = bench
    _read_anew(conf)
    return conf


def _read_anew(conf: RunConf) -> None:
    """Import somebody's own data as they are now: the run is about exactly that.

    What stands in the store under its name may be what the table was, or another of that name.

    Raises:
        BenchmarkError: they cannot be imported, or that name is of another place's.
    """
    bench, objects = conf.benchmark, connect(conf.store)
    recipe(conf)  # a mistake is said before minutes go into an import
    if bench.reader and bench.source:
        manifest = import_benchmark(source_of(bench), objects, import_options(bench))
        bench.name = manifest.ref
    elif bench.source and bench.source != "mini":
        with suppress(BenchmarkError):
            _refuse_other(find_benchmark(objects, bench.name).manifest, bench.source)


def _refuse_other(manifest: Manifest, source: str) -> None:
    there, here = str(manifest.source.get("url", "")), Folder(source).url
    if there not in ("", here):
        raise ConfigError(
            f"{manifest.ref} in the store is of {there}, and not of {here}: "
            f"`medgen import {source} --name NAME` puts it beside, `--data NAME` takes it"
        )


def _call_by_model(conf: RunConf) -> None:
    """Name the system after the model that the server has: two of them can lie in one store."""
    chat = conf.system[_SERVED].answer
    model = str(chat.kwargs["chat"]["kwargs"]["model"]) if chat else _SERVED
    conf.system[_SERVED].name = model
    conf.system = {s.name: s for s in conf.system.values()}


def _benchmark(data: str) -> BenchmarkConf:
    if data.endswith((".yaml", ".yml")):
        return benchmark_file(data)
    if is_own(data):
        own = own_data(data)
        for doubt in own.doubts:
            log.warning("%s, look at this: %s", own.file, doubt)
        return own.conf
    if conf := benchmark_conf(data):
        return conf
    stem = data.rstrip("/").rpartition("/")[2] or "benchmark"
    return BenchmarkConf(name=stem, source=data)


def _is_url(model: str) -> bool:
    return model.startswith(("http://", "https://"))


def _server(url: str, asked: Quick, where: str) -> list[str]:
    """Settings that lead a chat model to a server, and to the model that it is asked for."""
    base = url.rstrip("/")
    base = base if base.endswith("/v1") else f"{base}/v1"
    key_env = asked.key_env or ("OPENAI_API_KEY" if "api.openai.com" in url else "")
    settings: dict[str, Any] = {
        "model": asked.name or _only_model(base, key_env),
        "endpoint.base_url": base,
        "endpoint.concurrency": 8,
    }
    if key_env:
        settings["endpoint.api_key_env"] = key_env
    return [f"{where}.{name}={json.dumps(value)}" for name, value in settings.items()]


def _only_model(base: str, key_env: str) -> str:
    """The one model that a server serves.

    Raises:
        AdapterError: it does not answer.
        ConfigError: it serves none or several.
    """
    from medgen.adapters.http.endpoint import Endpoint
    from medgen.adapters.http.served import served_names

    endpoint = read(Endpoint, {"base_url": base, "api_key_env": key_env or None}, "--model")
    try:
        names = served_names(endpoint, _PATIENCE)
    except AdapterError as err:
        if key_env and key_env not in os.environ:
            raise
        raise AdapterError(
            f"{err}; is the server up? `--name MODEL` says which one is meant without asking"
        ) from err
    if len(names) != 1:
        some = ", ".join(names[:10]) or "none"
        raise ConfigError(f"{base} serves {some}; say which with `--name`")
    return names[0]


def lay_starter(folder: Path) -> list[Path]:
    """Write the starter, and give its files.

    Raises:
        ConfigError: one of the files is there already; nothing was written.
        StoreError: they cannot be written there.
    """
    if there := [name for name in _STARTER if (folder / name).exists()]:
        raise ConfigError(f"{folder / there[0]} is there already; give another folder")
    written = []
    for name in _STARTER:
        content = (files(__package__) / "templates" / "starter" / name).read_bytes()
        written.append(write_asked(folder / name, content))
    return written
