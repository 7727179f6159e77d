"""Hubs on an aiohttp application: ``map_hub``.

Decides which requests reach a hub, by their path; what happens to them is left to the dispatcher.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ..aio.clients import HubContext
from ..aio.hub import Hub
from ..aio.options import EndpointOptions, HubOptions
from ..aio.server import HubServer
from .cors import mark_response
from .hosting import Hosting
from .http_answers import drop_content_type
from .http_connection_dispatcher import HttpConnectionDispatcher

_UNREACHABLE: Final = {"", ".", ".."}  # segments that clients leave out of what they ask for
_HOSTING: Final = web.AppKey("signalr_hosting", Hosting)


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
        hosting = app[_HOSTING] = Hosting()
        app.on_shutdown.append(hosting.close)
        app.on_response_prepare.extend((drop_content_type, mark_response))
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
    dispatcher = HttpConnectionDispatcher(
        hosting, server, path.lower(), endpoint_options or EndpointOptions()
    )
    # A parameter with a pattern is aiohttp's only way to a path that ignores case.
    pattern = "".join(
        f"/{{hub{number}:(?i:{_escaped(segment)})}}"
        for number, segment in enumerate(path[1:].split("/"))
    )
    app.router.add_route("*", pattern + "{slash:/?}", dispatcher.dispatch)
    app.router.add_route(
        "*", pattern + "/{negotiate:(?i:negotiate)}{slash:/?}", dispatcher.negotiate
    )
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


def _not_found_middleware(hosting: Hosting) -> Callable[..., Awaitable[web.StreamResponse]]:
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


def _escaped(segment: str) -> str:
    return "".join(c if c.isalnum() or c in "-_~" else f"[{c}]" for c in segment)
