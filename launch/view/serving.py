"""The local web application: loopback, a token in the address, read-only."""

import hmac
import secrets
import socket
from threading import Lock, Thread

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from medgen.engine.errors import MedgenError
from medgen.engine.run.folder import run_ids
from medgen.engine.store.objects import Objects
from medgen.launch.view.beside import BesideRun
from medgen.launch.view.data import StoredRun
from medgen.launch.view.samples import sample_digest
from medgen.launch.view.site import POLICY, TYPES, Site, warm_up, warm_up_more

COOKIE = "medgen-view"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MORE_POLICY = "; connect-src 'self'; frame-ancestors 'none'"


class Viewer:
    """Serves the runs of a store, each under the digest of its id."""

    def __init__(self, objects: Objects, run_id: str, token: str, hosts: tuple[str, ...]) -> None:
        """`run_id` is the run that is shown first; `hosts` are what Host may say."""
        self.objects, self.run_id, self.token, self.hosts = objects, run_id, token, hosts
        self._sites: dict[str, Site] = {}
        self._lock = Lock()

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/", self.enter, methods=["GET"]),
                Route("/{run:str}/{name:path}", self.answer, methods=["GET"]),
            ]
        )

    async def enter(self, request: Request) -> Response:
        """Trade the token of the address for a cookie, so that it stands in no link."""
        if not self._is_ours(request):
            return _refuse("this address is not one of the viewer's", 421)
        given = request.query_params.get("token", "")
        if not (hmac.compare_digest(given.encode(), self.token.encode()) or self._knows(request)):
            return _refuse("the address needs the token that `medgen view` printed", 403)
        page = request.query_params.get("page", "index")
        page = page if page.isascii() and page.isalnum() else "index"
        answer = RedirectResponse(f"/{sample_digest(self.run_id)}/{page}.html", 303, dict(_HEADERS))
        answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", path="/")
        return answer

    async def answer(self, request: Request) -> Response:
        """A file of a run's pages."""
        if not self._is_ours(request):
            return _refuse("this address is not one of the viewer's", 421)
        if not self._knows(request):
            return _refuse("open the address that `medgen view` printed; it has the token", 403)
        nonce = secrets.token_urlsafe(16)
        digest, name = request.path_params["run"], request.path_params["name"]
        try:
            content = await run_in_threadpool(self._file, digest, name, nonce)
        except MedgenError as err:
            return _refuse(f"{err}", 500)
        if content is None:
            return _refuse("there is no such page", 404)
        headers = _HEADERS | {"Content-Security-Policy": POLICY.format(nonce=nonce) + _MORE_POLICY}
        kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(content, headers=headers, media_type=kind)

    def _file(self, digest: str, name: str, nonce: str) -> bytes | None:
        site = self._site(digest)
        content = None if site is None else site.file(name)
        if site is None or content is None or not name.endswith(".html"):
            return content
        return content.replace(site.nonce.encode(), nonce.encode())

    def _site(self, digest: str) -> Site | None:
        with self._lock:
            site = self._sites.get(digest)
            if site is None or site.is_stale():
                data = self._data(digest)
                if data is None:
                    return None
                site = self._sites[digest] = Site(data)
            return site

    def _data(self, digest: str) -> StoredRun | None:
        """The run of a digest, or the two of two digests."""
        known = {sample_digest(run): run for run in run_ids(self.objects)}
        one, _, two = digest.partition("-")
        if one not in known or (two and two not in known) or one == two:
            return None
        if not two:
            return StoredRun(self.objects, known[one])
        data = BesideRun(self.objects, known[one], known[two])
        data.check()
        return data

    def _is_ours(self, request: Request) -> bool:
        return request.headers.get("host", "") in self.hosts

    def _knows(self, request: Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        return hmac.compare_digest(given.encode(), self.token.encode())


def _refuse(words: str, status: int) -> Response:
    headers = _HEADERS | {"Content-Security-Policy": "default-src 'none'"}
    return PlainTextResponse(f"{words}\n", status, headers)


def bind(port: int) -> socket.socket:
    """A socket on loopback only; port 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    return found


def viewer(objects: Objects, run_id: str, port: int) -> Viewer:
    """A viewer for a port, with a token of its own."""
    warm_up()
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    return Viewer(objects, run_id, secrets.token_urlsafe(18), hosts)


def serve(app: Starlette, at: socket.socket) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False)
    Thread(target=warm_up_more, daemon=True).start()
    uvicorn.Server(config).run(sockets=[at])
