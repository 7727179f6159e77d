"""Calls the `build_hub_connection` functions of an orchestration and checks the results (GW-3).

`downstream.hub` starts the connections.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol import HubConnection, HubConnectionBuilder

from ..logs.redaction import describe_failure
from ..orchestration.checks import OrchestrationError
from ..orchestration.hub_options import DEFAULT_MAXIMUM_ITEM_WAIT
from ..orchestration.orchestrator import DownstreamHub


def build_connections(
    hubs: Mapping[str, DownstreamHub], urls: dict[str, tuple[str, ...]] | None = None
) -> dict[str, HubConnection]:
    """Call the `build_hub_connection` function of each hub, and return the connections by api.

    The connections are not started. `urls`, if given, receives one entry for each api: the URLs of
    the hub, which are empty if the function sets none. Raises `OrchestrationError` if a function
    fails, or if two functions return the same connection. The gateway could then not know which hub
    has sent an event.
    """
    connections: dict[str, HubConnection] = {}
    for api, hub in hubs.items():
        builder = _builder(hub)
        connection = _build(hub, builder)
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
    return _build(hub, _builder(hub))


def _builder(hub: DownstreamHub) -> HubConnectionBuilder:
    builder = HubConnectionBuilder().with_maximum_send_message_size(hub.maximum_message_size)
    builder.with_redirects(hub.redirects)  # (GW-29)
    return builder.with_maximum_item_wait(DEFAULT_MAXIMUM_ITEM_WAIT)  # (GW-32)


def _build(hub: DownstreamHub, builder: HubConnectionBuilder) -> HubConnection:
    def error(problem: str) -> OrchestrationError:
        return OrchestrationError(problem, hub=hub.api, field="build_hub_connection")

    try:
        connection = hub.build_hub_connection(builder)
    except Exception as exc:
        raise error(f"failed: {describe_failure(exc)}") from exc
    if not isinstance(connection, HubConnection):
        raise error(
            f"must return the built HubConnection, not {type(connection).__name__};"
            " the last call of the chain is .build()"
        )
    return connection
