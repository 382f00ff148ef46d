"""Convolutions with fewer products give what the plain ones give."""

import pytest
import torch
from torch import nn

from medgen.metrics.kernels.winograd import Winograd, transforms, with_fewer_products


@pytest.mark.parametrize(("tile", "side"), [(2, 3), (4, 3), (3, 5), (4, 5)])
def test_the_transforms_give_sliding_sums(tile: int, side: int) -> None:
    points = [0.0, 1.0, -1.0, 0.5, -2.0, 2.0, -0.5][: tile + side - 2]
    kernels, inputs, outputs = transforms(tile, side, points)
    chance = torch.Generator().manual_seed(7)
    window = torch.rand(tile + side - 1, dtype=torch.float64, generator=chance)
    kernel = torch.rand(side, dtype=torch.float64, generator=chance)
    want = window.unfold(0, side, 1) @ kernel
    assert torch.allclose(outputs @ ((kernels @ kernel) * (inputs @ window)), want, atol=1e-12)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 31, 31), (5, 15, 15), (3, 4, 17), (2, 1, 1)], ids=str)
def test_a_layer_equals_the_plain_sum(side: int, bias: bool, size: tuple[int, int, int]) -> None:
    torch.manual_seed(3)
    plain = nn.Conv2d(40, 24, side, padding=side // 2, bias=bias).requires_grad_(False)
    count, height, width = size
    pictures = torch.rand(count, 40, height, width)
    want = plain.double()(pictures.double())
    for layout in (torch.contiguous_format, torch.channels_last):
        found = Winograd(plain.float())(pictures.contiguous(memory_format=layout))
        assert found.shape == want.shape
        assert torch.allclose(found.double(), want, atol=1e-5)


def test_only_suitable_layers_are_replaced_and_the_network_stays_as_it_was() -> None:
    layers = [
        nn.Conv2d(3, 64, 3, padding=1),  # few channels
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        nn.Conv2d(64, 64, 7, padding=3),
        nn.Conv2d(64, 64, 3, padding=0),
        nn.Conv2d(64, 64, 3, padding=1),  # suitable
    ]
    network = nn.Sequential(*layers, nn.ReLU()).requires_grad_(False)
    fast = with_fewer_products(network)
    replaced = [isinstance(layer, Winograd) for layer in fast.children()]
    assert replaced == [False] * 6 + [True, False]
    assert [type(layer) for layer in network] == [nn.Conv2d] * 7 + [nn.ReLU]
    pictures = torch.rand(2, 3, 20, 20)
    assert torch.allclose(fast(pictures), network(pictures), atol=1e-5)
