"""A system that answers with words: a chat model asked by our prompts, one sample at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from medgen.adapters.images.contact_sheet import fit_images
from medgen.engine.chat.answering import (
    AnswerStyle,
    answer,
    answer_request,
    prompt_hash,
    without_pictures,
)
from medgen.engine.chat.messages import Chat, ChatReply, ChatRequest, seed_for
from medgen.engine.data import Prediction, Request
from medgen.engine.errors import ImageError
from medgen.engine.plan.identity import Spec
from medgen.engine.settings import read


class Answers:
    """A generator over a chat model. Safe to use from several threads when the chat is."""

    def __init__(
        self,
        chat: Mapping[str, Any] | Chat,
        *,
        style: Mapping[str, Any] | AnswerStyle | None = None,
    ) -> None:
        """Build the chat model when only its recipe is given; nothing is asked yet.

        Args:
            chat: `target` and `kwargs` of a chat model, or a chat model.
            style: fields of `medgen.engine.chat.answering.AnswerStyle`: what is asked, and how
                replies are held.

        Raises:
            ConfigError: an argument that is not known.
            AdapterError: the model cannot be used.
        """
        # Before minutes are spent on loading.
        self._style = read(AnswerStyle, style, "style")
        self._chat: Chat = Spec(**chat).build() if isinstance(chat, Mapping) else chat

    def predict(self, requests: Sequence[Request]) -> Sequence[Prediction]:
        """See `Generator.predict`."""
        asked = [self._ask(request) for request in requests]
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
            "sampling": style.sampling.values(),
        }

    def close(self) -> None:
        """End what the chat model holds open, if it says how."""
        if callable(end := getattr(self._chat, "close", None)):
            end()

    def _ask(self, request: Request) -> ChatRequest | ChatReply:
        """The request, or the reply that a sample gets whose pictures cannot be laid out."""
        sample = request.sample
        seed = seed_for(self._style.sampling.seed, "answer", *request.draw)
        if not self._style.images:
            blind = without_pictures(sample)
            return answer_request(blind, (), self._style, seed)
        try:
            fitted = fit_images(sample, self._style.images)
        except ImageError as err:
            return ChatReply("rejected", f"no contact sheet of the input pictures: {err}")
        return answer_request(fitted, fitted.shown_images, self._style, seed)
