"""What a server says, and what becomes of it: one table for every adapter, and for docs/systems.md.

`python tests/models/server_table.py` writes the table into the page.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models.conftest import picture
from models.loopback import Answer

Kind = Literal["chat", "unified", "images"]
KINDS: tuple[Kind, ...] = ("chat", "unified", "images")
TALK: tuple[Kind, ...] = ("chat", "unified")
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
PRICES = {"prompt": 1.0, "completion": 10.0, "request": 0.5}
USED, ASIDE = 0.006, 0.5  # US dollars: what the usage costs, what is set aside
ENDS = "the system ends"
PNG = base64.b64encode(picture(7)).decode()
LINK = f"data:image/png;base64,{PNG}"
Says = Callable[[Kind], Sequence[Answer]]


@dataclass(frozen=True)
class Row:
    """One line. `row` is the status, `asked` how often the server was, `usd` what is booked."""

    said: str  # in words, for the page
    says: Says  # answers in their order; the last one for ever
    row: str | Mapping[Kind, str]
    asked: int = 1
    usd: float = 0.0
    kinds: tuple[Kind, ...] = KINDS
    reason: str = ""  # a part of it
    endpoint: Mapping[str, Any] = field(default_factory=dict)

    def status(self, kind: Kind) -> str:
        return self.row if isinstance(self.row, str) else self.row[kind]


def good(kind: Kind, **top: Any) -> dict[str, Any]:
    """A whole reply of each kind."""
    if kind == "images":
        return {"data": [{"b64_json": PNG}], "usage": USAGE, **top}
    return talk(kind, {"message": {"content": content(kind)}, "finish_reason": "stop"}, **top)


def content(kind: Kind) -> Any:
    image = {"type": "image_url", "image_url": {"url": LINK}}
    return "B. spleen" if kind == "chat" else [{"type": "text", "text": "Done."}, image]


def talk(kind: Kind, choice: Any, **top: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [choice], "usage": USAGE, **top}


def status(code: int, body: Any = b"", then: bool = False, **headers: str) -> Says:
    """An HTTP status for ever, or once and then a whole reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def says(kind: Kind) -> Sequence[Answer]:
        first = Answer(body, code, named)
        return [first, Answer(good(kind))] if then else [first]

    return says


def error(http: int, /, then: bool = False, **fields: Any) -> Says:
    return status(http, {"error": fields}, then)


def body(found: Any, then: bool = False) -> Says:
    return status(200, found, then)


def whole(**top: Any) -> Says:
    return lambda kind: [Answer(good(kind, **top))]


def ended(reason: Any, text: Any = None, **message: Any) -> Says:
    """A chat completion that ended so."""

    def says(kind: Kind) -> Sequence[Answer]:
        said = {"content": content(kind) if text is None else text, **message}
        return [Answer(talk(kind, {"message": said, "finish_reason": reason}))]

    return says


def slots(*items: Any, **top: Any) -> Says:
    return lambda _: [Answer({"data": list(items), "usage": USAGE, **top})]


def choice(**fields: Any) -> Says:
    def says(kind: Kind) -> Sequence[Answer]:
        whole_choice = {"message": {"content": content(kind)}, "finish_reason": "stop", **fields}
        return [Answer(talk(kind, whole_choice))]

    return says


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
FLAGGED = {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["violence"]}}

TABLE: tuple[Row, ...] = (
    # Good, in every spelling.
    Row("200, a whole reply", whole(), "ok", 1, USED),
    Row("200, the model's name with a date behind it", whole(model="m-2026-01-31"), "ok", 1, USED),
    Row("200, another model's name", whole(model="m-mini"), ENDS, 1, reason="of model 'm-mini'"),
    Row("200, `finish_reason` null", ended(None), "ok", 1, USED, TALK),
    Row("200, `eos_token`", ended("eos_token"), "ok", 1, USED, TALK),
    Row("200, `end_turn`", ended("end_turn"), "ok", 1, USED, TALK),
    Row("200, `STOP`", ended("STOP"), "ok", 1, USED, TALK),
    Row("200, `stop_sequence`", ended("stop_sequence"), "ok", 1, USED, TALK),
    Row("200, `COMPLETE`", ended("COMPLETE"), "ok", 1, USED, TALK),
    Row("200, `length`", ended("length"), "truncated", 1, USED, TALK),
    Row("200, `max_tokens`", ended("max_tokens"), "truncated", 1, USED, TALK),
    Row("200, `MAX_TOKENS`", ended("MAX_TOKENS"), "truncated", 1, USED, TALK),
    Row("200, `model_length`", ended("model_length"), "truncated", 1, USED, TALK),
    Row("200, `model_context_window_exceeded`", ended("model_context_window_exceeded"),
        "truncated", 1, USED, TALK),
    Row("200, `content_filter`", ended("content_filter"), "refused", 1, USED, TALK),
    Row("200, `content_filter: RECITATION`", ended("content_filter: RECITATION"), "refused", 1,
        USED, TALK),
    Row("200, `SAFETY`", ended("SAFETY"), "refused", 1, USED, TALK),
    Row("200, `IMAGE_SAFETY`", ended("IMAGE_SAFETY", ""), "refused", 1, USED, TALK),
    Row("200, `PROHIBITED_CONTENT`", ended("PROHIBITED_CONTENT"), "refused", 1, USED, TALK),
    Row("200, `refusal` as the end word", ended("refusal"), "refused", 1, USED, TALK),
    Row("200, a `refusal` in the message", ended("stop", "", refusal="I will not."), "refused", 1,
        USED, TALK),
    Row("200, `tool_calls`", ended("tool_calls"), "model_error", 1, USED, TALK, "tool_calls"),
    Row("200, `error` as the end word", ended("error"), "model_error", 1, USED, TALK, "error"),
    Row("200, an end word nobody knows", ended("perhaps"), "model_error", 1, USED, TALK, "perhaps"),
    Row("200, thoughts as a part, then words", ended("stop", [
        {"type": "thinking", "thinking": "A?"}, {"type": "text", "text": "B. right"}]),
        {"chat": "ok", "unified": "invalid_image"}, 1, USED, TALK),
    Row("200, content null", ended("stop", "", content=None),
        {"chat": "model_error", "unified": "invalid_image"}, 1, USED, TALK),
    Row("200, content a number", ended("stop", 7), "model_error", 2, 2 * USED, TALK,
        "not a chat completion"),
    Row("200, `logprobs` null, `top_logprobs` null", choice(logprobs={"content": [
        {"token": "B", "logprob": -0.1, "top_logprobs": None}]}), "ok", 1, USED, TALK),
    Row("200, images as strings", lambda kind: [Answer(
        talk(kind, {"message": {"content": "Done.", "images": [LINK]}}))], "ok", 1, USED,
        ("unified",)),
    # What holds images.
    Row("200, a raw picture as `Image/PNG`",
        lambda _: [Answer(picture(7), headers={"Content-Type": "Image/PNG"})], "ok", 1, ASIDE,
        ("images",)),
    Row("200, images as strings in `data`", slots(PNG), "ok", 1, USED, ("images",)),
    Row("200, base64 in the URL's alphabet, without padding", slots(
        {"b64_json": PNG.replace("+", "-").replace("/", "_").rstrip("=")}), "ok", 1, USED,
        ("images",)),
    Row("200, no image in `data`", slots(), "invalid_image", 1, USED, ("images",)),
    Row("200, an empty slot, `respect_moderation` false", slots(
        {"b64_json": None, "respect_moderation": False}), "refused", 1, USED, ("images",)),
    Row("200, an empty slot with `raiFilteredReason`", slots({"raiFilteredReason": "people"}),
        "refused", 1, USED, ("images",)),
    Row("200, a slot with a filter's error", slots(
        {"error": {"code": "OutputImageSensitiveContentDetected"}}), "refused", 1, USED,
        ("images",)),
    Row("200, a link to a host that is not allowed", slots({"url": "http://192.0.2.1/1.png"}),
        "model_error", 1, USED, ("images",), "allowed_hosts"),
    # No usage, or none that can be true.
    Row("200 without `usage`", whole(usage=None), "ok", 1, ASIDE),
    Row("200, `usage` of zeros", whole(usage={"prompt_tokens": 0, "completion_tokens": 0}), "ok", 1,
        ASIDE),
    Row("200, a negative count", whole(usage={"prompt_tokens": -5, "completion_tokens": 1}), "ok",
        1, ASIDE),
    Row("200, counts as text", whole(usage={"prompt_tokens": "1000", "completion_tokens": "500"}),
        "ok", 1, USED),
    Row("200, thoughts outside `completion_tokens`", whole(usage={
        "prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1500}), "ok", 1, USED),
    Row("200, `input_tokens` and `output_tokens`", whole(usage={
        "input_tokens": 1000, "output_tokens": 500}), "ok", 1, USED),
    # No JSON.
    Row("200, an empty body", body(b""), "unreachable", 2, 2 * ASIDE, reason="empty"),
    Row("200, a proxy's web page", body(HTML), "unreachable", 2, 2 * ASIDE, reason="Bad Gateway"),
    Row("200, a web page once, then a reply", body(HTML, then=True), "ok", 2, ASIDE + USED),
    Row("200, words that are no JSON", body(b"I am afraid"),
        {"chat": "model_error", "unified": "model_error", "images": "invalid_image"}, 2,
        2 * ASIDE, reason="not the JSON that was agreed"),
    Row("200, JSON without an answer", body({"id": 1}),
        {"chat": "model_error", "unified": "model_error", "images": "invalid_image"}, 2,
        2 * ASIDE),
    Row("200, gzip although identity was asked for",
        status(200, b"\x1f\x8b", Content_Encoding="gzip, gzip"),
        {"chat": "model_error", "unified": "model_error", "images": "invalid_image"}, 1, ASIDE,
        reason="encoded"),
    # An error in a reply of 200.
    Row("200 with error 429, then a reply", body({"error": {"code": 429, "message": "slow"}}, True),
        "ok", 2, USED),
    Row("200 with error 429 for ever", body({"error": {"code": 429, "message": "slow down"}}),
        "unreachable", 3, reason="slow down"),
    Row("200 with error `overloaded_error`", body({"type": "error", "error": {
        "type": "overloaded_error", "message": "busy"}}), "unreachable", 3, reason="busy"),
    Row("200 with an error of words alone", body({"error": "upstream failed"}), "unreachable", 3,
        reason="upstream failed"),
    Row("200 with a list of one error", body([{"error": {"code": 503, "message": "later"}}]),
        "unreachable", 3, reason="later"),
    Row("200 with error 400", body({"error": {"code": 400, "message": "too long"}}), "model_error",
        reason="too long"),
    Row("200 with error `content_filter`", body({"error": {"code": "content_filter"}}), "refused"),
    Row("200 with error 401", body({"error": {"code": 401, "message": "bad key"}}), ENDS,
        reason="does not accept the key"),
    Row("200 with `promptFeedback.blockReason`", body({"promptFeedback": {
        "blockReason": "SAFETY"}}), "refused"),
    # Busy or broken.
    Row("429", status(429, b"slow"), "unreachable", 3),
    Row("429 once, then a reply", status(429, b"slow", then=True), "ok", 2, USED),
    Row("429, `Retry-After: 0`", status(429, b"", Retry_After="0"), "unreachable", 3),
    Row("429, `Retry-After: -5`", status(429, b"", Retry_After="-5"), "unreachable", 3),
    Row("429, `Retry-After: soon`", status(429, b"", Retry_After="soon"), "unreachable", 3),
    Row("429, `Retry-After: 86400`", status(429, b"", Retry_After="86400"), "unreachable", 1),
    Row("429, `Retry-After: 9e99`", status(429, b"", Retry_After="9e99"), "unreachable", 3),
    Row("429, `insufficient_quota`", error(429, code="insufficient_quota", message="pay"), ENDS,
        reason="no credit"),
    Row("402", error(402, message="pay"), ENDS, reason="no credit"),
    Row("500", status(500, b"oops"), "unreachable", 3),
    Row("501", status(501), "unreachable", 3, reason="HTTP 501"),
    Row("502, a proxy's web page", status(502, HTML), "unreachable", 3, reason="Bad Gateway"),
    Row("503, an empty body", status(503), "unreachable", 3, reason="HTTP 503"),
    Row("504", status(504), "unreachable", 3),
    Row("521", status(521), "unreachable", 3),
    Row("529", status(529, b"overloaded"), "unreachable", 3),
    Row("599", status(599), "unreachable", 3),
    Row("408", status(408), "unreachable", 3),
    Row("409", status(409), "unreachable", 3),
    Row("425", status(425), "unreachable", 3),
    Row("no whole reply in time", lambda _: [Answer(b"", pause_s=9.0)], "timeout", 2, 2 * ASIDE,
        endpoint={"timeout_s": 0.3}),
    Row("a reply that breaks off",
        lambda kind: [Answer(good(kind), hang_up_after=9)], "unreachable", 3, 3 * ASIDE),
    Row("a reply larger than allowed", body(b"x" * 3 * 2**20),
        {"chat": "model_error", "unified": "model_error", "images": "invalid_image"}, 1, ASIDE,
        endpoint={"max_response_mib": 1}),
    # Told that it cannot be.
    Row("302", status(302, b"", Location="http://192.0.2.1/"), "model_error"),
    Row("400", error(400, message="bad size"), "model_error", reason="bad size"),
    Row("400, `context_length_exceeded`", error(400, code="context_length_exceeded",
        message="maximum context length is 4096 tokens", param="messages"), "model_error"),
    Row("400 that quotes `insufficient_quota`", error(400, code="invalid_prompt",
        message="bad prompt: insufficient_quota"), "model_error"),
    Row("400, `content_policy_violation`", error(400, code="content_policy_violation"), "refused"),
    Row("400, `contentFilter`", error(400, code="contentFilter"), "refused"),
    Row("400, a filter in `innererror`", error(400, code="x", innererror={
        "code": "ResponsibleAIPolicyViolation"}), "refused"),
    Row("400, `Output blocked by content filtering policy`", error(400,
        type="invalid_request_error", message="Output blocked by content filtering policy"),
        "refused"),
    Row("400, `DataInspectionFailed`", status(400, {"code": "DataInspectionFailed",
        "message": "no"}), "refused"),
    Row("400, `unsupported_parameter` seed", error(400, code="unsupported_parameter", param="seed",
        message="Unsupported parameter: 'seed'"), ENDS, reason="seed: null"),
    Row("400, `max_tokens` refused", error(400, code="unsupported_parameter", param="max_tokens",
        message="Use 'max_completion_tokens' instead."), ENDS, kinds=TALK,
        reason="max_completion_tokens: "),
    Row("400, `temperature` refused in words", error(400,
        message="Unsupported value: 'temperature' does not support 0.0 with this model."), ENDS,
        kinds=TALK, reason="temperature: null"),
    Row("413", status(413), "model_error"),
    Row("422", status(422, {"detail": [{"msg": "field required"}]}), "model_error"),
    Row("401", error(401, message="bad key"), ENDS, reason="does not accept the key"),
    Row("403 without a reason, for every request", error(403, message="no"), ENDS,
        reason="does not accept the key"),
    Row("403, the content was flagged", status(403, {"error": FLAGGED}), "refused"),
    Row("403, `Content violates usage guidelines`", error(403,
        message="Content violates usage guidelines"), "refused"),
    Row("404", error(404, message="no such model"), ENDS, reason="no such path or model"),
    Row("405", status(405), ENDS, reason="no such path or model"),
)  # fmt: skip

START = "<!-- what a server says: made by tests/models/server_table.py -->"
END = "<!-- end of what a server says -->"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "systems.md"


def page_table() -> str:
    """The table as it stands in docs/systems.md."""
    lines = [
        "| what the server says | adapters | the row | asked | booked |",
        "|---|---|---|---|---|",
    ]
    for row in TABLE:
        words = [row.said, _who(row), _row(row), _times(row), _booked(row.usd)]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join([START, *lines, END])


def _who(row: Row) -> str:
    return "all" if row.kinds == KINDS else ", ".join(row.kinds)


def _row(row: Row) -> str:
    found = list(dict.fromkeys(row.status(kind) for kind in row.kinds))
    if len(found) == 1:
        return found[0] if found[0] == ENDS else f"`{found[0]}`"
    return ", ".join(f"{kind} `{row.status(kind)}`" for kind in row.kinds)


def _times(row: Row) -> str:
    return "once" if row.asked == 1 else "twice" if row.asked == 2 else "to the last attempt"


def _booked(usd: float) -> str:
    aside = round(usd // ASIDE)
    parts = ["what was set aside" + (", each time" if aside > 1 else "")] if aside else []
    parts += ["its usage" + (", each time" if usd > 1.5 * USED else "")] if usd % ASIDE else []
    return ", then ".join(parts) or "nothing"


def write() -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    head, _, rest = text.partition(START)
    PAGE.write_text(head + page_table() + rest.partition(END)[2])


if __name__ == "__main__":
    write()
