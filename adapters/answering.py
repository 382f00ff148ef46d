"""A system that answers with words: a chat model asked by our prompts, one sample at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.contact_sheet import contact_sheet
from engine.answering import AnswerStyle, answer, answer_request, prompt_hash
from engine.chat import Chat, ChatReply, ChatRequest, Sampling, seed_for
from engine.errors import ConfigError, ImageError
from engine.nouns import Image, Prediction, Request, Sample


class Answers:
    """A generator over a chat model. Safe to use from several threads when the chat is."""

    def __init__(
        self,
        chat: Chat,
        *,
        mode: str = "vqa",
        prompt: str = "answer/1",
        sampling: Mapping[str, Any] | None = None,
        images: int = 8,
        constrained: bool = True,
        letters: Sequence[int] = (),
    ) -> None:
        """Nothing is asked yet.

        Args:
            chat: what serves the model.
            mode: "vqa" (words for every sample) or "compositional" (words and, for samples whose
                answer is a picture, the prompt of the image model that follows).
            prompt: version of our prompts.
            sampling: fields of `engine.chat.Sampling`; its seed is mixed with each sample's id.
            images: how many pictures one prompt may hold. A sample with more is shown as one
                contact sheet.
            constrained: hold replies to the JSON schema, where there is one.
            letters: the most that the schema allows for the text and for the image prompt, where
                the usual bounds are too wide.

        Raises:
            ConfigError: an unknown mode, prompt or sampling field.
        """
        self._chat = chat
        self._images = images
        try:
            drawn = Sampling(**sampling or {})
        except TypeError as err:
            raise ConfigError(f"sampling: {err}") from err
        bounds = {"letters": tuple(letters)} if letters else {}
        self._style = AnswerStyle(mode, prompt, drawn, constrained, **bounds)  # type: ignore[arg-type]

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `Generator.predict`."""
        asked = [self._ask(request.sample) for request in requests]
        replies = iter(self._chat.chat([[a] for a in asked if isinstance(a, ChatRequest)]))
        predictions = []
        for request, ask in zip(requests, asked, strict=True):
            reply = ask if isinstance(ask, ChatReply) else next(replies)[0]
            predictions.append(answer(request.sample, reply, self._style))
        return predictions

    def passport(self) -> Mapping[str, Any]:
        """See `Generator.passport`."""
        style = self._style
        return {
            **self._chat.passport(),
            "mode": style.mode,
            "prompt": style.prompt,
            "prompt_hash": prompt_hash(style.prompt),
        }

    def _ask(self, sample: Sample) -> ChatRequest | ChatReply:
        """The request, or the reply that a sample gets whose pictures cannot be laid out."""
        images: Sequence[Image] = sample.input_images
        try:
            if len(images) > self._images:
                images = [contact_sheet(images)]
        except ImageError as err:
            return ChatReply("rejected", f"no contact sheet of the input pictures: {err}")
        seed = seed_for(self._style.sampling.seed, "answer", sample.id)
        return answer_request(sample, images, self._style, seed)
