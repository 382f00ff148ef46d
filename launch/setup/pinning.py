"""The commit behind a preset's model: asked of the hub, written into the preset."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgen.adapters.provenance import is_unpinned
from medgen.conf.families import PLACES, PresetConf
from medgen.conf.loading import facts_of, group_names, preset_file
from medgen.conf.reading import ConfError


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
    for name in names:
        if not any(name in group_names(group) for group in PLACES):
            raise ConfError(f"no system or judge named {name!r}; `medgen models list` lists them")
    for group in PLACES:
        for name in group_names(group):
            if (not names or name in names) and (found := facts_of(group, name)):
                yield group, name, found[0]


def pins(names: Sequence[str], endpoint: str = "") -> Iterator[Pin]:
    """Ask the hub for the commit of every preset that is at none yet.

    Args:
        names: of presets; none means all.
        endpoint: of the hub; empty is the library's own, or what HF_ENDPOINT says.

    Raises:
        ConfError: a name that there is not.
    """
    asked: dict[str, Pin] = {}
    for group, name, facts in presets(names):
        if not is_unpinned(facts.id, facts.revision):
            continue
        if facts.id not in asked:
            asked[facts.id] = _ask(group, name, facts.id, endpoint)
        known = asked[facts.id]
        yield Pin(group, name, facts.id, known.commit, known.trouble)


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
    if re.search(r"^revision:.*$", text, re.MULTILINE):
        text = re.sub(r"^revision:.*$", line, text, count=1, flags=re.MULTILINE)
    else:
        text = re.sub(r"^(id:.*)$", rf"\1\n{line}", text, count=1, flags=re.MULTILINE)
    file = folder / pin.group / f"{pin.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
