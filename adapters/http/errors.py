"""What a server says when it does not answer: the one reader of error bodies, whoever sent them.

An error is told by its HTTP status, or, where that is 2xx, by the code inside the body. Only short
machine-readable fields say that a filter stopped a request: a message may quote the user's prompt.
Where such a field lacks, the fixed words count with which vendors begin that message, and behind a
403, which a filter and a gateway's key check share, the words anywhere in it.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from medgen.adapters.http.bodies import read_json
from medgen.engine.beside import read_beside


class _Known(msgspec.Struct, frozen=True):
    """What `errors.yaml` holds."""

    filter_codes: tuple[str, ...]
    filter_words: frozenset[str]
    filter_down: tuple[str, ...]
    filter_starts: tuple[str, ...]
    filter_anywhere: tuple[str, ...]
    no_credit: frozenset[str]
    no_credit_starts: tuple[str, ...]
    no_model: frozenset[str]
    no_model_starts: tuple[str, ...]
    no_key: frozenset[str]
    account_anywhere: tuple[str, ...]
    busy: tuple[str, ...]
    busy_starts: tuple[str, ...]
    parameter: tuple[str, ...]
    as_status: dict[str, int]
    saying: tuple[str, ...]
    coded: tuple[str, ...]


def _starts(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\W*(?:{'|'.join(patterns)})", re.IGNORECASE)


def _anywhere(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_KNOWN = read_beside(__package__, "errors.yaml", _Known)
_FILTER_STARTS, _FILTER_ANYWHERE = _starts(_KNOWN.filter_starts), _anywhere(_KNOWN.filter_anywhere)
_NO_CREDIT_STARTS = _starts(_KNOWN.no_credit_starts)
_NO_MODEL_STARTS = _starts(_KNOWN.no_model_starts)
_BUSY_STARTS, _ACCOUNT = _starts(_KNOWN.busy_starts), _anywhere(_KNOWN.account_anywhere)
_REFUSED_PARAMETER = re.compile(
    r"\W*(?:unsupported (?:parameter|value)|unknown parameter|unrecognized (?:request )?"
    r"(?:argument|parameter)(?: supplied)?|unexpected (?:parameter|argument|field)|invalid "
    r"(?:parameter|argument)|extra inputs are not permitted|parameter)\W+([A-Za-z_]+)"
    r"|\W*([A-Za-z_]+)\W+(?:is|are|does|do)(?: not|n.t)? (?:supported?|permitted|allowed|accept"
    r"|deprecated)",
    re.IGNORECASE,
)
_TAGS = re.compile(r"<(script|style)\b[^>]{0,2000}>|<[^<>]{0,2000}>", re.IGNORECASE)
_MOST = 20_000  # characters of a body that are looked at for words
_DEEP = 6


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the body of an error says: its codes, its words, and the status that it stands for."""

    codes: tuple[str, ...] = ()  # lower case, letters and digits only
    message: str = ""
    status: int = 500  # of a code inside a body of 200
    parameter: str = ""  # that it names as its cause
    flagged: bool = False  # its details say that a filter stopped the request

    @property
    def no_credit(self) -> bool:
        """Whether the account cannot pay."""
        known = any(code in _KNOWN.no_credit for code in self.codes)
        return known or bool(_NO_CREDIT_STARTS.match(self.message))

    @property
    def is_busy(self) -> bool:
        """Whether the server has no time, and would take the same request later."""
        named = any(known in code for code in self.codes for known in _KNOWN.busy)
        return named or bool(_BUSY_STARTS.match(self.message))

    @property
    def whose_fault(self) -> Literal["", "key", "place"]:
        """What every request would fail by, where a code or fixed words name it."""
        if any(code in _KNOWN.no_key for code in self.codes):
            return "key"
        unknown = any(code in _KNOWN.no_model for code in self.codes)
        unknown = unknown or _NO_MODEL_STARTS.match(self.message) is not None
        return "place" if unknown else ""

    def refuses(self, http_status: int, inside: bool = False) -> bool:
        """Whether a safety filter stopped this one request; `inside` a reply of 2xx or not."""
        if self.flagged or any(_is_filter(code) for code in self.codes):
            return True
        if (inside or http_status < 500) and _FILTER_STARTS.match(self.message):
            return True
        unowned = http_status == 403 and not _ACCOUNT.search(self.message)
        return unowned and bool(_FILTER_ANYWHERE.search(self.message))

    def refused_parameter(self, sent: Sequence[str]) -> str:
        """The parameter of ours that the model does not take; empty when none is named."""
        by_code = any(known in code for code in self.codes for known in _KNOWN.parameter)
        if by_code and self.parameter in sent:
            return self.parameter
        match = _REFUSED_PARAMETER.match(self.message[:300])
        named = (match[1] or match[2]) if match else ""
        return named if named in sent else ""


def parse_json(body: bytes) -> Any:
    """A body as JSON; None when it is none, or too much."""
    try:
        return read_json(body)
    except ValueError:
        return None


def error_body(body: bytes, kind: str = "") -> ErrorBody:
    """Whatever a body of an error status says; its words are the body's own when it is no JSON.

    Args:
        body: as it came.
        kind: of the error, where a header names it (`ThrottlingException:http://…`).
    """
    said = _error_body(body)
    named = _squash(kind.partition(":")[0])
    return replace(said, codes=(*said.codes, named)) if named else said


def _error_body(body: bytes) -> ErrorBody:
    found = parse_json(body)
    error = _error_in(found)
    if error is None:
        error = found if isinstance(found, dict) else None
    if error is None:
        return ErrorBody(message=page_words(body) if found is None else "")
    return _read(error, found) or ErrorBody(message=page_words(body))


def hidden_error(found: Any) -> ErrorBody | None:
    """The error that a JSON body of a 2xx reply holds in the place of an answer; None without."""
    if isinstance(found, dict) and any(found.get(key) for key in _ANSWERS):
        first = found["choices"] if found.get("choices") else None
        inner = first[0].get("error") if isinstance(first, list) and _is_dict(first) else None
        inner = inner or (found.get("error") if _is_bare(found) else None)
        return _read(inner, found) if inner else None
    error = _error_in(found)
    return None if error is None else _read(error, found)


_ANSWERS = ("choices", "data", "images", "output", "predictions", "artifacts")


def _is_bare(found: Mapping[str, Any]) -> bool:
    """Whether what should be the answer is there and holds nothing."""
    choices = found.get("choices")
    if isinstance(choices, list):
        whole = [c for c in choices if isinstance(c, dict)]
        said = [c.get("message") or c.get("delta") or {} for c in whole]
        given = [m.get(key) for m in said if isinstance(m, dict) for key in _SAID_IN]
        return not any((*given, *(c.get("text") for c in whole)))
    slots = found.get("data") or found.get("images")
    if not isinstance(slots, list):
        return False
    held = [s.values() if isinstance(s, dict) else [s] for s in slots]
    return not any(isinstance(v, str | dict) and v for values in held for v in values)


_SAID_IN = ("content", "images", "tool_calls", "refusal")


def _is_dict(items: Sequence[Any]) -> bool:
    return bool(items) and isinstance(items[0], dict)


def _error_in(found: Any) -> Any:
    """The error object (or its words) of a body; None where nothing is called an error."""
    if isinstance(found, list):
        found = found[0] if _is_dict(found) else None
    if not isinstance(found, dict):
        return None
    for key in ("error", "Error", "errors", "err", "fault", "detail"):
        if found.get(key):
            return found if found[key] is True else found[key]
    if isinstance(found.get("Response"), dict):  # Tencent's envelope
        return found["Response"].get("Error")
    if isinstance(found.get("base_resp"), dict):  # MiniMax's
        return found["base_resp"] if found["base_resp"].get("status_code") else None
    if blocked := _block_reason(found):
        return {"code": "content_filter", "message": f"blocked: {blocked}"}
    named = found.get("object") == "error" or found.get("type") == "error"
    said = any(found.get(key) for key in ("message", "msg", "error_msg", "errmsg"))
    codes = [found.get(key) for key in ("code", "status", "__type", "error_code", "errcode")]
    coded = any(code and str(code).lower() not in _FINE for code in codes)
    denied = any(found.get(key) is False for key in ("success", "ok"))
    return found if named or denied or (said and coded) else None


_FINE = frozenset({"0", "200", "201", "ok", "success", "succeeded", "completed"})


def filtered_names(results: Any) -> list[str]:
    """The categories that a filter stopped, of an object with a verdict for each."""
    found = results.items() if isinstance(results, Mapping) else ()
    return [str(name) for name, of in found if isinstance(of, Mapping) and of.get("filtered")]


def _block_reason(found: Mapping[str, Any]) -> str:
    """Why a filter stopped a request, as servers say it who give no error; empty when none did."""
    feedback = found.get("promptFeedback") or found.get("prompt_feedback")
    if isinstance(feedback, dict):
        return str(feedback.get("blockReason") or feedback.get("block_reason") or "")
    prompts = found.get("prompt_filter_results")
    for prompt in prompts if isinstance(prompts, list) else ():
        results = prompt.get("content_filter_results") if isinstance(prompt, dict) else None
        if names := filtered_names(results):
            return ", ".join(names)
    candidates = found.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and _is_dict(candidates) else {}
    reasons = (first.get("finishReason"), found.get("status"))
    named = (str(reason) for reason in reasons if isinstance(reason, str))
    return next((r for r in named if _is_filter(re.sub(r"[\W_]", "", r.lower()))), "")


def _read(error: Any, whole: Any) -> ErrorBody | None:
    while isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, str):
        inner = parse_json(error.encode()) if error.lstrip().startswith("{") else None
        if not isinstance(inner, dict):
            return ErrorBody(message=error[:_MOST])
        error = inner
    if isinstance(error, int | float) and not isinstance(error, bool):
        error = {"message": "", **(whole if isinstance(whole, dict) else {}), "code": error}
    if not isinstance(error, dict):
        return None
    error = {f"{key[:1].lower()}{key[1:]}": value for key, value in error.items()}
    codes = tuple(dict.fromkeys(_codes(error)))
    outer = whole.get("code") if isinstance(whole, dict) else None
    details = error.get("metadata")
    wrapped = details.get("raw") if isinstance(details, dict) else None
    place = error.get("loc")
    message = next(
        (str(error[k]) for k in _KNOWN.saying if error.get(k) not in (None, "", True)), ""
    )
    if not message and not codes and error:  # fields with their complaints
        message = json.dumps(error, ensure_ascii=False)
    if isinstance(wrapped, str):  # a gateway's own words, and then the provider's
        message = f"{message}: {wrapped}" if message else wrapped
        theirs = parse_json(wrapped.encode("utf-8", "replace")) if wrapped[:1] == "{" else None
        codes += tuple(_codes(theirs)) if isinstance(theirs, dict) else ()
    return ErrorBody(
        codes,
        message[:_MOST],
        _status_of(codes, (error.get("code"), error.get("status"), outer)),
        str(error.get("param") or (place[-1] if place and isinstance(place, list) else ""))[:60],
        _is_flagged(error),
    )


def _codes(error: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Every code and type in an error and in what it wraps, squashed."""
    for key in _KNOWN.coded:
        value = error.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield _squash(str(value))
    for key in ("innererror", "inner_error", "error", "errors", "detail", "details", "metadata"):
        value = error.get(key)
        for inner in value[:10] if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and depth < _DEEP:
                yield from _codes(inner, depth + 1)


def _squash(code: str) -> str:
    return re.sub(r"[\W_]", "", code[:100].lower())


def _is_filter(code: str) -> bool:
    if any(down in code for down in _KNOWN.filter_down):
        return False
    return code in _KNOWN.filter_words or any(known in code for known in _KNOWN.filter_codes)


def _is_flagged(error: Mapping[str, Any]) -> bool:
    """Whether the details of an error name what a filter found."""
    details = error.get("metadata")
    if isinstance(details, dict) and (details.get("flagged_input") or details.get("reasons")):
        return True
    for place in (error, error.get("innererror")):
        results = place.get("content_filter_result") if isinstance(place, dict) else None
        if filtered_names(results):
            return True
    return False


def _status_of(codes: Sequence[str], numbers: Sequence[Any]) -> int:
    for number in numbers:
        text = str(number)
        if not isinstance(number, bool) and re.fullmatch(r"[45]\d\d", text, re.ASCII):
            return int(text)
    if any(code in _KNOWN.no_credit for code in codes):
        return 402
    return next(
        (status for word, status in _KNOWN.as_status.items() for c in codes if word in c), 500
    )


def page_words(body: bytes) -> str:
    """The words of a body that is no JSON; of a web page those that are shown."""
    text = body.lstrip()[: 4 * _MOST].decode("utf-8", "replace")[:_MOST].strip()
    if not text.startswith("<"):
        return text
    shown = re.sub(r"<(script|style)\b.{0,5000}?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(html.unescape(_TAGS.sub(" ", shown)).split())


def is_web_page(body: bytes) -> bool:
    """Whether a body is HTML or XML: a proxy's page, most likely."""
    # Gateways send blanks to keep a connection alive while they wait.
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
