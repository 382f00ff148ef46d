"""A tiny Qwen2.5-VL with seeded random weights: real loading and serving code, no download.

Its answers mean nothing. A marker file beside the weights says so, and every component that
loads them repeats it in its passport.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgen.adapters.provenance import MARKER, random_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_END_OF_TEXT, _END_OF_TURN = "<|endoftext|>", "<|im_end|>"
_VOCABULARY = 1024  # at most: byte alphabet, merges learnt from `_CORPUS`, special tokens
_CONTEXT = 32768

# What the merges are learnt from, so that prompts are not one token a letter.
_CORPUS = (
    "The picture shows a chest radiograph, a magnetic resonance scan, a slice of computed "
    "tomography, an ultrasound image, a section of tissue under the microscope or a clinical "
    "photograph of the patient.",
    "Answer the question about the medical image. Give the letter of the right choice, fill in "
    "the missing words, or write the report with findings and impression.",
    "Remove the artifact, reduce the noise, raise the resolution, change the contrast or the "
    "style, and mark the anatomical structure that the instruction names.",
    "The judge reads the instruction, the input, the candidate and the reference, explains each "
    "dimension first and gives a score on the scale after that: anatomical accuracy, clinical "
    "finding accuracy, instruction compliance, consistency, hallucination and omission control, "
    "overall.",
)

# Turns between markers, pictures as vision tokens in the order of the content parts.
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_LOUD = 3.0
# Weights are drawn so widely that the answer depends on the prompt.
_TEXT: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": _CONTEXT,
    # The three sections (time, height, width) must sum to half the head's 32.
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [4, 6, 6],
    },
    "initializer_range": 0.2,
}
_VISION: Mapping[str, Any] = {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": 64,
    "patch_size": 14,
    "window_size": 56,
    "fullatt_block_indexes": [1],
    "initializer_range": 0.2,
}


def make(directory: str | Path, seed: int = 20251122) -> Path:
    """Write the model, its tokenizer and processor, and the marker; same seed, same bytes.

    A directory whose marker names the same recipe is left as it is.

    Args:
        directory: where to put about 2 MB of files; made when missing.
        seed: seeds every weight.

    Returns:
        The directory.
    """

    def save(folder: Path) -> None:
        _processor().save_pretrained(folder)
        _model(seed).save_pretrained(folder)

    return make_marked(Path(directory), seed, _recipe(), save)


def make_marked(
    folder: Path, seed: int, recipe: str, save: Callable[[Path], object] = lambda _: None
) -> Path:
    """What `save` writes and a marker, unless the folder's marker names the same recipe."""
    marker = {"random_weights": True, "seed": seed, "recipe": recipe}
    if random_weights(folder) != marker:
        folder.mkdir(parents=True, exist_ok=True)
        save(folder)
        (folder / MARKER).write_text(json.dumps(marker, sort_keys=True), encoding="utf-8")
    return folder


def cached_model(seed: int = 20251122) -> Path:
    """The model in the user's cache folder, made there once; safe when several workers start.

    The folder is `$MEDGEN_CACHE`, else `$XDG_CACHE_HOME/medgen`, else `~/.cache/medgen`.
    """
    return weights_folder(f"tiny-vlm-{_recipe()}-{seed}", lambda folder: make(folder, seed))


def weights_folder(name: str, make_in: Callable[[Path], object]) -> Path:
    """A folder of weights with a marker in the user's cache, made by `make_in` unless it is there.

    Of several workers that start at once the first to finish wins; the others' work is dropped.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(os.environ.get("MEDGEN_CACHE") or Path(home) / "medgen")
    place = root / name
    if random_weights(place):
        return place
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        fresh = Path(scratch) / "made"
        make_in(fresh)
        try:
            fresh.rename(place)
        except OSError:
            # Another worker was first; the same recipe gives the same bytes.
            if not random_weights(place):
                raise
    return place


def _recipe() -> str:
    source = Path(__file__).read_bytes()
    return hashlib.sha256(source).hexdigest()[:16]


def _vendor() -> Any:
    # Imported where it is used, and untyped: its classes appear only when they are asked for.
    return import_module("transformers")


def _tokenizer() -> "PreTrainedTokenizerBase":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    transformers = _vendor()
    backend = Tokenizer(models.BPE())
    # Digits stay single tokens, as in the family: scores are read digit by digit.
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    made: PreTrainedTokenizerBase = transformers.Qwen2TokenizerFast(
        tokenizer_object=backend,
        eos_token=_END_OF_TURN,
        pad_token=_END_OF_TEXT,
        unk_token=None,
        additional_special_tokens=[s for s in _SPECIAL if s not in (_END_OF_TEXT, _END_OF_TURN)],
        model_max_length=_CONTEXT,
    )
    return made


def _processor() -> "ProcessorMixin":
    transformers = _vendor()
    pixels: Mapping[str, int] = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    made: ProcessorMixin = transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(size=dict(pixels)),
        tokenizer=_tokenizer(),
        video_processor=transformers.Qwen2VLVideoProcessor(size=dict(pixels)),
        chat_template=_CHAT_TEMPLATE,
    )
    return made


def _ids(tokenizer: "PreTrainedTokenizerBase", names: Sequence[str]) -> list[int]:
    ids = tokenizer.convert_tokens_to_ids(list(names))
    return [ids] if isinstance(ids, int) else ids


def _model(seed: int) -> "PreTrainedModel":
    import torch

    transformers = _vendor()
    tokenizer = _tokenizer()
    image, video, start, end, pad, stop = _ids(
        tokenizer,
        (
            "<|image_pad|>",
            "<|video_pad|>",
            "<|vision_start|>",
            "<|vision_end|>",
            _END_OF_TEXT,
            _END_OF_TURN,
        ),
    )
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **_TEXT,
            "vocab_size": len(tokenizer),
            "bos_token_id": pad,
            "eos_token_id": stop,
            "pad_token_id": pad,
        },
        vision_config=dict(_VISION),
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = transformers.Qwen2_5_VLForConditionalGeneration(config)
        model: PreTrainedModel = untrained.to(torch.float32).eval()
        # Left as drawn, it would never end a turn; so loud, it ends most within forty tokens.
        model.lm_head.weight.data[stop] *= _LOUD
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=pad,
        eos_token_id=[stop, pad],
        pad_token_id=pad,
        # As real models have it: whoever leaves a draw to the model must find other words.
        repetition_penalty=1.3,
    )
    return model
