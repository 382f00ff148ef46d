"""Small weights made under a fixed seed, for tests and the demonstration.

They go through the same loading code as trained ones. What they give is plumbing, not a result:
a mark beside them makes every passport say `random_weights`.
"""

import json
import string
from dataclasses import dataclass
from pathlib import Path

from medgen.metrics.text.clinical import LEXICON
from medgen.metrics.weights import mark_random

SEED = 20251122


def make(directory: Path) -> None:
    """Make every set of weights that the demonstration's metrics need, by their known names.

    Point `$MEDGEN_WEIGHTS` at the directory to use them.
    """
    make_alexnet(directory / "lpips-alex-trunk")
    make_vision_encoder(directory / "rad-dino")
    make_text_encoder(directory / "pubmedbert")
    make_text_encoder(directory / "minilm")


def make_alexnet(directory: Path) -> None:
    """The convolutions of an AlexNet as torchvision initialises it, as a checkpoint."""
    _make_trunk("alexnet", directory / "alexnet-owt-7be5be79.pth")


def make_vgg(directory: Path) -> None:
    """The convolutions of a VGG-16 as torchvision initialises it, as a checkpoint."""
    _make_trunk("vgg16", directory / "vgg16-397923af.pth")


def _make_trunk(architecture: str, path: Path) -> None:
    import torch
    from torchvision import models

    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = models.get_model(architecture, weights=None)
    trunk = {k: v for k, v in network.state_dict().items() if k.startswith("features.")}
    torch.save(trunk, path)
    mark_random(path.parent, SEED)


def make_vision_encoder(directory: Path, seed: int = SEED) -> None:
    """A small vision transformer of RAD-DINO's family, with its preprocessing."""
    import torch
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    directory.mkdir(parents=True, exist_ok=True)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Dinov2Model(config).save_pretrained(directory)
    processor = BitImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    processor.save_pretrained(directory)
    mark_random(directory, seed)


@dataclass(frozen=True, slots=True)
class Widths:
    """How wide a text encoder is: hidden state, attention heads, inner layer, vocabulary."""

    hidden: int
    heads: int
    inner: int
    pieces: int = 0  # word pieces, filled up with unused ones; 0: no more than there are words


SMALL = Widths(32, 2, 64)
BERT_BASE = Widths(768, 12, 3072, 30_522)  # as slow to load and to run as a trained one


def make_text_encoder(directory: Path, widths: Widths = SMALL) -> None:
    """A BERT of 12 layers with a vocabulary of the clinical lexicon, letters and digits.

    Args:
        directory: where it is written, in the layout of `from_pretrained`.
        widths: how wide it is.
    """
    import torch
    from transformers import BertConfig, BertModel

    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    vocabulary += [f"[unused{n}]" for n in range(widths.pieces - len(vocabulary))]
    config = BertConfig(
        vocab_size=len(vocabulary),
        num_hidden_layers=12,
        hidden_size=widths.hidden,
        num_attention_heads=widths.heads,
        intermediate_size=widths.inner,
        # The usual 0.02 leaves all texts nearly alike in so narrow a network.
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        BertModel(config).save_pretrained(directory)
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": config.max_position_embeddings,
    }
    text = json.dumps(tokenizer, indent=1)
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")
    mark_random(directory, SEED)


def _vocabulary() -> list[str]:
    """Special marks, letters, digits and marks alone and inside words, and words of the lexicon."""
    signs = [*string.ascii_lowercase, *string.digits]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(
        dict.fromkeys([*special, *signs, *(f"##{s}" for s in signs), *string.punctuation, *words()])
    )


def words() -> list[str]:
    """Whole words of the vocabulary: common ones and those of the lexicon."""
    common = ["the", "of", "is", "in", "and", "no", "with", "are", "seen", "left", "right"]
    named = {word for names in LEXICON.values() for word in names.replace("|", " ").split()}
    return [word for word in [*common, "normal", "clear", *sorted(named)] if word.isalpha()]
