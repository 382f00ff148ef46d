"""An HTTP endpoint, a call to it, and what comes back: a reply, or a failure with a name."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from medgen.engine.data import PredictionStatus
from medgen.engine.errors import AdapterError
from medgen.engine.redaction import remember_secret
from medgen.engine.settings import Settings, Unusable

FailureKind = Literal[
    "timeout",  # no whole reply in time, in every attempt
    "transport",  # no connection, or it broke
    "refused",  # the endpoint's safety filter said no
    "client",  # the endpoint cannot accept this request (4xx)
    "server",  # the endpoint failed, or has no time for us, to the end (5xx, 408, 429 …)
    "malformed",  # a reply, but not what was agreed, or larger than allowed
    "cap",  # not sent: the spending cap does not allow it
]
_STATUS: Mapping[FailureKind, PredictionStatus] = {
    "timeout": "timeout",
    "transport": "unreachable",
    "server": "unreachable",
    "refused": "refused",
    "cap": "missing",
}
# Words that endpoints put into an error's code or type when a safety filter stopped a request.
_REFUSAL_CODES = (
    "content_policy",
    "content_filter",
    "moderation",
    "safety",
    "responsibleai",
    "sensitivecontent",
    "prohibited_content",
    "data_inspection_failed",
)
_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1)]


class Endpoint(Settings, frozen=True, kw_only=True):
    """Where a model is reached, and how hard it may be pressed. None of it names a secret."""

    base_url: str
    api_key_env: str | None = None  # name of the environment variable that holds the key
    key_header: str = "Authorization"  # "Bearer " precedes the key only in this one
    timeout_s: _Positive = 300.0  # for one attempt, from the first byte sent to the last received
    attempts: _Count = 6
    timeout_attempts: _Count = 2  # a request that timed out may have been billed all the same
    backoff_s: _Positive = 1.0
    backoff_max_s: _Positive = 60.0
    retry_after_max_s: _Positive = 300.0  # a server that asks for more is given up
    concurrency: _Count = 8
    requests_per_minute: _Positive | None = None
    tokens_per_minute: _Positive | None = None
    max_response_mib: _Positive = 64.0
    spending_cap_usd: _Positive | None = None  # for this process
    allowed_hosts: tuple[str, ...] = ()  # beyond base_url's own: "cdn.example.org", "*.example.org"
    give_up_after: _Count = 16  # requests in a row without any connection: it is not there
    proxy_from_env: bool = False

    def __post_init__(self) -> None:
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise Unusable(f"base_url {self.base_url!r} is not an http(s) URL")
        if url.username or url.password or url.query or url.fragment:
            raise Unusable("base_url may hold no credentials and no query; use api_key_env")

    def read_key(self) -> str | None:
        """The secret key, from the environment; None when the endpoint needs none.

        Raises:
            AdapterError: the variable is not set.
        """
        if self.api_key_env is None:
            return None
        secret = os.environ.get(self.api_key_env, "").strip()
        if not secret:
            raise AdapterError(
                f"environment variable {self.api_key_env} is not set; it holds the key"
            )
        remember_secret(secret)
        return secret

    def allows(self, url: str) -> bool:
        """Whether a URL may be fetched: http(s), and the endpoint's own host or a listed one.

        The endpoint's own host counts only on its own port and scheme.
        """
        here, there = urlsplit(self.base_url), urlsplit(url)
        if there.scheme not in ("http", "https") or there.username or there.password:
            return False
        if (here.scheme, here.netloc) == (there.scheme, there.netloc):
            return True
        host = there.hostname or ""
        return there.scheme == "https" and any(_matches(host, p) for p in self.allowed_hosts)


@dataclass(frozen=True, slots=True)
class Call:
    """The body of one POST, and what it may use at most."""

    json: Any = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, tuple[str, bytes, str]]] = ()  # (field, (name, bytes, media type))
    tokens: int = 0  # estimate, for tokens_per_minute
    at_most_usd: float = 0.0  # set aside until the reply is paid for
    price: Callable[["Reply"], tuple[int, float]] | None = None  # reply -> (tokens, US dollars)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole successful (2xx) reply."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float = 0.0  # all attempts and waits
    attempts: int = 1
    cost_usd: float = 0.0

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except RecursionError as err:  # lists in lists without end
            raise ValueError("nested too deep") from err


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. It becomes one sample's row."""

    kind: FailureKind
    reason: str
    http_status: int | None = None
    seconds: float = 0.0
    attempts: int = 1

    @property
    def status(self) -> PredictionStatus:
        """The status of the sample's row."""
        return _STATUS.get(self.kind, "model_error")


def is_filter_refusal(body: bytes) -> bool:
    """Whether an error body carries the code or type of a safety filter.

    Only short machine-readable fields are looked at: the message may quote the user's prompt.
    """
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return False
    error = error.get("error", error) if isinstance(error, dict) else {}
    if not isinstance(error, dict):
        return False
    inner = error.get("innererror") if isinstance(error.get("innererror"), dict) else {}
    names = [error.get("code"), error.get("type"), error.get("status"), (inner or {}).get("code")]
    squashed = " ".join(str(n).lower() for n in names if n)
    return any(code in squashed for code in _REFUSAL_CODES)


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for (a number or a date); None without one."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def host_of(url: str) -> str:
    """The host of a URL, for a message; whatever is wrong with it."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "not a URL"
