"""What an endpoint says it serves: the entry of a model in its list (`GET <base_url>/models`).

Of an entry only what names weights counts. Servers put times and random ids into it that change at
every start; a hosted API's list has every other model too.
"""

import asyncio
import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from medgen.adapters.http.bodies import read_json
from medgen.adapters.http.endpoint import Endpoint
from medgen.adapters.http.wire import Body, Received, WireError, open_wire
from medgen.adapters.loop_thread import LoopThread
from medgen.engine.errors import AdapterError
from medgen.engine.redaction import redact

log = logging.getLogger(__name__)

_FIELDS = ("id", "root", "parent", "owned_by", "max_model_len", "revision", "quantization")
_MOST = 8 * 2**20  # bytes of a list
_GLANCE_S = 1.0  # a driver looks at many, and a run with nothing to do answers in two seconds
_WAIT_S = 20.0
_LATER = frozenset(
    {408, 420, 425, 429, 500, 502, 503, 504}
)  # statuses of a server with no time now
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


def served_names(endpoint: Endpoint, timeout_s: float) -> list[str]:
    """The names of all models that a server lists.

    Raises:
        AdapterError: it gives no list: it is not there, says another status, sends no JSON.
    """
    loop = LoopThread("served")
    where = f"{endpoint.base_url.rstrip('/')}/models"
    try:
        received = loop.run(_get(endpoint, timeout_s))
        if received.status != 200:
            raise AdapterError(f"{where} gives no list of models (HTTP {received.status})")
        said = read_json(received.body)
    except TimeoutError as err:
        raise AdapterError(f"{where} gives no list of models in {timeout_s:g} s") from err
    except (WireError, ValueError) as err:
        raise AdapterError(f"{where} gives no list of models ({redact(str(err))})") from err
    finally:
        loop.stop()
    return [str(entry["id"]) for entry in _entries(said) if entry.get("id")]


def _ask(endpoint: Endpoint, timeout_s: float) -> tuple[Any | None, str]:
    """The list (empty where the server has none), or None and why it cannot be known now."""
    loop = LoopThread("served")  # whoever calls may run a loop himself
    try:
        received = loop.run(_get(endpoint, timeout_s))
    except AdapterError as err:  # the key is on the workers only
        return None, str(err)
    except TimeoutError:
        return None, "no whole reply in time"
    except WireError as err:
        return None, str(err)
    finally:
        loop.stop()
    if received.status in _LATER:
        return None, f"HTTP {received.status}"
    if received.status != 200 or received.cut:
        return {}, ""
    try:
        return read_json(received.body), ""
    except ValueError:
        return {}, ""


async def _get(endpoint: Endpoint, timeout_s: float) -> Received:
    headers = _headers(endpoint)
    url = f"{endpoint.base_url.rstrip('/')}/models"
    wire = await open_wire(endpoint)
    try:
        async with asyncio.timeout(timeout_s):
            return await wire.exchange("GET", url, headers, Body(None), _MOST)
    finally:
        await wire.close()


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
