"""Reads YAML safely, fills groups by name, applies dotted overrides, refuses typos."""

import difflib
import fnmatch
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from medgen.conf.families import (
    PLACES,
    FamilyConf,
    PresetConf,
    family_conf,
    preset_facts,
    with_family,
)
from medgen.conf.merging import over
from medgen.conf.presets import lack_of_reader, preset
from medgen.conf.reading import ConfError, read_yaml, value_of
from medgen.conf.schema import BenchmarkConf, GateConf, RunConf

log = logging.getLogger(__name__)

# `systems: [a, b]` chooses members of the group that stands under `system` once composed.
_LISTS = {"systems": "system", "judges": "judge"}
_SINGLES = ("benchmark", "protocol", "cluster")


def load(path: str | None, overrides: Sequence[str] = ()) -> RunConf:
    """Compose a run from a file (or a name of the `run` group) and dotted overrides.

    Raises:
        ConfError: unreadable YAML, unknown name or key, wrong type, missing value.
    """
    folder, body = _run_file(path)
    chosen, dotted = _split_overrides(overrides)
    composed = _compose({**body, **chosen}, folder, listed=frozenset(chosen))
    _refuse_unchosen(dotted, composed)
    try:
        conf = OmegaConf.merge(OmegaConf.structured(RunConf), OmegaConf.create(composed))
        conf = OmegaConf.merge(conf, overriding(dotted))
        _refuse_interpolation(OmegaConf.to_container(conf, resolve=False))
        return cast(RunConf, OmegaConf.to_object(conf))
    except OmegaConfBaseException as err:
        raise ConfError(_explain(err)) from err


def group_names(group: str, folder: Path | None = None) -> list[str]:
    """The names that a group offers, a user's own folder first."""
    found = {p.name for p in files("medgen.conf").joinpath(group).iterdir()}
    if folder is not None and (folder / group).is_dir():
        found |= {p.name for p in (folder / group).iterdir()}
    return sorted(n.removesuffix(".yaml") for n in found if n.endswith(".yaml"))


def benchmark_conf(name: str) -> BenchmarkConf | None:
    """A member of the `benchmark` group, or one that lies here; None when nobody has the name.

    Raises:
        ConfError: the file breaks the schema.
    """
    folder = Path.cwd()
    if name not in group_names("benchmark", folder) and _beside("benchmark", name, folder) is None:
        return None
    return _as_benchmark(_member("benchmark", name, folder))


def benchmark_file(path: str) -> BenchmarkConf:
    """A preset in a file of the user's; its source is relative to the file, by default beside it.

    Raises:
        ConfError: there is no such file, or it breaks the schema.
    """
    file = Path(path).resolve()
    return _as_benchmark(_member("benchmark", file.name, file.parent))


def _as_benchmark(body: Mapping[str, Any]) -> BenchmarkConf:
    try:
        conf = OmegaConf.merge(OmegaConf.structured(BenchmarkConf), OmegaConf.create(dict(body)))
        _refuse_interpolation(OmegaConf.to_container(conf, resolve=False))
        return cast(BenchmarkConf, OmegaConf.to_object(conf))
    except OmegaConfBaseException as err:
        raise ConfError(_explain(err)) from err


def published_table(name: str) -> dict[str, Any]:
    """A published table by its name, or from a YAML file: its columns, and a row a system.

    Raises:
        ConfError: there is none of that name, or the file cannot be read.
    """
    return read_yaml(str(_find("published", name, Path())))


def gate_rules(path: str) -> dict[str, Any]:
    """The tolerances of a gate from a YAML file: fields of `GateConf`, only those given.

    Raises:
        ConfError: unknown key, wrong type, or unreadable file.
    """
    body = read_yaml(path)
    try:
        conf = OmegaConf.merge(OmegaConf.structured(GateConf), OmegaConf.create(body))
        _refuse_interpolation(OmegaConf.to_container(conf, resolve=False))
        whole = cast(GateConf, OmegaConf.to_object(conf))
    except OmegaConfBaseException as err:
        raise ConfError(_explain(err)) from err
    return {key: getattr(whole, key) for key in body}


def _run_file(path: str | None) -> tuple[Path | None, dict[str, Any]]:
    if path is None:
        return Path.cwd(), {}
    if path in group_names("run"):
        return None, read_yaml(str(files("medgen.conf").joinpath("run", f"{path}.yaml")))
    if not Path(path).is_file():
        hint = _did_you_mean(path, group_names("run"))
        raise ConfError(f"no configuration file {path!r}, and no run of that name{hint}")
    return Path(path).resolve().parent, read_yaml(path)


def _split_overrides(overrides: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    chosen: dict[str, Any] = {}
    dotted = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfError(f"override {text!r} is not of the form key.subkey=value")
        if key in (*_LISTS, *_SINGLES):
            chosen[key] = value_of(text, value)
        else:
            dotted.append(text)
    return chosen, dotted


def overriding(dotted: Iterable[str]) -> DictConfig:
    """Dotted overrides ("a.b=1") as a configuration; each value is YAML.

    Raises:
        ConfError: a value that is no YAML, or one that no configuration can hold.
    """
    conf = OmegaConf.create()
    for text in dotted:
        value_of(text, text.partition("=")[2])
        try:
            conf = cast(DictConfig, OmegaConf.merge(conf, OmegaConf.from_dotlist([text])))
        except (yaml.YAMLError, ValueError, OmegaConfBaseException) as err:
            raise ConfError(f"override {text[:80]!r}: {str(err).splitlines()[0]}") from err
    return conf


def _compose(
    body: Mapping[str, Any], folder: Path | None, listed: frozenset[str]
) -> dict[str, Any]:
    """Names filled in. `listed` are the keys that the command line gave in place of the file's."""
    composed = {k: v for k, v in body.items() if k not in _LISTS}
    for single in _SINGLES:
        if isinstance(value := body.get(single), str):
            composed[single] = _member(single, value, folder)
        elif single == "benchmark" and isinstance(value, dict):
            composed[single] = preset(value, lambda other: _member("benchmark", other, folder))
    if "protocol" not in body and (own := (composed.get("benchmark") or {}).get("protocol")):
        composed["protocol"] = _member("protocol", own, folder)
    for plural, group in _LISTS.items():
        members: dict[str, Any] = {}
        for entry in _as_list(body.get(plural), plural):
            for member in _members(group, entry, folder):
                members[member["name"]] = member
        own = _settings(group, composed.get(group) or {}, members, plural in listed)
        composed[group] = {
            name: over(members.get(name, {"name": name}), own.get(name) or {})
            for name in (*members, *(n for n in own if n not in members))
        }
    return composed


def _settings(
    group: str, own: Mapping[str, Any], members: Mapping[str, Any], listed: bool
) -> dict[str, Any]:
    """What a run's file says of single members, each of which is chosen or written out whole.

    When the command line has chosen others, what the file says of its own choice is left out.

    Raises:
        ConfError: settings of a member that nobody chose.
    """
    kept = {}
    for name, body in own.items():
        if name in members or _whole(body):
            kept[name] = body
        elif not listed:
            raise ConfError(_not_chosen(group, name, members))
    return kept


def _whole(body: object) -> bool:
    """Whether a system or judge is written out, rather than only some settings of it."""
    if not isinstance(body, dict):
        return False
    return "target" in body or any(
        isinstance(body.get(h), dict) and "target" in body[h] for h in ("answer", "render")
    )


def _refuse_unchosen(dotted: Sequence[str], composed: Mapping[str, Any]) -> None:
    """Settings on the command line must be those of systems and judges that the run has.

    Raises:
        ConfError: there is no such system or judge; says which there are.
    """
    keys = {text.partition("=")[0] for text in dotted}
    for key in sorted(keys):
        group, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        if group not in _LISTS.values() or not name or f"{group}.{name}.name" in keys:
            continue
        if name not in composed[group]:
            raise ConfError(_not_chosen(group, name, composed[group]))


def _not_chosen(group: str, name: str, chosen: Iterable[str]) -> str:
    known = list(chosen)
    have = f"`{group}s` has {', '.join(known)}" if known else f"`{group}s` is empty"
    close = _did_you_mean(name, known)
    return f"{group}.{name}: no {group} of that name is chosen; {have}{close}"


def _as_list(value: object, key: str) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ConfError(f"{key}: a list of names is expected, not {type(value).__name__}")
    return value


def _members(group: str, entry: object, folder: Path | None) -> list[dict[str, Any]]:
    if isinstance(entry, dict):
        if not isinstance(entry.get("name"), str):
            raise ConfError(f"{group}: an entry written in place needs a `name`")
        return [_with_halves(entry, folder) if group == "system" else entry]
    if not isinstance(entry, str):
        raise ConfError(f"{group}: {entry!r} is neither a name nor a mapping")
    if any(ch in entry for ch in "*?["):
        matches = fnmatch.filter(group_names(group, folder), entry)
        if not matches:
            raise ConfError(f"{group}: {entry!r} matches none of {group_names(group, folder)}")
        return [_member(group, name, folder) for name in matches]
    return [_member(group, entry, folder)]


def _member(group: str, name: str, folder: Path | None) -> dict[str, Any]:
    if group != "system":
        return _read_member(group, name, folder)
    answer, plus, render = name.partition("+")
    if plus and not name.endswith((".yaml", ".yml")):
        return _with_halves({"name": name, "answer": answer, "render": render}, folder)
    return _with_halves(_read_member(group, name, folder), folder)


def _with_halves(body: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """A system whose `answer` or `render` is the name of another gets that one's model.

    So every pairing with a model has the very same recipe for it, and shares its stage.
    """
    whole = dict(body)
    for half in ("answer", "render"):
        if not isinstance(name := body.get(half), str):
            continue
        other = _read_member("system", name, folder)
        if not isinstance(other.get(half), dict):
            raise ConfError(f"system {body['name']!r}: {name!r} has no {half} model of its own")
        whole[half] = other[half]
        for words in ("needs", "notes"):
            have = list(whole.get(words) or ())
            whole[words] = have + [w for w in other.get(words) or () if w not in have]
        _take_end(whole, other)
        whole["only"] = "; ".join(filter(None, (whole.get("only"), other.get("only"))))
    return whole


def _take_end(whole: dict[str, Any], other: dict[str, Any]) -> None:
    """A pairing ends with the half that ends first."""
    ends = str(other.get("ends") or "")
    if ends and (not whole.get("ends") or ends < str(whole["ends"])):
        whole["ends"], whole["successor"] = ends, other.get("successor") or ""


def _read_member(group: str, name: str, folder: Path | None) -> dict[str, Any]:
    path = _find(group, name, folder)
    body = read_yaml(str(path))
    if group == "benchmark":
        own = None if path.is_relative_to(str(files("medgen.conf"))) else path.parent
        body = preset(body, lambda other: _read_member(group, other, folder), own)
        if words := lack_of_reader(body):
            raise ConfError(f"{path}: {words}")
    elif group in PLACES and "family" in body:
        facts, family = _of_family(body, path, folder)
        try:
            body = with_family(body, group, facts, family)
        except ValueError as err:
            raise ConfError(f"{path}: {err}") from err
    # Not `stem`, which would cut a name at its first dot.
    body.setdefault("name", Path(name).name.removesuffix(".yaml").removesuffix(".yml"))
    return body


def _of_family(
    body: Mapping[str, Any], path: Path, folder: Path | None
) -> tuple[PresetConf, FamilyConf]:
    """The facts of a preset, and its family.

    Raises:
        ConfError: there is no such family, or one of the two files breaks the schema.
    """
    where = path
    try:
        facts = preset_facts(body)
        where = _find("family", facts.family, folder)
        below = {"name": facts.family, **read_yaml(str(where))}
        return facts, family_conf(
            below, lambda other: read_yaml(str(_find("family", other, folder)))
        )
    except OmegaConfBaseException as err:
        raise ConfError(f"{where}: {_explain(err)}") from err


def member(group: str, name: str) -> dict[str, Any]:
    """A member of a group that comes with the engine, with what its family says.

    Raises:
        ConfError: there is none, or its file breaks the schema.
    """
    return _read_member(group, name, None)


def preset_file(group: str, name: str) -> Path:
    """Where a preset that comes with the engine is written.

    Raises:
        ConfError: there is no such preset.
    """
    return _find(group, name, None)


def facts_of(group: str, name: str) -> tuple[PresetConf, FamilyConf] | None:
    """What a preset that comes with the engine says of its model; None without a family.

    Raises:
        ConfError: there is no such preset, or its file or its family's breaks the schema.
    """
    path = preset_file(group, name)
    body = read_yaml(str(path))
    return _of_family(body, path, None) if "family" in body else None


def _find(group: str, name: str, folder: Path | None) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name) if folder is None else folder / name
        if path.is_file():
            return path
        raise ConfError(f"{group}: no file {path}")
    if (own := _beside(group, name, folder)) is not None:
        return own
    if name not in group_names(group, folder):
        known = group_names(group, folder)
        hint = _did_you_mean(name, known) or "."
        raise ConfError(f"no {group} named {name!r}{hint} There are {', '.join(known)}")
    if folder is not None and (namesake := folder / f"{name}.yaml").is_file():
        _warn_of(namesake, group)
    return Path(str(files("medgen.conf").joinpath(group, f"{name}.yaml")))


def _beside(group: str, name: str, folder: Path | None) -> Path | None:
    """A user's own file of that name: in the group's folder beside the run's file, or beside it.

    What lies beside the run's file alone has no name of ours: a run may be called like a system.
    """
    if folder is None or Path(name).name != name:
        return None
    if (inside := folder / group / f"{name}.yaml").is_file():
        return inside
    beside = folder / f"{name}.yaml"
    return beside if name not in group_names(group) and beside.is_file() else None


@cache
def _warn_of(namesake: Path, group: str) -> None:
    """Say of a user's own file, once, that one of ours is taken; a run's file may have any name."""
    with suppress(ConfError):
        if "systems" in read_yaml(str(namesake)):
            return
    log.warning(
        "%s is not read: %s %r is a preset of ours; put the file into %s/ beside it, or call it "
        "otherwise", namesake, group, namesake.stem, group,
    )  # fmt: skip


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def _refuse_interpolation(value: Any, where: str = "") -> None:
    # A configuration is written into plans and reports, so it must not pull in what it can reach.
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_interpolation(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _refuse_interpolation(inner, f"{where}[{i}]")
    elif isinstance(value, str) and "${" in value:
        raise ConfError(
            f"{where}: {value!r} is an interpolation, which is not allowed; name the environment "
            "variable that holds a key with `api_key_env`, and write other values out"
        )


def _explain(err: OmegaConfBaseException) -> str:
    text = str(err).splitlines()[0]
    key = getattr(err, "full_key", None)
    if isinstance(err, MissingMandatoryValue):
        return f"{key} has no value; write it in the file, or `{key}=…` on the command line"
    known = list(getattr(getattr(err, "object_type", None), "__dataclass_fields__", {}))
    missed = getattr(err, "key", None)
    if key == missed:  # of the run itself
        known += _LISTS
    hint = "" if missed in known or "Did you mean" in text else _did_you_mean(str(missed), known)
    return f"{key}: {text}{hint}" if key else f"{text}{hint}"
