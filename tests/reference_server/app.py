"""Maps every endpoint of both recorded programs.

===================== ==========================================================================
``/chathub``          the hub of the usual tutorial
``/testhub``          the conformance hub with default options
``/testhub-detailed`` detailed errors
``/testhub-parallel`` four invocations at a time
``/testhub-small``    messages of at most 1000 bytes, detailed errors
``/testhub-unlimited`` messages of any size
``/testhub-fast``     handshake 1 s, client timeout 2 s, keep-alive 1 s, detailed errors
all others            for the connection scenarios, see ``_map_connection_endpoints``
===================== ==========================================================================
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from protocol import EndpointOptions, HttpTransportType, Hub, HubOptions, map_hub

from .authentication import CookieAuthenticator, bearer_user, query_user
from .conformance_hubs import (
    ChatHub,
    DefaultHub,
    DetailedHub,
    FastHub,
    ParallelHub,
    SmallHub,
    UnlimitedHub,
)
from .connection_hubs import (
    ClientTimeoutHub,
    ConnectionHub,
    DetailedConnectionHub,
    FailingHub,
    KeepAliveHub,
    ShortHandshakeHub,
    SlowEndHub,
    SlowStartHub,
    SmallMessageHub,
    SmallStatefulHub,
    StatefulHub,
)
from .journal import Journal, LaterSender
from .pages import add_pages
from .values import Greeter


def create_app(stop: Callable[[], None]) -> web.Application:
    """The application; ``stop`` ends the process that serves it."""
    app = web.Application()
    journal = Journal()
    add_pages(app, journal, stop)
    _map_conformance(app)
    _map_connection_endpoints(app, journal)
    return app


def _map_conformance(app: web.Application) -> None:
    services: dict[type, Callable[[], object]] = {Greeter: Greeter}
    endpoint_options = EndpointOptions(authenticate=query_user)
    quick_polls = EndpointOptions(authenticate=query_user, long_polling_poll_timeout=2)
    hubs: list[tuple[str, type[Hub], HubOptions]] = [
        ("/chathub", ChatHub, HubOptions()),
        ("/testhub", DefaultHub, HubOptions(services=services)),
        (
            "/testhub-detailed",
            DetailedHub,
            HubOptions(services=services, enable_detailed_errors=True),
        ),
        (
            "/testhub-parallel",
            ParallelHub,
            HubOptions(services=services, maximum_parallel_invocations_per_client=4),
        ),
        (
            "/testhub-small",
            SmallHub,
            HubOptions(
                services=services, maximum_receive_message_size=1000, enable_detailed_errors=True
            ),
        ),
        (
            "/testhub-unlimited",
            UnlimitedHub,
            HubOptions(services=services, maximum_receive_message_size=None),
        ),
        (
            "/testhub-fast",
            FastHub,
            HubOptions(
                services=services,
                handshake_timeout=1,
                client_timeout_interval=2,
                keep_alive_interval=1,
                enable_detailed_errors=True,
            ),
        ),
    ]
    for path, hub_class, hub_options in hubs:
        map_hub(
            app,
            path,
            hub_class,
            hub_options=hub_options,
            endpoint_options=quick_polls if hub_class is FastHub else endpoint_options,
        )


def _map_connection_endpoints(app: web.Application, journal: Journal) -> None:
    later = LaterSender(journal)
    app.on_cleanup.append(later.close)
    mapped: set[type[ConnectionHub]] = set()

    def map_endpoint(
        path: str,
        hub_class: type[ConnectionHub],
        endpoint_options: EndpointOptions | None = None,
        hub_options: HubOptions | None = None,
    ) -> None:
        is_first = hub_class not in mapped
        mapped.add(hub_class)
        context = map_hub(
            app,
            path,
            hub_class,
            hub_options=hub_options,
            endpoint_options=endpoint_options or _endpoint(),
            hub_factory=(lambda: hub_class(journal, later)) if is_first else None,
        )
        if is_first:
            later.contexts.append(context)

    map_endpoint("/lab", ConnectionHub, _endpoint(long_polling_poll_timeout=2))
    for path in ("/defaults", "/subprotocol"):
        map_endpoint(path, ConnectionHub)
    map_endpoint("/auth/optional", ConnectionHub, _endpoint(long_polling_poll_timeout=2))
    map_endpoint(
        "/auth/required", ConnectionHub, _endpoint(authorize=True, long_polling_poll_timeout=2)
    )
    map_endpoint("/auth/admin", ConnectionHub, _endpoint(authorize={"admin"}))
    map_endpoint(
        "/auth/expiring",
        ConnectionHub,
        _endpoint(
            authorize=True, close_on_authentication_expiration=True, long_polling_poll_timeout=5
        ),
    )
    map_endpoint(
        "/cookie",
        ConnectionHub,
        EndpointOptions(authenticate=CookieAuthenticator(), authorize=True),
    )
    map_endpoint("/websockets", ConnectionHub, _endpoint(transports=HttpTransportType.WEB_SOCKETS))
    map_endpoint("/sse", ConnectionHub, _endpoint(transports=HttpTransportType.SERVER_SENT_EVENTS))
    map_endpoint(
        "/longpolling",
        ConnectionHub,
        _endpoint(transports=HttpTransportType.LONG_POLLING, long_polling_poll_timeout=2),
    )
    map_endpoint("/no-transports", ConnectionHub, _endpoint(transports=HttpTransportType.NONE))
    map_endpoint("/minimum-version", ConnectionHub, _endpoint(minimum_protocol_version=1))
    map_endpoint("/close-timeout", ConnectionHub, _endpoint(close_timeout=1))
    map_endpoint(
        "/small-buffers",
        ConnectionHub,
        _endpoint(
            application_max_buffer_size=1024,
            transport_max_buffer_size=1024,
            long_polling_poll_timeout=2,
        ),
    )
    map_endpoint(
        "/send-timeout",
        ConnectionHub,
        _endpoint(transport_send_timeout=1, transport_max_buffer_size=1024),
    )
    map_endpoint(
        "/cors",
        ConnectionHub,
        _endpoint(allowed_origins=["http://app.example"], long_polling_poll_timeout=2),
    )
    map_endpoint(
        "/detailed", DetailedConnectionHub, hub_options=HubOptions(enable_detailed_errors=True)
    )
    map_endpoint("/short-handshake", ShortHandshakeHub, hub_options=HubOptions(handshake_timeout=1))
    map_endpoint("/keep-alive", KeepAliveHub, hub_options=HubOptions(keep_alive_interval=2))
    map_endpoint(
        "/client-timeout",
        ClientTimeoutHub,
        hub_options=HubOptions(enable_detailed_errors=True, client_timeout_interval=2),
    )
    map_endpoint(
        "/small-messages",
        SmallMessageHub,
        hub_options=HubOptions(enable_detailed_errors=True, maximum_receive_message_size=64),
    )
    stateful = _endpoint(allow_stateful_reconnects=True)
    map_endpoint(
        "/stateful", StatefulHub, stateful, hub_options=HubOptions(enable_detailed_errors=True)
    )
    map_endpoint(
        "/stateful-small",
        SmallStatefulHub,
        stateful,
        hub_options=HubOptions(stateful_reconnect_buffer_size=500, keep_alive_interval=2),
    )
    map_endpoint(
        "/auth/stateful",
        ConnectionHub,
        _endpoint(authorize=True, allow_stateful_reconnects=True),
    )
    map_endpoint("/slow-end", SlowEndHub, stateful)
    map_hub(app, "/failing", FailingHub)
    map_hub(app, "/slow-start", SlowStartHub)


def _endpoint(**options: Any) -> EndpointOptions:
    """An endpoint of the connection scenarios: all of them read bearer tokens."""
    return EndpointOptions(authenticate=bearer_user, **options)
