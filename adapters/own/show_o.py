"""Show-o, as `inference_mmu.py` and `inference_t2i.py` of github.com/showlab/Show-o ask it.

Of a picture it changes what lies inside a mask, and no benchmark of ours gives one: an edit is
drawn from the words alone. An order longer than 128 tokens is cut there, by its own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

    from medgen.adapters.own.own_server import Question


_GUIDANCE, _STEPS = 5.0, 50  # of the authors' command for 512 x 512


class ShowO(shared.Unified):
    """Words about one picture, and pictures from words; run in the authors' repository.

    Prompts of pictures have one length there. For words their language model is asked itself, for
    `mmu_generate` keeps the first row of every step alone, and no keys: here keys are kept, and
    shorter prompts are filled up at the left, where neither mask nor positions count that.
    """

    def __init__(
        self,
        model: str,
        revision: str = "",
        config: str = "configs/showo_demo_512x512.yaml",
        device: str = "cuda",
    ) -> None:
        """Load model, picture tokens and prompts as the file `config` has them."""
        self._config = import_module("omegaconf").OmegaConf.load(config)
        sizes, self._device = self._config.model.showo, device
        self._prompts = import_module("training.prompting_utils")
        self._code = import_module("models")
        tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(
            sizes.llm_model_path, padding_side="left"
        )
        self._ask = self._prompts.UniversalPrompting(
            tokenizer, max_text_len=self._config.dataset.preprocessing.max_seq_length
        )
        self._tokens, self._codes = sizes.num_vq_tokens, sizes.codebook_size
        with shared.plain_weights():
            pixels = self._code.MAGVITv2.from_pretrained(self._config.model.vq_model.vq_model_name)
            loaded = self._code.Showo.from_pretrained(model, revision=revision or None)
        self._pixels, self._model = pixels.to(device).eval(), loaded.to(device).eval()

    def words_for(self, questions: Sequence[Question]) -> list[str | Exception]:
        """Words about a picture, of which each question must hold one."""
        return shared.replies_to(questions, self._prompt, self._words)

    def _words(self, prompts: Sequence[Tensor], drawn: dict[str, Any]) -> list[str]:
        """As `mmu_generate` has it, which keeps the first row of a batch alone, and no keys."""
        import torch

        rows, known = shared.stack_left(prompts)
        mask, places = self._mask(prompts), (known.cumsum(dim=-1) - 1).clamp(min=0)
        end, held, said = int(self._ask.sptids_dict["<|eot|>"]), None, []
        ended = torch.zeros_like(rows[:, :1], dtype=torch.bool)
        for _ in range(drawn["max_new_tokens"]):
            with torch.no_grad():
                out = self._model.showo(
                    input_ids=rows,
                    attention_mask=mask,
                    position_ids=places,
                    past_key_values=held,
                    use_cache=True,
                )
            rows, held = _next(out.logits[:, -1], drawn), out.past_key_values
            said.append(rows)
            ended |= rows == end
            if bool(ended.all()):
                break
            # What comes sees what the last of a prompt saw, and what came since.
            mask = torch.cat([mask[:, :, -1:], mask.new_zeros(len(mask), 1, 1, 1)], dim=-1)
            places = places[:, -1:] + 1
        ids = [_until(row, end) for row in torch.cat(said, dim=1).tolist()]
        texts = self._ask.text_tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [str(text).strip() for text in texts]

    def _mask(self, prompts: Sequence[Tensor]) -> Tensor:
        """Prompts x 1 x longest x longest: each prompt's own mask, and nothing else is seen."""
        import torch

        marked = int(self._ask.sptids_dict["<|eoi|>"])
        own = [
            self._prompts.create_attention_mask_for_mmu(prompt[None], eoi_id=marked)[0, 0]
            for prompt in prompts
        ]
        longest = max(map(len, own))
        lowest = torch.finfo(own[0].dtype).min
        whole: Tensor = own[0].new_full((len(own), 1, longest, longest), lowest)
        for at, one in enumerate(own):
            whole[at, 0, longest - len(one) :, longest - len(one) :] = one
        return whole

    def _prompt(self, question: Question) -> Tensor:
        """The picture between its marks, then the words.

        Raises:
            ValueError: there is no picture.
        """
        import torch

        if not question["images"]:
            raise ValueError("it answers about a picture, and there is none")
        marks = self._ask.sptids_dict
        words = f"USER: \n{shared.words(question)} ASSISTANT:"
        asked = torch.tensor([self._ask.text_tokenizer(words)["input_ids"]])
        start = [marks[name].reshape(1, 1) for name in ("<|mmu|>", "<|soi|>")]
        end = [marks[name].reshape(1, 1) for name in ("<|eoi|>", "<|sot|>")]
        whole = torch.cat([*start, self._tokens_of(question).cpu(), *end, asked], dim=1)
        return whole[0].to(self._device, dtype=torch.long)

    def pictures_for(self, questions: Sequence[Question]) -> list[bytes]:
        """Pictures from words alone."""
        import torch

        marks = self._ask.sptids_dict
        count, empty = len(questions), self._model.config.mask_token_id
        blank = torch.full((count, self._tokens), empty, dtype=torch.long, device=self._device)
        orders = [shared.order(question) for question in questions]
        asked, _ = self._ask((orders, blank), "t2i_gen")
        without, _ = self._ask(([""] * count, blank), "t2i_gen")
        mask = self._prompts.create_attention_mask_predict_next(
            torch.cat([asked, without]),
            **{f"{name}_id": int(marks[f"<|{name}|>"]) for name in ("pad", "soi", "eoi")},
            rm_pad_in_image=True,
        )
        with torch.no_grad(), shared.seeds(questions):
            made = self._model.t2i_generate(
                input_ids=asked,
                uncond_input_ids=without,
                attention_mask=mask,
                guidance_scale=_GUIDANCE,
                timesteps=_STEPS,
                noise_schedule=self._code.get_mask_chedule("cosine"),
                seq_len=self._tokens,
                uni_prompting=self._ask,
                config=self._config,
            )
        return [self._picture(codes) for codes in made.clamp(0, self._codes - 1)]

    def _picture(self, codes: Any) -> bytes:
        with import_module("torch").no_grad():
            pixels = self._pixels.decode_code(codes[None])[0]
        grid = ((pixels.float() + 1) / 2).clamp(0, 1) * 255
        array = grid.permute(1, 2, 0).cpu().numpy().astype("uint8")
        return shared.png(import_module("PIL.Image").fromarray(array))

    def _tokens_of(self, question: Question) -> Any:
        """The picture as tokens, behind those of words: 1 x tokens."""
        import torch

        (picture,) = shared.pictures(question)
        side = self._config.dataset.params.resolution
        sized = import_module("training.utils").image_transform(picture, resolution=side)
        with torch.no_grad():
            codes = self._pixels.get_code(sized[None].to(self._device))
        return codes + len(self._ask.text_tokenizer)


def _next(logits: Tensor, drawn: dict[str, Any]) -> Tensor:
    """A token for each: prompts x 1."""
    import torch

    if not drawn["do_sample"]:
        return logits.argmax(dim=-1, keepdim=True)
    chances = torch.softmax(logits / drawn["temperature"], dim=-1)
    return torch.multinomial(chances, num_samples=1)


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
