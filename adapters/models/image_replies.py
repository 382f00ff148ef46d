"""The one reader of replies that hold images: base64, links, empty slots and their reasons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medgen.adapters.http.endpoint import Failure, Reply
from medgen.adapters.http.errors import ErrorBody, filtered_names, hidden_error
from medgen.adapters.http.verdict import is_picture
from medgen.adapters.models.replies import ending_of, link_in
from medgen.engine.chat.quoting import storable

_LISTS = ("data", "images", "output", "predictions", "artifacts", "image", "result", "results")
_WITHIN = ("images", "results", "data")  # lists in an object that stands for one
_SHOWN = 300
# Fields of a slot that say that a filter emptied it, by the value that says so.
_TRUE_IF_FILTERED = ("moderated", "filtered", "nsfw", "has_nsfw_concepts", "blocked", "flagged")
_FALSE_IF_FILTERED = ("respect_moderation", "passed_moderation", "safe")
_WHY = ("raiFilteredReason", "filtered_reason", "moderation_reason", "block_reason")
_ENDED = ("finish_reason", "finishReason", "status")


@dataclass(frozen=True, slots=True)
class Slots:
    """What a reply gives: links or base64, and the prompt that was really drawn."""

    links: tuple[str, ...]
    revised_prompt: str = ""


def check_images(reply: Reply) -> Failure | None:
    """What is wrong with a reply that should hold images."""
    if _slots(reply) is None:
        return Failure("malformed", "the reply is not the JSON that was agreed: it lists no images")
    failed = _slot_error(reply)
    if (
        failed is not None
        and failed.status >= 500
        and not failed.refuses(failed.status, inside=True)
    ):
        return Failure("server", storable(f"no image: {failed.message}")[:_SHOWN], failed.status)
    return None


def read_images(reply: Reply) -> Slots | Failure:
    """The images that a reply holds or points to, or why there is none."""
    slots = _slots(reply)
    if slots is None:
        return Failure("malformed", "the reply is not the JSON that was agreed: it lists no images")
    flags = _flags(reply)
    shown = [s for i, s in enumerate(slots) if not (_is_withheld(s) or flags[i : i + 1] == [True])]
    links = tuple(link for slot in shown if (link := link_in(slot)))
    if links:
        return Slots(links, storable(next(_prompts(slots), "")))
    failed = _slot_error(reply)
    if failed is not None and failed.refuses(failed.status, inside=True):
        return Failure("refused", storable(f"safety filter: {failed.message}")[:_SHOWN])
    for slot in slots:
        why = _filter_reason(slot)
        if why:
            return Failure("refused", storable(f"safety filter: {why}")[:_SHOWN])
    if True in flags:
        return Failure("refused", "safety filter: nsfw")
    if failed is not None:
        return Failure("client", storable(f"no image: {failed.message}")[:_SHOWN], failed.status)
    return Failure("malformed", "reply holds no picture")


def _flags(reply: Reply) -> list[Any]:
    """For each image whether a filter has blackened it, as some servers list beside the images."""
    found = reply.json()
    lists = (found[name] for name in _FLAGS if isinstance(found.get(name), list))
    return next(lists, [])


_FLAGS = ("has_nsfw_concepts", "has_nsfw_concept", "nsfw_content_detected")


def _is_withheld(slot: Any) -> bool:
    """Whether a filter has put something else in the place of an image."""
    ended = [slot.get(name) for name in _ENDED] if isinstance(slot, Mapping) else []
    return any(isinstance(word, str) and ending_of(word) == "refused" for word in ended)


def count_images(reply: Reply) -> int | None:
    """How many images a reply holds; None when that cannot be told."""
    if is_picture(reply):
        return 1
    slots = _slots(reply)
    return None if slots is None else sum(bool(link_in(slot)) for slot in slots)


def _slots(reply: Reply) -> list[Any] | None:
    try:
        found = reply.json()
    except ValueError:
        return None
    if not isinstance(found, Mapping):
        return None
    for name in _LISTS:
        listed = found.get(name)
        if isinstance(listed, list):
            return listed
        if isinstance(listed, Mapping) and not link_in(listed):
            inner = (listed[key] for key in _WITHIN if isinstance(listed.get(key), list))
            listed = next(inner, listed)
        if isinstance(listed, list):
            return listed
        if isinstance(listed, str | Mapping) and listed:
            return [listed]
    return None


def _slot_error(reply: Reply) -> ErrorBody | None:
    """The error that stands in the place of the first image that failed."""
    for slot in _slots(reply) or ():
        if isinstance(slot, Mapping) and slot.get("error"):
            return hidden_error(slot)
    return None


def _filter_reason(slot: Any) -> str:
    """Why a filter emptied a slot; empty when none did."""
    if not isinstance(slot, Mapping):
        return ""
    for name in _WHY:
        if isinstance(slot.get(name), str) and slot[name]:
            return str(slot[name])
    for name in _ENDED:
        if isinstance(slot.get(name), str) and ending_of(slot[name]) == "refused":
            return str(slot[name])
    said = [n for n in _TRUE_IF_FILTERED if slot.get(n) is True]
    said += [n for n in _FALSE_IF_FILTERED if slot.get(n) is False]
    return ", ".join(said + filtered_names(slot.get("content_filter_results")))


def _prompts(slots: list[Any]) -> Iterator[str]:
    for slot in slots:
        if isinstance(slot, Mapping) and isinstance(slot.get("revised_prompt"), str):
            yield slot["revised_prompt"]
