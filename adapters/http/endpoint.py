"""An HTTP endpoint, a call to it, and what comes back: a reply, or a failure with a name."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta

from medgen.adapters.http.bodies import read_json
from medgen.engine.bounds import REPLY, Bounds
from medgen.engine.data import PredictionStatus
from medgen.engine.errors import AdapterError
from medgen.engine.limiting import Limits
from medgen.engine.redaction import redact, remember_secret
from medgen.engine.settings import Settings, Unusable

FailureKind = Literal[
    "timeout",  # no whole reply in time, in every attempt
    "transport",  # no connection, or it broke
    "refused",  # the endpoint's safety filter said no
    "client",  # the endpoint cannot accept this request (4xx)
    "server",  # the endpoint failed, or has no time for us, to the end (5xx, 408, 429 …)
    "malformed",  # a reply, but not what was agreed, or larger than allowed
    "unforeseen",  # our own code raised on the request or its reply
    "cap",  # not sent: the spending cap does not allow it
]
_STATUS: Mapping[FailureKind, PredictionStatus] = {
    "timeout": "timeout",
    "transport": "unreachable",
    "server": "unreachable",
    "refused": "refused",
    "cap": "missing",
    "unforeseen": "internal_error",
}
# What a failure says about the endpoint itself, and so about every request; "" for nothing.
About = Literal["", "key", "place", "credit", "setting"]
_PORTS = {"http": 80, "https": 443}
_NO_URL = re.compile(r"[\x00-\x20\x7f\\]")  # what readers of URLs do not agree about
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,200}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_Positive = Annotated[float, Meta(gt=0)]
_Pace = Annotated[float, Meta(ge=1 / 60)]  # one an hour: what is slower was meant in another unit
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
    requests_per_minute: _Pace | None = None
    tokens_per_minute: _Pace | None = None
    max_response_mib: _Positive = 64.0  # and for all that a reply links to, together
    max_links: _Count = 16  # images that are fetched for one reply
    spending_cap_usd: _Positive | None = None  # of all workers that ask for a model, as the pace
    allowed_hosts: tuple[str, ...] = ()  # beyond base_url's own: "cdn.example.org", "*.example.org"
    give_up_after: _Count = 16  # requests in a row without any connection: it is not there
    proxy_from_env: bool = False

    def __post_init__(self) -> None:
        url = _split(self.base_url)
        if url is None or url.scheme not in _PORTS or not url.hostname:
            said = redact(repr(self.base_url))
            raise Unusable(f"base_url {said} is not an http(s) URL with a port to 65535")
        if url.username or url.password or url.query or url.fragment:
            raise Unusable("base_url may hold no credentials and no query; use api_key_env")
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            # Not repeated, for it may be the key.
            raise Unusable("api_key_env is the name of the variable that holds the key, no key")
        if not _HEADER.fullmatch(self.key_header):
            raise Unusable(f"key_header {self.key_header!r} is no name of a header")

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

    @property
    def limits(self) -> Limits:
        """Pace and money, for all workers together."""
        pace = (self.requests_per_minute, self.tokens_per_minute)
        return Limits(*pace, self.spending_cap_usd)

    @property
    def bounds(self) -> Bounds:
        """What one reply may have, with all that it links to."""
        most = int(self.max_response_mib * 2**20)
        return replace(REPLY, bytes=most, file_bytes=most, links=self.max_links)

    def allows(self, url: str) -> bool:
        """Whether a URL may be fetched: http(s), and the endpoint's own host or a listed one.

        The endpoint's own host counts only on its own port and scheme.
        """
        here, there = _split(self.base_url), _split(url)
        if here is None or there is None or there.username or there.password:
            return False
        if there.scheme not in _PORTS:
            return False
        if _origin(here) == _origin(there):
            return True
        host = _host(there)
        return there.scheme == "https" and any(_matches(host, p) for p in self.allowed_hosts)


@dataclass(frozen=True, slots=True)
class Call:
    """The body of one POST, what it may use at most, and how its reply is looked at.

    `check` says what is wrong with a 2xx reply, and `price` what it cost: tokens (None where nobody
    counts them) and US dollars.
    `cures` names the parameters that are sent, each with the setting that leaves it out. What is
    asked `once` is not tried again after an attempt that the server may have heard.
    """

    json: Any = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, tuple[str, bytes, str]]] = ()  # (field, (name, bytes, media type))
    tokens: int = 0  # estimate, for tokens_per_minute
    at_most_usd: float = 0.0  # set aside until the reply is paid for
    price: Callable[["Reply"], tuple[int | None, float]] | None = None
    check: Callable[["Reply"], "Failure | None"] | None = None
    cures: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None  # JSON that is written already, in place of `json`
    headers: Mapping[str, str] = field(default_factory=dict)
    key_header: str = ""  # in place of the endpoint's
    most_bytes: int | None = None  # of the reply, in place of the endpoint's
    once: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole successful (2xx) reply."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float = 0.0  # all attempts and waits
    attempts: int = 1
    cost_usd: float = 0.0  # of all attempts
    _parsed: list[Any] = field(default_factory=list, repr=False, compare=False)

    def json(self) -> Any:
        """The body as JSON, parsed once.

        Raises:
            ValueError: it is not JSON.
        """
        if not self._parsed:
            self._parsed.append(read_json(self.body, self.headers.get("content-type", "")))
        return self._parsed[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. It becomes one sample's row."""

    kind: FailureKind
    reason: str
    http_status: int | None = None
    seconds: float = 0.0
    attempts: int = 1
    cost_usd: float = 0.0  # of all attempts
    about: About = ""

    @property
    def status(self) -> PredictionStatus:
        """The status of the sample's row."""
        return _STATUS.get(self.kind, "model_error")


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None where it is none, or readers could read it in two ways."""
    try:
        parts = urlsplit(url)
        sound = parts.port != 0  # raises for what is no port
    except ValueError:
        return None
    return parts if sound and not _NO_URL.search(url) else None


def _host(url: SplitResult) -> str:
    """The host in one spelling: lower case, no final dot, addresses in their short form."""
    host = (url.hostname or "").removesuffix(".")
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    return url.scheme, _host(url), url.port or _PORTS.get(url.scheme)


def _matches(host: str, pattern: str) -> bool:
    wanted = pattern.lower().removesuffix(".")
    if wanted.startswith("*."):
        return host.endswith(wanted[1:])
    return host == wanted


def host_of(url: str) -> str:
    """The host of a URL, for a message; whatever is wrong with it."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "not a URL"
