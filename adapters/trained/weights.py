"""Where the weights of the small trained models lie, and what every passport says of them."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NOTE = "trained on made pictures, no clinical meaning"


def load(name: str, folder: Path | None = None) -> dict[str, "Tensor"]:
    """The tensors of `<name>.safetensors` as float32; of ours, unless a folder is given."""
    from safetensors.torch import load as parse

    return {key: value.float() for key, value in parse(_read(name, folder)).items()}


def card(*names: str) -> Mapping[str, Any]:
    """The files' digests and the note that stands in every passport."""
    found = {name: hashlib.sha256(_read(name)).hexdigest() for name in names}
    return {"weights_sha256": found, "note": NOTE}


def _read(name: str, folder: Path | None = None) -> bytes:
    place = files("medgen.adapters.trained") / "weights" if folder is None else folder
    return (place / f"{name}.safetensors").read_bytes()
