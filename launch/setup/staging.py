"""Models of the hub into the store, so that a cluster asks the hub for nothing large."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgen.adapters.provenance import is_hub_name
from medgen.conf.reading import ConfError
from medgen.engine.errors import MedgenError
from medgen.engine.store import mirror
from medgen.engine.store.objects import Objects
from medgen.launch.setup.pinning import loads

# The same weights for other frameworks, which nothing here reads.
_UNREAD = ("*.msgpack", "*.h5", "*.onnx", "*.onnx_data", "*.tflite", "*.ot", "*.gguf")


@dataclass(frozen=True, slots=True)
class Stage:
    """One model, and what became of it."""

    model: str
    commit: str
    size: int = 0  # bytes
    new: bool = False
    trouble: str = ""


def models(names: Sequence[str]) -> list[tuple[str, str]]:
    """What to stage: models of presets by the presets' names, others as `owner/name@commit`.

    Raises:
        ConfError: a preset that there is not or that loads nothing, or a model without a commit.
    """
    found = []
    for name in names:
        if "/" in name:
            model, _, commit = name.partition("@")
            found.append((model, commit))
        else:
            loaded = [one for _, _, some in loads([name]) for one in some]
            if not loaded:
                raise ConfError(f"{name} loads no weights: there is nothing to stage")
            found += [(model, commit or "") for model, commit in loaded]
    for model, commit in found:
        if not is_hub_name(model):
            raise ConfError(f"{model} is a folder: it has no commit, and every machine needs it")
        if not mirror.is_pinned(model, commit):
            raise ConfError(
                f"{model} is at no commit; say {model}@COMMIT, or `medgen models pin` its preset"
            )
    return list(dict.fromkeys(found))


def stage_all(
    names: Sequence[str], objects: Objects, folder: str, endpoint: str
) -> Iterator[Stage]:
    """Stage each model that the store has not.

    Args:
        names: see `models`.
        objects: the store.
        folder: where the files of one model lie already; empty downloads them.
        endpoint: of the hub; empty is the library's own, or what HF_ENDPOINT says.

    Raises:
        ConfError: names that cannot be staged, or several from one folder.
    """
    wanted = models(names)
    if folder and len(wanted) != 1:
        raise ConfError("--from is the folder of one model; name one")
    for model, commit in wanted:
        if known := mirror.find_staged(objects, model, commit):
            yield Stage(model, commit, known.size)
            continue
        try:
            with tempfile.TemporaryDirectory() as own:
                place = Path(folder) if folder else _download(model, commit, Path(own), endpoint)
                whole = mirror.stage(objects, model, commit, place)
        except MedgenError as err:
            yield Stage(model, commit, trouble=str(err))
        else:
            yield Stage(model, commit, whole.size, new=True)


def _download(model: str, commit: str, to: Path, endpoint: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            model,
            revision=commit,
            cache_dir=to,
            endpoint=endpoint or None,
            ignore_patterns=list(_UNREAD),
        )
    except Exception as err:  # of whatever carries HTTP for the library
        raise MedgenError(f"cannot be downloaded: {str(err).splitlines()[0]}") from err
    return Path(found)
