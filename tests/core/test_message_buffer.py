"""Stateful reconnect without I/O: MessageBuffer, and two HubPeers whose transport is cut (SR)."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.handshake import ClientHandshake, ServerHandshake
from protocol.json.protocol import JsonHubProtocol
from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.message_buffer import MessageBuffer
from protocol.messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    Ping,
    ReceivedMessage,
    Role,
    Sequence,
    StreamBindingFailure,
    StreamInvocation,
    StreamItem,
)
from protocol.peer import HubPeer
from protocol.peer_state import PeerState

PROTOCOL: Final = JsonHubProtocol()
REQUEST: Final = ClientHandshake(PROTOCOL, 2).request()
COUNTED: Final[list[ReceivedMessage]] = [
    Invocation(target="M", arguments=Raw(b"[]")),
    InvocationBindingFailure(invocation_id="1", target="M", error="no"),
    StreamItem(invocation_id="1", item=Raw(b"1")),
    StreamBindingFailure(invocation_id="1", error="no"),
    Completion(invocation_id="1"),
    StreamInvocation(invocation_id="1", target="M", arguments=Raw(b"[]")),
    CancelInvocation(invocation_id="1"),
]
UNCOUNTED: Final[list[ReceivedMessage | None]] = [Ping(), Close(), Ack(sequence_id=9), None]


def numbered(*numbers: int) -> list[ReceivedMessage | None]:
    return [Completion(invocation_id=str(number)) for number in numbers]


def received(buffer: MessageBuffer, *messages: ReceivedMessage | None) -> list[object]:
    return list(buffer.receive(iter(messages)))


def owes_ack(buffer: MessageBuffer) -> bool:
    return buffer.owes_ack


class TestReceiving:
    def test_what_is_counted(self) -> None:
        """SR-2, SR-6: calls, items, answers and cancels; binding failures too."""
        buffer = MessageBuffer(100)
        assert received(buffer, *UNCOUNTED) == UNCOUNTED
        assert owes_ack(buffer) is False
        assert received(buffer, *COUNTED, *UNCOUNTED) == COUNTED + UNCOUNTED
        assert owes_ack(buffer) is True
        assert buffer.next_ack() == Ack(sequence_id=len(COUNTED))
        assert owes_ack(buffer) is False

    def test_an_ack_is_owed_for_what_was_taken(self) -> None:
        """SR-6: messages that the connection has not handled yet are not acknowledged."""
        buffer = MessageBuffer(100)
        messages = buffer.receive(iter(numbered(1, 2, 3)))
        next(messages)
        next(messages)
        assert buffer.next_ack() == Ack(sequence_id=2)

    def test_duplicates_are_dropped(self) -> None:
        """SR-5, SR-14: None takes their place. They are acknowledged once."""
        buffer = MessageBuffer(100)
        received(buffer, *numbered(1, 2))
        again = received(buffer, Sequence(sequence_id=2), *numbered(2), Ping(), *numbered(3))
        assert again == [Sequence(sequence_id=2), None, Ping(), *numbered(3)]
        assert buffer.next_ack() == Ack(sequence_id=3)

    @pytest.mark.parametrize("number", [0, -(2**63)])
    def test_any_low_sequence_is_accepted(self, number: int) -> None:
        """SR-14."""
        buffer = MessageBuffer(100)
        received(buffer, *numbered(1), Sequence(sequence_id=number))
        assert received(buffer, *numbered(2)) == [None]

    def test_the_next_number_is_the_highest_sequence(self) -> None:
        """SR-14."""
        buffer = MessageBuffer(100)
        assert received(buffer, *numbered(1), Sequence(sequence_id=2), *numbered(2))[-1:] == (
            numbered(2)
        )
        with pytest.raises(RemoteProtocolError) as caught:
            received(buffer, Sequence(sequence_id=4))
        assert str(caught.value) == "Sequence ID greater than amount of messages we've received."
        assert caught.value.exception_name == "InvalidOperationException"


class TestSending:
    @pytest.mark.parametrize(("size", "passes"), [(500, True), (501, False)])
    def test_it_is_full_above_the_limit(self, size: int, passes: bool) -> None:
        """SR-8: the frame that exceeds the limit is sent, the next one is held back."""
        buffer = MessageBuffer(500)
        assert buffer.add(b"a" * size) == b"a" * size
        assert buffer.add(b"b") == (b"b" if passes else b"")
        assert (buffer.size, buffer.held_size) == ((501, 0) if passes else (501, 1))

    def test_it_is_full_until_it_is_below_the_limit(self) -> None:
        """SR-8: at the limit is not enough."""
        buffer = MessageBuffer(500)
        for each in (b"a" * 500, b"b" * 499, b"c"):
            buffer.add(each)
        received(buffer, Ack(sequence_id=0))
        assert (buffer.release(), buffer.held_size) == (b"", 1)
        received(buffer, Ack(sequence_id=1))
        assert (buffer.release(), buffer.size, buffer.held_size) == (b"c", 500, 0)
        buffer = MessageBuffer(500)
        for each in (b"a" * 500, b"b" * 500, b"c"):
            buffer.add(each)
        received(buffer, Ack(sequence_id=1))
        assert (buffer.release(), buffer.size, buffer.held_size) == (b"", 500, 1)

    def test_frames_are_released_until_it_is_full_again(self) -> None:
        """SR-8: in order, and frames that are added later wait behind them."""
        buffer = MessageBuffer(10)
        for each in (b"a" * 11, b"b" * 8, b"c" * 8, b"d"):
            buffer.add(each)
        received(buffer, Ack(sequence_id=1))
        assert buffer.release() == b"b" * 8 + b"c" * 8
        assert buffer.add(b"e") == b""
        received(buffer, Ack(sequence_id=3))
        assert (buffer.release(), buffer.add(b"f")) == (b"de", b"f")

    def test_any_ack_is_accepted(self) -> None:
        """SR-7: an old one, and one for messages that were never sent."""
        buffer = MessageBuffer(100)
        for each in (b"a", b"b"):
            buffer.add(each)
        received(buffer, Ack(sequence_id=1), Ack(sequence_id=0), Ack(sequence_id=-5))
        assert buffer.replay() == (Sequence(sequence_id=2), b"b")
        received(buffer, Ack(sequence_id=99))
        buffer.add(b"c")
        assert buffer.replay() == (Sequence(sequence_id=3), b"c")

    def test_a_replay_has_all_frames_without_an_ack(self) -> None:
        """SR-4, SR-13: each time, and without frames that are held back."""
        buffer = MessageBuffer(3)
        assert buffer.replay() == (Sequence(sequence_id=1), b"")
        for each in (b"aa", b"bb", b"cc"):
            buffer.add(each)
        assert buffer.replay() == buffer.replay() == (Sequence(sequence_id=1), b"aabb")
        received(buffer, Ack(sequence_id=2))
        assert buffer.replay() == (Sequence(sequence_id=3), b"")
        assert buffer.release() == b"cc"

    def test_a_replay_repeats_the_last_ack(self) -> None:
        """SR-6: it may have been lost with the transport."""
        buffer = MessageBuffer(100)
        buffer.replay()
        assert owes_ack(buffer) is False
        received(buffer, *numbered(1))
        buffer.next_ack()
        buffer.replay()
        assert owes_ack(buffer) is True
        assert buffer.next_ack() == Ack(sequence_id=1)

    def test_the_end_releases_all(self) -> None:
        buffer = MessageBuffer(1)
        for each in (b"aa", b"b", b"c"):
            buffer.add(each)
        assert (buffer.release_all(), buffer.release_all(), buffer.held_size) == (b"bc", b"", 0)


def peer(role: Role, *, version: int = 2, limit: int = 100, interval: float = 15) -> HubPeer:
    handshake = (
        ClientHandshake(PROTOCOL, version)
        if role is Role.CLIENT
        else ServerHandshake({"json": PROTOCOL})
    )
    clock = KeepAlive(role, interval=interval, timeout=30)
    return HubPeer(role, handshake, clock, None, message_buffer=MessageBuffer(limit))


def connected(*, version: int = 2, limit: int = 100) -> tuple[HubPeer, HubPeer]:
    client, server = (peer(role, version=version, limit=limit) for role in Role)
    assert server.receive_handshake(client.request_handshake(), 0) == b""
    assert client.receive_handshake(server.accept_handshake(0), 0) == b""
    return client, server


def answer(number: int) -> Completion:
    return Completion(invocation_id=str(number))


def taken(it: HubPeer, data: bytes, now: float = 0) -> list[ReceivedMessage | None]:
    return list(it.receive_data(data, now))


class TestPeer:
    @pytest.mark.parametrize(("version", "is_counted"), [(1, False), (2, True)])
    def test_the_version_of_the_handshake_decides(self, version: int, is_counted: bool) -> None:
        """SR-1, H-5."""
        for each in connected(version=version):
            assert (each.message_buffer is not None) is is_counted

    def test_a_peer_without_a_buffer_cannot_resume(self) -> None:
        client, _ = connected(version=1)
        assert client.acknowledge(0) == b""
        with pytest.raises(LocalProtocolError, match="A client cannot change its transport"):
            client.resume(0)

    @pytest.mark.parametrize("role", Role)
    def test_a_handshake_continues_on_a_new_transport(self, role: Role) -> None:
        """SR-21: it has no Sequence, and the bytes received before the cut count."""
        it = peer(role)
        record = REQUEST if role is Role.SERVER else b"{}\x1e"
        assert it.receive_handshake(record[:1], 0) is None
        assert it.resume(0) == b""
        assert it.receive_handshake(record[1:], 0) == b""

    @pytest.mark.parametrize("end", ["sent", "received"])
    def test_a_close_prevents_a_resume(self, end: str) -> None:
        """SR-9, SR-18."""
        client, _ = connected()
        if end == "sent":
            client.send(Close(), 0)
        else:
            taken(client, PROTOCOL.encode(Close()))
        with pytest.raises(LocalProtocolError):
            client.resume(0)

    def test_an_unfinished_message_is_dropped(self) -> None:
        """SR-13: the other end sends it again."""
        client, server = connected()
        first, second = client.send(answer(1), 0), client.send(answer(2), 0)
        assert taken(server, first + second[:-1]) == [answer(1)]
        server.resume(0)
        assert taken(server, client.resume(0)) == [Sequence(sequence_id=1), None, answer(2)]

    def test_a_resume_starts_the_timeout_again(self) -> None:
        """K-1, K-3: pings that were due without a transport are not sent later."""
        client, _ = connected()
        client.resume(100)
        assert client.keep_alive.next_deadline() == 115
        assert client.keep_alive.handle_timeout(114) is KeepAliveAction.NOTHING

    def test_only_counted_messages_are_held_back(self) -> None:
        """SR-8: Acks, pings and the Close are not."""
        client, server = connected(limit=1)
        taken(server, client.send(answer(1), 0))
        assert server.send(answer(1), 0)
        assert not server.send(answer(2), 0)
        assert server.acknowledge(0) == PROTOCOL.encode(Ack(sequence_id=1))
        assert server.send(Ping(), 0)
        assert server.send(Close(), 0)

    def test_no_ack_follows_the_close(self) -> None:
        client, server = connected()
        taken(server, client.send(answer(1), 0))
        server.send(Close(), 0)
        assert server.acknowledge(0) == b""

    def test_a_wrong_sequence_ends_receiving(self) -> None:
        """SR-14, S-20."""
        _, server = connected()
        with pytest.raises(RemoteProtocolError):
            taken(server, PROTOCOL.encode(Sequence(sequence_id=2)))
        assert server.state is PeerState.HALF_CLOSED_REMOTE


class Link:
    """One direction: the messages of ``sender`` on their way to ``receiver``."""

    def __init__(self, sender: HubPeer, receiver: HubPeer) -> None:
        self.sender, self.receiver = sender, receiver
        self.wire = b""
        self.sent = 0
        self.received: list[int] = []

    def send(self) -> None:
        self.sent += 1
        self.wire += self.sender.send(answer(self.sent), 0)

    def deliver(self, size: int, back: "Link") -> None:
        data, self.wire = self.wire[:size], self.wire[size:]
        for message in self.receiver.receive_data(data, 0):
            if isinstance(message, Completion):
                self.received.append(int(message.invocation_id))
            elif isinstance(message, Ack):
                buffer = self.receiver.message_buffer
                assert buffer is not None
                back.wire += buffer.release()

    def acknowledge(self) -> None:
        self.wire += self.sender.acknowledge(0)

    def actions(self, back: "Link") -> list[Callable[[int], None]]:
        return [
            lambda _: self.send(),
            lambda _: self.acknowledge(),
            lambda size: self.deliver(size, back),
        ]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 90)), max_size=120))
def test_every_message_arrives_once_and_in_order(steps: list[tuple[int, int]]) -> None:
    """SR-3 to SR-8, SR-13: whatever is lost in a cut, and however small the buffers are."""
    client, server = connected(limit=90)
    there, back = Link(client, server), Link(server, client)

    def cut() -> None:
        there.wire, back.wire = client.resume(0), server.resume(0)

    actions = [*there.actions(back), *back.actions(there)]
    for number, size in steps:
        if number < len(actions):
            actions[number](size)
        else:
            cut()
    cut()
    while there.wire or back.wire:
        for one, other in ((there, back), (back, there)):
            one.deliver(len(one.wire), other)
            other.acknowledge()
    for each in (there, back):
        assert each.received == list(range(1, each.sent + 1))
        assert each.sender.message_buffer is not None
        assert (each.sender.message_buffer.size, each.sender.message_buffer.held_size) == (0, 0)
