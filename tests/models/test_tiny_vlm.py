"""The tiny model is the same everywhere and owns up to its random weights."""

import hashlib
import json
from pathlib import Path

import pytest

from medgen.adapters.provenance import MARKER, random_weights, weights
from medgen.adapters.tiny.vlm import cached_model, make

pytestmark = pytest.mark.slow


def digest(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes(tiny_vlm: Path, tmp_path: Path) -> None:
    assert digest(make(tmp_path / "again")) == digest(tiny_vlm)
    other = digest(make(tmp_path / "other", seed=1))
    assert other["model.safetensors"] != digest(tiny_vlm)["model.safetensors"]
    assert other["tokenizer.json"] == digest(tiny_vlm)["tokenizer.json"]


def test_a_made_model_is_not_made_again(tiny_vlm: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in tiny_vlm.iterdir()}
    make(tiny_vlm)
    assert {p.name: p.stat().st_mtime_ns for p in tiny_vlm.iterdir()} == before


def test_its_weights_are_marked_random(tiny_vlm: Path, tmp_path: Path) -> None:
    marker = random_weights(tiny_vlm)
    assert marker is not None
    assert marker["random_weights"] is True
    assert weights(str(tiny_vlm))["random_weights"] is True
    assert random_weights(tmp_path) is None
    assert random_weights("Qwen/Qwen3-VL-8B-Instruct") is None
    assert (tiny_vlm / MARKER).is_file()


def test_the_cache_is_filled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGEN_CACHE", str(tmp_path / "cache"))
    place = cached_model()
    stamp = (place / MARKER).stat().st_mtime_ns
    assert cached_model() == place
    assert (place / MARKER).stat().st_mtime_ns == stamp
    assert [p for p in (tmp_path / "cache").iterdir() if p != place] == []


def test_numbers_are_digits_to_its_tokenizer_and_pictures_stand_in_order(tiny_vlm: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(str(tiny_vlm))
    ids = processor.tokenizer("10 and 7")["input_ids"]
    assert [processor.tokenizer.decode([i]) for i in ids if i][:2] == ["1", "0"]
    turns = [
        {
            "role": "user",
            "content": [
                {"type": "image"},
                {"type": "text", "text": "between"},
                {"type": "image"},
            ],
        }
    ]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    assert f"{mark}between{mark}" in text
    assert text.endswith("<|im_start|>assistant\n")
    config = json.loads((tiny_vlm / "config.json").read_text(encoding="utf-8"))
    assert config["text_config"]["vocab_size"] == len(processor.tokenizer)
