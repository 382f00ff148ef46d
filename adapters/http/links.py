"""Pictures inside JSON replies: base64, data URLs, or links to fetch."""

import base64
import binascii
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from medgen.adapters.http.client import HttpClient
from medgen.adapters.http.endpoint import Failure, Reply

_DATA_URL = re.compile(r"data:([\w.+/-]*)((?:;[\w.=+-]+)*),", re.ASCII)


async def resolve(client: HttpClient, links: Sequence[str]) -> list[bytes] | Failure:
    """The bytes behind every link, in order; the first that cannot be had is the failure.

    A link is a data URL, an http(s) URL, or bare base64.
    """
    found: list[bytes] = []
    for link in links:
        if link.startswith(("http://", "https://")):
            got = await client.fetch(link)
            if not isinstance(got, Reply):
                return got
            found.append(got.body)
        else:
            found.append(data_url_bytes(link))
    return found


def data_url_bytes(link: str) -> bytes:
    """The bytes of base64 or of a data URL.

    What is neither comes back as the text's own bytes: the output firewall then says of them that
    they are no picture, and they are kept as evidence.
    """
    match = _DATA_URL.match(link)
    body = link[match.end() :] if match else link
    if match and ";base64" not in match[2]:
        return unquote_to_bytes(body)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return link.encode("utf-8", "replace")
