"""A burst of messages in one turn of the event loop disconnects no client that reads (GW-24)."""

import pytest

from protocol import HttpRequestData, HubOptions
from protocol.json.protocol import JsonHubProtocol
from protocol.server.connection_context import HubConnectionContext
from protocol.server.lifetime import DefaultHubLifetimeManager
from tests.support.idle_connection import IdleTransport


class Socket(IdleTransport):
    """A transport whose socket takes all flushed bytes, or none."""

    def __init__(self, *, takes: bool) -> None:
        super().__init__()
        self.takes = takes
        self.is_aborted = False
        self.taken = 0

    def flush(self) -> None:
        if self.takes:
            self.taken += self.buffered
            self.buffered = 0

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize("takes", [True, False])
async def test_only_who_does_not_read_is_cut_off(takes: bool) -> None:
    """Four times the maximum is sent at once: it is cut only if the socket takes no bytes."""
    socket = Socket(takes=takes)
    request = HttpRequestData("GET", "/hub", "", {}, None)
    options = HubOptions(maximum_outbound_buffer_size=1024 * 1024)
    connection = HubConnectionContext("c", request, None, socket, options)
    connection.hub_protocol = JsonHubProtocol()
    manager = DefaultHubLifetimeManager()
    await manager.on_connected(connection)
    for _ in range(4 * 1024):
        await manager.send_all("Event", ["x" * 1024])
    assert (connection.ending is None) is takes
    assert socket.is_aborted is not takes
    assert socket.buffered <= 2 * 1024 * 1024
    if takes:
        assert socket.taken + socket.buffered > 4 * 1024 * 1024
