"""BAGEL and UniMedVL, which is built on it, as their authors' scripts ask them.

BAGEL: `inference.ipynb` and `app.py` of github.com/ByteDance-Seed/Bagel. UniMedVL:
`codes/interactive_image_generator.py` of github.com/uni-medical/UniMedVL, whose sizes of pictures
stand in the script; `build_transform` of its other script, which reads a file of its authors'
machine, is not needed.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from medgen.adapters.own.own_server import Question


_PICTURE = {"cfg_text_scale": 4.0, "timestep_shift": 3.0, "num_timesteps": 50}
_DRAWN = {
    **_PICTURE,
    "cfg_img_scale": 1.0,
    "cfg_interval": [0.4, 1.0],
    "cfg_renorm_type": "global",
}
_EDITED = {
    **_PICTURE,
    "cfg_img_scale": 2.0,
    "cfg_interval": [0.0, 1.0],
    "cfg_renorm_type": "text_channel",
}


class Bagel(shared.Unified):
    """Words and pictures; run in the authors' repository.

    Its inferencer keeps one context, whose keys, lengths and positions are those of one talk, so
    questions wait.
    """

    code = "modeling.bagel"
    # Of a picture for the autoencoder and for the eye: longest and shortest side, stride.
    sides = ((1024, 512, 16), (980, 224, 14))

    def __init__(self, model: str, revision: str = "", device: str = "cuda:0") -> None:
        """Load the folder `model` onto one card."""
        shared.refuse_revision(revision)
        import torch

        accelerate = import_module("accelerate")
        autoencoder = import_module("modeling.autoencoder")
        pixels, vae = autoencoder.load_ae(local_path=os.path.join(model, "ae.safetensors"))
        with accelerate.init_empty_weights():
            shell = self._shell(model, pixels, vae)
        loaded = accelerate.load_checkpoint_and_dispatch(
            shell,
            checkpoint=os.path.join(model, "ema.safetensors"),
            device_map={"": device},
            dtype=torch.bfloat16,
            force_hooks=True,
        )
        tokenizer = import_module("modeling.qwen2").Qwen2Tokenizer.from_pretrained(model)
        tokenizer, marks, _ = import_module("data.data_utils").add_special_tokens(tokenizer)
        sized = import_module("data.transforms").ImageTransform
        self._ask = import_module("inferencer").InterleaveInferencer(
            model=loaded.eval(),
            vae_model=pixels.to(device=device, dtype=torch.bfloat16),
            tokenizer=tokenizer,
            vae_transform=sized(*self.sides[0]),
            vit_transform=sized(*self.sides[1]),
            new_token_ids=marks,
        )

    def _shell(self, folder: str, pixels: Any, vae: Any) -> Any:
        """The model without weights, with what the authors set beside its files."""
        code = import_module(self.code)
        words = code.Qwen2Config.from_json_file(os.path.join(folder, "llm_config.json"))
        words.qk_norm, words.tie_word_embeddings = True, False
        words.layer_module = "Qwen2MoTDecoderLayer"
        sight = code.SiglipVisionConfig.from_json_file(os.path.join(folder, "vit_config.json"))
        sight.rope, sight.num_hidden_layers = False, sight.num_hidden_layers - 1
        config = code.BagelConfig(
            visual_gen=True,
            visual_und=True,
            llm_config=words,
            vit_config=sight,
            vae_config=vae,
            vit_max_num_patch_per_side=70,
            connector_act="gelu_pytorch_tanh",
            latent_patch_size=2,
            max_latent_size=64,
        )
        parts = code.Qwen2ForCausalLM(words), code.SiglipVisionModel(sight), config
        shell = code.Bagel(*parts, **self._further(pixels))
        shell.vit_model.vision_model.embeddings.convert_conv2d_to_linear(sight, meta=True)
        return shell

    def _further(self, pixels: Any) -> dict[str, Any]:
        return {}

    def write(self, question: Question) -> str:
        """Words about the pictures, or about words alone."""
        heat = question["temperature"]
        (said,) = self._ask.interleave_inference(
            [*shared.pictures(question), shared.words(question)],
            understanding_output=True,
            max_think_token_n=question["max_tokens"],
            do_sample=heat > 0,
            text_temperature=heat or 1.0,
        )
        return str(said)

    def draw(self, question: Question) -> bytes:
        """An edit where a picture is given; its size is that picture's, as the authors scale it."""
        shown = shared.pictures(question)
        asked = [*shown, shared.order(question)]
        (made,) = self._ask.interleave_inference(asked, **(_EDITED if shown else _DRAWN))
        return shared.png(made)


class UniMedVL(Bagel):
    """The same over nine kinds of medical images; run in the authors' folder `codes`."""

    code = "modeling.unimedvl"
    sides = ((1024, 32, 16), (980, 387, 14))

    def _further(self, pixels: Any) -> dict[str, Any]:
        return {"vae_model": pixels}

    def draw(self, question: Question) -> bytes:
        """An edit as its script makes one: what the model says of the order first joins it."""
        shown = shared.pictures(question)
        if not shown:
            return super().draw(question)
        order = shared.order(question)
        (said,) = self._ask.interleave_inference(
            [*shown, order], understanding_output=True, do_sample=False, max_think_token_n=800
        )
        shape = self._ask._calculate_target_size_with_aspect_ratio(*shown[0].size)
        (made,) = self._ask.interleave_inference(
            [*shown, f"{order}\n\n{said}"], image_shapes=shape, **_EDITED
        )
        return shared.png(made)
