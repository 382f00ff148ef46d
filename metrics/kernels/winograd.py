"""Convolutions of a frozen network with fewer multiplications, for a CPU.

A tile of m x m outputs of an r x r kernel needs m + r - 1 multiplications a direction when tile
and kernel are polynomials that are evaluated at points, multiplied there, and read off again; the
plain sum needs m * r. For the kernels of AlexNet that is a fifth of the multiplications, at an
error of a few times the plain sum's.

Sources: Winograd, "Arithmetic complexity of computations", SIAM 1980; Lavin, Gray, "Fast
algorithms for convolutional neural networks", CVPR 2016.
"""

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

# Points by side of the kernel; one more lies at infinity. Small numbers and their inverses keep
# the rounding down: with these the error on AlexNet's layers is 2 to 5 times the plain sum's.
_POINTS = {3: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0), 5: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)}
_CHANNELS = 32  # below, the transforms cost more than they save
_TILES = 128  # that are multiplied at once: enough rows for the multiplication, few for the cache


def with_fewer_products(network: nn.Module) -> nn.Module:
    """A copy of a network whose convolutions take Winograd's form where that is faster."""
    if isinstance(network, nn.Conv2d) and _suits(network):
        return Winograd(network)
    fast = copy.copy(network)
    fast._modules = {
        name: child and with_fewer_products(child) for name, child in network._modules.items()
    }
    return fast


def _suits(layer: nn.Conv2d) -> bool:
    side = layer.kernel_size[0]
    return (
        side in _POINTS
        and layer.kernel_size == (side, side)
        and layer.padding == (side // 2, side // 2)
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.in_channels >= _CHANNELS
    )


class Winograd(nn.Module):
    """A convolution of stride 1 that keeps the size, on pictures whose channels lie together."""

    def __init__(self, layer: nn.Conv2d) -> None:
        """`layer` has a kernel of 3 x 3 or 5 x 5; its weights are copied in another form."""
        super().__init__()
        self._side = layer.kernel_size[0]
        points = _POINTS[self._side]
        self._tile = len(points) + 2 - self._side
        kernels, inputs, outputs = transforms(self._tile, self._side, points)
        weight = layer.weight.detach().double()
        spread = torch.einsum("ia,jb,ocab->ijco", kernels, kernels, weight)
        self._weight = spread.flatten(0, 1).float().contiguous()
        self._bias = layer.bias.detach().clone() if layer.bias is not None else None
        self._inputs = torch.kron(inputs, inputs).float()
        self._outputs = torch.kron(outputs, outputs).float()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32 [batch, channels, height, width] to the same with the layer's channels."""
        pictures = pictures.permute(0, 2, 3, 1)
        height, width = pictures.shape[1:3]
        tiles = -(-height // self._tile) * -(-width // self._tile)
        together = max(1, _TILES // tiles)
        found = [
            self._some(pictures[first : first + together])
            for first in range(0, len(pictures), together)
        ]
        return torch.cat(found).permute(0, 3, 1, 2)

    def _some(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32 [batch, height, width, channels] in and out."""
        count, height, width, channels = pictures.shape
        step, window = self._tile, self._tile + self._side - 1
        down, across = -(-height // step), -(-width // step)
        before = self._side // 2
        after = [
            n * step + self._side - 1 - before - s for n, s in ((across, width), (down, height))
        ]
        padded = nn.functional.pad(pictures, (0, 0, before, after[0], before, after[1]))
        whole, row, column, channel = padded.stride()
        windows = padded.as_strided(
            (window, window, count, down, across, channels),
            (row, column, whole, step * row, step * column, channel),
        )
        spread = self._inputs @ windows.reshape(window * window, -1)
        products = torch.bmm(spread.view(window * window, -1, channels), self._weight)
        tiles = self._outputs @ products.view(window * window, -1)
        made = tiles.view(step, step, count, down, across, -1).permute(2, 3, 0, 4, 1, 5)
        made = made.reshape(count, down * step, across * step, -1)[:, :height, :width]
        return made if self._bias is None else made.add_(self._bias)


def transforms(
    tile: int, side: int, points: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Matrices K, D, O with O((K kernel) * (D window)) = the sliding sums of one direction.

    Args:
        tile: m, outputs of a tile.
        side: r, values of the kernel.
        points: n - 1 different numbers, n = m + r - 1; the last point is at infinity.

    Returns:
        K float64 [n, r], D float64 [n, n], O float64 [m, n].
    """
    n = tile + side - 1
    at = np.asarray(points, dtype=np.float64)
    kernels, inputs, outputs = np.zeros((n, side)), np.zeros((n, n)), np.zeros((tile, n))
    for row, point in enumerate(at):
        others = np.delete(at, row)
        kernels[row] = point ** np.arange(side) / np.prod(point - others)
        inputs[row, : n - 1] = np.poly(others)[::-1]
        outputs[:, row] = point ** np.arange(tile)
    kernels[-1, -1] = outputs[-1, -1] = 1.0
    inputs[-1] = np.poly(at)[::-1]
    return cast(
        tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        tuple(torch.from_numpy(matrix) for matrix in (kernels, inputs, outputs)),
    )
