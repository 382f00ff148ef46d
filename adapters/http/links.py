"""Pictures inside JSON replies: base64 in every alphabet, data URLs, or links to fetch.

A reply may point to no more than `endpoint.max_links` places, and all that is fetched for it counts
against `endpoint.max_response_mib` together.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Failure, Reply
from medgen.engine.bounds import Budget
from medgen.engine.errors import BoundsError

_DATA_URL = re.compile(r"data:([\w.+/-]*)((?:;[\w.=+-]+)*),", re.ASCII | re.IGNORECASE)
_LINK = re.compile(r"https?:", re.IGNORECASE)
_TO_STANDARD = str.maketrans("-_", "+/")


async def resolve(client: HttpClient, links: Sequence[str]) -> list[bytes] | Failure:
    """The bytes behind every link, in order; the first that cannot be had is the failure.

    A link is a data URL, an http(s) URL, or bare base64. One that stands twice is fetched once.
    """
    links = [link.strip() for link in links]
    fetched: dict[str, bytes] = {}
    wanted = list(dict.fromkeys(link for link in links if _LINK.match(link)))
    budget = Budget(client.endpoint.bounds)
    try:
        budget.take_links(len(wanted))
        budget.take_images(len(links))
    except BoundsError as err:
        return Failure("malformed", f"the reply is refused: {err}")
    for link in wanted:
        got = await client.fetch(link, budget.left_bytes)
        if not isinstance(got, Reply):
            return got
        fetched[link] = got.body
        budget.take_bytes(len(got.body), "an image")
    inside = (link for link in links if link not in fetched)
    read = {link: await asyncio.to_thread(data_url_bytes, link) for link in inside}
    return [fetched[link] if link in fetched else read[link] for link in links]


def data_url_bytes(link: str) -> bytes:
    """The bytes of base64 or of a data URL.

    Either alphabet, with or without padding, line ends and percent signs. What is neither comes
    back as the text's own bytes: the output firewall then says of them that they are no picture,
    and they are kept as evidence.
    """
    text = link.strip()
    match = _DATA_URL.match(text)
    body = text[match.end() :] if match else text
    if match and ";base64" not in match[2].lower():
        return unquote_to_bytes(body)
    if "%" in body:
        body = unquote_to_bytes(body).decode("latin-1")
    squeezed = "".join(body.split()).translate(_TO_STANDARD).rstrip("=")
    try:
        return base64.b64decode(squeezed + "=" * (-len(squeezed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return link.encode("utf-8", "replace")
