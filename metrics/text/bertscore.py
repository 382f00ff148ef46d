"""BERTScore: greedy matching of word pieces by the cosine of their contextual embeddings.

Zhang, Kishore, Wu, Weinberger, Artzi, "BERTScore: evaluating text generation with BERT", ICLR
2020; no idf weights, no baseline rescaling. Every text is embedded once however many pairs hold
it, texts of like length go through the model together, and embeddings are held for a bounded
number of word pieces at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from medgen.engine.data import Score
from medgen.engine.errors import AdapterError, ConfigError
from medgen.metrics import weights
from medgen.metrics.batch import ScoringBatch
from medgen.metrics.kernels.packed_linear import pack_linear
from medgen.metrics.port import Golden, Output, TextMetric
from medgen.metrics.profiles import FOLLOWS, Profile, choose_profile, texts_of
from medgen.metrics.samples import REPORT, text_pair
from medgen.metrics.text.tokens import unify
from medgen.metrics.versions import versions_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Word pieces whose embeddings are held at once: 100 MB at 768 floats each.
_HELD_PIECES = 32_000
# Padded word pieces that go through the model at once: enough to fill two cores, or a GPU.
_BATCH_PIECES = {"cpu": 1_024, "cuda": 32_768}
# The share of padding above which a text starts a new batch: it costs as much as words do.
_PADDING = 0.05


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors of a text's word pieces [pieces, width], and which of them carry weight."""

    vectors: torch.Tensor
    weighted: torch.Tensor


class BERTScore(TextMetric):
    """F1 of greedily matched word pieces.

    compat: as `bert-score` computes it for the benchmark authors: the sentence marks [CLS] and
    [SEP] carry no weight but can be matched, and a text that spells such a mark is read as the
    mark. compat-newer: texts are first cut to the model's length and written out again, which
    drops marks and unknown words. strict: marks take no part in the matching, and a text that
    spells one is read as text.
    """

    name = "bertscore"
    outputs = (Output("bertscore", low=-1.0, authors="BERT_Score"),)

    def __init__(
        self,
        profile: str = "compat",
        model: str = "pubmedbert",
        layer: int = 12,
    ) -> None:
        """`model` is a known name or a directory; `layer` counts transformer layers from 1.

        Raises:
            ConfigError: the profile is unknown or the layer is not positive.
        """
        if layer < 1:
            raise ConfigError(f"layer is {layer}; the first transformer layer is 1")
        self.profile: Profile = choose_profile(
            self.name, profile, "compat", "compat-newer", "strict"
        )
        self.model, self.layer = model, layer
        self._identity: dict[str, Any] = {}
        self._longest = 0  # word pieces, known once the model is loaded

    def load(self, device: str) -> None:
        """Load tokenizer and model, without the layers above the one asked for.

        Raises:
            MissingWeightsError: the model is not on this machine.
            AdapterError: it cannot be loaded, has fewer layers, or is multiplied wrongly.
        """
        super().load(device)
        here = weights.locate(self.model)
        self._identity = weights.identity(here)
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        try:
            config = AutoConfig.from_pretrained(here, local_files_only=True)
            layers: int = config.num_hidden_layers
            config.num_hidden_layers = min(self.layer, layers)
            tokenizer = AutoTokenizer.from_pretrained(here, local_files_only=True)
            self._tokenizer: PreTrainedTokenizerBase = tokenizer
            model = AutoModel.from_pretrained(here, config=config, local_files_only=True)
        except Exception as err:  # the loaders raise many kinds; none concerns a sample
            raise AdapterError(f"no text encoder can be loaded from {here}: {err}") from err
        if self.layer > layers:
            raise AdapterError(f"{here} has {layers} layers; layer {self.layer} was asked for")
        self._model: torch.nn.Module = model.to(device).eval()
        if torch.device(device).type == "cpu":
            pack_linear(self._model)
        self._longest = min(self._tokenizer.model_max_length, config.max_position_embeddings)

    def score(self, batch: ScoringBatch) -> list[Score]:
        """See `Metric.score`."""
        rows: list[Score | None] = [_blank(batch, i) for i in range(len(batch))]
        given = {i: batch.texts(i, self.profile) for i, row in enumerate(rows) if row is None}
        lengths = self._lengths({text for pair in given.values() for text in pair})
        texts = {i: (self._read(ours), self._read(theirs)) for i, (ours, theirs) in given.items()}
        pieces = self._tokenize({text for pair in texts.values() for text in pair})
        for group in _groups(texts, pieces):
            held = self._embed({t: pieces[t] for i in group for t in texts[i]})
            for i in group:
                ours, theirs = (held[text] for text in texts[i])
                row = self._match(batch.pairs[i].sample.id, ours, theirs)
                cut = self._cut(*(lengths[text] for text in given[i]))
                rows[i] = replace(row, reason=row.reason or cut)
        return [row for row in rows if row is not None]

    def _lengths(self, texts: set[str]) -> dict[str, int]:
        """How many word pieces each text has before it is cut, sentence marks included."""
        ordered = sorted(texts)
        if not ordered:
            return {}
        strict = self.profile == "strict"
        found = self._tokenizer(
            [unify(text) if strict else text for text in ordered],
            split_special_tokens=strict,
            verbose=False,
        )["input_ids"]
        return {text: len(pieces) for text, pieces in zip(ordered, found, strict=True)}

    def _cut(self, ours: int, theirs: int) -> str:
        """What was left out of the comparison; empty when both texts took part whole."""
        said = {"prediction": ours, "reference": theirs}
        long = [f"{whose} of {n}" for whose, n in said.items() if n > self._longest]
        return f"cut to {self._longest} word pieces: {', '.join(long)}" if long else ""

    def _read(self, text: str) -> str:
        """The text as the profile sees it."""
        if self.profile != "compat-newer":
            return (unify(text) if self.profile == "strict" else text).strip()
        pieces = self._tokenizer(text, truncation=True, max_length=self._longest)
        kept: list[int] = pieces["input_ids"]
        plain = self._tokenizer.decode(
            kept, skip_special_tokens=True, clean_up_tokenization_spaces=True
        )
        return str(plain).strip()

    def _tokenize(self, texts: set[str]) -> dict[str, list[int]]:
        """Word pieces with sentence marks, cut to the model's length."""
        ordered = sorted(texts)
        if not ordered:
            return {}
        found: list[list[int]] = self._tokenizer(
            ordered,
            truncation=True,
            max_length=self._longest,
            split_special_tokens=self.profile == "strict",
        )["input_ids"]
        return dict(zip(ordered, found, strict=True))

    @torch.inference_mode()
    def _embed(self, pieces: Mapping[str, list[int]]) -> dict[str, Embedded]:
        held = {}
        for texts in _batches(pieces, _BATCH_PIECES[torch.device(self.device).type]):
            width = max(len(pieces[text]) for text in texts)
            ids = torch.full((len(texts), width), self._tokenizer.pad_token_id or 0)
            mask = torch.zeros_like(ids)
            for row, text in enumerate(texts):
                ids[row, : len(pieces[text])] = torch.tensor(pieces[text])
                mask[row, : len(pieces[text])] = 1
            states: torch.Tensor = self._model(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device)
            ).last_hidden_state.float()
            for row, text in enumerate(texts):
                held[text] = self._normalise(states[row, : len(pieces[text])], pieces[text])
        return held

    def _normalise(self, states: torch.Tensor, ids: Sequence[int]) -> Embedded:
        vectors = states / states.norm(dim=-1, keepdim=True)
        marks = (self._tokenizer.cls_token_id, self._tokenizer.sep_token_id)
        weighted = torch.tensor([i not in marks for i in ids], device=vectors.device)
        if self.profile == "strict":
            vectors, weighted = vectors[weighted], weighted[weighted]
        return Embedded(vectors, weighted)

    def _match(self, name: str, ours: Embedded, theirs: Embedded) -> Score:
        if not (bool(ours.weighted.any()) and bool(theirs.weighted.any())):
            return Score(name, "error", "a text has no word pieces but sentence marks")
        cosines = ours.vectors @ theirs.vectors.T
        precision = float(cosines.amax(1)[ours.weighted].mean())
        recall = float(cosines.amax(0)[theirs.weighted].mean())
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        return Score(name, values={self.name: f1})

    def golden(self) -> Sequence[Golden]:
        """Equal texts have F1 1, whatever the weights."""
        libraries = ("transformers", "tokenizers", "torch")
        return (Golden(*text_pair(REPORT, REPORT), {self.name: 1.0}, libraries, 1e-5),)

    def passport(self) -> Mapping[str, Any]:
        """See `Metric.passport`."""
        return {
            "profile": self.profile,
            "follows": FOLLOWS[self.profile],
            "texts": texts_of(self.profile),
            "model": self.model,
            "layer": self.layer,
            "idf": False,
            "baseline_rescaling": False,
            "cut": f"texts to their first {self._longest or 'so many'} word pieces, the most that "
            "the model takes, sentence marks included; the row's reason says where",
            "versions": versions_of("transformers", "tokenizers", "torch"),
            **self._identity,
        }


def _blank(batch: ScoringBatch, index: int) -> Score | None:
    """The row of a pair that lacks words: without any there is nothing to match."""
    name = batch.pairs[index].sample.id
    if not batch.reference_text(index).strip():
        return Score(name, "not_applicable", "the reference text is empty")
    if not batch.text(index).strip():
        return Score(name, "error", "prediction: the text is empty")
    return None


def _groups(
    texts: Mapping[int, tuple[str, str]], pieces: Mapping[str, list[int]]
) -> Iterator[list[int]]:
    """Pairs by length of reference, cut where the embeddings of their texts grow too many."""
    order = sorted(texts, key=lambda i: (len(pieces[texts[i][1]]), texts[i][1], texts[i][0]))
    group: list[int] = []
    seen: set[str] = set()
    count = 0
    for index in order:
        fresh = set(texts[index]) - seen
        more = sum(len(pieces[text]) for text in fresh)
        if group and count + more > _HELD_PIECES:
            yield group
            group, seen, count = [], set(), 0
            fresh = set(texts[index])
            more = sum(len(pieces[text]) for text in fresh)
        group.append(index)
        seen |= fresh
        count += more
    if group:
        yield group


def _batches(pieces: Mapping[str, list[int]], budget: int) -> Iterator[list[str]]:
    """Texts of like length together, as many as fit the budget, with little padding."""
    batch: list[str] = []
    words = 0
    for text in sorted(pieces, key=lambda t: (-len(pieces[t]), t)):
        padded = len(pieces[batch[0]]) * (len(batch) + 1) if batch else 0
        if batch and (padded > budget or words + len(pieces[text]) < (1 - _PADDING) * padded):
            yield batch
            batch, words = [], 0
        batch.append(text)
        words += len(pieces[text])
    if batch:
        yield batch
