"""The HTTP session below the client of S3: it goes where it was told, and nowhere else.

aiohttp would follow a `Location` to any host, with the body of a PUT, and store it there.
"""

from functools import cache
from typing import Any


class RedirectError(Exception):
    """What answers is not the store, and sends elsewhere."""

    def __init__(self, status: int, place: str) -> None:
        """`place` is where it leads to, as it said it."""
        self.code = "Redirect"
        self.message = f"HTTP {status} leads to {place.partition('?')[0][:300]}"
        super().__init__(self.message)


@cache
def session_class() -> type[Any]:
    """The client's own class of sessions, but for redirects.

    One that a store itself sends (it names its requests) is left to the client, which finds the
    bucket's region and signs for it.
    """
    from aiobotocore.httpsession import AIOHTTPSession

    class StayingSession(AIOHTTPSession):  # type: ignore[misc]
        async def _get_session(self, proxy_url: str | None) -> Any:
            return _Staying(await super()._get_session(proxy_url))

    return StayingSession


class _Staying:
    def __init__(self, session: Any) -> None:
        self._session = session

    async def request(self, *given: Any, **named: Any) -> Any:
        response = await self._session.request(*given, **named, allow_redirects=False)
        place = response.headers.get("Location", "")
        if 300 <= response.status < 400 and place and "x-amz-request-id" not in response.headers:
            response.release()
            raise RedirectError(response.status, place)
        return response
