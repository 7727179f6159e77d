"""The body of the answer to `GET /healthz`, made from the states of the hubs (GW-28).

`http.api` serves it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ..downstream.connection import Downstreams, HubState, HubStatus


class HubHealth(msgspec.Struct, rename="camel"):
    """One hub's state as health answers and the console show it."""

    state: str
    since: str
    last_error: str | None


class Health(msgspec.Struct):
    status: str
    hubs: dict[str, HubHealth]


def hub_health(status: HubStatus) -> HubHealth:
    return HubHealth(status.state.value, timestamp(status.since), status.last_error)


def overall_status(downstreams: Downstreams) -> str:
    """``ok``, ``degraded`` if a hub is not connected, or ``draining`` while the gateway stops."""
    if downstreams.is_draining:
        return "draining"
    states = [status.state for status in downstreams.statuses.values()]
    return "ok" if all(state is HubState.CONNECTED for state in states) else "degraded"


def health(downstreams: Downstreams) -> bytes:
    """The JSON text of the answer."""
    hubs = {api: hub_health(status) for api, status in downstreams.statuses.items()}
    return msgspec.json.encode(Health(overall_status(downstreams), hubs))


def timestamp(moment: datetime) -> str:
    """The moment in UTC and whole seconds: ``2026-11-24T12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
