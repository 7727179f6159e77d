"""HubPeer without an event loop: two connected peers, and a peer that gets arbitrary bytes."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import UNSET, Raw

from protocol.errors import (
    ConnectionClosed,
    HandshakeError,
    LocalProtocolError,
    MessageTooLargeError,
    RemoteProtocolError,
)
from protocol.handshake import (
    ClientHandshake,
    HandshakeRequest,
    ServerHandshake,
    write_request,
    write_response,
)
from protocol.hub_protocol import HubProtocol
from protocol.json.protocol import JsonHubProtocol
from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messagepack.framing import frame
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ReceivedMessage,
    Role,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from protocol.peer import HubPeer
from protocol.peer_state import MAY_SEND, PeerState
from tests.support.strategies import messages, slices
from tests.vectors.parameters import JSON, MESSAGEPACK, REQUESTS, directed, each
from tests.vectors.schema import HandshakeRequestVector, JsonVector, MessageVector, raw_bytes

from .pending_calls import Call

PROTOCOL: Final = JsonHubProtocol()
MESSAGEPACK_PROTOCOL: Final = MessagePackHubProtocol()
REQUEST: Final = b'{"protocol":"json","version":1}\x1e'
PING: Final = b'{"type":6}\x1e'
ADD: Final = b'{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}\x1e'
CLOSE: Final = b'{"type":7}\x1e'
NEVER: Final = float("inf")
ROLES: Final = st.sampled_from(Role)


def peer(
    role: Role,
    *,
    hub_protocol: HubProtocol = PROTOCOL,
    interval: float = NEVER,
    timeout: float = 30.0,
    maximum: int | None = None,
    maximum_send: int | None = None,
) -> HubPeer:
    handshake = (
        ClientHandshake(hub_protocol)
        if role is Role.CLIENT
        else ServerHandshake({hub_protocol.name: hub_protocol}, maximum_size=maximum)
    )
    clock = KeepAlive(role, interval=interval, timeout=timeout)
    return HubPeer(role, handshake, clock, maximum, maximum_send)


def connected(role: Role, *, hub_protocol: HubProtocol = PROTOCOL, **options: Any) -> HubPeer:
    it = peer(role, hub_protocol=hub_protocol, **options)
    request = write_request(HandshakeRequest(hub_protocol.name, 1))
    assert it.receive_handshake(b"{}\x1e" if role is Role.CLIENT else request, 0.0) == b""
    if role is Role.SERVER:
        it.accept_handshake(0.0)
    return it


def receive(it: HubPeer, data: bytes, now: float = 0.0) -> list[ReceivedMessage | None]:
    return list(it.receive_data(data, now))


def receive_up_to_fault(
    it: HubPeer, data: bytes
) -> tuple[list[ReceivedMessage | None], str | None]:
    """The messages before the fault, and the fault's text; None where there is none."""
    received: list[ReceivedMessage | None] = []
    try:
        received.extend(it.receive_data(data, 0.0))
    except RemoteProtocolError as error:
        return received, str(error)
    return received, None


class TestHandshake:
    def test_connects_both_sides_after_one_record_each_way(self) -> None:
        """H-14: a server is connected once it has answered."""
        client, server = peer(Role.CLIENT), peer(Role.SERVER)
        request = client.request_handshake()
        assert (request, client.can_send) == (REQUEST, False)
        assert server.receive_handshake(request, 0.0) == b""
        assert server.state is PeerState.HANDSHAKE
        answer = server.accept_handshake(0.0)
        assert (answer, server.state) == (b"{}\x1e", PeerState.CONNECTED)
        assert client.receive_handshake(answer, 0.0) == b""
        assert client.state is PeerState.CONNECTED
        assert client.hub_protocol is server.hub_protocol is PROTOCOL
        assert client.can_send
        assert server.can_send

    def test_bytes_after_it_are_returned(self) -> None:
        """H-3."""
        server = peer(Role.SERVER)
        assert server.receive_handshake(REQUEST[:10], 0.0) is None
        rest = server.receive_handshake(REQUEST[10:] + PING + ADD[:5], 0.0)
        assert rest == PING + ADD[:5]
        server.accept_handshake(0.0)
        assert receive(server, rest) == [Ping()]
        assert [type(it) for it in receive(server, ADD[5:])] == [Invocation]

    @pytest.mark.parametrize("role", Role)
    def test_a_refused_one_raises(self, role: Role) -> None:
        it = peer(role)
        with pytest.raises(HandshakeError):
            it.receive_handshake(b"[]\x1e", 0.0)
        assert not it.can_send

    @each(REQUESTS)
    def test_any_request(self, vector: HandshakeRequestVector) -> None:
        """H-1…H-10: a request that cannot be accepted can be refused, once."""
        server = peer(Role.SERVER, maximum=vector.maximum_size)
        refusal = None
        try:
            assert server.receive_handshake(raw_bytes(vector.bytes) + b"\x1e", 0.0) == b""
        except HandshakeError as error:
            refusal = str(error)
        if refusal is None:
            assert server.accept_handshake(0.0) == write_response()
            return
        with pytest.raises(LocalProtocolError):
            server.accept_handshake(0.0)
        assert server.refuse_handshake(refusal) == write_response(refusal)
        assert server.state is PeerState.CLOSED
        with pytest.raises(LocalProtocolError):
            server.refuse_handshake("again")

    def test_interval_and_timeout_start_when_it_is_done(self) -> None:
        client, server = peer(Role.CLIENT), peer(Role.SERVER)
        assert client.keep_alive.next_deadline() is None
        client.receive_handshake(b"{}\x1e", 7.0)
        assert client.keep_alive.next_deadline() == 37.0
        server.receive_handshake(REQUEST, 7.0)
        assert server.keep_alive.next_deadline() is None
        server.accept_handshake(8.0)
        assert server.keep_alive.next_deadline() == 38.0


STEPS: Final[dict[str, Callable[[HubPeer], object]]] = {
    "request": lambda it: it.request_handshake(),
    "receive": lambda it: it.receive_handshake(
        b"{}\x1e" if it.role is Role.CLIENT else REQUEST, 0.0
    ),
    "accept": lambda it: it.accept_handshake(0.0),
    "refuse": lambda it: it.refuse_handshake("no"),
    "data": lambda it: list(it.receive_data(PING, 0.0)),
    "send": lambda it: it.send(Ping(), 0.0),
    "sent": lambda it: it.sent(Ping, 0.0),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("role", Role)
def test_steps_of_the_handshake_belong_to_one_role_and_one_state(role: Role, step: str) -> None:
    """Any other step raises LocalProtocolError and changes nothing."""
    first = {Role.CLIENT: {"request", "receive"}, Role.SERVER: {"receive", "refuse"}}[role]
    for it, legal in ((peer(role), first), (connected(role), {"data", "send", "sent"})):
        state = it.state
        if step in legal:
            STEPS[step](it)
        else:
            with pytest.raises(LocalProtocolError):
                STEPS[step](it)
            assert it.state is state


@given(st.data(), st.lists(messages(), max_size=6), st.sampled_from(Role))
def test_any_slices_yield_the_same_messages(
    data: st.DataObject, sent: list[HubMessage], role: Role
) -> None:
    sent = [message for message in sent if type(message) in MAY_SEND[role][PeerState.CONNECTED]]
    stream = b"".join(map(PROTOCOL.encode, sent))
    it = connected(role.other)
    received = [
        message for chunk in data.draw(slices(stream)) for message in it.receive_data(chunk, 0.0)
    ]
    is_close = [type(message) is Close for message in sent]
    assert received == sent[: is_close.index(True) + 1 if True in is_close else None]
    it.receive_end()


SOUND: Final = {
    key: vector
    for key, vector in {**directed(JSON, "read"), **directed(MESSAGEPACK, "read")}.items()
    if vector.message is not UNSET or vector.ignored is True
}


@pytest.mark.parametrize("role", Role)
@each(SOUND)
def test_any_sound_record(role: Role, vector: MessageVector) -> None:
    """C-18, S-22, S-23: it is read, skipped or refused."""
    if isinstance(vector, JsonVector):
        it, data = connected(role), PING + vector.record + b"\x1e"
    else:
        it = connected(role, hub_protocol=MESSAGEPACK_PROTOCOL)
        data = MESSAGEPACK_PROTOCOL.encode(Ping()) + frame(vector.record)
    received, error = receive_up_to_fault(it, data)
    if vector.ignored is True:
        assert (received, error) == ([Ping(), None], None)
        return
    message = vector.build()
    kind = type(message)
    if kind in MAY_SEND[role.other][PeerState.CONNECTED]:
        assert (received, error) == ([Ping(), message], None)
    else:
        text = f"Unexpected message type: {kind.__name__}Message"
        assert (received, error) == ([Ping()], text)
    assert (it.state is PeerState.CONNECTED) is (error is None and kind is not Close)


class TestFaults:
    def test_messages_before_a_bad_one_are_read(self) -> None:
        """S-20."""
        received, error = receive_up_to_fault(
            connected(Role.SERVER), PING + ADD + b'{"type":null}\x1e' + ADD
        )
        assert [type(it) for it in received] == [Ping, Invocation]
        assert error == "Expected 'type' to be of type Number."

    def test_messages_before_a_large_one_are_read(self) -> None:
        received, error = receive_up_to_fault(
            connected(Role.SERVER, maximum=100), PING + b"x" * 100 + b"\x1e"
        )
        assert received == [Ping()]
        assert str(error).startswith("The maximum message size of 100B was exceeded.")

    def test_the_limit_is_that_of_each_message(self) -> None:
        """F-4."""
        server = connected(Role.SERVER, maximum=len(REQUEST))
        assert receive(server, PING * 50) == [Ping()] * 50

    def test_unknown_types_are_skipped(self) -> None:
        """J-9, S-22: and the messages after them are read, unlike in ASP.NET Core."""
        data = b'{"type":99}\x1e{"type":0,"x":[1]}\x1e' + PING
        assert receive(connected(Role.SERVER), data) == [None, None, Ping()]

    def test_nothing_is_read_after_a_fault(self) -> None:
        server = connected(Role.SERVER)
        receive_up_to_fault(server, b"[]\x1e" + PING)
        assert receive(server, PING) == []
        server.receive_end()
        assert server.can_send

    @pytest.mark.parametrize("role", Role)
    def test_nothing_is_read_after_a_close(self, role: Role) -> None:
        """C-15, S-24: neither a fault nor the beginning of a message."""
        it = connected(role)
        assert receive(it, CLOSE + PING + b"[]\x1e") == [Close()]
        assert it.state is PeerState.HALF_CLOSED_REMOTE
        assert receive(it, b"[]\x1e" + PING[:3]) == []
        it.receive_end()
        assert it.state is PeerState.HALF_CLOSED_REMOTE

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
        assert receive(it, PING) == [Ping()]
        it.receive_end()
        assert it.state is PeerState.HALF_CLOSED_REMOTE
        assert receive(it, PING) == []
        assert it.send(Completion(invocation_id="1"), 0.0)

    def test_an_end_before_the_handshake(self) -> None:
        """H-11: an answer would not arrive."""
        it = peer(Role.SERVER)
        assert it.receive_handshake(REQUEST[:5], 0.0) is None
        it.receive_end()
        assert it.state is PeerState.CLOSED


class TestRoles:
    """Messages that only one side may send (C-18)."""

    @pytest.mark.parametrize("kind", ["stream-invocation", "cancel"])
    def test_a_client_refuses_what_only_clients_send(self, kind: str) -> None:
        data = {
            "stream-invocation": b'{"type":4,"invocationId":"1","target":"M","arguments":[]}\x1e',
            "cancel": b'{"type":5,"invocationId":"1"}\x1e',
        }[kind]
        received, error = receive_up_to_fault(connected(Role.CLIENT), PING + data)
        assert received == [Ping()]
        assert str(error).startswith("Unexpected message type: ")
        assert len(receive(connected(Role.SERVER), data)) == 1

    @pytest.mark.parametrize("role", Role)
    def test_both_may_send_invocations_completions_and_closes(self, role: Role) -> None:
        data = ADD + b'{"type":3,"invocationId":"1"}\x1e{"type":7}\x1e'
        kinds = [type(it) for it in receive(connected(role), data)]
        assert kinds == [Invocation, Completion, Close]


MESSAGES: Final[dict[type[ReceivedMessage], HubMessage]] = {
    type(message): message
    for message in (
        Invocation(target="M", arguments=Raw(b"[]")),
        StreamInvocation(invocation_id="1", target="M", arguments=Raw(b"[]")),
        StreamItem(invocation_id="1", item=Raw(b"1")),
        Completion(invocation_id="1"),
        CancelInvocation(invocation_id="1"),
        Ping(),
        Close(),
        Ack(sequence_id=1),
        Sequence(sequence_id=1),
    )
}


def in_state(role: Role, state: PeerState) -> HubPeer:
    """A peer that has reached ``state`` by messages sent and received."""
    if state is PeerState.HANDSHAKE:
        return peer(role)
    it = connected(role)
    if state in (PeerState.HALF_CLOSED_LOCAL, PeerState.CLOSED):
        it.send(Close(), 0.0)
    if state in (PeerState.HALF_CLOSED_REMOTE, PeerState.CLOSED):
        receive(it, CLOSE)
    assert it.state is state
    return it


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda it: it.__name__)
@pytest.mark.parametrize("state", PeerState, ids=lambda it: it.name)
@pytest.mark.parametrize("role", Role)
class TestTable:
    """MAY_SEND decides both directions, and nothing else does."""

    def test_sending(self, role: Role, state: PeerState, kind: type[HubMessage]) -> None:
        it = in_state(role, state)
        is_legal = kind in MAY_SEND[role][state]
        assert it.can_send is bool(MAY_SEND[role][state])
        if is_legal:
            assert it.send(MESSAGES[kind], 0.0) == PROTOCOL.encode(MESSAGES[kind])
        else:
            with pytest.raises(LocalProtocolError):
                it.send(MESSAGES[kind], 0.0)
            with pytest.raises(LocalProtocolError):
                it.sent(kind, 0.0)
        assert (it.state is state) is not (is_legal and kind is Close)

    def test_receiving(self, role: Role, state: PeerState, kind: type[HubMessage]) -> None:
        it = in_state(role, state)
        legal = MAY_SEND[role.other][state.mirrored]
        data = PROTOCOL.encode(MESSAGES[kind])
        if kind in legal:
            assert receive(it, data) == [MESSAGES[kind]]
        elif legal:
            assert receive_up_to_fault(it, data) == (
                [],
                f"Unexpected message type: {kind.__name__}Message",
            )
        elif state is not PeerState.HANDSHAKE:
            assert receive(it, data) == []


@pytest.mark.parametrize("state", PeerState)
def test_states_mirror_each_other(state: PeerState) -> None:
    assert state.mirrored.mirrored is state
    for role in Role:
        has_closed = state in (PeerState.HALF_CLOSED_LOCAL, PeerState.CLOSED)
        assert not (has_closed and MAY_SEND[role][state])


class TestSending:
    def test_a_message_of_a_client_postpones_its_ping(self) -> None:
        """K-4."""
        client = connected(Role.CLIENT, interval=15)
        client.send(MESSAGES[Invocation], 5.0)
        assert client.keep_alive.next_deadline() == 20
        client.sent(Invocation, 6.0)
        assert client.keep_alive.next_deadline() == 21

    def test_a_message_of_a_server_does_not_postpone_its_ping(self) -> None:
        """K-1."""
        server = connected(Role.SERVER, interval=15)
        server.send(MESSAGES[Invocation], 5.0)
        server.sent(Invocation, 6.0)
        assert server.keep_alive.next_deadline() == 15

    @pytest.mark.parametrize(
        "message",
        [
            MESSAGES[Invocation],
            MESSAGES[StreamInvocation],
            MESSAGES[StreamItem],
            Completion(invocation_id="1", result=Raw(b"1")),
        ],
        ids=lambda message: type(message).__name__,
    )
    def test_a_payload_over_the_limit_is_not_sent(self, message: HubMessage) -> None:
        """F-4."""
        size = len(PROTOCOL.encode(message))
        assert connected(Role.CLIENT, maximum_send=size).send(message, 0.0)
        client = connected(Role.CLIENT, interval=15, maximum_send=size - 1)
        with pytest.raises(MessageTooLargeError) as caught:
            client.send(message, 5.0)
        assert (caught.value.size, caught.value.limit) == (size, size - 1)
        assert client.keep_alive.next_deadline() == 15

    @pytest.mark.parametrize("kind", [Completion, CancelInvocation, Ping, Close])
    def test_the_limit_is_for_payloads(self, kind: type[HubMessage]) -> None:
        """Other messages have no sender that gets the error."""
        assert connected(Role.CLIENT, maximum_send=5).send(MESSAGES[kind], 0.0)

    def test_a_payload_without_representation_is_not_sent(self) -> None:
        client = connected(Role.CLIENT, interval=15)
        with pytest.raises(LocalProtocolError):
            client.send(Invocation(target="M", arguments=Raw(b"\x1e")), 5.0)
        assert client.keep_alive.next_deadline() == 15

    def test_the_end_fails_the_calls(self) -> None:
        """R-3."""
        client, call = connected(Role.CLIENT), Call()
        client.calls.open("1", call)
        client.close(ConnectionClosed("The connection ended."))
        assert [str(end) for end in call.ends] == ["The connection ended."]
        assert client.state is PeerState.CLOSED


class Conversation(RuleBasedStateMachine):
    """Two peers and the bytes in transit between them.

    Each accepts what the other one may send, and every call of either ends exactly once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peers = {role: connected(role) for role in Role}
        self.wires: dict[Role, list[bytes]] = {role: [] for role in Role}
        self.calls: list[Call] = []
        self.asked: dict[Role, list[str]] = {role: [] for role in Role}
        self.has_sent_close: set[Role] = set()

    def _send(self, role: Role, message: HubMessage) -> bool:
        it = self.peers[role]
        if type(message) in MAY_SEND[role][it.state]:
            assert role not in self.has_sent_close
            self.wires[role].append(it.send(message, 0.0))
            if type(message) is Close:
                self.has_sent_close.add(role)
            return True
        with pytest.raises(LocalProtocolError):
            it.send(message, 0.0)
        return False

    @rule(role=ROLES)
    def call(self, role: Role) -> None:
        ledger = self.peers[role].calls
        invocation_id = ledger.next_id()
        message = Invocation(invocation_id=invocation_id, target="M", arguments=Raw(b"[]"))
        if self._send(role, message):
            self.calls.append(Call())
            ledger.open(invocation_id, self.calls[-1])

    @rule(role=ROLES, item=st.booleans())
    def answer(self, role: Role, item: bool) -> None:
        """Answers once, twice, or with a stream item: the other side may send anything."""
        for invocation_id in self.asked[role][-1:]:
            self._send(
                role,
                StreamItem(invocation_id=invocation_id, item=Raw(b"1"))
                if item
                else Completion(invocation_id=invocation_id),
            )

    @rule(role=ROLES, kind=st.sampled_from([Ping, Ack, Sequence, CancelInvocation]))
    def send(self, role: Role, kind: type[HubMessage]) -> None:
        self._send(role, MESSAGES[kind])

    @rule(role=ROLES)
    def say_close(self, role: Role) -> None:
        self._send(role, Close())

    @rule(role=ROLES, cut=st.integers(1, 200))
    def deliver(self, role: Role, cut: int) -> None:
        """Some of the bytes that the other side has sent arrive."""
        stream = b"".join(self.wires[role.other])
        self.wires[role.other] = [stream[cut:]]
        it = self.peers[role]
        for message in it.receive_data(stream[:cut], 0.0):
            if type(message) is Invocation:
                self.asked[role].append(message.invocation_id)
            elif type(message) is Completion:
                it.calls.settle(message)
            elif type(message) is StreamItem:
                it.calls.add_item(message)

    @rule(role=ROLES)
    def end(self, role: Role) -> None:
        self.peers[role].close(ConnectionClosed("The connection ended."))
        assert len(self.peers[role].calls) == 0

    @invariant()
    def every_call_is_open_or_has_ended_once(self) -> None:
        ends = [len(call.ends) for call in self.calls]
        assert set(ends) <= {0, 1}
        assert ends.count(0) == sum(len(it.calls) for it in self.peers.values())

    @invariant()
    def a_peer_that_may_send_is_received(self) -> None:
        """If a peer receives no more, the other peer has closed it, or it has ended."""
        for role, it in self.peers.items():
            if it.state is PeerState.HALF_CLOSED_REMOTE:
                assert role.other in self.has_sent_close


TestConversation = Conversation.TestCase


class TestKeepAlive:
    """The peer reports what it receives to its KeepAlive; K-2, K-3."""

    def test_a_ping_starts_the_timeout_of_the_server(self) -> None:
        server = connected(Role.SERVER, timeout=30)
        receive(server, ADD, now=5)
        assert server.keep_alive.handle_timeout(1000) is KeepAliveAction.NOTHING
        receive(server, PING, now=1000)
        assert server.keep_alive.handle_timeout(1029) is KeepAliveAction.NOTHING
        assert server.keep_alive.handle_timeout(1030) is KeepAliveAction.TIMEOUT

    @pytest.mark.parametrize("data", [ADD, PING, b'{"type":99}\x1e'])
    def test_any_whole_message_is_a_sign_of_life(self, data: bytes) -> None:
        client = connected(Role.CLIENT, timeout=30)
        receive(client, data, now=20)
        assert client.keep_alive.handle_timeout(49) is KeepAliveAction.NOTHING
        assert client.keep_alive.handle_timeout(50) is KeepAliveAction.TIMEOUT

    def test_bytes_of_an_unfinished_message_are_none(self) -> None:
        client = connected(Role.CLIENT, timeout=30)
        receive(client, PING + ADD[:-1], now=10)
        receive(client, b"", now=35)
        assert client.keep_alive.handle_timeout(40) is KeepAliveAction.TIMEOUT
