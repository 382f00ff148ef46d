"""GMAI-VL, as `demo/gmai_vl_demo/app.py` of github.com/uni-medical/GMAI-VL asks it.

The demo's penalty on what is repeated is kept; its cuts of what was said are its page's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from medgen.adapters.own import shared

_ENDS = "<|im_end|>"


class GmaiVl(shared.OneByOne):
    """Words about one picture, with the code that lies beside its weights."""

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer, eye and weights with the code of their repository."""
        torch, transformers = import_module("torch"), import_module("transformers")
        known = {"revision": revision or None, "trust_remote_code": True}
        config = transformers.AutoConfig.from_pretrained(model, **known)
        for part in (config, getattr(config, "text_config", config)):
            part.attn_implementation = "eager"
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model, **known)
        self._sight = transformers.AutoImageProcessor.from_pretrained(model, **known)
        loaded = transformers.AutoModel.from_pretrained(
            model, config=config, torch_dtype=torch.bfloat16, low_cpu_mem_usage=True, **known
        )
        self._model = loaded.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def one(self, question: Mapping[str, Any]) -> str:
        """A text for one.

        Raises:
            ValueError: not one picture.
        """
        torch, device = import_module("torch"), self._model.device
        shown = shared.pictures(question)
        if len(shown) != 1:
            raise ValueError(f"{len(shown)} pictures; it takes one")
        shared.seed(question)
        turn = {"role": "user", "content": f"<image>\n{shared.words(question)}"}
        prompt = self._tokenizer.apply_chat_template(
            [turn], tokenize=False, add_generation_prompt=True
        )
        asked = self._tokenizer(prompt, return_tensors="pt")
        pixels = self._sight(images=shown[0], return_tensors="pt")["pixel_values"]
        ids, ends = asked["input_ids"].to(device), self._tokenizer.eos_token_id
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids,
                attention_mask=asked["attention_mask"].to(device),
                pixel_values=pixels.to(device, dtype=torch.bfloat16),
                repetition_penalty=1.12,
                no_repeat_ngram_size=5,
                eos_token_id=[ends, self._tokenizer.convert_tokens_to_ids(_ENDS)],
                pad_token_id=ends,
                **shared.drawing(question),
            )
        return str(self._tokenizer.decode(out[0][ids.shape[1] :], skip_special_tokens=True)).strip()
