"""More of what servers say, by kind: end words, bodies, encodings, waits, counts, pictures."""

import json

from models.conftest import picture
from models.loopback import Answer
from models.server_table import (
    ASIDE,
    ENDS,
    HTML,
    LINK,
    PNG,
    TALK,
    USAGE,
    USED,
    Row,
    body,
    choice,
    content,
    ended,
    error,
    good,
    slots,
    status,
    talk,
    whole,
)

_STREAM = b'data: {"choices": [{"delta": {"content": "B"}}]}\n\ndata: [DONE]\n\n'
_PAGE = b"\n\n  <!-- cache -->\n<!DOCTYPE html><html><title>Log in</title></html>"
_NO_JSON = {"chat": "model_error", "unified": "model_error", "images": "invalid_image"}
_EMPTY = {"chat": "model_error", "unified": "invalid_image"}


def used(**counts: object) -> Row:
    said = ", ".join(f"`{name}` {json.dumps(value)[:40]}" for name, value in counts.items())
    return Row(f"200, usage of {said}", whole(usage=counts), "ok", 1, ASIDE)


MORE: tuple[Row, ...] = (
    # End words.
    Row("200, `stop_reason` in the place of `finish_reason`", choice(
        finish_reason=None, stop_reason="max_tokens"), "truncated", 1, USED, TALK),
    Row("200, `finish_reason` a number", ended(1), "model_error", 1, USED, TALK),
    Row("200, `finish_reason` an empty text", ended(""), "ok", 1, USED, TALK),
    Row("200, `FINISH_REASON_STOP`", ended("FINISH_REASON_STOP"), "ok", 1, USED, TALK),
    Row("200, `FINISH_REASON_MAX_TOKENS`", ended("FINISH_REASON_MAX_TOKENS"), "truncated", 1,
        USED, TALK),
    Row("200, `abort`", ended("abort"), "model_error", 1, USED, TALK, "abort"),
    Row("200, `function_call`", ended("function_call"), "model_error", 1, USED, TALK),
    Row("200, `MALFORMED_FUNCTION_CALL`", ended("MALFORMED_FUNCTION_CALL"), "model_error", 1,
        USED, TALK),
    Row("200, `insufficient_system_resource`", ended("insufficient_system_resource"),
        "model_error", 1, USED, TALK),
    Row("200, `NO_IMAGE`", ended("NO_IMAGE"), "model_error", 1, USED, TALK),
    Row("200, `SPII`", ended("SPII"), "refused", 1, USED, TALK),
    Row("200, `LANGUAGE`", ended("LANGUAGE"), "model_error", 1, USED, TALK),
    Row("200, `pause_turn`", ended("pause_turn"), "model_error", 1, USED, TALK),
    *(Row(f"200, `{word}`", ended(word), "ok", 1, USED, TALK) for word in (
        "stop_sequence_reached", "eos_token_found", "stop_str", "EndTurn", "</s>", "ended")),
    *(Row(f"200, `{word}`", ended(word), "truncated", 1, USED, TALK) for word in (
        "max_completion_tokens", "ERROR_LIMIT", "repetition_truncation", "ctx_limit")),
    *(Row(f"200, `{word}`", ended(word), "refused", 1, USED, TALK) for word in (
        "ERROR_TOXIC", "MODEL_ARMOR", "guardrail_intervened", "IMAGE_RECITATION")),
    *(Row(f"200, `{word}`", ended(word), "model_error", 1, USED, TALK) for word in (
        "content_filter_error", "OTHER", "cancelled", "network_error")),
    Row("200, the end in `finish_details`", choice(finish_reason=None, finish_details={
        "type": "max_tokens"}), "truncated", 1, USED, TALK),
    Row("200, the end in `native_finish_reason`", choice(finish_reason=None,
        native_finish_reason="MAX_TOKENS"), "truncated", 1, USED, TALK),
    Row("200, an object as the end", ended({"type": "length"}), "truncated", 1, USED, TALK),
    Row("200, `end_of_sequence`", ended("end_of_sequence"), "ok", 1, USED, TALK),
    # Content.
    Row("200, nothing to see: signs without width", ended("stop", "\u200b\ufeff"), _EMPTY, 1, USED,
        TALK),
    Row("200, `parts` as the content", ended("stop", {"parts": [{"text": "B. spleen"}]}),
        {"chat": "ok", "unified": "invalid_image"}, 1, USED, TALK),
    Row("200, an object as the refusal", ended("stop", "", refusal={"message": "I will not."}),
        "refused", 1, USED, TALK, "I will not."),
    Row("200, `refusal` true", ended("stop", "", refusal=True), "refused", 1, USED, TALK),
    Row("200, `refusal` false", ended("stop", refusal=False), "ok", 1, USED, TALK),
    Row("200, a refusal's words under `text`", ended("stop", [
        {"type": "refusal", "text": "I will not."}]), "refused", 1, USED, TALK, "I will not."),
    Row("200, content null and a filter's verdict", choice(message={"content": None},
        finish_reason=None, content_filter_results={"hate": {"filtered": True}}), "refused", 1,
        USED, TALK, "hate"),
    Row("200, words and a filter that let them pass", choice(content_filter_results={
        "hate": {"filtered": False}}), "ok", 1, USED, TALK),
    Row("200, a refusal as a part of the content", ended("stop", [
        {"type": "refusal", "refusal": "I will not."}]), "refused", 1, USED, TALK),
    Row("200, tool calls and nothing else", ended("stop", "", tool_calls=[{"id": "1"}]), _EMPTY, 1,
        USED, TALK),
    Row("200, `delta` in the place of `message`", lambda kind: [Answer(talk(kind, {
        "delta": {"content": content(kind)}, "finish_reason": "stop"}))], "ok", 1, USED, TALK),
    Row("200, content of blanks only", ended("stop", " \n\t "), _EMPTY, 1, USED, TALK),
    Row("200, content an empty list", ended("stop", []), _EMPTY, 1, USED, TALK),
    Row("200, no choice at all", lambda _: [Answer({"choices": [], "usage": {
        "prompt_tokens": 1000, "completion_tokens": 0}})], "model_error", 2, 0.002, TALK,
        "not a chat completion"),
    Row("200, a choice that is null", lambda kind: [Answer(talk(kind, None))], "model_error", 2,
        2 * USED, TALK, "not a chat completion"),
    Row("200, a message that is text", lambda kind: [Answer(talk(kind, {"message": "B"}))],
        "model_error", 2, 2 * USED, TALK, "not a chat completion"),
    Row("200, only thoughts, in `reasoning_content`", ended(
        "stop", "", reasoning_content="A? B?"), _EMPTY, 1, USED, TALK),
    Row("200, a key that stands twice", lambda kind: [Answer(
        json.dumps(good(kind)).encode()[:-1] + b', "id": 1, "id": 2}')], "ok", 1, USED),
    Row("200, NaN among the values", lambda kind: [Answer(
        json.dumps(good(kind)).encode()[:-1] + b', "score": NaN, "high": 1e999}')], "ok", 1, USED),
    # Bodies.
    Row("200, blanks to keep the connection, then a page", body(b" \n" * 400 + HTML),
        "unreachable", 2, 2 * ASIDE, reason="Bad Gateway"),
    Row("200, JSON in Latin-1, as its type says", lambda kind: [Answer(
        json.dumps({**good(kind), "by": "\xe9"}, ensure_ascii=False).encode("latin-1"),
        headers={"Content-Type": "application/json; charset=ISO-8859-1"})], "ok", 1, USED),
    Row("200, JSON in Latin-1, which nobody says", lambda kind: [Answer(
        json.dumps({**good(kind), "by": "\xe9"}, ensure_ascii=False).encode("latin-1"))],
        _NO_JSON, 2, 2 * ASIDE),
    Row("200, a stream that nobody asked for", body(_STREAM), _NO_JSON, 2, 2 * ASIDE,
        reason="not the JSON that was agreed"),
    Row("200, JSON behind a byte-order mark", lambda kind: [Answer(
        b"\xef\xbb\xbf" + json.dumps(good(kind)).encode())], "ok", 1, USED),
    Row("200, JSON as `text/plain`", lambda kind: [Answer(
        good(kind), headers={"Content-Type": "text/plain; charset=latin-1"})], "ok", 1, USED),
    Row("200, JSON in UTF-16", lambda kind: [Answer(
        json.dumps(good(kind)).encode("utf-16"))], "ok", 1, USED),
    Row("200, a page behind a comment", body(_PAGE), "unreachable", 2, 2 * ASIDE, reason="Log in"),
    Row("200, half of the JSON", lambda kind: [Answer(json.dumps(good(kind)).encode()[:60])],
        _NO_JSON, 2, 2 * ASIDE),
    Row("200, lists in lists without end", body(b"[" * 100_000), _NO_JSON, 2, 2 * ASIDE),
    Row("200, a number of 5,000 digits", body(b'{"id": ' + b"9" * 5000 + b"}"), _NO_JSON, 2,
        2 * ASIDE),
    Row("200, `null`", body(b"null"), _NO_JSON, 2, 2 * ASIDE),
    Row("200, two documents", lambda kind: [Answer(json.dumps(good(kind)).encode() * 2)],
        _NO_JSON, 2, 2 * ASIDE),
    Row("200, `Content-Encoding: br`", status(200, b"\x8b", Content_Encoding="br"), _NO_JSON, 1,
        ASIDE, reason="encoded"),
    Row("503, `Content-Encoding: gzip`", status(503, b"\x1f\x8b", Content_Encoding="gzip"),
        "unreachable", 3, reason="HTTP 503"),
    Row("503, a page larger than allowed", status(503, b"<p>" + b"x" * 3 * 2**20), "unreachable", 3,
        reason="HTTP 503", endpoint={"max_response_mib": 1}),
    Row("204", status(204), "unreachable", 2, 2 * ASIDE, reason="empty"),
    Row("202, still at work", lambda _: [Answer({"id": "job-1", "status": "queued"}, 202)],
        _NO_JSON, 2, 2 * ASIDE),
    Row("301 to itself", status(301, b"", Location="/v1/chat/completions"), "model_error"),
    Row("307 to another host", status(307, b"", Location="http://192.0.2.1/v1?sig=1"),
        "model_error", reason="leads to http://192.0.2.1/v1; is that the right endpoint.base_url?"),
    Row("308 without a place", status(308), "model_error"),
    # An error in a reply of 200.
    Row("200 with error null beside a reply", whole(error=None), "ok", 1, USED),
    Row("200 with an empty error beside a reply", whole(error={}), "ok", 1, USED),
    Row("200 with code `context_length_exceeded`", body({"error": {
        "code": "context_length_exceeded", "message": "too long"}}), "model_error",
        reason="too long"),
    Row("200 with `detail`", body({"detail": "Internal error"}), "unreachable", 3,
        reason="Internal error"),
    Row("200 with code `insufficient_quota`", body({"error": {"code": "insufficient_quota"}}), ENDS,
        reason="no credit"),
    Row("200 with error 503 in text", body({"error": {"code": "503", "message": "soon"}}),
        "unreachable", 3, reason="soon"),
    Row("200 with the error in the choice", choice(error={"code": 502, "message": "upstream"}),
        "unreachable", 3, 3 * USED, TALK, "upstream"),
    Row("200 with `success` false", body({"success": False, "message": "busy", "code": 429}),
        "unreachable", 3, reason="busy"),
    Row("200 with error true", body({"error": True, "message": "busy"}), "unreachable", 3,
        reason="busy"),
    Row("200 with `Error` in capitals", body({"Error": {"Code": "Throttling", "Message": "slow"}}),
        "unreachable", 3, reason="slow"),
    Row("200 with an error in `Response`", body({"Response": {"Error": {
        "Code": "RequestLimitExceeded", "Message": "slow"}}}), "unreachable", 3, reason="slow"),
    Row("200 with `base_resp`", body({"base_resp": {"status_code": 1002, "status_msg": "slow"}}),
        "unreachable", 3, reason="slow"),
    Row("200 with `base_resp`, no balance", body({"base_resp": {
        "status_code": 1008, "status_msg": "insufficient balance"}}), ENDS, reason="no credit"),
    Row("200 with `base_resp` of success beside a reply", whole(base_resp={"status_code": 0}), "ok",
        1, USED),
    Row("200 with `error_code`", body({"error_code": 18, "error_msg": "qps request limit reached"}),
        "unreachable", 3, reason="qps"),
    Row("200 with `__type`", body({"__type": "ThrottlingException", "message": "slow"}),
        "unreachable", 3, reason="slow"),
    Row("200 with the error as text of JSON", body({"error": json.dumps({
        "code": 400, "message": "too long"})}), "model_error", reason="too long"),
    Row("200 with `prompt_feedback`", body({"prompt_feedback": {"block_reason": "OTHER"}}),
        "refused"),
    Row("200 with a candidate that was blocked", body({"candidates": [{
        "finishReason": "PROHIBITED_CONTENT"}]}), "refused"),
    Row("200, `Request Moderated`", body({"id": "1", "status": "Request Moderated"}), "refused"),
    Row("200 with `errcode`", body({"errcode": 50001, "errmsg": "server busy"}), "unreachable", 3,
        reason="server busy"),
    Row("200 with `code` and `msg`", body({"code": 50000, "msg": "internal"}), "unreachable", 3,
        reason="internal"),
    Row("200 with a number as the error", body({"error": 500}), "unreachable", 3),
    Row("200 with an error beside an empty choice", lambda _: [Answer({"choices": [{
        "message": {"content": ""}, "finish_reason": "error"}], "error": {
        "code": 502, "message": "upstream"}})], "unreachable", 3, 0.0, TALK, "upstream"),
    Row("200 with an error beside an empty slot", body({"data": [{"b64_json": None}], "error": {
        "code": 429, "message": "slow"}}), "unreachable", 3, 0.0, ("images",), "slow"),
    Row("200 with an error beside a reply", whole(error={"code": 502, "message": "late"}), "ok", 1,
        USED),
    Row("200, no choice, and a filter's verdict on the prompt", body({"choices": [],
        "prompt_filter_results": [{"content_filter_results": {"violence": {"filtered": True}}}]}),
        "refused", 1, 0.0, TALK, "violence"),
    Row("200 with a provider's own error within a gateway's", body({"error": {"code": 400,
        "message": "Provider returned error", "metadata": {"raw": json.dumps({"error": {
            "code": "content_filter"}})}}}), "refused"),
    Row("200, NSFW in words alone", body({"status": "failed", "output": None,
        "error": "NSFW content detected. Try another prompt."}), "refused"),
    # Waits.
    Row("420", status(420, b"calm down"), "unreachable", 3),
    Row("430", status(430, b"too many"), "unreachable", 3),
    Row("449, `Retry-After: 1h`", status(449, b"", Retry_After="1h"), "unreachable", 1),
    Row("429, `x-ms-retry-after-ms`", status(429, b"", x_ms_retry_after_ms="3600000"),
        "unreachable", 1),
    Row("429, `Retry-After: 3600 seconds`", status(429, b"", Retry_After="3600 seconds"),
        "unreachable", 1),
    Row("429, `retryDelay` in its details", error(429, message="quota", details=[{
        "@type": "google.rpc.RetryInfo", "retryDelay": "3600s"}]), "unreachable", 1),
    Row("429, `retryDelay` in a list", status(429, [{"error": {"code": 429, "details": [
        {"retryDelay": "3600s"}]}}]), "unreachable", 1),
    Row("429, `retry_after_seconds` in its metadata", error(429, message="slow", metadata={
        "retry_after_seconds": 3600}), "unreachable", 1),
    Row("429, `retry_after` in its body", status(429, {"message": "slow", "retry_after": 7200.5}),
        "unreachable", 1),
    Row("429, `Retry-After` of RFC 850", status(429, b"", Retry_After=
        "Sunday, 06-Nov-94 08:49:37 GMT"), "unreachable", 3),
    Row("429, `Retry-After: Infinity`", status(429, b"", Retry_After="Infinity"), "unreachable", 3),
    Row("429, `Retry-After: 0.002`", status(429, b"", Retry_After="0.002"), "unreachable", 3),
    Row("429, `Retry-After: 1h`", status(429, b"", Retry_After="1h"), "unreachable", 1),
    Row("429, `Retry-After` in 2099", status(429, b"", Retry_After=
        "Fri, 31 Dec 2099 23:59:59 GMT"), "unreachable", 3),
    Row("429, `Retry-After` in 1999", status(429, b"", Retry_After=
        "Fri, 31 Dec 1999 23:59:59 GMT"), "unreachable", 3),
    Row("429, `Retry-After: nan`", status(429, b"", Retry_After="nan"), "unreachable", 3),
    Row("429, `Retry-After: 5, 5`", status(429, b"", Retry_After="86400, 86400"), "unreachable", 1),
    Row("503, `retry-after-ms: 2`", status(503, b"", retry_after_ms="2"), "unreachable", 3),
    # Counts.
    used(prompt_tokens="many", completion_tokens=5),
    used(prompt_tokens=None, completion_tokens=500),
    used(prompt_tokens=1000, completion_tokens=-1),
    used(prompt_tokens=1e30, completion_tokens=5),
    used(prompt_tokens=10.5, completion_tokens=5),
    used(prompt_tokens=True, completion_tokens=5),
    used(prompt_tokens=[1000], completion_tokens=500),
    used(tokens=1500),
    Row("200, usage nested in usage", whole(usage={"usage": {
        "prompt_tokens": 1000, "completion_tokens": 500}}), "ok", 1, USED),
    Row("200, `promptTokenCount` and `candidatesTokenCount`", whole(usage=None, usageMetadata={
        "promptTokenCount": 1000, "candidatesTokenCount": 400, "thoughtsTokenCount": 100,
        "totalTokenCount": 1500}), "ok", 1, USED),
    Row("200, usage that says a higher `cost`", whole(usage={**USAGE, "cost": 0.25}), "ok", 1,
        0.25),
    Row("200, usage that says a lower `cost`", whole(usage={**USAGE, "cost": 0.0001}), "ok", 1,
        USED),
    Row("200, usage that says a `cost` that cannot be", whole(usage={**USAGE, "cost": 1e9}), "ok",
        1, USED),
    Row("200, a list as `usage`", whole(usage=[1, 2]), "ok", 1, ASIDE),
    Row("200, `inputTokens` and `outputTokens`", whole(usage={
        "inputTokens": 1000, "outputTokens": 500}), "ok", 1, USED),
    Row("200, `prompt_eval_count` and `eval_count`", whole(
        usage=None, prompt_eval_count=1000, eval_count=500), "ok", 1, USED),
    Row("200, `billed_units`", whole(usage=None, meta={"billed_units": {
        "input_tokens": 1000, "output_tokens": 500}}), "ok", 1, USED),
    # Pictures.
    Row("200, artifacts", body({"artifacts": [{"base64": PNG, "finishReason": "SUCCESS"}],
        "usage": USAGE}), "ok", 1, USED, ("images",)),
    Row("200, an artifact that a filter blurred", body({"artifacts": [{
        "base64": PNG, "finishReason": "CONTENT_FILTERED"}], "usage": USAGE}), "refused", 1, USED,
        ("images",)),
    Row("200, predictions", body({"predictions": [{"bytesBase64Encoded": PNG}], "usage": USAGE}),
        "ok", 1, USED, ("images",)),
    Row("200, images within `data`", body({"data": {"images": [{"b64_json": PNG}]},
        "usage": USAGE}), "ok", 1, USED, ("images",)),
    Row("200, an empty slot with `content_filter_results`", slots({"b64_json": None,
        "content_filter_results": {"sexual": {"filtered": True}}}), "refused", 1, USED,
        ("images",)),
    Row("200, a raw picture as `application/octet-stream`", lambda _: [Answer(
        picture(7), headers={"Content-Type": "application/octet-stream"})], "ok", 1, ASIDE,
        ("images",)),
    Row("200, a data URL with a charset", slots({
        "b64_json": f"data:image/png;charset=utf-8;base64,{PNG}"}), "ok", 1, USED, ("images",)),
    Row("200, base64 with line ends", slots({"b64_json": "\r\n".join(
        PNG[i : i + 76] for i in range(0, len(PNG), 76))}), "ok", 1, USED, ("images",)),
    Row("200, base64 with percent signs", slots({"b64_json": PNG.replace("+", "%2B").replace(
        "/", "%2F").replace("=", "%3D")}), "ok", 1, USED, ("images",)),
    Row("200, a page in base64", slots({"b64_json": "PGh0bWw+"}), "invalid_image", 1, USED,
        ("images",), "not_an_image"),
    Row("200, half of a picture", slots({"b64_json": PNG[: len(PNG) // 8 * 4]}), "invalid_image",
        1, USED, ("images",)),
    Row("200, an empty data URL", slots({"url": "data:image/png;base64,"}), "invalid_image", 1,
        USED, ("images",)),
    Row("200, a link to a file", slots({"url": "file:///etc/passwd"}), "invalid_image", 1, USED,
        ("images",)),
    Row("200, a link to the cloud's own address", slots({
        "url": "http://169.254.169.254/latest/meta-data"}), "model_error", 1, USED, ("images",),
        "allowed_hosts"),
    Row("200, a link with a password", slots({"url": "http://a:b@localhost/1.png"}), "model_error",
        1, USED, ("images",), "allowed_hosts"),
    Row("200, a link that is none", slots({"url": "http://["}), "model_error", 1, USED,
        ("images",)),
    Row("200, a web page as `image/png`", lambda _: [Answer(
        HTML, headers={"Content-Type": "image/png"})], "invalid_image", 1, ASIDE, ("images",)),
    Row("200, base64 beside a link", slots({"url": "http://192.0.2.1/x.png", "b64_json": PNG}),
        "ok", 1, USED, ("images",)),
    Row("200, an image under `result`", body({"result": {"image": PNG}, "success": True,
        "errors": [], "usage": USAGE}), "ok", 1, USED, ("images",)),
    Row("200, one image under `image`", body({"image": {"url": LINK}, "usage": USAGE}), "ok", 1,
        USED, ("images",)),
    Row("200, an image that a list beside it calls blackened", body({"images": [{"url": LINK}],
        "has_nsfw_concepts": [True], "usage": USAGE}), "refused", 1, USED, ("images",), "nsfw"),
    Row("200, an image that a list beside it lets pass", body({"images": [{"url": LINK}],
        "has_nsfw_concepts": [False], "usage": USAGE}), "ok", 1, USED, ("images",)),
    Row("200, a link with blanks around it", slots({"url": " http://192.0.2.1/x.png\n"}),
        "model_error", 1, USED, ("images",), "allowed_hosts"),
    Row("200, an image slot that is null", slots(None), "invalid_image", 1, USED, ("images",)),
    Row("200, a picture in `output`", lambda _: [Answer({
        "output": f"data:image/png;base64,{PNG}", "usage": {
            "prompt_tokens": 1000, "completion_tokens": 500}})], "ok", 1, USED, ("images",)),
    # Told that it cannot be.
    *(Row(f"400, `{words[:40]}`", status(400, {"message": words}), "refused") for words in (
        "The generated image(s) were filtered by our content filters.",
        "This request has been blocked by our content filters. They flagged this prompt.",
        "Generated image rejected by content moderation.",
        "Content Exists Risk")),
    Row("400, the credit balance is too low", error(400, message=
        "Your credit balance is too low to access the API."), ENDS, reason="no credit"),
    Row("400, `API_KEY_INVALID`", error(400, status="INVALID_ARGUMENT", message=
        "API key not valid.", details=[{"reason": "API_KEY_INVALID"}]), ENDS,
        reason="does not accept the key"),
    Row("400, `model_not_found`", error(400, code="model_not_found", message="no model"), ENDS,
        reason="no such path or model"),
    Row("400, `model_decommissioned`", error(400, code="model_decommissioned", message="gone"),
        ENDS, reason="no such path or model"),
    Row("410, `model_deprecated`", error(410, code="model_deprecated", message="gone"), ENDS,
        reason="no such path or model"),
    Row("400, the model does not exist", error(400, message="The model `m` does not exist."), ENDS,
        reason="no such path or model"),
    Row("400, the model has been deprecated", error(400, message="Model m has been deprecated"),
        ENDS, reason="no such path or model"),
    Row("200 with `success` false and words alone", body({"success": False, "message": "busy"}),
        "unreachable", 3, reason="busy"),
    Row("200 with `ok` false", body({"ok": False, "description": "no time"}), "unreachable", 3,
        reason="no time"),
    Row("200 with `err`", body({"err": "worker died"}), "unreachable", 3, reason="worker died"),
    Row("200 with `success` true beside a reply", whole(success=True), "ok", 1, USED),
    Row("200 with `success` false, no such model", body({"success": False, "result": None,
        "errors": [{"code": 5007, "message": "No such model m"}]}), ENDS,
        reason="no such path or model"),
    Row("200 with `base_resp`, a filter", body({"base_resp": {"status_code": 1027,
        "status_msg": "output new_sensitive"}}), "refused", reason="sensitive"),
    Row("200 with `error_code`, a filter", body({"error_code": 336104,
        "error_msg": "user input is unsafe"}), "refused", reason="unsafe"),
    Row("403, a policy is violated", error(403, message="content violates our policy"), "refused"),
    Row("429, `exceeded_current_quota_error`", error(429, type="exceeded_current_quota_error",
        message="Your account is suspended"), ENDS, reason="no credit"),
    Row("429, code 1113", error(429, code="1113", message="账户已欠费"), ENDS, reason="no credit"),
    Row("400, `x-amzn-ErrorType: ThrottlingException`", status(400, {"message": "slower"},
        x_amzn_ErrorType="ThrottlingException:http://internal.amazon.com/"), "unreachable", 3),
    Row("400, not a valid model", error(400, message="x/m is not a valid model ID"), ENDS,
        reason="no such path or model"),
    Row("400 whose words end like one of credit", error(400, message=
        "bad prompt: your credit balance is too low"), "model_error"),
    Row("422, `extra_forbidden` seed", status(422, {"detail": [{"type": "extra_forbidden",
        "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}), ENDS,
        reason="seed: null"),
    Row("400 in plain words", status(400, b"prompt too long"), "model_error",
        reason="prompt too long"),
    Row("400 with a list of errors", status(400, {"errors": [{"message": "bad size"}]}),
        "model_error", reason="bad size"),
    Row("400, `ThrottlingException`", status(400, {"__type": "ThrottlingException",
        "message": "Rate exceeded"}), "unreachable", 3, reason="Rate exceeded"),
    Row("400, `overloaded_error`", error(400, type="overloaded_error", message="busy"),
        "unreachable", 3),
    Row("403, `rateLimitExceeded`", error(403, code=403, message="no", errors=[{
        "reason": "rateLimitExceeded"}]), "unreachable", 3),
    Row("403, `API rate limit exceeded`", error(403, message="API rate limit exceeded for you"),
        "unreachable", 3, reason="API rate limit"),
    Row("424, the model failed", status(424, {"error": "Request failed during generation",
        "error_type": "generation"}), "unreachable", 3, reason="during generation"),
    Row("430, `rate_limit_exceeded`", error(430, code="rate_limit_exceeded"), "unreachable", 3),
    Row("400 whose words end like those of a rate limit", error(400, message=
        "bad prompt: too many requests"), "model_error"),
    Row("400, half of a character in its words", status(400, {"message": "bad \ud800 prompt"}),
        "model_error", reason="bad ? prompt"),
    Row("400 with a complaint for each field", status(400, {"errors": {"prompt": ["is too long"]}}),
        "model_error", reason="too long"),
    Row("403, a region that is not served, for every request", error(403,
        code="unsupported_country", message="Country, region, or territory not supported"), ENDS,
        reason="does not accept the key"),
    Row("403, the account is not verified", error(403, message=
        "Your organization must be verified; harmful use is prohibited"), ENDS,
        reason="does not accept the key"),
    Row("407", status(407, b"proxy"), "model_error", reason="HTTP 407"),
    Row("410, a model that was withdrawn, for every request", status(410, {"title": "Gone"}), ENDS,
        reason="no such path or model: HTTP 410: Gone"),
    Row("418", status(418), "model_error"),
    Row("451", status(451, {"error": {"message": "Content violates our policy"}}), "refused"),
    Row("498", status(498), "model_error"),
)  # fmt: skip
