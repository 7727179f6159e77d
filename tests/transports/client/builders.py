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
    """With ``skip_negotiation``, only WebSockets are allowed (N-26)."""
    if more.get("skip_negotiation"):
        more["transports"] = HttpTransportType.WEB_SOCKETS
    return HubConnectionBuilder().with_url(url, **more)


async def refused(connection: HubConnection) -> NegotiationError:
    """The error of a start that fails; its public summary has no address of a local server.

    The fixture checks that nothing is left.
    """
    with pytest.raises(NegotiationError) as caught:
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    for part in ("127.0.0.1", "localhost", "/hub", "/negotiate"):
        assert part not in caught.value.public_summary
    return caught.value
