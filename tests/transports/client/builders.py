"""Builders of connections, for the tests that connect to a hub."""

from typing import Any

import pytest

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    HubConnectionState,
    NegotiationError,
)


def builder(url: str, **more: Any) -> HubConnectionBuilder:
    """``skip_negotiation`` brings along what it needs (N-26)."""
    if more.get("skip_negotiation"):
        more["transports"] = HttpTransportType.WEB_SOCKETS
    return HubConnectionBuilder().with_url(url, **more)


async def refused(connection: HubConnection) -> NegotiationError:
    """Why a start fails; nothing is left behind (the fixture sees to that)."""
    with pytest.raises(NegotiationError) as caught:
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    return caught.value
