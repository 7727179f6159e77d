"""Maps every endpoint of both recorded programs.

===================== ==========================================================================
``/chathub``          the hub of the usual tutorial
``/testhub``          the conformance hub with default options
``/testhub-detailed`` detailed errors
``/testhub-parallel`` four invocations at a time
``/testhub-small``    messages of at most 1000 bytes, detailed errors
``/testhub-unlimited`` messages of any size
``/testhub-fast``     handshake 1 s, client timeout 2 s, keep-alive 1 s, detailed errors
all others            the connection lab, see ``_map_lab``
===================== ==========================================================================
"""

from collections.abc import Callable

from aiohttp import web

from protocol import EndpointOptions, Hub, HubOptions, map_hub

from .authentication import bearer_user, query_user
from .conformance_hubs import (
    ChatHub,
    DefaultHub,
    DetailedHub,
    FastHub,
    ParallelHub,
    SmallHub,
    UnlimitedHub,
)
from .journal import Journal, LaterSender
from .lab_hubs import (
    ClientTimeoutHub,
    FailingHub,
    KeepAliveHub,
    LabDetailedHub,
    LabHub,
    ShortHandshakeHub,
    SlowEndHub,
    SlowStartHub,
    SmallMessageHub,
)
from .pages import add_pages
from .values import Greeter


def create_app(stop: Callable[[], None]) -> web.Application:
    """The application; ``stop`` ends the process that serves it."""
    app = web.Application()
    journal = Journal()
    add_pages(app, journal, stop)
    _map_conformance(app)
    _map_lab(app, journal)
    return app


def _map_conformance(app: web.Application) -> None:
    services: dict[type, Callable[[], object]] = {Greeter: Greeter}
    endpoint_options = EndpointOptions(authenticate=query_user)
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
        map_hub(app, path, hub_class, hub_options=hub_options, endpoint_options=endpoint_options)


def _map_lab(app: web.Application, journal: Journal) -> None:
    later = LaterSender(journal)
    app.on_cleanup.append(later.close)

    def map_lab(
        path: str,
        hub_class: type[LabHub],
        hub_options: HubOptions | None = None,
        endpoint_options: EndpointOptions | None = None,
        *,
        mapped: bool = False,
    ) -> None:
        """``mapped``: the class is at another path already."""
        context = map_hub(
            app,
            path,
            hub_class,
            hub_options=hub_options,
            endpoint_options=endpoint_options or EndpointOptions(authenticate=bearer_user),
            hub_factory=None if mapped else lambda: hub_class(journal, later),
        )
        if not mapped:
            later.contexts.append(context)

    map_lab("/lab", LabHub)
    for path in ("/defaults", "/websockets", "/subprotocol", "/small-buffers", "/send-timeout"):
        map_lab(path, LabHub, mapped=True)
    map_lab(
        "/minimum-version",
        LabHub,
        endpoint_options=EndpointOptions(minimum_protocol_version=1),
        mapped=True,
    )
    map_lab(
        "/close-timeout", LabHub, endpoint_options=EndpointOptions(close_timeout=1), mapped=True
    )
    map_lab("/auth/optional", LabHub, mapped=True)
    map_lab("/detailed", LabDetailedHub, HubOptions(enable_detailed_errors=True))
    map_lab("/short-handshake", ShortHandshakeHub, HubOptions(handshake_timeout=1))
    map_lab("/keep-alive", KeepAliveHub, HubOptions(keep_alive_interval=2))
    map_lab(
        "/client-timeout",
        ClientTimeoutHub,
        HubOptions(enable_detailed_errors=True, client_timeout_interval=2),
    )
    map_lab(
        "/small-messages",
        SmallMessageHub,
        HubOptions(enable_detailed_errors=True, maximum_receive_message_size=64),
    )
    map_lab("/slow-end", SlowEndHub)
    map_hub(app, "/failing", FailingHub)
    map_hub(app, "/slow-start", SlowStartHub)
