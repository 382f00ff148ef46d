"""A tiny Janus with random weights, of transformers' own classes: it writes, and it draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusImageProcessor,
    JanusProcessor,
    PreTrainedTokenizerFast,
)

_ENDS = ("<s>", "</s>", "<pad>")
_MARKS = (*_ENDS, "<image>", "<boi>", "<eoi>")
_SIDE, _GRID = 32, 4  # of a picture in pixels and in tokens
_TEMPLATE = (
    "{% for message in messages %}<s>{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def letters(marks: Sequence[str] = (), **named: Any) -> PreTrainedTokenizerFast:
    """A tokenizer of bytes: `<s>`, `</s>` and `<pad>` first, then the marks, then the bytes."""
    known = (*_ENDS, *marks, *sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Tokenizer(models.BPE(vocab={one: at for at, one in enumerate(known)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(marks),
        **named,
    )


def make_janus(folder: Path) -> Path:
    """Write it; the same seed gives the same weights."""
    fast = letters(
        _MARKS[3:],
        extra_special_tokens={
            "image_token": "<image>",
            "boi_token": "<boi>",
            "eoi_token": "<eoi>",
        },
    )
    eye = JanusImageProcessor(size={"height": _SIDE, "width": _SIDE}, min_size=4)
    JanusProcessor(
        eye, fast, chat_template=_TEMPLATE, num_image_tokens=_GRID * _GRID
    ).save_pretrained(folder)
    torch.manual_seed(7)
    model = JanusForConditionalGeneration(_config(len(fast)))
    # As the published file has them: the mark of a picture's start stands apart.
    model.generation_config = GenerationConfig(
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        guidance_scale=5,
        generation_kwargs={"boi_token_id": _MARKS.index("<boi>")},
    )
    model.save_pretrained(folder)
    return folder


def _config(words: int) -> JanusConfig:
    text = {
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": words,
        "pad_token_id": 2,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    sight = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": _SIDE,
        "patch_size": _SIDE // _GRID,
        "num_image_tokens": _GRID * _GRID,
        "projection_dim": 32,
    }
    pixels = {
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1, 1],
        "latent_channels": 32,
        "num_embeddings": 64,
        "num_patches": _GRID,
        "num_res_blocks": 1,
        "num_hidden_layers": 1,
        "projection_dim": 32,
        "image_token_embed_dim": 32,
    }
    return JanusConfig(
        text_config=text,
        vision_config=sight,
        vq_config=pixels,
        image_token_id=_MARKS.index("<image>"),
    )
