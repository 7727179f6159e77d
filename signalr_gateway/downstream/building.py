"""Calls the functions of an orchestration that build connections and checks the results (GW-3).

`downstream.hub` starts the connections to hubs, and `clients.other_gateway` the one to another
gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocol import HubConnection, HubConnectionBuilder

from ..logs.redaction import describe_failure
from ..orchestration.checks import OrchestrationError
from ..orchestration.hub_options import DEFAULT_MAXIMUM_ITEM_WAIT
from ..orchestration.orchestrator import (
    DEFAULT_MAXIMUM_RELAY_SIZE,
    DownstreamHub,
    Orchestrator,
)


def build_connections(
    hubs: Mapping[str, DownstreamHub], urls: dict[str, tuple[str, ...]] | None = None
) -> dict[str, HubConnection]:
    """Call the `build_hub_connection` function of each hub, and return the connections by api.

    Hubs without such a function get no connection.
    The connections are not started. `urls`, if given, receives one entry for each api: the URLs of
    the hub, which are empty if the function sets none. Raises `OrchestrationError` if a function
    fails, or if two functions return the same connection. The gateway could then not know which hub
    has sent an event.
    """
    connections: dict[str, HubConnection] = {}
    for api, hub in hubs.items():
        if hub.build_hub_connection is None:
            continue
        builder = _builder(hub)
        connection = _build(hub.build_hub_connection, builder, hub.api, "build_hub_connection")
        if urls is not None:
            urls[api] = builder.urls
        for other, taken in connections.items():
            if taken is connection:
                problem = f"returned the same connection as hub {other!r}; each hub needs its own"
                raise OrchestrationError(problem, hub=api, field="build_hub_connection")
        connections[api] = connection
    return connections


def build_connection(hub: DownstreamHub) -> HubConnection:
    """Build one more connection to `hub`, not started. Raises `OrchestrationError`."""
    assert hub.build_hub_connection is not None
    return _build(hub.build_hub_connection, _builder(hub), hub.api, "build_hub_connection")


def build_relay_connection(orchestrator: Orchestrator) -> HubConnection:
    """Build the connection to the other gateway, not started. Raises `OrchestrationError`."""
    builder = HubConnectionBuilder().with_maximum_send_message_size(DEFAULT_MAXIMUM_RELAY_SIZE)
    builder.with_redirects([])
    url = orchestrator.gateway_hub_url
    build = orchestrator.build_relay_connection or (lambda builder: builder.with_url(url).build())
    return _build(build, builder, None, "build_relay_connection")


def _builder(hub: DownstreamHub) -> HubConnectionBuilder:
    builder = HubConnectionBuilder().with_maximum_send_message_size(hub.maximum_message_size)
    builder.with_redirects(hub.redirects)  # (GW-29)
    return builder.with_maximum_item_wait(DEFAULT_MAXIMUM_ITEM_WAIT)  # (GW-32)


def _build(
    build: Callable[[HubConnectionBuilder], HubConnection],
    builder: HubConnectionBuilder,
    api: str | None,
    field: str,
) -> HubConnection:
    """Call `build`, which `field` of the hub `api`, or of the orchestrator, has set."""
    try:
        connection = build(builder)
    except Exception as exc:
        raise OrchestrationError(f"failed: {describe_failure(exc)}", hub=api, field=field) from exc
    if not isinstance(connection, HubConnection):
        raise OrchestrationError(
            f"must return the built HubConnection, not {type(connection).__name__};"
            " the last call of the chain is .build()",
            hub=api,
            field=field,
        )
    return connection
