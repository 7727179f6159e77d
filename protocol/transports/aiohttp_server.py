"""Hubs on an aiohttp application: ``map_hub``, negotiate, and the dispatch of requests.

Decides how HTTP requests become connections (sections N and TG); what happens on a connection is
left to ``aio.server``.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from .. import negotiate
from ..aio.clients import HubContext
from ..aio.context import HttpRequestData, Principal
from ..aio.hub import Hub
from ..aio.options import EndpointOptions, HubOptions
from ..aio.server import HubServer
from ..errors import NegotiationError
from ..http_transport_type import HttpTransportType
from .aiohttp_web_socket import WebSocketServerTransport
from .flusher import Flusher
from .http_connections import HttpConnection, HttpConnectionManager
from .web_socket_frame import FrameCache

logger = logging.getLogger(__name__)


_UNREACHABLE: Final = {"", ".", ".."}  # segments that clients leave out of what they ask for
_POLL_HEADERS: Final = {  # TL-2
    "Cache-Control": "no-cache, no-store",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}


class _Hosting:
    """What all hubs of one application share: connections, flusher, one server per hub class."""

    def __init__(self) -> None:
        self.paths: list[str] = []  # in lower case
        self.servers: dict[type[Hub], HubServer] = {}
        self.connections = HttpConnectionManager()
        self.flusher = Flusher()
        self.frames = FrameCache()

    async def close(self, _app: web.Application) -> None:
        for server in self.servers.values():
            await server.close()


_HOSTING: Final = web.AppKey("signalr_hosting", _Hosting)
_UNTYPED: Final = web.ResponseKey("signalr_untyped", bool)


def map_hub(
    app: web.Application,
    path: str,
    hub_class: type[Hub],
    *,
    hub_options: HubOptions | None = None,
    endpoint_options: EndpointOptions | None = None,
    hub_factory: Callable[[], Hub] | None = None,
) -> HubContext:
    """Serves ``hub_class`` at ``path`` of ``app``, in any letter case (0-3).

    ``path`` begins with a slash. A class may be mapped at several paths, which then share clients,
    groups and users; its ``hub_options`` and ``hub_factory`` are given once. Connections end in an
    orderly way when the application shuts down. Returns the way to send from outside of the hub.

    Raises ValueError for a path or a combination that cannot be, TypeError for a hub class that
    cannot be served and for what is of another type.
    """
    _require_path(path)
    if not isinstance(endpoint_options, EndpointOptions | None):
        raise TypeError(
            f"endpoint_options are EndpointOptions, not {type(endpoint_options).__name__}."
        )
    hosting = app.get(_HOSTING)
    if hosting is None:
        hosting = app[_HOSTING] = _Hosting()
        app.on_shutdown.append(hosting.close)
        app.on_response_prepare.append(_drop_content_type)
        app.middlewares.append(_not_found_middleware(hosting))
    if path.lower() in hosting.paths:
        raise ValueError(f"There is a hub at {path!r} already; paths ignore case.")
    server = hosting.servers.get(hub_class)
    if server is None:
        server = HubServer(hub_class, hub_options, hub_factory=hub_factory)
        hosting.servers[hub_class] = server
    elif hub_options is not None or hub_factory is not None:
        raise ValueError(
            f"{hub_class.__name__} is mapped already: its hub_options and hub_factory are given "
            "with its first path."
        )
    hosting.paths.append(path.lower())
    endpoint = _Endpoint(hosting, server, path.lower(), endpoint_options or EndpointOptions())
    # A parameter with a pattern is aiohttp's only way to a path that ignores case.
    pattern = "".join(
        f"/{{hub{number}:(?i:{_escaped(segment)})}}"
        for number, segment in enumerate(path[1:].split("/"))
    )
    app.router.add_route("*", pattern + "{slash:/?}", endpoint.dispatch)
    app.router.add_route("*", pattern + "/{negotiate:(?i:negotiate)}{slash:/?}", endpoint.negotiate)
    return server.context


def _require_path(path: object) -> None:
    if not isinstance(path, str):
        raise TypeError(f"A hub's path is text, not {type(path).__name__}.")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"A hub's path begins with a slash and ends without one, unlike {path!r}.")
    if not _UNREACHABLE.isdisjoint(path[1:].split("/")):
        raise ValueError(f"A hub's path has no empty segments or dots for some, unlike {path!r}.")
    if any(character in "?#" or not character.isprintable() for character in path):
        raise ValueError(f"A hub's path is no more than a path, unlike {path!r}.")


def _not_found_middleware(hosting: _Hosting) -> Callable[..., Awaitable[web.StreamResponse]]:
    """What nobody serves below a hub's path is not found, without a word (TG-1a)."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        error = request.match_info.http_exception
        if error is not None and error.status == 404:
            path = request.path.lower()
            if any(path.startswith(hub_path + "/") for hub_path in hosting.paths):
                return web.Response(status=404)
        return await handler(request)

    return middleware


async def _drop_content_type(_request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp gives every text a type; one of ASP.NET Core's refusals has none (TG-4)."""
    if response.get(_UNTYPED):
        del response.headers["Content-Type"]


def _escaped(segment: str) -> str:
    return "".join(c if c.isalnum() or c in "-_~" else f"[{c}]" for c in segment)


class _Endpoint:
    """One path of one hub."""

    def __init__(
        self, hosting: _Hosting, server: HubServer, path: str, options: EndpointOptions
    ) -> None:
        self._hosting = hosting
        self._path = path  # in lower case
        self._connections = hosting.connections
        self._server = server
        self._options = options

    async def negotiate(self, request: web.Request) -> web.Response:
        """``POST {path}/negotiate`` (N-1…N-12)."""
        if request.method != "POST":
            return _refusal(405)
        requested = _query_values(request, "negotiateversion")
        try:
            version = negotiate.choose_version(requested, self._options.minimum_protocol_version)
        except NegotiationError as error:
            return _json(negotiate.write_error(str(error)))
        if self._connections.is_full(self._path, self._options.maximum_connections):
            return self._full()
        connection = self._connections.create(
            version,
            asyncio.get_running_loop().time(),
            self._options.disconnect_timeout,
            self._options.maximum_negotiated_connections,
        )
        if connection is None:
            logger.warning("Negotiate refused: too many connections wait to be picked up.")
            return _refusal(503)
        return _json(
            negotiate.write_offer(
                version,
                connection.connection_id,
                connection.token,
                negotiate.available_transports(HttpTransportType.WEB_SOCKETS),
            )
        )

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """``{path}`` itself: a WebSocket, or why not (TG-1…TG-5)."""
        match request.method:
            case "GET":
                return await self._get(request)
            case "POST":
                found = self._find(request)
                if isinstance(found, web.Response):
                    return found
                return _refusal(405, "POST requests are not allowed for WebSocket connections.")
            case "DELETE":
                found = self._find(request)
                if isinstance(found, web.Response):
                    return found
                return _refusal(400, "Cannot terminate this connection using the DELETE endpoint.")
            case _:
                return _refusal(405)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if _accepts_events(request):
            return self._unsupported(request, "ServerSentEvents")
        web_socket = web.WebSocketResponse(
            autoclose=False,
            compress=False,
            decode_text=False,
            timeout=self._options.close_timeout,
            max_msg_size=self._maximum_frame_size(),
        )
        if not web_socket.can_prepare(request).ok:  # a defective upgrade is a poll (TG-2)
            response = self._unsupported(request, "LongPolling")
            response.headers.update(_POLL_HEADERS)
            return response
        return await self._open_web_socket(request, web_socket)

    async def _open_web_socket(
        self, request: web.Request, web_socket: "web.WebSocketResponse[bool]"
    ) -> web.StreamResponse:
        if any(_query_values(request, "id")):
            found = self._find(request)
            if isinstance(found, web.Response):
                found[_UNTYPED] = True
                return found
            if found.is_active:
                return _refusal(409)
        else:  # negotiate was skipped: a connection is made on the spot (TG-3)
            connection_id = negotiate.new_id()
            found = HttpConnection(connection_id, connection_id, expires_at=0)
        http_request = _request_data(request)
        user = await self._authenticate(http_request)
        if found.is_active:  # another one came while we asked who this is
            return _refusal(409)
        maximum = self._options.maximum_connections
        if not self._connections.activate(found, self._path, maximum):
            return self._full()
        try:
            await web_socket.prepare(request)
            transport = WebSocketServerTransport(
                request,
                web_socket,
                self._hosting.flusher,
                self._hosting.frames,
                self._options.close_timeout,
            )
            await self._server.serve(transport, found.connection_id, http_request, user)
        finally:
            self._connections.remove(found)
        return web_socket

    def _full(self) -> web.Response:
        logger.warning("Refused: %d connections are there.", self._options.maximum_connections)
        return _refusal(503)

    def _find(self, request: web.Request) -> "HttpConnection | web.Response":
        """The connection a request means, or the refusal where it means none (TG-3, TG-4)."""
        ids = _query_values(request, "id")
        if not any(ids):
            return _refusal(400, "Connection ID required")
        connection = None
        if len(ids) == 1:
            connection = self._connections.find(ids[0], asyncio.get_running_loop().time())
        return connection or _refusal(404, "No Connection with that ID")

    def _unsupported(self, request: web.Request, transport: str) -> web.Response:
        """An unknown or missing id is found out before the transport is looked at (TG-3)."""
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        return _refusal(404, f"{transport} transport not supported by this end point type")

    async def _authenticate(self, http_request: HttpRequestData) -> Principal | None:
        if self._options.authenticate is None:
            return None
        user = self._options.authenticate(http_request)
        return await user if inspect.isawaitable(user) else user

    def _maximum_frame_size(self) -> int:
        """Of a WebSocket message, which may hold many hub messages; finite in any case."""
        limit = self._server.options.maximum_receive_message_size
        return max(4 * limit, 1024 * 1024) if limit else 64 * 1024 * 1024


def _accepts_events(request: web.Request) -> bool:
    """Whether Accept names the media type, without parameters, maybe among others (TG-2)."""
    accepted = ",".join(request.headers.getall("Accept", ()))
    return any(part.strip().lower() == "text/event-stream" for part in accepted.split(","))


def _query_values(request: web.Request, name: str) -> list[str]:
    """All values of a query key, which ignores case (0-3)."""
    return [value for key, value in request.query.items() if key.lower() == name]


def _request_data(request: web.Request) -> HttpRequestData:
    return HttpRequestData(
        method=request.method,
        path=request.path,
        query_string=request.query_string,
        headers=request.headers,
        remote=request.remote,
    )


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json"})


def _refusal(status: int, text: str | None = None) -> web.Response:
    response = web.Response(
        status=status, body=text.encode() if text else b"", headers={"Content-Type": "text/plain"}
    )
    if text:
        response.enable_chunked_encoding()  # as Kestrel does with every text (TG-1b)
    return response
