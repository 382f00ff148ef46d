"""The commit behind a preset's model: asked of the hub, written into the preset."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgen.adapters.provenance import is_hub_name, is_unpinned
from medgen.conf.families import PLACES, PresetConf
from medgen.conf.loading import facts_of, group_names, member, preset_file
from medgen.conf.reading import ConfError
from medgen.engine import registry

# What loads weights by a hub's name; for all others `model` is a name that a server has.
_LOADING = ("vllm", "transformers", "diffusers", "unified-in-process", "managed-server")


@dataclass(frozen=True, slots=True)
class Pin:
    """One preset's model, and the commit that its branch stands for now."""

    group: str  # system | judge
    name: str
    model: str
    commit: str = ""
    trouble: str = ""  # why there is no commit


def presets(names: Sequence[str]) -> Iterator[tuple[str, str, PresetConf]]:
    """Group, name and facts of presets with a family: those named, in both groups; none means all.

    Raises:
        ConfError: a name that neither group has.
    """
    for group, name in _members(names):
        if found := facts_of(group, name):
            yield group, name, found[0]


def _members(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if not any(name in group_names(group) for group in PLACES):
            raise ConfError(f"no system or judge named {name!r}; `medgen models list` lists them")
    for group in PLACES:
        yield from ((group, name) for name in group_names(group) if not names or name in names)


def loaded_models(target: str, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Names or folders of the weights that a recipe and those inside it load, with revisions."""
    if registry.find(target).name in _LOADING and (
        isinstance(model := kwargs.get("model"), str) and model
    ):
        load = kwargs.get("load")
        inside = load.get("revision") if isinstance(load, Mapping) else None
        yield model, kwargs.get("revision") or inside
    for _, inner, given in registry.inner_recipes(kwargs):
        yield from loaded_models(inner, given)


def pins(names: Sequence[str], endpoint: str = "") -> Iterator[Pin]:
    """Ask the hub for the commit of every preset that is at none yet.

    One that is named and cannot be pinned is told with the reason, one that is with its commit.

    Args:
        names: of presets; none means all.
        endpoint: of the hub; empty is the library's own, or what HF_ENDPOINT says.

    Raises:
        ConfError: a name that there is not.
    """
    asked: dict[str, Pin] = {}
    for group, name, loaded in loads(names):
        model = next((one for one in loaded if is_unpinned(*one)), ("", ""))[0]
        if model:
            if model not in asked:
                asked[model] = _ask(group, name, model, endpoint)
            known = asked[model]
            yield Pin(group, name, model, known.commit, known.trouble)
        elif names:
            yield _as_it_is(group, name, loaded)


def loads(names: Sequence[str]) -> Iterator[tuple[str, str, list[tuple[str, str | None]]]]:
    """Group, name and weights of presets, in both groups; no names mean all.

    Raises:
        ConfError: a name that neither group has.
    """
    for group, name in _members(names):
        body = member(group, name)
        recipes = registry.inner_recipes({group: body, **body})
        found = [one for _, target, kwargs in recipes for one in loaded_models(target, kwargs)]
        yield group, name, found


def _as_it_is(group: str, name: str, loaded: Sequence[tuple[str, str | None]]) -> Pin:
    """What a preset is told that the hub has nothing to say to."""
    if not loaded:
        return Pin(group, name, "", trouble="it loads no weights of a hub: there is nothing to pin")
    model, revision = loaded[0]
    if is_hub_name(model):
        return Pin(group, name, model, revision or "")
    return Pin(group, name, model, trouble="its weights lie in a folder, which has no commit")


def _ask(group: str, name: str, model: str, endpoint: str) -> Pin:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        found = HfApi(endpoint=endpoint or None).model_info(model, revision="main", timeout=30)
    except HfHubHTTPError as err:
        return Pin(group, name, model, trouble=str(err).splitlines()[0])
    except Exception as err:  # noqa: BLE001 - of whatever carries HTTP for the library
        return Pin(group, name, model, trouble=f"the hub cannot be reached: {type(err).__name__}")
    if not re.fullmatch("[0-9a-f]{40}", found.sha or ""):
        return Pin(group, name, model, trouble=f"the hub names no commit but {found.sha!r}")
    return Pin(group, name, model, str(found.sha))


def write(pin: Pin, folder: Path) -> Path:
    """The preset with its commit, as `folder/group/name.yaml`; a run's own folder comes first."""
    text = preset_file(pin.group, pin.name).read_text(encoding="utf-8")
    line = f"revision: {pin.commit}"
    if re.search(r"^ *revision:.*$", text, re.MULTILINE):
        text = re.sub(r"^( *)revision:.*$", rf"\1{line}", text, count=1, flags=re.MULTILINE)
    else:
        text = re.sub(r"^(id:.*)$", rf"\1\n{line}", text, count=1, flags=re.MULTILINE)
    file = folder / pin.group / f"{pin.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
