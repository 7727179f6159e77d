"""What is decoded or encoded in one go is what it would have been one by one (S-20, P-1).

The measure is ``decode`` of one record and ``encode_result`` of one answer, which have tests of
their own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.framing import RECORD_SEPARATOR
from protocol.handshake import ClientHandshake, ServerHandshake
from protocol.hub_protocol import HubProtocol
from protocol.json_protocol import JsonHubProtocol
from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messagepack_protocol import MessagePackHubProtocol
from protocol.messages import (
    MAY_SEND,
    Completion,
    Invocation,
    ReceivedMessage,
    Role,
    StreamItem,
)
from protocol.peer import HubPeer
from tests import strategies
from tests.vector_parameters import JSON, directed

PROTOCOL: Final = JsonHubProtocol()
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
"""The messages, and the error that comes behind them."""

thorough = settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])


def outcome(messages: Iterable[Any]) -> Outcome:
    got: list[Any] = []
    try:
        got.extend(messages)
    except RemoteProtocolError as error:
        return got, error.exception_name, str(error)
    return got, "", ""


def in_one_go(records: list[bytes]) -> Outcome:
    """What a list holds either side may send, and ``decode`` would give the same messages."""
    messages = PROTOCOL.decode_all(records)  # must not raise itself: what is before it counts
    if isinstance(messages, list):
        assert {type(message) for message in messages} <= {Invocation, Completion, StreamItem}
    return outcome(messages)


@thorough
@example([CALL, REPEATED, CALL])
@example([CALL, ANSWER, BOTH])
@example([CALL, b'{"type":3,"invocationId":"","result":3}'])
@example([CALL, DEEP, CALL])
@example([CALL, b'{"type":1,"target":"\xff","arguments":[]}'])
@example([UNKNOWN, CALL, UNKNOWN])
@example([CALL, b""])
@given(BURSTS)
def test_a_burst_is_what_its_records_are(records: list[bytes]) -> None:
    alone = outcome(map(PROTOCOL.decode, records))
    event(alone[1] or "sound")
    assert in_one_go(records) == alone


@pytest.mark.parametrize("count", [1023, 1024, 1025, 3000])
@pytest.mark.parametrize("last", [CALL, PING, REPEATED, BOTH], ids=["call", "ping", "0", "both"])
def test_a_burst_of_any_length(count: int, last: bytes) -> None:
    records = [*[CALL, ANSWER] * (count // 2), *[CALL] * (count % 2), last][-count:]
    assert in_one_go(records) == outcome(map(PROTOCOL.decode, records))
    in_a_list = isinstance(PROTOCOL.decode_all(records), list)
    assert in_a_list is (last is CALL and count <= 1024)  # more are never held all at once


# ---- through a peer


def peer(role: Role) -> HubPeer:
    handshake = (
        ClientHandshake(PROTOCOL)
        if role is Role.CLIENT
        else ServerHandshake({"json": PROTOCOL}, maximum_size=None)
    )
    clock = KeepAlive(role, interval=float("inf"), timeout=10.0, now=0.0)
    it = HubPeer(role, handshake, clock, 32 * 1024)
    it.receive_handshake(
        b"{}\x1e" if role is Role.CLIENT else b'{"protocol":"json","version":1}\x1e'
    )
    return it


def one_by_one(role: Role, records: Sequence[bytes]) -> Iterable[ReceivedMessage]:
    for record in records:
        message = PROTOCOL.decode(record)
        if message is not None and type(message) not in MAY_SEND[role.other]:
            raise RemoteProtocolError(f"Unexpected message type: {type(message).__name__}Message")
        if message is not None:
            yield message


@thorough
@given(st.data(), st.sampled_from(Role), BURSTS)
def test_a_peer_tells_the_same_of_any_pieces(
    data: st.DataObject, role: Role, records: list[bytes]
) -> None:
    """S-20, S-22: for either role, wherever the stream is cut."""
    it = peer(role)
    stream = b"".join(record + RECORD_SEPARATOR for record in records) + CALL[:7]
    pieces = data.draw(strategies.slices(stream))
    got = outcome(message for piece in pieces for message in it.receive_data(piece, 0.0))
    assert got == outcome(one_by_one(role, records))
    if not got[1]:
        with pytest.raises(RemoteProtocolError, match="terminated while reading a message"):
            it.receive_end()


@pytest.mark.parametrize("cut", [0, 30])
@pytest.mark.parametrize("count", [2, 1000])
def test_a_burst_cut_inside_a_record_or_above_a_record_s_limit(cut: int, count: int) -> None:
    """It is decoded in one go like any other: one by one takes twice as long."""
    it = peer(Role.SERVER)
    stream = (CALL + RECORD_SEPARATOR) * count
    assert list(it.receive_data(stream[:cut], 0.0)) == []
    messages = it.receive_data(stream[cut:], 0.0)
    assert isinstance(messages, list)
    assert messages == [PROTOCOL.decode(CALL)] * count


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
    """K-3: whole messages do, of whatever type, and nothing less."""
    it = peer(role)
    list(it.receive_data(PING + b"\x1e", 0.0))  # from here on a server watches
    list(it.receive_data(data, 9.0))
    timed_out = it.keep_alive.tick(11.0) is KeepAliveAction.TIMEOUT
    assert timed_out is not is_heard


# ---- answers


ASCII: Final = st.text(st.characters(max_codepoint=0x7F), max_size=255)
PLAIN: Final = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | strategies.INT64 | ASCII
)
INVOCATION_IDS: Final = st.text(min_size=1) | st.sampled_from(
    ["\n", "\x1e", "a\nb\x1ec", '"', "\\", "\x7f", "\0", "\u2028", "\U0001f600"]
)


@pytest.mark.parametrize("protocol", [PROTOCOL, MessagePackHubProtocol()], ids=lambda it: it.name)
@example([(id, value) for id in ("1", "\n\x1e") for value in (None, True, 1, 0, '\n\x1e"\\\x7f')])
@example([("1", 2**63 - 1), ("2", -(2**63) + 1), ("3", False), ("4", "")])
@example([("x" * 1024 * 1024, None), ("\n" * 1024, 1)])
@example([])
@given(st.lists(st.tuples(INVOCATION_IDS, PLAIN), max_size=6))
def test_answers_of_a_burst_are_the_frames_of_each(
    protocol: HubProtocol, results: list[tuple[str, Any]]
) -> None:
    """Byte for byte."""
    alone = [protocol.encode_result(*result) for result in results]
    assert protocol.encode_plain_results(results) == b"".join(alone)
