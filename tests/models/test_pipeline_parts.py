"""Pipelines with LoRA adapters and replaced parts: nothing is left out in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models.conftest import picture

from medgen.adapters.models.diffusers_pipeline import DiffusersPipeline
from medgen.engine.data import Image, Request, Sample
from medgen.engine.errors import AdapterError, ConfigError
from medgen.engine.settings import check_arguments

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # What peft and diffusers find old-fashioned in each other is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
SAMPLE = Sample(
    id="s",
    asks="image",
    task="noise-reconstruction",
    modality="CT",
    instruction="remove the noise",
    input_images=(Image(picture(1), "in.png"),),
)


@pytest.fixture(scope="module")
def adapter(tiny_pipelines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter over the tiny U-Net's attention, with weights that are far from nothing."""
    import torch
    from diffusers import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion import StableDiffusionInstructPix2PixPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = UNet2DConditionModel.from_pretrained(tiny_pipelines / "edit" / "unet")
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, values in unet.named_parameters():
            if "lora" in name:
                values.data.normal_()
    folder = tmp_path_factory.mktemp("lora")
    StableDiffusionInstructPix2PixPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(unet)
    )
    return folder


@pytest.fixture
def drawn(tiny_pipelines: Path) -> Callable[..., tuple[bytes, dict[str, Any]]]:
    def draw(**load: Any) -> tuple[bytes, dict[str, Any]]:
        pipe = DiffusersPipeline(
            str(tiny_pipelines / "edit"), "edit", load=load, sampling={"steps": 2}
        )
        (row,) = pipe.predict([Request(SAMPLE)])
        assert row.status == "ok", row.reason
        return row.images[0].data, dict(pipe.passport())

    return draw


def test_an_adapter_changes_pictures_by_its_weight(
    drawn: Callable[..., tuple[bytes, dict[str, Any]]], adapter: Path
) -> None:
    plain, before = drawn()
    whole, passport = drawn(lora=[{"path": str(adapter)}])
    half, _ = drawn(lora=[{"path": str(adapter), "weight": 0.5}])
    off, _ = drawn(lora=[{"path": str(adapter), "weight": 0.0}])
    assert len({plain, whole, half}) == 3
    assert off == plain
    assert "lora" not in before
    assert passport["lora"][0]["folder_sha256"] != before["folder_sha256"]
    assert passport["lora"][0]["weight"] == 1.0


def test_an_adapter_of_another_model_ends_the_start(
    drawn: Callable[..., Any], adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    name = "pytorch_lora_weights.safetensors"
    foreign = {f"other.{key}": value for key, value in load_file(adapter / name).items()}
    save_file(foreign, tmp_path / name)
    with pytest.raises(AdapterError, match=r"the LoRA adapter .* (has no layer|cannot be loaded)"):
        drawn(lora=[{"path": str(tmp_path)}])


def test_an_adapter_that_is_not_there_ends_the_start(
    drawn: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match=r"the LoRA adapter .* cannot be loaded"):
        drawn(lora=[{"path": str(tmp_path)}])


def test_a_part_is_replaced_and_named(
    drawn: Callable[..., tuple[bytes, dict[str, Any]]], tiny_pipelines: Path, tmp_path: Path
) -> None:
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(tiny_pipelines / "edit" / "vae")
    with torch.no_grad():
        for values in vae.parameters():
            values.mul_(0.5)
    vae.save_pretrained(tmp_path, safe_serialization=True)
    own = {"vae": {"kind": "AutoencoderKL", "path": str(tmp_path)}}
    other, passport = drawn(parts=own)
    assert other != drawn()[0]
    assert set(passport["parts"]["vae"]) == {"kind", "path", "folder_sha256"} - {"kind"}


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({"parts": {"vae": {"kind": "NoSuchKind", "path": "."}}}, "part vae: neither"),
        ({"quantization": {"backend": "nothing", "parts": ["unet"]}}, "quantization"),
        ({"lora": [{"path": "someone/adapter"}]}, "needs `revision`"),
        ({"parts": {"vae": {"kind": "AutoencoderKL", "path": "some/vae"}}}, "needs `revision`"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    drawn: Callable[..., Any], load: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        drawn(**load)


@pytest.mark.parametrize("scale", [1.01, 4.0, 7])
@pytest.mark.parametrize(
    ("target", "where", "more"),
    [
        ("diffusers", "sampling.call", {"model": "./m", "mode": "edit"}),
        (
            "openai-images",
            "extra",
            {"model": "m", "mode": "edit", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}},
        ),
    ],
)
def test_guidance_that_would_be_silently_off_is_refused(
    target: str, where: str, more: dict[str, Any], scale: float
) -> None:
    def asked(**call: Any) -> dict[str, Any]:
        outer, _, inner = where.partition(".")
        return {**more, outer: {inner: call} if inner else call}

    with pytest.raises(ConfigError, match=r"true_cfg_scale .* does nothing without a negative"):
        check_arguments("system 'a'", target, asked(true_cfg_scale=scale))
    check_arguments("system 'a'", target, asked(true_cfg_scale=scale, negative_prompt=" "))
    check_arguments("system 'a'", target, asked(true_cfg_scale=1.0))
    check_arguments("system 'a'", target, asked(guidance_scale=scale))
