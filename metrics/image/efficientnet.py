"""EfficientNet-Lite0: a small encoder of pictures that was trained on photographs (ImageNet).

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
Lite: no squeeze-and-excite, ReLU6. Weights are `efficientnet-lite0.safetensors`, batch norms folded
into the convolutions before them, as `make real-weights` leaves them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch.nn import functional

from medgen.engine.errors import AdapterError
from medgen.metrics.versions import versions_of

FILE = "efficientnet-lite0.safetensors"
SIDE = 224  # pixels, as it was trained
# Of the depthwise convolution of each block; channels and kernels stand in the weights.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)


class EfficientNetLite0:
    """The 1,280 numbers before its classifier, averaged over the picture."""

    def __init__(self, here: Path, device: str) -> None:
        """Load the weights from a directory.

        Raises:
            AdapterError: they are not there, or are of another network.
        """
        from safetensors.torch import load_file

        try:
            loaded = load_file(here / FILE, device=device)
            self._convolutions = {
                name.removesuffix(".weight"): (
                    kernel.contiguous(memory_format=torch.channels_last),
                    loaded[name.removesuffix("weight") + "bias"],
                )
                for name, kernel in loaded.items()
                if name.endswith(".weight")
            }
            self._device = device
            self._features(torch.zeros(1, 3, 32, 32, device=device))
        except Exception as err:  # files, tables of tensors and shapes each raise their own
            raise AdapterError(f"no EfficientNet-Lite0 can be loaded from {here}: {err!r}") from err

    @torch.inference_mode()
    def encode(self, images: Sequence[Pillow.Image]) -> torch.Tensor:
        """See `medgen.metrics.image.encoders.Encoder.encode`."""
        squares = [image.resize((SIDE, SIDE), Pillow.Resampling.BICUBIC) for image in images]
        levels = torch.from_numpy(np.stack([np.asarray(s, dtype=np.float32) for s in squares]))
        pixels = (levels.to(self._device) / 127.5 - 1).permute(0, 3, 1, 2)
        return self._features(pixels)

    def describe(self) -> dict[str, Any]:
        """See `medgen.metrics.image.encoders.Encoder.describe`."""
        return {
            "architecture": "EfficientNet-Lite0, trained on ImageNet",
            "preprocessing": f"the whole picture squeezed to {SIDE} x {SIDE}, bicubic, [-1, 1]",
            "pooling": "mean of the last 1,280 channels",
            "versions": versions_of("torch", "pillow"),
        }

    def _features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Batch x 1,280, of batch x 3 x height x width in [-1, 1]."""
        x = functional.relu6(self._convolve("stem", pixels, stride=2))
        for number, stride in enumerate(_STRIDES):
            y = x
            if f"blocks.{number}.expand" in self._convolutions:
                y = functional.relu6(self._convolve(f"blocks.{number}.expand", y))
            y = functional.relu6(self._convolve(f"blocks.{number}.depth", y, stride, y.shape[1]))
            y = self._convolve(f"blocks.{number}.project", y)
            x = x + y if x.shape == y.shape else y
        return functional.relu6(self._convolve("head", x)).mean((2, 3))

    def _convolve(
        self, name: str, x: torch.Tensor, stride: int = 1, groups: int = 1
    ) -> torch.Tensor:
        """Padded as TensorFlow's SAME does: what is odd goes to the right and below."""
        kernel, bias = self._convolutions[name]
        width = kernel.shape[-1]
        edges: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            missing = max((-(-size // stride) - 1) * stride + width - size, 0)
            edges += [missing // 2, missing - missing // 2]
        return functional.conv2d(functional.pad(x, edges), kernel, bias, stride, groups=groups)
