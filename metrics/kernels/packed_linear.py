"""Linear layers of a frozen network whose weights are laid out once, for a CPU.

A plain layer keeps its weights row by row, and the multiplication rearranges them at every call;
the fewer the rows that come in, the more of the time that is.
"""

from typing import Any

import torch
from torch import nn

from medgen.engine.errors import AdapterError


def pack_linear(network: nn.Module) -> None:
    """Replace the float32 linear layers of a network in place; where PyTorch cannot, none.

    Raises:
        AdapterError: a packed layer answers otherwise than the plain one: PyTorch has moved.
    """
    onednn: Any = torch.backends.mkldnn
    if not onednn.is_available():
        return
    for name, layer in network.named_children():
        # A subclass may be read past its `forward`, as multi-head attention does.
        if type(layer) is nn.Linear and layer.weight.dtype == torch.float32:
            setattr(network, name, _pack(layer))
        else:
            pack_linear(layer)


class PackedLinear(nn.Module):
    """A float32 linear layer on a CPU."""

    def __init__(self, layer: nn.Linear) -> None:
        """Copies the layer's weights in another form."""
        super().__init__()
        operators: Any = torch.ops.mkldnn
        # No parameter or buffer: what is laid out like this can be neither moved nor saved. Under
        # this name because some networks ask for its dtype.
        self.weight: torch.Tensor = operators._reorder_linear_weight(layer.weight.detach())
        self._bias = None if layer.bias is None else layer.bias.detach().clone()
        self._multiply = operators._linear_pointwise

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 [..., inputs] to float32 [..., outputs]."""
        made: torch.Tensor = self._multiply(rows, self.weight, self._bias, "none", [], "")
        return made


@torch.inference_mode()
def _pack(layer: nn.Linear) -> PackedLinear:
    packed = PackedLinear(layer)
    row = torch.linspace(-1, 1, layer.in_features)[None]
    expected: torch.Tensor = layer(row)
    # Not NaN, either.
    made: torch.Tensor = packed(row)
    if not float((made - expected).norm()) <= 1e-4 * float(expected.norm()) + 1e-6:
        raise AdapterError(f"linear layers are multiplied wrongly: torch {torch.__version__} moved")
    return packed
