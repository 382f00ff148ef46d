"""Tiny diffusers pipelines with seeded random weights: real loading and sampling, no download.

Their pictures mean nothing. A marker file beside the weights says so, and every component that
loads them repeats it in its passport.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
from medgen.adapters.models.settings import PipelineMode
from medgen.adapters.tiny.settings import SEED
from medgen.adapters.tiny.vlm import make_marked, weights_folder

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

# Folder -> pipeline class of diffusers. The editor's U-Net also sees the picture's 4 latents.
PIPELINES = {
    "text_to_image": ("StableDiffusionPipeline", 4),
    "image_to_image": ("StableDiffusionImg2ImgPipeline", 4),
    "edit": ("StableDiffusionInstructPix2PixPipeline", 8),
}
# Few steps and small pictures: enough to go through every line of the pipelines.
_SAMPLING: Mapping[str, Mapping[str, Any]] = {
    "text_to_image": {"steps": 2, "call": {"height": 64, "width": 64}},
    "image_to_image": {"steps": 2, "max_side": 64, "call": {"strength": 1.0}},
    "edit": {"steps": 2, "max_side": 64},
}
_CORPUS = (
    "remove the noise and the artifact from the scan, raise the contrast, mark the lesion, "
    "an axial slice of the brain, a chest radiograph, a section of stained tissue",
)
_VOCABULARY = 700
_CONTEXT = 77


def make(directory: str | Path, seed: int = 20251122) -> Path:
    """Write one folder for each of `PIPELINES`, each with its marker; same seed, same weights.

    A folder whose marker names the same recipe is left as it is.

    Args:
        directory: where to put about 3 MB of files; made when missing.
        seed: seeds every weight.

    Returns:
        The directory.
    """
    root = Path(directory)
    for name, (pipeline, channels) in PIPELINES.items():

        def save(folder: Path, kind: str = pipeline, channels: int = channels) -> None:
            _pipeline(kind, channels, seed).save_pretrained(folder, safe_serialization=True)

        make_marked(root / name, seed, _recipe(), save)
    return make_marked(root, seed, _recipe())


class TinyPipeline(DiffusersPipeline):
    """A tiny pipeline from the user's cache, made there once.

    Recipes name no folder, so they give the same keys on every machine.
    """

    def __init__(
        self,
        mode: PipelineMode,
        *,
        seed: int = SEED,
        load: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        firewall: Mapping[str, str] | None = None,
        execution: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the weights unless they are there, and load them.

        Args:
            mode: which of `PIPELINES`.
            seed: of the weights.
            load: as `DiffusersPipeline` takes it, like all that follow.
            sampling: goes over a few steps and small pictures.
            firewall: see there.
            execution: see there.
        """
        root = weights_folder(
            f"tiny-diffusers-{_recipe()}-{seed}", lambda folder: make(folder, seed)
        )
        super().__init__(
            str(root / mode),
            mode,
            load=load,
            sampling={**_SAMPLING.get(mode, {}), **(sampling or {})},
            firewall=firewall,
            execution=execution,
        )


def _recipe() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def _pipeline(name: str, channels: int, seed: int) -> "DiffusionPipeline":
    import diffusers
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        parts = {
            "unet": _unet(channels),
            "vae": _vae(),
            "text_encoder": _text_encoder(len(tokenizer)),
        }
    kind: type[DiffusionPipeline] = getattr(diffusers, name)
    return kind(
        **{part: module.eval() for part, module in parts.items()},
        tokenizer=tokenizer,
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _tokenizer() -> "CLIPTokenizer":
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    learnt = json.loads(backend.to_str())["model"]
    merges: Any = [tuple(pair) for pair in learnt["merges"]]  # the declared type lags behind
    return CLIPTokenizer(vocab=learnt["vocab"], merges=merges, model_max_length=_CONTEXT)


def _unet(channels: int) -> "UNet2DConditionModel":
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def _vae() -> "AutoencoderKL":
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )


def _text_encoder(vocabulary: int) -> "CLIPTextModel":
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=_CONTEXT,
        # The first two of the vocabulary are the special tokens of the family.
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        # Wide enough that the picture depends on the prompt.
        initializer_range=0.2,
    )
    return CLIPTextModel(config)
