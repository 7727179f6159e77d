"""Creates the parts of the gateway, maps their paths, starts and stops them.

At the start the downstream connections are built. They connect in the background, while the gateway
already serves. At a stop, new calls are refused, the connections of clients are closed, and
requests under way have some seconds to end (`serving.stopping`). The downstream connections are
closed last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace
from time import monotonic

from aiohttp import web

from protocol import (
    Authenticator,
    DefaultHubLifetimeManager,
    EndpointOptions,
    HubOptions,
    map_hub,
)
from protocol.relaying import (
    Authenticate,
    Authorize,
    authenticator_of,
    default_user_id,
    harden,
)

from ..access.call_hook import CallHook
from ..access.policies import Policies
from ..clients.broadcast import Broadcaster
from ..clients.client_limits import ClientLimits
from ..clients.gateway_hub import MAXIMUM_USER_ID_LENGTH, GatewayHub
from ..clients.other_gateway import RelayTarget
from ..clients.parts import GatewayHubParts
from ..clients.refused_clients import RefusedClients
from ..clients.relayed_events import RelayedGatewayHub
from ..clients.sender import Sender
from ..clients.services import GatewayServices
from ..downstream.hub import Downstream, Downstreams, MakeDownstream, OnEvent
from ..http.access import Access
from ..http.api import HttpApi
from ..http.console_page import add_console
from ..http.cors import OriginGuard
from ..http.hosts import HostGuard
from ..http.idempotency import IdempotentCalls
from ..http.limit_guard import LimitGuard
from ..http.mount import Mount
from ..http.openapi_documents import OpenApiDocuments
from ..http.security_schemes import security_of
from ..http.send_api import SendApi, SendPolicy, allow_all, allow_scope
from ..http.swagger_page import add_swagger, document_handler
from ..orchestration.limits import DEFAULT_LIMITS, Limits
from ..orchestration.orchestrator import DownstreamHub, Orchestrator
from ..routing.tables import RoutingTables, Subscription, send_channel
from .app_options import (
    check_places,
    check_requirements,
    check_types,
    limited,
    require_no_relayed_hubs,
)
from .draining import Gate
from .gateway import Gateway
from .memory import MemoryMark
from .stopping import Stop

log = logging.getLogger(__name__)

GATEWAY = web.AppKey("gateway", Gateway)
"""The key of the parts in an application of `create_app`."""


def create_app(
    orchestrator: Orchestrator,
    *,
    limits: Limits = DEFAULT_LIMITS,
    hub_options: HubOptions | None = None,
    endpoint_options: EndpointOptions | None = None,
    allowed_hosts: Collection[str] | None = None,
    authenticate: Authenticator | Authenticate | None = None,
    authorize: Authorize | None = None,
    authorize_orchestration: Authorize = False,
    authorize_call: Authorize = False,
    console: bool = True,
    swagger: bool = True,
    send: bool | SendPolicy = False,
    make_downstream: MakeDownstream = Downstream,
) -> web.Application:
    """The gateway of a complete orchestration as an aiohttp application.

    Serve it with `GatewayRunner`. `limits` bounds requests and clients. `hub_options` and
    `endpoint_options` are the other options of the gateway hub and of its path. Raises TypeError if
    one of these three has another type. `allowed_hosts` are the host names that requests may use,
    such as `app.example`; None means all.

    `authenticate` finds the user of a request. `authorize` is the requirement for all callers of
    the API, of the pages and of the gateway hub. Both have the types of the same options of
    `EndpointOptions`. With `authenticate`, callers must have a user unless `authorize` says
    otherwise. To read the list of hubs and routes, the OpenAPI document and the status of the
    console, callers also have to meet `authorize_orchestration`. To call a route, callers also have
    to meet `authorize_call`; if this is a function, it gets a `CallContext`. `/healthz` answers to
    all callers, but names hubs only to callers who may read the list of hubs. The function
    `user_id` of `hub_options` applies to the API, too.

    With `send`, the API also sends messages to clients of the gateway hub, counts them and
    disconnects them. `send` is true or an async function that decides for each request. If it is
    true and there is `authenticate`, callers need the scope ``send``.

    Raises ValueError if `hub_options` or `endpoint_options` sets an option that belongs in
    `limits`, in the orchestrator or in an argument, or if the orchestrator names policies and there
    is no `authenticate`. Raises `OrchestrationError` if the relay, a relayed hub or a hub with a
    connection for each user contradicts other settings. Starting the application raises
    `OrchestrationError` if a function that builds a connection fails.
    """
    check_types(limits, hub_options, endpoint_options)
    check_places(hub_options, endpoint_options)
    orchestrator.check_relay()
    if send and not orchestrator.serves_gateway_hub:
        off = "start_gateway_hub" if not orchestrator.start_gateway_hub else "relay"
        raise ValueError(f"send needs the gateway hub, which {off} has switched off")
    authenticator = None if authenticate is None else authenticator_of(authenticate)
    requirement: Authorize = authenticator is not None if authorize is None else authorize
    check_requirements(
        requirement, authorize_orchestration, authorize_call, has_users=authenticator is not None
    )
    call_hook = None if authorize_call is False else CallHook(authorize_call)
    policies = Policies(orchestrator)
    if authenticator is None and not policies.are_empty:
        raise ValueError("policies and authenticated routes need a user: set authenticate")
    of_hub = hub_options or HubOptions()
    orchestrator.require_users(
        has_tokens=authenticator is not None,
        may_change_user=of_hub.allow_user_identifier_change_on_authentication_refresh,
    )
    requirements = (requirement, authorize_orchestration, authorize_call)
    is_open = authenticator is None and not any(each is not False for each in requirements)
    user_id = of_hub.user_id or default_user_id
    access: Access | None = None
    if not is_open:
        access = Access(authenticator, requirement, authorize_orchestration, call_hook, user_id)
    if authenticator is None:
        require_no_relayed_hubs(orchestrator)
    app = web.Application()
    # First, because the router tries paths in order, and calls are the most frequent requests.
    mount = Mount(app)
    memory = MemoryMark(limits.maximum_memory)
    hub_path = orchestrator.gateway_hub_path if orchestrator.serves_gateway_hub else None
    gate = Gate(mount, hub_path, memory)
    gate.guard(app)
    HostGuard(allowed_hosts).guard(app)
    OriginGuard(orchestrator.allowed_origins).guard(app)
    client_limits = ClientLimits(limits, monotonic)
    LimitGuard(mount, hub_path, client_limits).guard(app)
    idempotent = IdempotentCalls(limits.maximum_kept_answers, limits.maximum_kept_answers_size)
    app.on_response_prepare.append(_harden)
    app.on_shutdown.append(_begin_stop)  # first, because closing the clients takes time
    hubs = dict(orchestrator.hubs)
    tables = RoutingTables(hubs, policies, sends=bool(send))
    downstreams = Downstreams(hubs, make_downstream)
    send_api: SendApi | None = None
    hub: GatewayHubParts | None = None
    if orchestrator.serves_gateway_hub:
        of_clients = limited(of_hub, limits)
        services = GatewayServices(
            tables,
            downstreams,
            limits,
            client_limits=client_limits,
            maximum_call_size=of_clients.maximum_receive_message_size,
            is_overloaded=lambda: memory.is_exceeded,
            call_hook=call_hook,
        )
        hub = _map_gateway_hub(
            app,
            orchestrator.gateway_hub_path,
            services,
            hubs,
            _longest_labels(hubs) if send else (),
            _answering_large_calls(of_clients, limits.maximum_refused_call_size),
            replace(
                limited(endpoint_options or EndpointOptions(), limits),
                authenticate=authenticator,
                authorize=requirement,
            ),
        )
        if send:
            policy: SendPolicy = allow_all if authenticator is None else allow_scope
            if callable(send):
                policy = send
            send_api = SendApi(hub.sender, tables, limits, idempotent, policy)
    elif authenticator is not None:  # with a gateway hub, its path starts and closes it
        app.cleanup_ctx.append(_started(authenticator))
    target = RelayTarget(orchestrator, tables) if orchestrator.relay else None
    HttpApi(mount, tables, downstreams, limits, client_limits, idempotent, access, send_api, target)
    gateway = Gateway(tables, downstreams, gate, hub, Stop(gate, downstreams), memory, target)
    app[GATEWAY] = gateway
    if console:
        add_console(app, downstreams, hub, access, policies, target)
    if swagger:
        security = security_of(authenticator, requirement)
        documents = OpenApiDocuments(orchestrator, policies, security)
        add_swagger(app, document_handler(documents, access, send_api))
    app.on_shutdown.append(_finish_stop)
    app.cleanup_ctx.append(_running)
    return app


def _map_gateway_hub(
    app: web.Application,
    path: str,
    services: GatewayServices,
    hubs: Mapping[str, DownstreamHub],
    labels: Collection[str],
    hub_options: HubOptions,
    endpoint_options: EndpointOptions,
) -> GatewayHubParts:
    lifetime = DefaultHubLifetimeManager()
    is_relayed = any(hub.relayed for hub in hubs.values())

    def make_hub() -> GatewayHub:
        if is_relayed:
            return RelayedGatewayHub(services, broadcaster.on_event)
        return GatewayHub(services)

    context = map_hub(
        app,
        path,
        RelayedGatewayHub if is_relayed else GatewayHub,
        lifetime=lifetime,
        hub_options=replace(
            _gateway_hub_options(
                services.tables.all_channels,
                labels,
                services.limits.maximum_subscriptions_per_connection,
                hub_options,
            ),
            filters=(RefusedClients(services), *hub_options.filters),
        ),
        endpoint_options=endpoint_options,
        hub_factory=make_hub,
    )
    broadcaster = Broadcaster(
        services.tables, hubs, context, services.clients_by_protocol, lifetime
    )
    return GatewayHubParts(
        path, context, broadcaster, Sender(context, services.clients_by_protocol)
    )


def _answering_large_calls(options: HubOptions, size: int) -> HubOptions:
    """Copy `options`, so that the gateway hub receives a large call and can refuse it (GW-50)."""
    limit = options.maximum_receive_message_size
    return replace(
        options, maximum_receive_message_size=None if limit is None else max(limit, size)
    )


def _gateway_hub_options(
    channels: Collection[str],
    labels: Collection[str],
    maximum_subscriptions: int,
    options: HubOptions,
) -> HubOptions:
    """Copy `options`, with limits of groups that allow all channels: each channel is a group.

    `labels` are the longest channels of sends. If there are any, each subscription joins one
    channel of sends in addition to its channels of events.
    """
    groups = len(channels) + (maximum_subscriptions if labels else 0)
    names = (*channels, *labels)
    return replace(
        options,
        maximum_groups_per_connection=max(options.maximum_groups_per_connection, groups),
        maximum_group_name_length=max(
            options.maximum_group_name_length, *(len(name) for name in names), 1
        ),
    )


def _started(
    authenticator: Authenticator,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def start(_app: web.Application) -> AsyncIterator[None]:
        try:
            await authenticator.start()
            yield
        finally:
            await authenticator.close()

    return start


def _longest_labels(hubs: Mapping[str, DownstreamHub]) -> list[str]:
    """For each route that needs a subscription, the longest channel of its subscriptions."""
    user = "\0" * MAXIMUM_USER_ID_LENGTH  # NUL takes the most bytes of all characters in JSON
    return [
        send_channel(Subscription(hub.api, group=route.receive_group, route=route.key, user=user))
        for hub in hubs.values()
        for route in hub.routes.values()
        if route.broadcast_type.needs_subscription
    ]


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    harden(response)


async def _running(app: web.Application) -> AsyncIterator[None]:
    gateway = app[GATEWAY]
    if gateway.relay_target is not None:
        on_event: OnEvent | None = gateway.relay_target.start()
    else:
        on_event = None if gateway.hub is None else gateway.hub.broadcaster.on_event
    gateway.downstreams.start(on_event)
    hubs = gateway.tables.hubs.values()
    routes = sum(len(hub.routes) for hub in hubs)
    event_loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    text = "gateway started on %s (hubs: %d, routes: %d)"
    log.info(text, event_loop, len(hubs), routes)
    gateway.memory.start(asyncio.get_running_loop())
    yield
    gateway.memory.stop()
    await gateway.downstreams.stop()
    if gateway.relay_target is not None:
        await gateway.relay_target.stop()
    log.info("gateway stopped")


async def _begin_stop(app: web.Application) -> None:
    app[GATEWAY].stop.begin()


async def _finish_stop(app: web.Application) -> None:
    await app[GATEWAY].stop.finish()
