"""What tests of the way to a hub have in common."""

from typing import Any

import pytest

from protocol import HubConnection, HubConnectionBuilder, HubConnectionState, NegotiationError


def builder(url: str, **more: Any) -> HubConnectionBuilder:
    return HubConnectionBuilder().with_url(url, **more)


async def refused(connection: HubConnection) -> NegotiationError:
    """Why a start fails; nothing is left behind (the fixture sees to that)."""
    with pytest.raises(NegotiationError) as caught:
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    return caught.value
