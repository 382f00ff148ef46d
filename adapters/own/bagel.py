"""BAGEL and UniMedVL, which is built on it, as their authors' scripts ask them.

BAGEL: `inference.ipynb` and `app.py` of github.com/ByteDance-Seed/Bagel. UniMedVL:
`codes/interactive_image_generator.py` of github.com/uni-medical/UniMedVL, whose sizes of pictures
stand in the script; `build_transform` of its other script, which reads a file of its authors'
machine, is not needed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from medgen.adapters.own import shared

if TYPE_CHECKING:
    from torch import Tensor

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
_SQUARE = (1024, 1024)
_Context = dict[str, Any]


class _Draft(NamedTuple):
    """What a picture is made from: all that was said, and what its guidance leaves out of it."""

    whole: _Context
    without_words: _Context
    without_pictures: _Context
    noise: Tensor
    size: tuple[int, int]  # height x width
    edited: bool


class _AllEnded(Exception):
    """Every answer of a batch has come to its end."""


class Bagel(shared.Unified):
    """Words and pictures; run in the authors' repository.

    Their inferencer keeps the context of one talk, so here it makes one for each question. Their
    model takes several, packed one behind the other: it writes and draws all at once.
    """

    code = "modeling.bagel"
    # Of a picture for the autoencoder and for the eye: longest and shortest side, stride.
    sides = ((1024, 512, 16), (980, 224, 14))

    def __init__(self, model: str, revision: str = "", device: str = "cuda:0") -> None:
        """Load the folder `model` onto one card."""
        shared.refuse_revision(revision)
        self._device = device
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

    def words_for(self, questions: Sequence[Question]) -> list[str | Exception]:
        """Words about the pictures, or about words alone."""
        return shared.replies_to(questions, self._to_write, self._write)

    def _to_write(self, question: Question) -> _Context:
        with self._precision():
            talk = self._see(shared.pictures(question), drawn=False)
            return dict(self._ask.update_context_text(shared.words(question), talk))

    def _see(self, pictures: Sequence[Any], drawn: bool) -> _Context:
        """A talk that begins with pictures, which the autoencoder sees only to draw others."""
        talk = self._ask.init_gen_context()
        for picture in pictures:
            talk = self._ask.update_context_image(self._resize(picture), talk, vae=drawn)
        return dict(talk)

    def _resize(self, picture: Any) -> Any:
        return self._ask.vae_transform.resize_transform(picture)

    def _precision(self) -> Any:
        """That of the authors' inferencer."""
        torch: Any = import_module("torch")
        kind = self._device.partition(":")[0]
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda")

    def _write(self, talks: Sequence[_Context], drawn: dict[str, Any]) -> list[str]:
        ids = self._ask.tokenizer
        said = [str(ids.decode(row)) for row in self._tokens(_pack(self._ask, talks), drawn)]
        return [text.split("<|im_end|>")[0].split("<|im_start|>")[1] for text in said]

    def _tokens(self, talk: _Context, drawn: dict[str, Any]) -> Tensor:
        """Questions x tokens; behind the end of an answer stands what nobody asked for.

        Their loop ends with the first answer of a batch, so it is told of no end: it is left when
        it is about to read tokens by which all have ended.
        """
        import torch

        model, marks = self._ask.model, self._ask.new_token_ids
        said: list[Tensor] = []
        going = set(range(len(talk["kv_lens"])))

        def watch(_: Any, given: tuple[Tensor, ...]) -> None:
            said.append(given[0].cpu())
            ended = (said[-1] == marks["eos_token_id"]).nonzero().flatten()
            going.difference_update(ended.tolist())
            if not going:
                raise _AllEnded

        hook = model.language_model.model.embed_tokens.register_forward_pre_hook(watch)
        try:
            with contextlib.suppress(_AllEnded), self._precision():
                model.generate_text(
                    past_key_values=talk["past_key_values"],
                    max_length=drawn["max_new_tokens"],
                    do_sample=drawn["do_sample"],
                    temperature=drawn.get("temperature", 1.0),
                    **model.prepare_start_tokens(talk["kv_lens"], talk["ropes"], marks),
                )
        finally:
            hook.remove()
        return torch.stack(said, dim=1)

    def pictures_for(self, questions: Sequence[Question]) -> list[bytes | Exception]:
        """Pictures from words, and edits of those that are given."""
        orders = iter(self._orders(questions))
        return shared.replies_to(
            questions,
            lambda question: self._draft(question, next(orders)),
            self._paint,
            kind=lambda draft: draft.edited,
        )

    def _orders(self, questions: Sequence[Question]) -> Sequence[str | Exception]:
        """What each is told to draw."""
        return [shared.order(question) for question in questions]

    def _draft(self, question: Question, order: str | Exception) -> _Draft:
        """What is drawn by chance is drawn here, alone, with the question's own seed."""
        if isinstance(order, Exception):
            raise order
        shown, ask = shared.pictures(question), self._ask
        shared.seed(question)
        with self._precision():
            without_words = self._see(shown, drawn=True)
            whole = dict(ask.update_context_text(order, deepcopy(without_words)))
            without_pictures = dict(ask.update_context_text(order, ask.init_gen_context()))
            size = self._size(shown)
            noise = self._latents(whole, [size])["packed_init_noises"]
        return _Draft(whole, without_words, without_pictures, noise, size, bool(shown))

    def _size(self, shown: Sequence[Any]) -> tuple[int, int]:
        """An edit is as large as the last picture, as the authors scale it."""
        if not shown:
            return _SQUARE
        wide, high = self._resize(shown[-1]).size
        return high, wide

    def _latents(self, talk: _Context, sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
        ask, lens, ropes = self._ask, talk["kv_lens"], talk["ropes"]
        return dict(ask.model.prepare_vae_latent(lens, ropes, sizes, ask.new_token_ids))

    def _paint(self, drafts: Sequence[_Draft], _: dict[str, Any]) -> list[bytes]:
        torch: Any = import_module("torch")
        ask, sizes = self._ask, [draft.size for draft in drafts]
        whole = _pack(ask, [draft.whole for draft in drafts])
        given = self._latents(whole, sizes)
        given["packed_init_noises"] = torch.cat([draft.noise for draft in drafts])
        for name, talks in (
            ("text", [draft.without_words for draft in drafts]),
            ("img", [draft.without_pictures for draft in drafts]),
        ):
            beside = _pack(ask, talks)
            given[f"cfg_{name}_past_key_values"] = beside["past_key_values"]
            places = ask.model.prepare_vae_latent_cfg(beside["kv_lens"], beside["ropes"], sizes)
            given.update({f"cfg_{name}{key[len('cfg') :]}": held for key, held in places.items()})
        how = _EDITED if drafts[0].edited else _DRAWN
        with self._precision(), _norms_apart([len(draft.noise) for draft in drafts]):
            made = ask.model.generate_image(
                past_key_values=whole["past_key_values"], **given, **how
            )
            shown = [ask.decode_image(*pair) for pair in zip(made, sizes)]
        return [shared.png(picture) for picture in shown]


def _pack(ask: Any, talks: Sequence[_Context]) -> _Context:
    """Talks as one, their keys behind each other; what they held goes over layer by layer."""
    import torch

    whole = dict(ask.init_gen_context())
    for name in ("kv_lens", "ropes"):
        whole[name] = [number for talk in talks for number in talk[name]]
    for name in ("key_cache", "value_cache"):
        caches = [getattr(talk["past_key_values"], name) for talk in talks]
        merged = getattr(whole["past_key_values"], name)
        for layer in merged:
            held = [cache[layer] for cache in caches if cache[layer] is not None]
            merged[layer] = torch.cat(held) if held else None
            for cache in caches:  # twice in memory would be too much
                cache[layer] = None
    return whole


@contextlib.contextmanager
def _norms_apart(lengths: Sequence[int]) -> Iterator[None]:
    """Let `torch.norm` of all that is packed be one of each picture's own tokens.

    The model scales guidance by it (`cfg_renorm_type` "global"), and says that this is for one.
    """
    if len(lengths) == 1:
        yield
        return
    torch: Any = import_module("torch")

    class Norms(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            how = kwargs or {}
            if function is not torch.norm or how.get("dim") is not None:
                return function(*args, **how)
            parts = args[0].split(list(lengths))
            return torch.cat([function(part, **how).expand(len(part), 1) for part in parts])

    with Norms():
        yield


class UniMedVL(Bagel):
    """The same over nine kinds of medical images; run in the authors' folder `codes`."""

    code = "modeling.unimedvl"
    sides = ((1024, 32, 16), (980, 387, 14))

    def _further(self, pixels: Any) -> dict[str, Any]:
        return {"vae_model": pixels}

    def _orders(self, questions: Sequence[Question]) -> Sequence[str | Exception]:
        """An edit as its script makes one: what the model says of the order first joins it."""
        orders = [shared.order(question) for question in questions]
        asked: list[Question] = [
            {**question, "system": "", "instruction": order, "max_tokens": 800, "temperature": 0.0}
            for question, order in zip(questions, orders)
            if question["images"]
        ]
        said = iter(self.words_for(asked))
        return [
            _join(order, next(said)) if question["images"] else order
            for question, order in zip(questions, orders)
        ]

    def _size(self, shown: Sequence[Any]) -> tuple[int, int]:
        """An edit keeps the shape of the first picture."""
        if not shown:
            return _SQUARE
        high, wide = self._ask._calculate_target_size_with_aspect_ratio(*shown[0].size)
        return high, wide


def _join(order: str, said: str | Exception) -> str | Exception:
    return said if isinstance(said, Exception) else f"{order}\n\n{said}"
