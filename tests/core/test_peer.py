"""HubPeer: two of them back to back, and one against a rude peer; no event loop, no real clock."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import HandshakeError, RemoteProtocolError
from protocol.handshake import ClientHandshake, ServerHandshake, write_response
from protocol.json_protocol import JsonHubProtocol
from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messages import (
    MAY_SEND,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ReceivedMessage,
    Role,
)
from protocol.peer import HubPeer
from tests.strategies import messages, slices

PROTOCOL: Final = JsonHubProtocol()
REQUEST: Final = b'{"protocol":"json","version":1}\x1e'
PING: Final = b'{"type":6}\x1e'
ADD: Final = b'{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}\x1e'
NEVER: Final = float("inf")


def peer(role: Role, *, timeout: float = 30.0, maximum: int | None = None) -> HubPeer:
    handshake = (
        ClientHandshake(PROTOCOL)
        if role is Role.CLIENT
        else ServerHandshake({"json": PROTOCOL}, maximum_size=maximum)
    )
    clock = KeepAlive(role, interval=NEVER, timeout=timeout, now=0.0)
    return HubPeer(role, handshake, clock, maximum)


def connected(role: Role, *, timeout: float = 30.0, maximum: int | None = None) -> HubPeer:
    it = peer(role, timeout=timeout, maximum=maximum)
    assert it.receive_handshake(b"{}\x1e" if role is Role.CLIENT else REQUEST) == b""
    return it


def receive(it: HubPeer, data: bytes, now: float = 0.0) -> list[ReceivedMessage]:
    return list(it.receive_data(data, now))


def receive_until_fault(it: HubPeer, data: bytes) -> tuple[list[ReceivedMessage], str]:
    """The messages before the fault, and the fault's text."""
    received: list[ReceivedMessage] = []
    with pytest.raises(RemoteProtocolError) as caught:
        received.extend(it.receive_data(data, 0.0))
    return received, str(caught.value)


class TestHandshake:
    def test_is_done_on_both_sides_after_one_record_each_way(self) -> None:
        client, server = peer(Role.CLIENT), peer(Role.SERVER)
        assert [it.is_connected for it in (client, server)] == [False, False]
        assert server.receive_handshake(REQUEST) == b""
        assert client.receive_handshake(write_response()) == b""
        assert [it.is_connected for it in (client, server)] == [True, True]
        assert client.hub_protocol is server.hub_protocol is PROTOCOL

    def test_what_follows_it_is_handed_back(self) -> None:
        """H-3."""
        server = peer(Role.SERVER)
        assert server.receive_handshake(REQUEST[:10]) is None
        rest = server.receive_handshake(REQUEST[10:] + PING + ADD[:5])
        assert rest == PING + ADD[:5]
        assert receive(server, rest) == [Ping()]
        assert [type(it) for it in receive(server, ADD[5:])] == [Invocation]

    @pytest.mark.parametrize("role", Role)
    def test_a_refused_one_raises(self, role: Role) -> None:
        it = peer(role)
        with pytest.raises(HandshakeError):
            it.receive_handshake(b"[]\x1e")
        assert not it.is_connected


@given(st.data(), st.lists(messages(), max_size=6), st.sampled_from(Role))
def test_any_slices_yield_the_same_messages(
    data: st.DataObject, sent: list[HubMessage], role: Role
) -> None:
    sent = [message for message in sent if type(message) in MAY_SEND[role]]
    stream = b"".join(map(PROTOCOL.encode, sent))
    it = connected(role.other)
    received = [
        message for chunk in data.draw(slices(stream)) for message in it.receive_data(chunk, 0.0)
    ]
    assert received == sent
    it.receive_end()


class TestFaults:
    def test_messages_before_a_bad_one_are_served(self) -> None:
        """S-20."""
        received, error = receive_until_fault(
            connected(Role.SERVER), PING + ADD + b'{"type":null}\x1e' + ADD
        )
        assert [type(it) for it in received] == [Ping, Invocation]
        assert error == "Expected 'type' to be of type Number."

    def test_messages_before_a_large_one_are_served(self) -> None:
        received, error = receive_until_fault(
            connected(Role.SERVER, maximum=100), PING + b"x" * 100 + b"\x1e"
        )
        assert received == [Ping()]
        assert error.startswith("The maximum message size of 100B was exceeded.")

    def test_the_limit_is_that_of_each_message(self) -> None:
        """F-4."""
        server = connected(Role.SERVER, maximum=len(REQUEST))
        assert receive(server, PING * 50) == [Ping()] * 50

    def test_types_nobody_knows_are_skipped(self) -> None:
        """J-9, S-22: and what is behind them is served, unlike ASP.NET Core does."""
        data = b'{"type":99}\x1e{"type":0,"x":[1]}\x1e' + PING
        assert receive(connected(Role.SERVER), data) == [Ping()]

    @pytest.mark.parametrize("role", Role)
    def test_an_end_inside_a_message(self, role: Role) -> None:
        """F-3."""
        it = connected(role)
        assert receive(it, PING + PING[:3]) == [Ping()]
        with pytest.raises(RemoteProtocolError) as caught:
            it.receive_end()
        assert str(caught.value) == "Connection terminated while reading a message."

    def test_an_end_between_messages(self) -> None:
        it = connected(Role.SERVER)
        it.receive_end()
        assert receive(it, PING) == [Ping()]
        it.receive_end()

    def test_an_end_before_the_handshake(self) -> None:
        """H-11: there is nobody to complain to."""
        it = peer(Role.SERVER)
        assert it.receive_handshake(REQUEST[:5]) is None
        it.receive_end()


class TestRoles:
    """What one side may send the other may not (C-18)."""

    @pytest.mark.parametrize("kind", ["stream-invocation", "cancel"])
    def test_a_client_closes_over_what_only_clients_send(self, kind: str) -> None:
        data = {
            "stream-invocation": b'{"type":4,"invocationId":"1","target":"M","arguments":[]}\x1e',
            "cancel": b'{"type":5,"invocationId":"1"}\x1e',
        }[kind]
        received, error = receive_until_fault(connected(Role.CLIENT), PING + data)
        assert received == [Ping()]
        assert error.startswith("Unexpected message type: ")
        assert len(receive(connected(Role.SERVER), data)) == 1

    @pytest.mark.parametrize("role", Role)
    def test_both_may_call_complete_and_close(self, role: Role) -> None:
        data = ADD + b'{"type":3,"invocationId":"1"}\x1e{"type":7}\x1e'
        kinds = [type(it) for it in receive(connected(role), data)]
        assert kinds == [Invocation, Completion, Close]


class TestKeepAlive:
    """The peer tells the clock what it hears; K-2, K-3."""

    def test_a_ping_makes_the_server_watch(self) -> None:
        server = connected(Role.SERVER, timeout=30)
        receive(server, ADD, now=5)
        assert server.keep_alive.tick(1000) is KeepAliveAction.NOTHING
        receive(server, PING, now=1000)
        assert server.keep_alive.tick(1030) is KeepAliveAction.NOTHING
        assert server.keep_alive.tick(1031) is KeepAliveAction.TIMEOUT

    @pytest.mark.parametrize("data", [ADD, PING, b'{"type":99}\x1e'])
    def test_any_whole_message_is_a_sign_of_life(self, data: bytes) -> None:
        client = connected(Role.CLIENT, timeout=30)
        receive(client, data, now=20)
        assert client.keep_alive.tick(50) is KeepAliveAction.NOTHING
        assert client.keep_alive.tick(51) is KeepAliveAction.TIMEOUT

    def test_bytes_of_an_unfinished_message_are_none(self) -> None:
        client = connected(Role.CLIENT, timeout=30)
        receive(client, PING + ADD[:-1], now=10)
        receive(client, b"", now=35)
        assert client.keep_alive.tick(41) is KeepAliveAction.TIMEOUT
