"""GMAI-VL, as `demo/gmai_vl_demo/app.py` of github.com/uni-medical/GMAI-VL asks it.

The demo's penalty on what is repeated is kept; its cuts of what was said are its page's.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_ENDS = "<|im_end|>"


class GmaiVl(shared.Together):
    """Words about one picture, with the code that lies beside its weights.

    That code finds what was filled up by looking for zeros among the keys, which not every base
    has there: prompts of one length go together.
    """

    def __init__(self, model: str, revision: str = "") -> None:
        """Load tokenizer, eye and weights with the code of their repository."""
        import torch

        transformers = import_module("transformers")
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

    def prompt(self, question: Question) -> tuple[Tensor, Tensor]:
        """Tokens, and the picture as 1 x colours x height x width."""
        shown = shared.only_picture(question)
        turn = {"role": "user", "content": f"<image>\n{shared.words(question)}"}
        asked = self._tokenizer.apply_chat_template(
            [turn], tokenize=False, add_generation_prompt=True
        )
        (ids,) = self._tokenizer(asked, return_tensors="pt")["input_ids"]
        return ids, self._sight(images=shown, return_tensors="pt")["pixel_values"]

    def kind(self, prompt: tuple[Tensor, Tensor]) -> int:
        """Its length: no prompt is filled up."""
        return len(prompt[0])

    def texts(self, prompts: Sequence[tuple[Tensor, Tensor]], drawn: dict[str, Any]) -> list[str]:
        """The replies, without their prompts."""
        import torch

        device = self._model.device
        ids = torch.stack([ids for ids, _ in prompts]).to(device)
        pixels, ends = torch.cat([one for _, one in prompts]), self._tokenizer.eos_token_id
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixels.to(device, dtype=torch.bfloat16),
                repetition_penalty=1.12,
                no_repeat_ngram_size=5,
                eos_token_id=[ends, self._tokenizer.convert_tokens_to_ids(_ENDS)],
                pad_token_id=ends,
                **drawn,
            )
        said = self._tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return [str(text).strip() for text in said]
