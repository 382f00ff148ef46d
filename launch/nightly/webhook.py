"""Telling a webhook of a night. Its URL is a secret: it is read when needed and written nowhere."""

import http.client
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from medgen.launch.nightly.history import Night

TRIES = 4
TIMEOUT_S = 10.0
_FIRST_PAUSE_S = 1.0  # doubled each time
_WORTH_ANOTHER = (408, 425, 429, 500, 502, 503, 504)


def text(night: Night) -> str:
    """A night in a few lines: the verdict, what was missed, the reasons."""
    lines = [f"{night.name} {night.date}: {night.outcome} (exit code {night.exit_code})"]
    if night.missed:
        lines.append(f"no night on {', '.join(night.missed)}")
    lines += [f"- {reason}" for reason in night.reasons[:10]]
    if len(night.reasons) > 10:
        lines.append(f"- and {len(night.reasons) - 10} more")
    if night.judge:
        lines.append(f"judge: {night.judge}")
    return "\n".join(lines)


def notify(night: Night, variable: str, sleep: Callable[[float], None] = time.sleep) -> str:
    """POST the night as JSON to the URL in an environment variable.

    A night is not lost for want of a listener: whatever goes wrong is returned in words, without
    the URL. Redirects are not followed.

    Args:
        night: to tell of; the body is `{"text": …, "night": {…}}`.
        variable: name of the environment variable; empty tells nobody.
        sleep: waits so many seconds between tries.
    """
    if not variable:
        return ""
    url = os.environ.get(variable, "")
    if urlsplit(url).scheme not in ("http", "https"):
        return f"not told: {variable} holds no http or https URL"
    body = {"text": text(night), "night": asdict(night)}
    for number in range(TRIES):
        if number:
            sleep(_FIRST_PAUSE_S * 2 ** (number - 1))
        said, again = _post(url, body)
        if not again:
            break
    return said if said.startswith("told") else f"not told: {said} after {number + 1} tries"


class _Stay(HTTPRedirectHandler):
    """Goes nowhere else: the URL was given to be told, not whom it names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, body: dict[str, Any]) -> tuple[str, bool]:
    """What came of one try, and whether another is worth it."""
    headers = {"Content-Type": "application/json"}
    try:
        asked = Request(url, json.dumps(body).encode(), headers, method="POST")
        with build_opener(_Stay).open(asked, timeout=TIMEOUT_S) as answer:
            return f"told, answer {answer.status}", False
    except HTTPError as err:
        with err:
            return f"answer {err.code}", err.code in _WORTH_ANOTHER
    except (ValueError, http.client.InvalidURL):
        return "the URL is not valid", False
    except (OSError, http.client.HTTPException) as err:
        cause = getattr(err, "reason", err)  # of a URLError, what it was made from
        return type(cause if isinstance(cause, Exception) else err).__name__, True
