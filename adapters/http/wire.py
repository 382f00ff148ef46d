"""The one module that knows the HTTP library: a session, one request, and what comes of it.

Nothing is followed, unfolded or kept: no redirects, no content encodings, no cookies, no password
file. A session keeps its connections for itself, so that a request costs the same whether eight
are open or eight hundred.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from medgen.adapters.http.endpoint import Call, Endpoint
from medgen.adapters.http.verdict import foreign_coding
from medgen.engine.errors import AdapterError

if TYPE_CHECKING:
    import aiohttp

_CHUNK = 2**16
_HEADER = 2**16  # bytes of one field; gateways send policies of many kilobytes
_ERROR = 2**20  # bytes of a body that says why there is no answer
_LONG = 2**20  # bytes of a body that are better written piece by piece
# Servers close what is idle after five seconds and more. A request on a connection that its server
# is just closing would be lost, and may have been billed.
_IDLE_S = 4.0


class WireError(Exception):
    """A request without a whole reply.

    `unconnected`: it was never sent; `broken`: it was, or may have been; `unusable`: it cannot be.
    """

    def __init__(self, kind: Literal["unconnected", "broken", "unusable"], why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Received:
    """What a server sent. A body in a foreign coding is not read; one that is too long is `cut`."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes = b""
    cut: bool = False


class Body:
    """What a call sends; JSON is written once, if it is not yet, however often it is sent."""

    def __init__(self, call: Call | None) -> None:
        """`call` is None for a request without a body.

        Raises:
            TypeError: what should be JSON is none.
        """
        self._call = call
        asked = None if call is None else call.json
        self._json = b"" if asked is None else msgspec.json.encode(asked)
        if call is not None and call.content is not None:
            self._json = call.content

    @property
    def headers(self) -> dict[str, str]:
        """Those that describe it."""
        return {"Content-Type": "application/json"} if self._json else {}

    def payload(self) -> Any:
        """For one attempt; the library reads some of them once only."""
        if self._json:
            return io.BytesIO(self._json) if len(self._json) > _LONG else self._json
        if self._call is None or not (self._call.form or self._call.files):
            return None
        return _form(self._call)


class Wire:
    """A session with its connections. Made, used and closed inside one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing yet.

        Raises:
            AdapterError: aiohttp is not installed.
        """
        self._http = _library()
        self._proxied = endpoint.proxy_from_env
        self._session = self._http.ClientSession(
            connector=self._http.TCPConnector(
                limit=endpoint.concurrency, keepalive_timeout=_IDLE_S
            ),
            cookie_jar=self._http.DummyCookieJar(),
            timeout=self._http.ClientTimeout(),  # ours is around the whole exchange
            # Compressed replies could unfold far beyond the allowed size before they are measured.
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            max_line_size=_HEADER,
            max_field_size=_HEADER,
        )

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, most: int
    ) -> Received:
        """Send one request and read its reply, up to `most` bytes.

        Raises:
            WireError: there is no whole reply.
        """
        http = self._http
        try:
            async with self._session.request(
                method,
                url,
                data=body.payload(),
                allow_redirects=False,
                **_through(url if self._proxied else "", {**headers, **body.headers}),
            ) as response:
                return await _read(response, most)
        except (http.ClientConnectorError, http.ClientHttpProxyError) as err:
            raise WireError("unconnected", _words(err)) from err
        except http.InvalidURL as err:
            raise WireError("unusable", _words(err)) from err
        except http.ClientPayloadError as err:
            raise WireError(
                "broken", f"peer closed connection in mid-reply ({_cause(err)})"
            ) from err
        except http.ClientResponseError as err:  # whose own words begin with a status of 400
            why = " ".join(err.message.split())
            raise WireError("broken", f"the reply is no HTTP: {why}") from err
        except (http.ClientError, OSError) as err:
            # A time-out of the caller's is an OSError too, and his.
            if isinstance(err, TimeoutError):
                raise
            raise WireError("broken", _words(err)) from err

    async def close(self) -> None:
        """Close every connection. The session cannot be used afterwards."""
        await self._session.close()

    def drop(self) -> None:
        """Forget the session where nothing can be waited for."""
        self._session.detach()


async def open_wire(endpoint: Endpoint) -> Wire:
    """A session of the running loop."""
    return Wire(endpoint)


def _library() -> Any:
    try:
        import aiohttp
    except ImportError as err:
        raise AdapterError("aiohttp is not installed; install the extra 'api'") from err
    return aiohttp


async def _read(response: "aiohttp.ClientResponse", most: int) -> Received:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if foreign_coding(headers):
        return Received(response.status, headers)
    if not 200 <= response.status < 300:
        most = min(most, _ERROR)
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > most:
            return Received(response.status, headers, cut=True)
    return Received(response.status, headers, bytes(content))


def _form(call: Call) -> "aiohttp.FormData":
    """Fields and files as a multipart body, with names as they are (`image[]`)."""
    form: aiohttp.FormData = _library().FormData(
        quote_fields=False, default_to_multipart=bool(call.files)
    )
    for name, value in (call.form or {}).items():
        form.add_field(name, value)
    for name, (filename, data, media) in call.files:
        form.add_field(name, io.BytesIO(data), filename=filename, content_type=media)
    return form


def _through(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Headers, and the proxy that the environment names for a URL, its password apart."""
    asked = urlsplit(url)
    bypassed = not asked.hostname or proxy_bypass(asked.hostname)
    parts = urlsplit("" if bypassed else getproxies().get(asked.scheme, ""))
    if not parts.hostname:
        return {"headers": headers}
    login, _, place = parts.netloc.rpartition("@")
    proxy = urlunsplit((parts.scheme, place, "", "", ""))
    said = base64.b64encode(unquote(login).encode()).decode()
    shown = {"Proxy-Authorization": f"Basic {said}"} if login else {}
    if asked.scheme == "https":  # only the proxy sees what opens the tunnel
        return {"headers": headers, "proxy": proxy, "proxy_headers": shown}
    return {"headers": headers | shown, "proxy": proxy}


def _words(err: Exception) -> str:
    return str(err) or type(err).__name__


def _cause(err: Exception) -> str:
    """The innermost reason; the library wraps a protocol error into a sentence of its own."""
    return getattr(err.__cause__, "message", "") or _words(err)
