"""Image encoders: pictures in, one vector each out."""

import base64
import importlib.util
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from PIL import Image as Pillow

from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.images import MAX_PIXELS
from medgen.metrics.image.efficientnet import EfficientNetLite0
from medgen.metrics.kernels.packed_linear import pack_linear
from medgen.metrics.pictures import DecodeError
from medgen.metrics.versions import versions_of

KINDS = ("transformers", "medimageinsight", "efficientnet-lite0")


class Encoder(Protocol):
    """A frozen network that describes a picture by a vector."""

    def encode(self, images: Sequence[Pillow.Image]) -> torch.Tensor:
        """One float32 vector a picture, [pictures, width], not normalised."""
        ...

    def describe(self) -> dict[str, Any]:
        """Preprocessing, pooling and versions, for passports."""
        ...


def open_encoder(kind: str, here: Path, device: str, trust_local_code: bool) -> Encoder:
    """The encoder whose weights lie in a directory.

    Raises:
        ConfigError: there is no such kind, or it would run code from the directory and that
            was not allowed.
        AdapterError: the directory does not hold what the encoder needs.
    """
    if kind == "transformers":
        return TransformersEncoder(here, device)
    if kind == "efficientnet-lite0":
        return EfficientNetLite0(here, device)
    if kind != "medimageinsight":
        raise ConfigError(f"no image encoder {kind!r}; there are {', '.join(KINDS)}")
    if not trust_local_code:
        raise ConfigError(
            f"MedImageInsight runs the Python code that lies in {here}; "
            "set trust_local_code: true once you have read it"
        )
    return MedImageInsightEncoder(here)


class TransformersEncoder:
    """Any vision encoder of transformers, from a local directory, with its own preprocessing.

    The vector is the pooler's output, or the first token's last state where there is no pooler.
    """

    def __init__(self, here: Path, device: str) -> None:
        """Load model and preprocessing; nothing is downloaded and no foreign code is run.

        Raises:
            AdapterError: they cannot be loaded, or are multiplied wrongly.
        """
        from transformers import AutoImageProcessor, AutoModel

        try:
            load_processor: Any = AutoImageProcessor.from_pretrained
            self._processor = load_processor(here, local_files_only=True)
            model = AutoModel.from_pretrained(here, local_files_only=True)
        except Exception as err:  # the loaders raise many kinds; none concerns a sample
            raise AdapterError(f"no image encoder can be loaded from {here}: {err}") from err
        # What shrinks or enlarges by the shorter side makes a narrow picture enormous.
        self._shortest = int(getattr(self._processor.size, "shortest_edge", None) or 0)
        self._model: torch.nn.Module = model.to(device).eval()
        if torch.device(device).type == "cpu":
            pack_linear(self._model)
        self._device = device

    @torch.inference_mode()
    def encode(self, images: Sequence[Pillow.Image]) -> torch.Tensor:
        """See `Encoder.encode`.

        Raises:
            DecodeError: a picture is so narrow that it would be enlarged beyond all limits.
        """
        for image in images:
            _refuse_stretch(image.size, self._shortest)
        made = self._processor(images=list(images), return_tensors="pt")
        pixels: torch.Tensor = made["pixel_values"]
        outputs = self._model(pixel_values=pixels.to(self._device))
        pooled: torch.Tensor | None = outputs.get("pooler_output")
        vectors: torch.Tensor = outputs.last_hidden_state[:, 0] if pooled is None else pooled
        return vectors.float().flatten(1)

    def describe(self) -> dict[str, Any]:
        """See `Encoder.describe`."""
        return {
            "architecture": type(self._model).__name__,
            "preprocessing": type(self._processor).__name__,
            "pooling": "pooler output, else first token",
            "versions": versions_of("transformers", "torch", "pillow"),
        }


def _refuse_stretch(size: tuple[int, int], shortest: int) -> None:
    width, height = (round(side * shortest / min(size)) for side in size)
    if width * height > MAX_PIXELS:
        was = f"{size[0]} x {size[1]}"
        raise DecodeError(f"too narrow: the encoder would enlarge {was} to {width} x {height}")


class MedImageInsightEncoder:
    """MedImageInsight from a local copy of its repository, through the class it ships."""

    def __init__(self, here: Path) -> None:
        """Import `medimageinsightmodel.py` from the directory and load its weights.

        Raises:
            AdapterError: the module or the weights are not as published.
        """
        try:
            module = _module(here / "medimageinsightmodel.py")
            self._model = module.MedImageInsight(
                model_dir=str(here / "2024.09.27"),
                vision_model_name="medimageinsigt-v1.0.0.pt",
                language_model_name="language_model.pth",
            )
            self._model.load_model()
        except Exception as err:  # foreign code; whatever it raises, it cannot be used
            raise AdapterError(f"MedImageInsight cannot be loaded from {here}: {err!r}") from err

    def encode(self, images: Sequence[Pillow.Image]) -> torch.Tensor:
        """See `Encoder.encode`."""
        found = self._model.encode(images=[_base64_png(image) for image in images])
        return torch.as_tensor(found["image_embeddings"]).float().cpu()

    def describe(self) -> dict[str, Any]:
        """See `Encoder.describe`."""
        return {
            "architecture": "MedImageInsight 2024.09.27",
            "preprocessing": "its own",
            "pooling": "its own image embedding",
            "versions": versions_of("torch", "pillow"),
        }


def _base64_png(image: Pillow.Image) -> str:
    sink = io.BytesIO()
    image.save(sink, format="PNG")
    return base64.b64encode(sink.getvalue()).decode()


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    # Its parts import one another by name, from the directory they lie in.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
