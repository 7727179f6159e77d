"""Records that arrive together are decoded like records that arrive one by one (S-20).

The tests compare the messages with those of ``decode``, which decodes one record.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from protocol.errors import RemoteProtocolError
from protocol.framing import RECORD_SEPARATOR
from protocol.handshake import ClientHandshake, ServerHandshake
from protocol.hub_protocol import HubProtocol
from protocol.json import protocol as json_protocol
from protocol.json.protocol import JsonHubProtocol
from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messagepack import protocol as messagepack_protocol
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
from tests.support import strategies
from tests.support.examples import times_usual
from tests.vectors.parameters import JSON, directed

PROTOCOL: Final = JsonHubProtocol()
VALUE: Final = Raw(b"[...]")
"""A placeholder for a payload of the tested hub protocol."""
CALL: Final = b'{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}'
ANSWER: Final = b'{"type":3,"invocationId":"1","result":3}'
FAILURE: Final = b'{"type":3,"invocationId":"1","error":"no"}'
PING: Final = b'{"type":6}'
UNKNOWN: Final = b'{"type":99}'
REPEATED: Final = b'{"type":1,"target":"M","arguments":0,"arguments":[]}'
BOTH: Final = b'{"type":3,"invocationId":"1","error":"no","result":3}'
DEEP: Final = b'{"type":1,"target":"M","arguments":[%s]}' % (b"[" * 70 + b"]" * 70)

USUAL: Final = st.sampled_from([CALL, ANSWER, FAILURE]) | st.one_of(
    st.builds(
        Invocation,
        target=strategies.NAMES,
        arguments=strategies.ARGUMENTS,
        invocation_id=st.just("") | strategies.IDS,
    ),
    strategies.completions(),
).map(lambda message: PROTOCOL.encode(message)[:-1])
ODD: Final = st.one_of(
    st.sampled_from(
        [
            PING,
            UNKNOWN,
            REPEATED,
            BOTH,
            DEEP,
            *(vector.record for vector in directed(JSON, "read").values()),
        ]
    ),
    strategies.messages().map(lambda message: PROTOCOL.encode(message)[:-1]),
    strategies.near_records(),
    strategies.repetitive_records(),
    strategies.damaged(USUAL),
    st.binary(max_size=20),
).filter(lambda record: RECORD_SEPARATOR not in record)
BURSTS: Final = st.lists(USUAL, max_size=6) | st.builds(
    lambda before, odd, after: [*before, odd, *after],
    st.lists(USUAL, max_size=4),
    ODD,
    st.lists(USUAL | ODD, max_size=3),
)

Outcome = tuple[list[Any], str, str]
"""The messages, and the error after them."""

thorough = settings(max_examples=times_usual(5), suppress_health_check=[HealthCheck.too_slow])


def outcome(messages: Iterable[Any]) -> Outcome:
    got: list[Any] = []
    try:
        got.extend(messages)
    except RemoteProtocolError as error:
        return got, error.exception_name, str(error)
    return got, "", ""


@thorough
@example([CALL, REPEATED, CALL])
@example([CALL, ANSWER, BOTH])
@example([CALL, b'{"type":3,"invocationId":"","result":3}'])
@example([CALL, DEEP, CALL])
@example([CALL, b'{"type":1,"target":"\xff","arguments":[]}'])
@example([UNKNOWN, CALL, UNKNOWN])
@example([CALL, b""])
@given(BURSTS)
def test_a_burst_is_decoded_like_its_records(records: list[bytes]) -> None:
    alone = outcome(PROTOCOL.decode(record) for record in records)
    event(alone[1] or "sound")
    assert outcome(PROTOCOL.decode_all(records)) == alone


@pytest.mark.parametrize(
    ("hub_protocol", "usual", "unknown", "wrong"),
    [
        (PROTOCOL, CALL, UNKNOWN, BOTH),
        (MessagePackHubProtocol(), b"\x91\x06", b"\x91\x63", b"\x91\x03"),
    ],
    ids=["json", "messagepack"],
)
def test_records_are_decoded_when_the_iterator_advances(
    hub_protocol: HubProtocol, usual: bytes, unknown: bytes, wrong: bytes
) -> None:
    """A pump that stops in the middle of a burst has not decoded the rest."""
    taken: list[bytes] = []

    def arriving() -> Iterator[bytes]:
        for record in (usual, unknown, usual, wrong):
            taken.append(record)
            yield record

    messages = hub_protocol.decode_all(arriving())
    assert taken == []
    assert next(messages) == hub_protocol.decode(usual)
    assert next(messages) is None
    assert taken == [usual, unknown]
    assert next(messages) == hub_protocol.decode(usual)
    with pytest.raises(RemoteProtocolError):
        next(messages)


@pytest.mark.parametrize(
    "message",
    [
        Invocation(target="Add", arguments=VALUE),
        Invocation(invocation_id="1", target="Add", arguments=VALUE, stream_ids=("2",)),
        StreamItem(invocation_id="1", item=VALUE),
        Completion(invocation_id="1"),
        Completion(invocation_id="1", result=VALUE),
        Completion(invocation_id="1", error="no"),
        StreamInvocation(invocation_id="1", target="Counter", arguments=VALUE),
        CancelInvocation(invocation_id="1"),
        Ping(),
        Close(),
        Close(error="no", allow_reconnect=True),
        Ack(sequence_id=2**63 - 1),
        Sequence(sequence_id=1),
    ],
    ids=lambda message: type(message).__name__,
)
@pytest.mark.parametrize("module", [json_protocol, messagepack_protocol])
def test_usual_records_do_not_need_the_full_reader(
    message: HubMessage, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any type: the full reader takes at least ten times as long."""
    hub_protocol = PROTOCOL if module is json_protocol else MessagePackHubProtocol()
    form = {
        name: hub_protocol.encode_arguments([1, "x"])
        for name in message.__struct_fields__
        if getattr(message, name) is VALUE
    }
    message = replace(message, **form)
    (record,) = hub_protocol.framer(None).feed(hub_protocol.encode(message))
    monkeypatch.setattr(module, "read_message", None)
    assert hub_protocol.decode(record) == message


# ---- through a peer


def peer(role: Role) -> HubPeer:
    handshake = (
        ClientHandshake(PROTOCOL)
        if role is Role.CLIENT
        else ServerHandshake({"json": PROTOCOL}, maximum_size=None)
    )
    clock = KeepAlive(role, interval=float("inf"), timeout=10.0)
    it = HubPeer(role, handshake, clock, 32 * 1024)
    it.receive_handshake(
        b"{}\x1e" if role is Role.CLIENT else b'{"protocol":"json","version":1}\x1e', 0.0
    )
    if role is Role.SERVER:
        it.accept_handshake(0.0)
    return it


def one_by_one(role: Role, records: list[bytes]) -> Iterable[ReceivedMessage | None]:
    legal = MAY_SEND[role.other][PeerState.CONNECTED]
    for record in records:
        message = PROTOCOL.decode(record)
        if message is not None and type(message) not in legal:
            raise RemoteProtocolError(f"Unexpected message type: {type(message).__name__}Message")
        yield message
        if type(message) is Close:
            return


@thorough
@given(st.data(), st.sampled_from(Role), BURSTS)
def test_any_pieces_yield_the_same_messages(
    data: st.DataObject, role: Role, records: list[bytes]
) -> None:
    """S-20, S-22: for either role, wherever the stream is cut."""
    it = peer(role)
    stream = b"".join(record + RECORD_SEPARATOR for record in records) + CALL[:7]
    pieces = data.draw(strategies.slices(stream))
    got = outcome(message for piece in pieces for message in it.receive_data(piece, 0.0))
    assert got == outcome(one_by_one(role, records))
    if not got[1] and it.state is PeerState.CONNECTED:
        with pytest.raises(RemoteProtocolError, match="terminated while reading a message"):
            it.receive_end()


@pytest.mark.parametrize("cut", [0, 30])
@pytest.mark.parametrize("count", [2, 1000])
def test_a_burst_cut_inside_a_record_or_above_the_limit(cut: int, count: int) -> None:
    it = peer(Role.SERVER)
    stream = (CALL + RECORD_SEPARATOR) * count
    assert list(it.receive_data(stream[:cut], 0.0)) == []
    assert list(it.receive_data(stream[cut:], 0.0)) == [PROTOCOL.decode(CALL)] * count


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("data", "is_heard"),
    [
        (b"", False),
        (CALL[:20], False),
        (CALL + b"\x1e", True),
        (ANSWER + b"\x1e" + ANSWER[:5], True),
        (UNKNOWN + b"\x1e", True),
        (PING + b"\x1e", True),
    ],
)
def test_what_counts_as_a_sign_of_life(role: Role, data: bytes, is_heard: bool) -> None:
    """K-3: whole messages of any type, and no unfinished ones."""
    it = peer(role)
    list(it.receive_data(PING + b"\x1e", 0.0))  # now the timeout of a server applies
    list(it.receive_data(data, 9.0))
    timed_out = it.keep_alive.handle_timeout(11.0) is KeepAliveAction.TIMEOUT
    assert timed_out is not is_heard
