"""``map_hub``: serves a hub class at a path of an aiohttp application.

Decides by their path which requests reach a hub. ``http_dispatcher`` handles these requests.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from aiohttp import web

from ...hosting.http_answer import NOT_FOUND
from ...hosting.hub_path import is_below_hub, require_hub_path
from ...option_checks import described
from ...server.authorization import needs_user
from ...server.clients import HubContext
from ...server.hub import Hub, authorizations
from ...server.hub_server import HubServer
from ...server.lifetime import HubLifetimeManager
from ...server.options import EndpointOptions, HubOptions
from .aiohttp_conversion import complete_headers, response_of
from .aiohttp_logs import hide_tokens
from .hosted_hubs import Hosting
from .http_dispatcher import HttpConnectionDispatcher
from .web_socket_push import CAN_PUSH

logger = logging.getLogger(__name__)

_HOSTING: Final = web.AppKey("signalr_hosting", Hosting)


def map_hub(
    app: web.Application,
    path: str,
    hub_class: type[Hub],
    *,
    hub_options: HubOptions | None = None,
    endpoint_options: EndpointOptions | None = None,
    hub_factory: Callable[[], Hub] | None = None,
    lifetime: HubLifetimeManager | None = None,
) -> HubContext:
    """Serves ``hub_class`` at ``path`` of ``app``, and returns a HubContext to send to its clients.

    ``path`` begins with a slash. Requests match it in any letter case. A class may be mapped at
    several paths, which share clients, groups and users. Its ``hub_options``, ``hub_factory`` and
    ``lifetime`` are passed with its first path only. All connections are closed when the
    application shuts down.

    ``hub_factory`` returns a new hub instance for each call. By default the class is called without
    arguments. ``lifetime`` manages the connections of this class. By default they are kept in
    memory. The manager is started with the application and closed at the application's cleanup,
    after the last connection has ended. The first ``map_hub`` adds both steps to
    ``app.cleanup_ctx``. Resources that the application adds to ``app.cleanup_ctx`` before this call
    are available from ``start`` to ``close``. If ``start`` raises an exception, the application
    does not start.

    From the first ``map_hub`` on, the loggers ``aiohttp.access`` and ``aiohttp.server`` show
    neither access tokens nor connection tokens.

    Raises ValueError for an invalid path, and for a path that has a hub already. Raises ValueError
    for options of a class that is mapped already, for a lifetime manager of another class, and for
    a class that requires users on a path without ``authenticate``. Raises TypeError for a hub class
    that cannot be served, and for arguments of a wrong type. Raises RuntimeError for an application
    that has started.
    """  # LA-3
    _require_application(app)
    require_hub_path(path)
    if not isinstance(endpoint_options, EndpointOptions | None):
        raise TypeError(f"endpoint_options are EndpointOptions, not {described(endpoint_options)}.")
    hosting = app.get(_HOSTING)
    if hosting is None:
        hosting = app[_HOSTING] = Hosting()
        app.cleanup_ctx.append(hosting.run)
        app.on_shutdown.append(hosting.end_connections)
        app.on_response_prepare.append(complete_headers)
        app.middlewares.append(_not_found_middleware(hosting))
        hide_tokens()
        if not CAN_PUSH:
            logger.warning(
                "This version of aiohttp, %s, lets no WebSocket messages be pushed: they have no "
                "receive_timeout, and some frames against RFC 6455 are accepted.",
                aiohttp.__version__,
            )
    if path.lower() in hosting.paths:
        raise ValueError(f"There is a hub at {path!r} already; paths ignore case.")
    server = hosting.servers.get(hub_class)
    if server is None:
        for other in hosting.servers.values():
            if other.lifetime is lifetime:
                raise ValueError(
                    f"{other.hub_class.__name__} has this lifetime already: each hub class needs "
                    "its own lifetime manager."
                )
        server = HubServer(hub_class, hub_options, hub_factory=hub_factory, lifetime=lifetime)
    elif any(it is not None for it in (hub_options, hub_factory, lifetime)):
        raise ValueError(
            f"{hub_class.__name__} is mapped already: its hub_options, hub_factory and lifetime "
            "are given with its first path."
        )
    options = endpoint_options or EndpointOptions()
    if options.authenticate is None and any(map(needs_user, authorizations(hub_class))):
        raise ValueError(
            f"{hub_class.__name__} requires a user: its paths need "
            "EndpointOptions(authenticate=...)."
        )
    hosting.servers[hub_class] = server
    hosting.paths.append(path.lower())
    dispatcher = HttpConnectionDispatcher(hosting, server, path.lower(), options)
    # In aiohttp only a parameter with a pattern can match a path regardless of case.
    pattern = "".join(
        f"/{{hub{number}:(?i:{_escaped(segment)})}}"
        for number, segment in enumerate(path[1:].split("/"))
    )
    app.router.add_route("*", pattern + "{slash:/?}", dispatcher.dispatch)
    app.router.add_route(
        "*", pattern + "/{negotiate:(?i:negotiate)}{slash:/?}", dispatcher.negotiate
    )
    app.router.add_route("*", pattern + "/{refresh:(?i:refresh)}{slash:/?}", dispatcher.refresh)
    return server.context


def _require_application(app: object) -> None:
    """Raises TypeError or RuntimeError for an application that takes no hubs."""
    if not isinstance(app, web.Application):
        kind = type(app)
        raise TypeError(
            "map_hub serves hubs on an aiohttp.web.Application, not on "
            f"{kind.__module__}.{kind.__qualname__}. Beside an application of another framework, "
            "run an aiohttp application with the hubs, on a port of its own."
        )
    if app.pre_frozen:
        raise RuntimeError(
            "The application has started, or is part of another one, and takes no more hubs: call "
            "map_hub before web.run_app, AppRunner.setup and add_subapp."
        )


def _not_found_middleware(hosting: Hosting) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Answers unknown addresses below a hub's path with an empty 404 (TG-1a)."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        error = request.match_info.http_exception
        is_not_found = error is not None and error.status == 404
        if is_not_found and is_below_hub(request.path, hosting.paths):
            return response_of(NOT_FOUND)
        return await handler(request)

    return middleware


def _escaped(segment: str) -> str:
    return "".join(c if c.isalnum() or c in "-_~" else f"[{c}]" for c in segment)
