"""Linear layers with packed weights give what the plain ones give."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel

from medgen.engine.errors import AdapterError
from medgen.metrics import tiny
from medgen.metrics.kernels import packed_linear
from medgen.metrics.kernels.packed_linear import PackedLinear, pack_linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 40), (7, 40), (2, 3, 5, 40), (40,), (0, 40)], ids=str)
def test_a_layer_equals_the_plain_one(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    plain = nn.Linear(40, 24, bias=bias).requires_grad_(False)
    rows = torch.randn(shape)
    found = PackedLinear(plain)(rows)
    want = plain.double()(rows.double())
    assert found.shape == want.shape
    assert torch.allclose(found.double(), want, atol=1e-5)


def test_rows_need_not_lie_together() -> None:
    plain = nn.Linear(40, 24).requires_grad_(False)
    rows = torch.randn(40, 6).T
    assert torch.allclose(PackedLinear(plain)(rows), plain(rows), atol=1e-5)


def test_only_plain_float32_layers_are_replaced() -> None:
    attention = nn.MultiheadAttention(8, 2)  # reads the weights of its own kind of linear layer
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8, dtype=torch.bfloat16), attention)
    network.requires_grad_(False)
    pack_linear(network)
    assert [type(layer) for layer in network.modules()] == [
        nn.Sequential,
        PackedLinear,
        nn.Linear,
        nn.MultiheadAttention,
        type(attention.out_proj),
    ]


def test_a_text_encoder_gives_the_same_states(tmp_path: Path) -> None:
    tiny.make_text_encoder(tmp_path)
    plain = AutoModel.from_pretrained(tmp_path).eval()
    packed = copy.deepcopy(plain)
    pack_linear(packed)
    assert not [m for m in packed.modules() if type(m) is nn.Linear]
    ids = torch.arange(60).view(4, 15)
    with torch.inference_mode():
        want, found = (model(input_ids=ids).last_hidden_state for model in (plain, packed))
    assert torch.allclose(found, want, atol=1e-5)


def test_a_layer_that_answers_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moved(PackedLinear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows) * 1.001

    monkeypatch.setattr(packed_linear, "PackedLinear", Moved)
    network: Any = nn.Sequential(nn.Linear(40, 24))
    with pytest.raises(AdapterError, match=r"torch .* moved"):
        pack_linear(network)
