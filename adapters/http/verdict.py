"""What one reply comes to: an answer, or a failure with its name; asked again or not, paid or not.

The one place that decides this, for every adapter. `docs/systems.md` shows it as a table, which a
test makes by asking a server.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from medgen.adapters.http.bodies import too_many_values
from medgen.adapters.http.endpoint import About, Call, Failure, FailureKind, Reply
from medgen.adapters.http.errors import (
    ErrorBody,
    error_body,
    hidden_error,
    is_web_page,
    page_words,
    parse_json,
)
from medgen.adapters.http.waits import wish_of

_RETRIED = frozenset({408, 409, 420, 424, 425, 429, 430, 449})  # and every 5xx
_DENIED: dict[int, About] = {401: "key", 403: "key", 404: "place", 405: "place", 410: "place"}
_EXCERPT = 300  # characters of an error's words that are kept in a reason

_BYTES = frozenset({"application/octet-stream", "binary/octet-stream"})
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"RIFF")

Clean = Callable[[object], str]


@dataclass(slots=True)
class Attempt:
    """What one attempt came to: a reply, or a failure that may be worth another try.

    `paid` is the reply that says what it cost, `unknown` where nobody says, and `nothing` where
    the server itself says that it gave nothing.
    """

    outcome: Reply | Failure
    again: bool = False
    wait_s: float | None = None  # what the server asked for
    connected: bool = True
    paid: Reply | Literal["nothing", "unknown"] = "nothing"


def judge(reply: Reply, call: Call | None, clean: Clean) -> Attempt:
    """What a whole reply comes to. `call` is None for a link that is fetched.

    Args:
        reply: as it came, whatever its status.
        call: what was asked.
        clean: makes words from outside fit to be stored.
    """
    if not 200 <= reply.status < 300:
        said = f"HTTP {reply.status}"
        error = error_body(reply.body, reply.headers.get("x-amzn-errortype", ""))
        error = replace(error, status=reply.status)
        return _fail(reply, error, said, call, clean)
    if call is None or call.check is None or is_picture(reply):
        return Attempt(reply, paid=reply)
    try:
        found = reply.json()
    except ValueError:
        return Attempt(_not_json(reply, clean), again=True, paid=reply)
    hidden = hidden_error(found)
    if hidden is not None:
        said = f"HTTP {reply.status} with error {hidden.status}"
        attempt = _fail(reply, hidden, said, call, clean)
        attempt.paid = reply if _counts(found) else "nothing"
        return attempt
    wrong = call.check(reply)
    again = wrong is not None and wrong.kind in ("malformed", "server")
    return Attempt(wrong or reply, again, paid=reply)


def is_picture(reply: Reply) -> bool:
    """Whether the body is a picture itself: by its type, or by its start where that is none."""
    kind = reply.headers.get("content-type", "").strip().lower()
    return kind.startswith("image/") or (kind in _BYTES and reply.body.startswith(_PICTURES))


def foreign_coding(headers: dict[str, str]) -> str:
    """The encodings of a body other than identity, which alone was asked for; empty without."""
    named = headers.get("content-encoding", "").lower().split(",")
    return ", ".join(n.strip() for n in named if n.strip() not in ("", "identity"))


def _fail(reply: Reply, error: ErrorBody, said: str, call: Call | None, clean: Clean) -> Attempt:
    """What an error comes to, by its status, which may be that of a code inside the body."""
    status = error.status
    words = _in_words(error) or _place(reply, call)
    reason = clean(f"{said}: {words}" if words else said)
    wait = wish_of(reply.headers, parse_json(reply.body))
    if error.no_credit or status == 402:
        return Attempt(Failure("client", reason, status, about="credit"))
    if error.refuses(status, inside=reply.status < 300):
        return Attempt(Failure("refused", reason, status))
    refused = error.refused_parameter(tuple(call.cures)) if call and status in (400, 422) else ""
    if refused and call:
        cure = f"{reason}; the model does not take `{refused}`: {call.cures[refused]}"
        return Attempt(Failure("client", cure, status, about="setting"))
    # Inside a reply of 2xx 500 is what no code says otherwise, and fixed words may.
    known = error.whose_fault if status < 500 or reply.status < 300 else ""
    again = (status >= 500 and not known) or status in _RETRIED or (status >= 400 and error.is_busy)
    kind: FailureKind = "server" if again else "client"
    about: About = "" if again else _DENIED.get(status, "") or known
    return Attempt(Failure(kind, reason, status, about=about), again, wait)


def _in_words(error: ErrorBody) -> str:
    text = " ".join(error.message[:_EXCERPT].split())
    named = [code for code in error.codes if not code.isdigit()][:2]
    return f"{text} ({', '.join(named)})" if named and text else text or ", ".join(named)


def _place(reply: Reply, call: Call | None) -> str:
    """Where a redirect leads, which is not followed; empty without one."""
    place = reply.headers.get("location", "").partition("?")[0]  # behind it may be a signature
    if not 300 <= reply.status < 400 or not place:
        return ""
    cure = "" if call is None else "; is that the right endpoint.base_url?"
    return f"redirects are not followed, and it leads to {place[:_EXCERPT]}{cure}"


def _not_json(reply: Reply, clean: Clean) -> Failure:
    """What a body that is no JSON comes to; nothing and a proxy's page are no model's words."""
    agreed = "the reply is not the JSON that was agreed"
    if not reply.body.strip():
        return Failure("server", f"{agreed}: it is empty", reply.status)
    if why := too_many_values(reply.body):
        return Failure("malformed", f"{agreed}: {why}")
    if is_web_page(reply.body):
        words = clean(page_words(reply.body)[:_EXCERPT])
        return Failure("server", f"{agreed}: a web page: {words}", reply.status)
    start = clean(reply.body[:80].decode("utf-8", "replace"))
    return Failure("malformed", f"{agreed}: {start!r}")


def _counts(found: Any) -> bool:
    return isinstance(found, dict) and bool(found.get("usage"))
