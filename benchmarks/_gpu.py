"""Where the benchmark of a GPU measures, and its models: ours beside the bare libraries."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how large everything is."""

    device: str
    small: bool
    folder: Path
    ends: float  # of the clock `time.monotonic`

    @property
    def items(self) -> int:
        """Samples of a measurement."""
        return 8 if self.small else 256

    def left(self) -> float:
        """Seconds that are left."""
        return self.ends - time.monotonic()

    def seconds(self, work: Callable[[], Any]) -> float:
        """Seconds of some work on the device, to its end, after one warm-up."""
        work()
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Until the device has done what it was given."""
        import torch

        if self.device != "cpu":
            torch.cuda.synchronize()


def chat(bench: Bench) -> dict[str, Any]:
    """Replies a second of a vision-language model: our adapter and the bare library, one batch."""
    import torch

    from medgen.adapters.models.transformers_chat import TransformersChat
    from medgen.engine.chat.messages import ChatRequest, Message, Sampling

    place, side, tokens = _chat_model(bench)
    count, picture = 2 if bench.small else 8, _picture(side)
    ours = TransformersChat(
        str(place), dtype="float32" if bench.device == "cpu" else "bfloat16",
        execution={"batch_size": count, "device": bench.device},
    )  # fmt: skip
    turn = Message("user", (picture, "Describe the finding."))
    asked = [[ChatRequest((turn,), Sampling(max_tokens=tokens))] for _ in range(count)]
    replies = [reply for chain in ours.chat(asked) for reply in chain]
    if bad := next((r.reason for r in replies if r.status not in ("ok", "truncated")), ""):
        raise RuntimeError(bad)
    mine = bench.seconds(lambda: ours.chat(asked))
    model, processor = ours._model, ours._processor
    parts = [{"type": "image"}, {"type": "text", "text": "Describe the finding."}]

    def alone() -> None:
        said = processor.apply_chat_template(
            [{"role": "user", "content": parts}], add_generation_prompt=True
        )
        given = processor(
            text=[said] * count, images=[_pixels(picture) for _ in range(count)],
            padding=True, return_tensors="pt",
        ).to(bench.device)  # fmt: skip
        with torch.inference_mode():
            made = model.generate(
                **given, max_new_tokens=tokens, do_sample=False, repetition_penalty=1.0
            )
        processor.batch_decode(made[:, given["input_ids"].shape[1] :], skip_special_tokens=True)

    theirs = bench.seconds(alone)
    written = sum(reply.usage.completion_tokens for reply in replies)
    return {
        "ours_per_s": count / mine, "bare_per_s": count / theirs, "of_bare": theirs / mine,
        "tokens_per_s": written / mine, "prompt_tokens": replies[0].usage.prompt_tokens,
        "batch": count, "tokens": tokens, "side": side,
        "billion_numbers": sum(p.numel() for p in model.parameters()) / 1e9,
    }  # fmt: skip


def _chat_model(bench: Bench) -> tuple[Path, int, int]:
    """A Qwen2.5-VL as large as the one of 3 B, or the tiny one: folder, side, tokens to write."""
    from medgen.adapters.tiny import vlm

    place = vlm.make(bench.folder / "vlm")
    if bench.small:
        return place, 64, 8
    import torch
    import transformers

    library: Any = transformers  # whose classes are declared too narrowly
    config = library.AutoConfig.from_pretrained(place)
    text, vision = config.text_config, config.vision_config
    text.update(
        {
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
            "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936,
            "layer_types": ["full_attention"] * 36, "initializer_range": 0.02,
            "rope_parameters": {**text.rope_parameters, "mrope_section": [16, 24, 24]},
        }
    )  # fmt: skip
    vision.update(
        {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "out_hidden_size": 2048, "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31], "initializer_range": 0.02,
        }
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(bench.device):
        whole = library.Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)
    large = bench.folder / "large-vlm"
    whole.save_pretrained(large)
    processor = library.AutoProcessor.from_pretrained(place)
    processor.image_processor.size = {"shortest_edge": 56 * 56, "longest_edge": 1280 * 28 * 28}
    processor.save_pretrained(large)
    return large, 1024, 64


def _picture(side: int) -> Any:
    """A picture of noise, packed."""
    import io

    import numpy as np
    from PIL import Image as Pillow

    from medgen.engine.data import Image

    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Pillow.fromarray(noise).save(packed := io.BytesIO(), "PNG")
    return Image(packed.getvalue())


def _pixels(picture: Any) -> Any:
    import io

    from PIL import Image as Pillow

    return Pillow.open(io.BytesIO(picture.data)).convert("RGB")


def pipeline(bench: Bench) -> dict[str, Any]:
    """Pictures a second of an image model: our adapter and the bare library, the same batch."""
    if importlib.util.find_spec("diffusers") is None:
        return {"left_out": "diffusers is not here"}
    import torch

    from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
    from medgen.engine.data import Request, Sample

    place, side, steps = _image_model(bench)
    count = 2 if bench.small else 4
    dtype = "float32" if bench.device == "cpu" else "float16"
    call = {"height": side, "width": side}
    ours = DiffusersPipeline(
        str(place), "text_to_image", load={"dtype": dtype},
        sampling={"steps": steps, "call": call},
        execution={"batch_size": count, "device": bench.device},
    )  # fmt: skip
    asked = [
        Request(Sample(f"s{n}", "image+text", "disease-prediction", "CT", "A chest radiograph."))
        for n in range(count)
    ]
    rows = ours.predict(asked)
    if bad := next((row.reason for row in rows if row.status != "ok"), ""):
        raise RuntimeError(bad)
    mine = count / bench.seconds(lambda: ours.predict(asked))
    bare: Any = ours._pipe

    def alone() -> None:
        seeds = [torch.Generator().manual_seed(n) for n in range(count)]
        words = ["A chest radiograph."] * count
        bare(words, generator=seeds, num_inference_steps=steps, **call)

    theirs = count / bench.seconds(alone)
    parts = (part for part in bare.components.values() if isinstance(part, torch.nn.Module))
    size = sum(p.numel() for part in parts for p in part.parameters())
    return {
        "ours_per_s": mine, "bare_per_s": theirs, "of_bare": mine / theirs, "batch": count,
        "steps": steps, "side": side, "billion_numbers": size / 1e9,
    }  # fmt: skip


def _image_model(bench: Bench) -> tuple[Path, int, int]:
    """A Stable Diffusion with a U-Net as large as SDXL's, or the tiny one: folder, side, steps."""
    from medgen.adapters.tiny import diffusers as tiny_diffusers

    place = tiny_diffusers.make(bench.folder / "pipelines") / "text_to_image"
    if bench.small:
        return place, 64, 2
    import diffusers
    import torch

    library: Any = diffusers  # whose classes are declared too narrowly
    whole = library.StableDiffusionPipeline.from_pretrained(place, safety_checker=None)
    torch.manual_seed(0)
    unet = library.UNet2DConditionModel(
        sample_size=128, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
        cross_attention_dim=whole.text_encoder.config.hidden_size, use_linear_projection=True,
    )  # fmt: skip
    whole.unet = unet.half()
    large = bench.folder / "large"
    whole.save_pretrained(large, safe_serialization=True)
    return large, 1024, 30
