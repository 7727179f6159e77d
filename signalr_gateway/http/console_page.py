"""The console: a page at ``/`` that shows hubs, routes and events, and the status that it polls.

The files of the page are in ``console/``. All addresses in them are relative, so that a proxy may
add a prefix. The Content-Security-Policy allows only this origin, and no inline scripts or styles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from importlib import resources

import msgspec
from aiohttp import web

from .. import __version__
from ..access.policies import Policies
from ..access.visible_hubs import visible_hubs
from ..clients.broadcast import Broadcaster
from ..clients.event_log import EventCounts
from ..clients.other_gateway import RelayTarget
from ..clients.parts import GatewayHubParts
from ..downstream.connection import HubStatus
from ..downstream.hub import Downstream, Downstreams
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.route import HubRoute
from .access import Access
from .addresses import CONSOLE, CONSOLE_PAGE, CONSOLE_STATUS
from .guarded_pages import PageHandler, guarded
from .health import hub_health, overall_status

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FILES = {
    CONSOLE_PAGE: ("index.html", "text/html; charset=utf-8"),
    f"{CONSOLE}/console.js": ("console.js", "text/javascript; charset=utf-8"),
    f"{CONSOLE}/credentials.js": ("credentials.js", "text/javascript; charset=utf-8"),
    f"{CONSOLE}/console.css": ("console.css", "text/css; charset=utf-8"),
    f"{CONSOLE}/icon.svg": ("icon.svg", "image/svg+xml"),
}


class _RouteStatus(msgspec.Struct, rename="camel"):
    key: str
    invoke_method: str | None
    streams: bool
    examples: list[str]
    """Bodies to try, as JSON text."""
    receive_method: str | None
    receive_parameter_types: list[str] | None
    broadcast_type: str
    receive_group: str | None
    spread: bool


class _Events(msgspec.Struct, rename="camel"):
    forwarded: int
    misfit: int
    unrouted: int
    unwritable: int


class _HubStatus(msgspec.Struct, rename="camel"):
    api: str
    state: str
    since: str
    last_error: str | None
    events: _Events
    routes: list[_RouteStatus]


class _Status(msgspec.Struct, rename="camel"):
    version: str
    status: str
    gateway_hub: str | None
    """The path of the gateway hub, null when it is switched off."""
    clients: int
    authentication: bool
    """Whether callers may have credentials."""
    user: str | None
    """The id of the caller; null for anonymous callers."""
    hubs: list[_HubStatus]


def add_console(
    app: web.Application,
    downstreams: Downstreams,
    hub: GatewayHubParts | None,
    access: Access | None,
    policies: Policies,
    relay_target: RelayTarget | None = None,
) -> None:
    """Serve the page, its files and its status. `hub` is None if the gateway hub is off.

    `access` decides which callers may read the status; None: all callers, who are anonymous. The
    status contains the hubs and routes that its caller may use by `policies`. `relay_target` is the
    gateway that gets the events.
    """
    directory = resources.files(__package__) / "console"
    for path, (name, content_type) in _FILES.items():
        handler = _file((directory / name).read_bytes(), content_type)
        app.router.add_get(path, handler)

    async def status(request: web.Request) -> web.Response:
        headers = {**_SECURITY_HEADERS, "Content-Type": "application/json; charset=utf-8"}
        relay = None if relay_target is None else relay_target.status
        user = None if access is None else access.user(request)
        hubs = visible_hubs((each.hub for each in downstreams.values()), policies, user)
        shown = _status(downstreams, hubs, hub, relay)
        if access is not None:
            shown.authentication = access.has_authenticator
            shown.user = access.user_id(request)
        return web.Response(body=msgspec.json.encode(shown), headers=headers)

    app.router.add_get(CONSOLE_STATUS, guarded(access, status))


def _file(body: bytes, content_type: str) -> PageHandler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={**_SECURITY_HEADERS, "Content-Type": content_type})

    return handler


def _status(
    downstreams: Downstreams,
    hubs: Iterable[DownstreamHub],
    hub: GatewayHubParts | None,
    relay: HubStatus | None,
) -> _Status:
    return _Status(
        version=__version__,
        status=overall_status(downstreams, relay),
        gateway_hub=None if hub is None else hub.path,
        clients=0 if hub is None else hub.context.connection_count,
        authentication=False,
        user=None,
        hubs=[_hub_status(downstreams[each.api], each, hub) for each in hubs],
    )


def _hub_status(
    downstream: Downstream, visible: DownstreamHub, hub: GatewayHubParts | None
) -> _HubStatus:
    api = visible.api
    shown = hub_health(downstream)
    counts = EventCounts() if hub is None else _visible_counts(hub.broadcaster, visible, downstream)
    return _HubStatus(
        api=api,
        state=shown.state,
        since=shown.since,
        last_error=shown.last_error,
        events=_Events(**asdict(counts)),
        routes=[_route_status(route) for route in visible.routes.values()],
    )


def _visible_counts(
    broadcaster: Broadcaster, visible: DownstreamHub, downstream: Downstream
) -> EventCounts:
    """The counts of the events that the caller may receive (GW-48).

    Events without a route count only for callers that may receive all other events of the hub.
    """
    shown, existing = _events_of(visible), _events_of(downstream.hub)
    return broadcaster.counts(visible.api, None if shown == existing else shown)


def _events_of(hub: DownstreamHub) -> set[str]:
    methods = (route.receive_method for route in hub.routes.values())
    return {method for method in methods if method is not None}


def _route_status(route: HubRoute) -> _RouteStatus:
    return _RouteStatus(
        key=route.key,
        invoke_method=route.invoke_method,
        streams=route.streams,
        examples=[bytes(example).decode() for example in route.examples],
        receive_method=route.receive_method,
        receive_parameter_types=route.receive_parameter_names,
        broadcast_type=route.broadcast_type.listed_name,
        receive_group=route.receive_group,
        spread=route.spread,
    )
