"""Vision-language models that vLLM does not serve, by transformers in this process.

Slower than vLLM, and meant for classes that it dropped or never had (Llama 3.2 Vision, Chameleon,
Janus): batches of equally sampled requests, one after the other. Replies are not held to a schema.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medgen.adapters.images.content import Picture, content, pixels_of, unusable
from medgen.adapters.models.settings import TransformersExecution
from medgen.adapters.models.system_turn import fold_system, system_turn
from medgen.adapters.provenance import versions, weights
from medgen.engine.chat.messages import ChatReply, ChatRequest, Message
from medgen.engine.data import Usage
from medgen.engine.errors import AdapterError, EngineDied, ImageError
from medgen.engine.images import as_rgb
from medgen.engine.settings import read
from medgen.engine.trouble import log_failed_row

log = logging.getLogger(__name__)

# Values of `Sampling` that `generate` has under the same name.
_DRAWN = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class TransformersChat:
    """A vision-language model of transformers. Calls from several threads take turns."""

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        images: int = 1,
        dtype: str = "bfloat16",
        execution: Mapping[str, Any] | TransformersExecution | None = None,
    ) -> None:
        """Load the model; no code of its repository is run, and no pickle is read.

        Args:
            model: a hub name or a directory.
            revision: of the weights and of their processor.
            images: how many pictures one prompt may hold.
            dtype: of the weights.
            execution: fields of `medgen.adapters.models.settings.TransformersExecution`.

        Raises:
            AdapterError: transformers is not installed, or cannot load the model.
        """
        self._execution = read(TransformersExecution, execution, "execution")
        self._name, self._revision, self._images = model, revision, images
        self._lock = threading.Lock()
        try:
            import torch
            from transformers import AutoModelForImageTextToText, AutoProcessor

            place = {"revision": revision} if revision else {}
            load: Any = AutoProcessor.from_pretrained
            self._processor = load(model, **place)
            kind: Any = AutoModelForImageTextToText
            self._model = kind.from_pretrained(
                model, dtype=getattr(torch, dtype), use_safetensors=True, **place
            )
        except Exception as err:  # whatever is raised, it means that the model cannot be used
            raise AdapterError(f"transformers could not load {model!r}: {err}") from err
        self._torch = torch
        self._device = self._execution.device
        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = self._model.to(self._device).eval()
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"  # replies begin where the longest prompt ends
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._system = system_turn(self._text)
        self._passport = {
            "model": model,
            "revision": revision,
            **weights(model, revision),
            "class": type(self._model).__name__,
            "dtype": dtype,
            "system_turn": self._system,
            "device": self._device,
            "batch_size": self._execution.batch_size,
            "versions": versions("transformers", "torch", "pillow"),
        }

    def chat(self, chains: Sequence[Sequence[ChatRequest]]) -> list[list[ChatReply]]:
        """See `medgen.engine.chat.messages.Chat`."""
        found: list[list[ChatReply]] = [[] for _ in chains]
        with self._lock:
            for step in range(max(map(len, chains), default=0)):
                asked = [(at, chain[step]) for at, chain in enumerate(chains) if step < len(chain)]
                for part in _alike(asked, self._execution.batch_size):
                    replies = self._replies([request for _, request in part])
                    for (at, _), reply in zip(part, replies, strict=True):
                        found[at].append(reply)
        return found

    def passport(self) -> Mapping[str, Any]:
        """What serves, as JSON."""
        return self._passport

    def _replies(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        """One batch; what fails together is tried one by one, so that a failure is one row's."""
        try:
            return self._generate(requests)
        except (MemoryError, self._torch.AcceleratorError) as err:
            raise EngineDied(f"{self._name}: the device failed: {err}") from err
        except Exception as err:  # noqa: BLE001 - a request's failure becomes its row
            if len(requests) > 1:
                return [self._replies([request])[0] for request in requests]
            if isinstance(err, ImageError):
                return [ChatReply("rejected", unusable(err))]
            log_failed_row(log, err, requests[0].sample_id)
            return [ChatReply("rejected", f"{type(err).__name__}: {err}"[:300])]

    def _generate(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        sampling = requests[0].sampling
        turns = [self._turns(request.messages, _pixels) for request in requests]
        given = self._processor.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", processor_kwargs={"padding": True},
        ).to(self._device)  # fmt: skip
        values = sampling.values()
        drawn = {name: values[name] for name in _DRAWN if name in values}
        greedy = drawn.get("temperature") == 0
        if greedy:
            drawn = {"repetition_penalty": drawn.get("repetition_penalty", 1.0)}
        self._torch.manual_seed(sampling.seed)
        with self._torch.inference_mode():
            made = self._model.generate(
                **given, max_new_tokens=sampling.max_tokens, do_sample=not greedy, **drawn,
                **({"stop_strings": list(sampling.stop), "tokenizer": self._processor.tokenizer}
                   if sampling.stop else {}),
            )  # fmt: skip
        start = given["input_ids"].shape[1]
        prompts = given["attention_mask"].sum(dim=1).tolist()
        return [
            self._reply(row[start:].tolist(), int(count), sampling.max_tokens)
            for row, count in zip(made, prompts, strict=True)
        ]

    def _reply(self, tokens: list[int], prompt: int, most: int) -> ChatReply:
        ends = self._model.generation_config.eos_token_id
        ends = {*ends} if isinstance(ends, list) else {ends}
        end = next((at for at, token in enumerate(tokens) if token in ends), len(tokens))
        whole = end < len(tokens) or len(tokens) < most
        text = self._processor.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        usage = Usage(prompt, end, finish_reason="stop" if whole else "length")
        if whole:
            return ChatReply("ok", "", text, usage)
        return ChatReply("truncated", f"cut at {most} tokens", text, usage)

    def _turns(self, messages: Sequence[Message], picture: Any) -> list[dict[str, Any]]:
        told = fold_system(messages) if getattr(self, "_system", "own") == "folded" else messages
        turns = content(told, picture)
        for turn in turns:  # processors walk parts only
            if isinstance(turn["content"], str):
                turn["content"] = [{"type": "text", "text": turn["content"]}]
        return turns

    def _text(self, messages: Sequence[Message]) -> str:
        turns = self._turns(messages, _pixels)
        return str(self._processor.apply_chat_template(turns, add_generation_prompt=True))


def _pixels(image: Picture) -> dict[str, Any]:
    return {"type": "image", "image": as_rgb(pixels_of(image))}


def _alike(
    asked: Sequence[tuple[int, ChatRequest]], size: int
) -> Iterator[Sequence[tuple[int, ChatRequest]]]:
    """Batches of requests in order that may be drawn together: greedy ones, as long as each other.

    What is drawn by chance stands alone, with the seed that is its own.
    """
    part: list[tuple[int, ChatRequest]] = []
    for one in asked:
        greedy = one[1].sampling.temperature == 0
        fits = part and greedy and _how(part[0][1]) == _how(one[1]) and len(part) < size
        if part and not fits:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _how(request: ChatRequest) -> tuple[object, ...]:
    drawn = request.sampling
    return drawn.temperature, drawn.max_tokens, drawn.repetition_penalty, drawn.stop
