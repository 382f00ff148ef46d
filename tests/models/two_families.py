"""Two tiny vision-language models that no single release of transformers can load.

Random weights: their words mean nothing.
"""

from collections.abc import Sequence
from typing import Any

_SIDE = 16
_LETTERS = "abcdefghijklmnopqrstuvwxyz "


class Captioner:
    """A vision encoder and a text decoder; says eight letters about a picture."""

    def __init__(self, loader: str, needs: str, seed: int) -> None:
        """Load the model with one of transformers' automatic classes.

        Args:
            loader: the class.
            needs: a name that transformers must have beside it.
            seed: of the weights.

        Raises:
            AttributeError: this release of transformers has no such class.
        """
        import torch
        import transformers

        getattr(transformers, needs)
        loud = {"initializer_range": 0.5}  # so that the words depend on the picture
        tiny = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, **loud}
        seeing = transformers.ViTConfig(
            **tiny, intermediate_size=32, image_size=_SIDE, patch_size=8
        )
        writing = transformers.GPT2Config(
            vocab_size=len(_LETTERS), n_positions=32, n_embd=16, n_layer=1, n_head=2, **loud,
            add_cross_attention=True, is_decoder=True, bos_token_id=0, eos_token_id=None,
        )  # fmt: skip
        config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            seeing, writing
        )
        torch.manual_seed(seed)
        self._model = getattr(transformers, loader).from_config(config).eval()

    def reply(
        self, system: str, instruction: str, images: Sequence[bytes], seed: int
    ) -> Sequence[str | bytes]:
        """See `medgen.adapters.models.unified.Replier`."""
        import torch

        tokens = torch.zeros((1, 1), dtype=torch.long)
        pixels = torch.stack([_pixels(image) for image in images])[:1]
        with torch.inference_mode():
            for _ in range(8):
                logits = self._model(pixel_values=pixels, decoder_input_ids=tokens).logits
                tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], 1)
        return ["".join(_LETTERS[int(t)] for t in tokens[0, 1:])]


class Older(Captioner):
    """Loaded by a class that the releases from 5 on do not have."""

    def __init__(self, model: str, seed: int = 0) -> None:
        super().__init__("AutoModelForVision2Seq", "AutoModelForVision2Seq", seed)


class Newer(Captioner):
    """Needs the tokenizers of the releases from 5 on."""

    def __init__(self, model: str, seed: int = 0) -> None:
        super().__init__("AutoModelForImageTextToText", "TokenizersBackend", seed)


def _pixels(image: bytes) -> Any:
    import io

    import numpy as np
    import torch
    from PIL import Image as Pillow

    small = Pillow.open(io.BytesIO(image)).convert("RGB").resize((_SIDE, _SIDE))
    return torch.tensor(np.asarray(small), dtype=torch.float32).permute(2, 0, 1) / 16 - 8
