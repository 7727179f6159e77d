"""The body of the answer to `GET /healthz`, made from the states of the hubs (GW-28).

`http.api` serves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from ..clients.other_gateway import RelayTarget
from ..downstream.connection import HubState, HubStatus
from ..downstream.hub import Downstream, Downstreams
from ..orchestration.orchestrator import DownstreamHub


class HubHealth(msgspec.Struct, rename="camel"):
    """One hub's state as health answers and the console show it."""

    state: str
    since: str
    last_error: str | None
    answering: bool
    """False while a call has no answer after its timeout."""
    open_circuits: int
    """The number of routes whose calls are refused, because earlier calls timed out."""
    user_connections: int | msgspec.UnsetType = msgspec.UNSET
    """The number of users with a connection. It is missing if all callers share one."""


class RelayHealth(msgspec.Struct, rename="camel"):
    """The state of the connection to the gateway that gets the events."""

    state: str
    since: str
    last_error: str | None
    lost: int
    """The number of events that were not relayed, counted once for each of their routes."""


class Health(msgspec.Struct, omit_defaults=True):
    status: str
    hubs: dict[str, HubHealth]
    relay: RelayHealth | None = None
    """Left out unless events are relayed."""


def hub_health(downstream: Downstream) -> HubHealth:
    status = downstream.status
    users = downstream.user_connections
    return HubHealth(
        status.state.value,
        timestamp(status.since),
        status.last_error,
        downstream.is_answering,
        downstream.open_circuits,
        msgspec.UNSET if users is None else users,
    )


def overall_status(downstreams: Downstreams, relay: HubStatus | None) -> str:
    """``ok``, ``degraded`` or ``draining``.

    ``draining`` means that the gateway is stopping. ``degraded`` means that a hub is not connected,
    does not answer, or has a route whose calls are refused after timeouts. It also means that the
    gateway that gets the events is not connected. `relay` is None if events are not relayed.
    """
    if downstreams.is_draining:
        return "draining"
    is_relaying = relay is None or relay.state is HubState.CONNECTED
    return "ok" if is_relaying and all(map(_is_well, downstreams.values())) else "degraded"


def health(
    downstreams: Downstreams, relay: RelayTarget | None, shown: Iterable[DownstreamHub] | None
) -> bytes:
    """The JSON text of the answer: the overall status, and the states of the hubs `shown`.

    Hubs to which the gateway has no connection have no state. If `shown` is None, the answer has
    the overall status only. `relay` is the gateway that gets the events; None if there is none.
    """
    hubs = {
        hub.api: hub_health(downstreams[hub.api]) for hub in shown or () if hub.api in downstreams
    }
    status = None if relay is None else relay.status
    of_relay = None
    if relay is not None and status is not None and shown is not None:
        since = timestamp(status.since)
        of_relay = RelayHealth(status.state.value, since, status.last_error, relay.lost)
    return msgspec.json.encode(Health(overall_status(downstreams, status), hubs, of_relay))


def _is_well(downstream: Downstream) -> bool:
    return (
        downstream.status.state in (HubState.CONNECTED, HubState.PER_USER)
        and downstream.is_answering
        and not downstream.open_circuits
    )


def timestamp(moment: datetime) -> str:
    """The moment in UTC and whole seconds: ``2026-11-24T12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
