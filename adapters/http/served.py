"""What an endpoint says it serves: the entry of a model in its list (`GET <base_url>/models`).

Of an entry only what names weights counts. Servers put times and random ids into it that change at
every start; a hosted API's list has every other model too.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from medgen.adapters.http.endpoint import Endpoint
from medgen.engine.errors import AdapterError

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

_FIELDS = ("id", "root", "parent", "owned_by", "max_model_len", "revision", "quantization")
_MOST = 8 * 2**20  # bytes of a list
_GLANCE_S = 1.0  # a driver looks at many, and a run with nothing to do answers in two seconds
_WAIT_S = 20.0
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses of a server with no time now
_NOT_LISTED = "the server lists no such model"


def served_entry(endpoint: Endpoint, model: str, patient: bool) -> dict[str, str]:
    """What stands behind a URL under a model's name.

    Args:
        endpoint: where.
        model: the name that requests ask for.
        patient: ask as often as `endpoint.attempts` says; else once, for a second, and leave out
            what is not answered.

    Returns:
        `served.url`, and `served.model`: the entry as JSON, or that there is none. A server that
        fails or has no time, as it may for its answers as well, is known by its URL only.
    """
    found = {"served.url": endpoint.base_url.rstrip("/")}
    why = ""
    for attempt in range(min(endpoint.attempts, 3) if patient else 1):
        if attempt:
            time.sleep(min(endpoint.backoff_s * 2 ** (attempt - 1), endpoint.backoff_max_s))
        said, why = _ask(endpoint, _WAIT_S if patient else _GLANCE_S)
        if said is not None:
            return found | {"served.model": _entry(said, model)}
    if patient:
        log.warning(
            "%s/models does not say what is served (%s): it is known by its URL only",
            endpoint.base_url.rstrip("/"),
            why,
        )
    return found


def _ask(endpoint: Endpoint, timeout_s: float) -> tuple[Any | None, str]:
    """The list (empty where the server has none), or None and why it cannot be known now."""
    try:
        import httpx
    except ImportError:
        return None, "httpx is not installed"
    try:
        headers = _headers(endpoint) | {"Accept-Encoding": "identity"}
    except AdapterError as err:  # the key is on the workers only
        return None, str(err)
    url = f"{endpoint.base_url.rstrip('/')}/models"
    try:
        with (
            httpx.Client(trust_env=endpoint.proxy_from_env, timeout=timeout_s) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code in _LATER:
                return None, f"HTTP {response.status_code}"
            if response.status_code != 200:
                return {}, ""
            return json.loads(_body(response, time.monotonic() + timeout_s)), ""
    except ValueError:
        return {}, ""
    except TimeoutError:
        return None, "no whole reply in time"
    except httpx.HTTPError as err:
        return None, type(err).__name__


def _body(response: "httpx.Response", until: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_raw(65536):
        content += chunk
        if len(content) > _MOST:
            raise ValueError("a list of models that never ends")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(content)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    key = endpoint.read_key()
    if key is None:
        return {}
    bearer = endpoint.key_header.lower() == "authorization"
    return {endpoint.key_header: f"Bearer {key}" if bearer else key}


def _entry(said: Any, model: str) -> str:
    for entry in _entries(said):
        if entry.get("id") == model:
            known = {name: entry[name] for name in _FIELDS if entry.get(name) is not None}
            return json.dumps(known, sort_keys=True)
    return _NOT_LISTED


def _entries(said: Any) -> Iterator[Mapping[str, Any]]:
    listed = said.get("data") if isinstance(said, Mapping) else None
    yield from (e for e in listed if isinstance(e, Mapping)) if isinstance(listed, list) else ()
