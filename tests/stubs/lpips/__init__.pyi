from collections.abc import Iterable, Sequence
from typing import Self

import torch

class _Linear(torch.nn.Module):
    model: Sequence[torch.nn.Conv2d]

class _Scaling(torch.nn.Module):
    shift: torch.Tensor
    scale: torch.Tensor

class LPIPS(torch.nn.Module):
    net: torch.nn.Module
    lins: Iterable[_Linear]
    scaling_layer: _Scaling

    def __init__(self, net: str, pnet_rand: bool, verbose: bool) -> None: ...
    def to(self, device: str = ..., *, memory_format: torch.memory_format = ...) -> Self: ...  # type: ignore[override]
    def __call__(self, in0: torch.Tensor, in1: torch.Tensor) -> torch.Tensor: ...
