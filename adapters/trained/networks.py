"""The networks of the small trained models. Imports torch: import it where a model is made."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad, pixel_shuffle, pixel_unshuffle, relu, relu6, silu

from medgen.adapters.trained.operations import OPERATIONS

_WIDTHS = (36, 64)
_DARKEST = 1e-6  # of the light, where its logarithm is taken


class Block(nn.Module):
    """A gated 5 x 5 depthwise block that also sees the means of its rows and columns."""

    def __init__(self, width: int) -> None:
        """`width`: channels in and out."""
        super().__init__()
        self.norm = nn.Parameter(torch.stack([torch.ones(width), torch.zeros(width)]))
        self.film = nn.Embedding(len(OPERATIONS), 2 * width)
        nn.init.normal_(self.film.weight, std=0.05)
        self.spread = nn.Linear(width, 2 * width)
        self.local = nn.Conv2d(2 * width, 2 * width, 5, padding=2, groups=2 * width)
        self.lines = nn.Linear(2 * width, width)
        self.merge = nn.Linear(width, width)
        nn.init.zeros_(self.merge.weight)

    def forward(self, x: Tensor, wanted: Tensor) -> Tensor:
        """`x`: batch x height x width x channels of floats; `wanted`: batch operation numbers."""
        gain, shift = self.film(wanted)[:, None, None].chunk(2, dim=-1)
        y = layer_norm(x, x.shape[1:]) * self.norm[0] + self.norm[1]
        y = y * (1 + gain) + shift
        near = self.local(self.spread(y).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        left, right = near.chunk(2, dim=-1)
        # Stripes and grids are wrong by the row and the column: a few pixels around do not show it.
        rows, columns = self.lines.weight.chunk(2, dim=1)
        lines = y.mean(2, keepdim=True) @ rows.T + y.mean(1, keepdim=True) @ columns.T
        found: Tensor = x + self.merge((left + lines + self.lines.bias) * silu(right))
        return found


class Colours(nn.Module):
    """What an operation does to every pixel alone: 33 numbers each, which begin as no change.

    A matrix over the light (windows, negatives, tints) is added to a second way, over the optical
    density: a stain takes its share of the light (Beer and Lambert), and a gamma is a factor there.
    """

    def __init__(self) -> None:
        """Both ways give half of the light."""
        super().__init__()
        count, none = len(OPERATIONS), torch.eye(3).flatten()
        self.light = nn.Embedding(count, 12)
        self.stains = nn.Embedding(count, 9)
        self.density = nn.Embedding(count, 9)
        self.share = nn.Embedding(count, 3)
        with torch.no_grad():
            self.light.weight.copy_(torch.eye(3, 4).flatten().expand(count, 12) / 2)
            self.stains.weight.copy_(none.expand(count, 9))
            self.density.weight.copy_(none.expand(count, 9))
            self.share.weight.fill_(0.5)

    def forward(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """As `EditorNetwork.forward`; what comes out may lie beside [0, 1]."""
        matrix = self.light(wanted).view(-1, 3, 4)
        light = _mix(matrix[..., :3], pixels) + matrix[..., 3:, None]
        stains = relu(_mix(self.stains(wanted).view(-1, 3, 3), -pixels.clamp(min=_DARKEST).log()))
        density = _mix(self.density(wanted).view(-1, 3, 3), stains)
        # No more than 2.7 times all light: without an end the first steps could run away.
        passed: Tensor = light + self.share(wanted)[..., None, None] * (-density.clamp(-1)).exp()
        return passed


class EditorNetwork(nn.Module):
    """A U-Net of two levels at half resolution, told the operation, over its colours."""

    def __init__(self) -> None:
        """Weights as torch draws them."""
        super().__init__()
        fine, coarse = _WIDTHS
        self.colours = Colours()
        self.enter = nn.Conv2d(12, fine, 3, padding=1)
        self.down = nn.Linear(4 * fine, coarse)
        self.up = nn.Linear(coarse, 4 * fine)
        self.first = nn.ModuleList(Block(fine) for _ in range(2))
        self.middle = nn.ModuleList(Block(coarse) for _ in range(4))
        self.last = nn.ModuleList(Block(fine) for _ in range(2))
        self.leave = nn.Conv2d(fine, 12, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pixels: Tensor, wanted: Tensor) -> Tensor:
        """The edited pictures.

        Args:
            pixels: batch x 3 x height x width in [0, 1]; height and width multiples of 4.
            wanted: batch numbers into `OPERATIONS`.
        """
        x = self.enter(pixel_unshuffle(pixels * 2 - 1, 2)).permute(0, 2, 3, 1)
        x = _through(self.first, x, wanted)
        small = pixel_unshuffle(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        deep = self.up(_through(self.middle, self.down(small), wanted))
        x = x + pixel_shuffle(deep.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        x = _through(self.last, x, wanted)
        change = pixel_shuffle(self.leave(x.permute(0, 3, 1, 2)), 2)
        return bound(self.colours(pixels, wanted) + change)


def bound(pixels: Tensor) -> Tensor:
    """Cut to [0, 1]; to a gradient it is as if nothing was cut, for what is wrong there moves."""
    return pixels + (pixels.clamp(0, 1) - pixels).detach()


def _mix(matrices: Tensor, pixels: Tensor) -> Tensor:
    return torch.einsum("boc,bchw->bohw", matrices, pixels)


def _through(blocks: nn.ModuleList, x: Tensor, wanted: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, wanted)
    return x


# Channels in and out, kernel, stride of the first block, and how many blocks: the first five of the
# seven stages of EfficientNet-Lite0 (Tan and Le 2019; Lite: without squeeze-and-excite, ReLU6).
_STAGES = (
    (32, 16, 3, 1, 1, 1),
    (16, 24, 3, 2, 6, 2),
    (24, 40, 5, 2, 6, 2),
    (40, 80, 3, 2, 6, 3),
    (80, 112, 5, 1, 6, 3),
)


class _Inverted(nn.Module):
    def __init__(self, inside: int, outside: int, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = inside * widen
        self.expand = nn.Conv2d(inside, wide, 1) if widen > 1 else nn.Identity()
        self.depth = nn.Conv2d(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outside, 1)
        self.kernel, self.stride = kernel, stride
        self.same = inside == outside and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x)
        y = relu6(y) if isinstance(self.expand, nn.Conv2d) else y
        y = relu6(self.depth(pad_same(y, self.kernel, self.stride)))
        found: Tensor = self.project(y)
        return x + found if self.same else found


class Trunk(nn.Module):
    """Five stages of EfficientNet-Lite0 with batch norms folded in; gives every stage's picture."""

    def __init__(self) -> None:
        """Weights come from a state dict."""
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        for inside, outside, kernel, stride, widen, count in _STAGES:
            blocks = [_Inverted(inside, outside, kernel, stride, widen)]
            blocks += [_Inverted(outside, outside, kernel, 1, widen) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, pixels: Tensor) -> Sequence[Tensor]:
        """`pixels`: batch x 3 x side x side in [-1, 1]."""
        x = relu6(self.stem(pad_same(pixels, 3, 2)))
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """As TensorFlow's SAME pads: what is odd goes to the right and below."""
    total = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
    down, across = total
    return pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
