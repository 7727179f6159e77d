"""What holds for any message and any bytes of the MessagePack hub protocol (section M)."""

import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from protocol import (
    ArgumentBindingError,
    LocalProtocolError,
    RemoteProtocolError,
)
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.messagepack.reader import read_message
from protocol.messagepack.scanner import MAXIMUM_DEPTH, is_deeper, scan_value
from protocol.messages import (
    VOID,
    Close,
    Completion,
    HubMessage,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamInvocation,
    StreamItem,
)
from tests.support import strategies
from tests.vectors.value_types import VALUE_TYPES, Keyed

PROTOCOL: Final = MessagePackHubProtocol()
JSON: Final = JsonHubProtocol()
ODD_RECORDS: Final = st.one_of(
    strategies.near_messagepack(),
    strategies.damaged(strategies.messagepack_messages().map(PROTOCOL.encode)),
    strategies.damaged(strategies.near_messagepack()),
    st.lists(strategies.CODES, max_size=12).map(b"".join),
    st.binary(max_size=40),
)
thorough = settings(max_examples=800, suppress_health_check=[HealthCheck.too_slow])


def body(message: HubMessage) -> bytes:
    """A message without its length."""
    (record,) = PROTOCOL.framer(None).feed(PROTOCOL.encode(message))
    return record


def outcome(read: Any, record: bytes) -> tuple[Any, ...]:
    """What comes of reading ``record``; anything but a message or the error fails the test."""
    try:
        return ("message", read(record))
    except RemoteProtocolError as error:
        return ("error", error.exception_name, str(error))


# ---- messages


@given(strategies.messagepack_messages())
def test_what_is_written_reads_back_equal(message: HubMessage) -> None:
    assert PROTOCOL.decode(body(message)) == message
    assert read_message(body(message)) == message


@given(strategies.messages(strategies.IDS).filter(lambda it: getattr(it, "error", UNSET) != ""))
def test_json_and_messagepack_of_one_message_decode_equal(message: HubMessage) -> None:
    """The same fields, and payloads that mean the same, whichever of the two brought them."""
    ours = {name: getattr(message, name) for name in message.__struct_fields__}
    for name in ("arguments", "item", "result"):
        if ours.get(name, VOID) != VOID:
            value = JSON.value_reader(Any)(ours[name])
            ours[name] = PROTOCOL.encode_value(value)
    over_json = JSON.decode(JSON.encode(message)[:-1])
    over_messagepack = PROTOCOL.decode(body(type(message)(**ours)))
    assert plain(over_messagepack, PROTOCOL) == plain(over_json, JSON)


def plain(message: ReceivedMessage | None, hub_protocol: Any) -> dict[str, Any]:
    """A message with its payloads decoded."""
    assert message is not None
    read = hub_protocol.value_reader(Any)
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return {
        "type": type(message).__name__,
        **{
            name: read(value) if isinstance(value, Raw) and value != VOID else value
            for name, value in fields.items()
        },
    }


@thorough
@example(bytes.fromhex("960180a131a3416464c0c0"))
@given(ODD_RECORDS)
def test_any_bytes_are_a_message_or_the_peers_fault(record: bytes) -> None:
    result = outcome(PROTOCOL.decode, record)
    event(result[0])
    if result[0] == "message":
        assert result[1] is None or isinstance(result[1], ReceivedMessage)


@thorough
@given(ODD_RECORDS)
def test_both_readers_agree(record: bytes) -> None:
    """What the fast path accepts the full reader accepts, as the same; or both have one error."""
    assert outcome(PROTOCOL.decode, record) == outcome(read_message, record)


@thorough
@given(ODD_RECORDS)
def test_payloads_are_whole_values(record: bytes) -> None:
    """Whoever passes one on passes on exactly one value, as another reader has it too."""
    kind, *rest = outcome(PROTOCOL.decode, record)
    message = rest[0] if kind == "message" else None
    if isinstance(message, Invocation | StreamInvocation):
        assert isinstance(msgspec.msgpack.Decoder(list[Raw]).decode(message.arguments), list)
    elif isinstance(message, StreamItem):
        msgspec.msgpack.Decoder(Raw).decode(message.item)
    elif isinstance(message, Completion) and message.result != VOID:
        msgspec.msgpack.Decoder(Raw).decode(message.result)


def test_an_empty_error_counts_and_a_closes_error_that_is_empty_does_not() -> None:
    """M-6, M-7: as .NET writes them."""
    assert body(Completion(invocation_id="1", error="")).hex() == "950380a13101a0"
    assert body(Close(error="")).hex() == "9307c0c2"


@pytest.mark.parametrize("payload", [b"\x01\x02", b"\xa5x", b"\xc1", b'{"a":1}', b"\x91" * 2000])
def test_a_raw_payload_that_is_no_value_is_not_written(payload: bytes) -> None:
    """What follows it would be read at the wrong place."""
    raw = Raw(payload)
    writers: list[Callable[[], object]] = [
        lambda: PROTOCOL.encode(Completion(invocation_id="1", result=raw)),
        lambda: PROTOCOL.encode(StreamItem(invocation_id="1", item=raw)),
        lambda: PROTOCOL.encode_arguments([1, raw]),
        lambda: PROTOCOL.encode_result("1", raw),
        lambda: PROTOCOL.encode_result("1", [raw]),
    ]
    for write in writers:
        with pytest.raises(LocalProtocolError):
            write()


def test_stream_ids_are_judged_before_arguments_are_bound() -> None:
    """M-4, S-6m: whoever decodes does not know yet what the arguments have to be."""
    record = bytes.fromhex("960180a131a3416464" + "91a178" + "c0")
    with pytest.raises(RemoteProtocolError, match="Reading array length for 'streamIds' failed"):
        PROTOCOL.decode(record)


# ---- hostile bytes


@given(ODD_RECORDS, st.sampled_from(sorted(VALUE_TYPES)))
def test_any_payload_fits_or_does_not(payload: bytes, type_name: str) -> None:
    """Nothing but ArgumentBindingError, whatever a payload holds, whatever is declared."""
    annotation: Any = VALUE_TYPES[type_name]
    for read in (
        PROTOCOL.value_reader(annotation),
        PROTOCOL.value_reader(list[annotation]),
        PROTOCOL.value_reader(dict[str, annotation]),
        PROTOCOL.arguments_reader([annotation, Raw]),
    ):
        try:
            read(Raw(payload))
        except ArgumentBindingError:
            pass


@thorough
@given(ODD_RECORDS)
def test_the_scanner_and_msgspec_see_the_same_values(data: bytes) -> None:
    """Ours goes on where the other recurses; where values end, and what is none, they agree."""
    try:
        end = scan_value(data, 0)
    except RemoteProtocolError:
        with pytest.raises((ValueError, RecursionError)):
            msgspec.msgpack.Decoder(Raw).decode(data)
    else:
        msgspec.msgpack.Decoder(Raw).decode(data[:end])


def levels(value: Any) -> int:
    """How deep containers that hold something nest in it."""
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    return 1 + max(map(levels, inner)) if inner else 0


@given(st.integers(0, 520), st.sampled_from([b"\x91", b"\x92\x90", b"\x81\xa1k"]), st.booleans())
def test_depth(count: int, opening: bytes, is_empty: bool) -> None:
    """M-18: so many containers that hold something, of whatever kind; an empty one is none."""
    payload = opening * count + (b"\x90" if is_empty else b"\x01")
    assert is_deeper(payload) is (count > MAXIMUM_DEPTH)
    for annotation in (Any, Raw):
        read = PROTOCOL.arguments_reader([annotation])
        if count > MAXIMUM_DEPTH:
            with pytest.raises(ArgumentBindingError):
                read(Raw(b"\x91" + payload))
        else:
            read(Raw(b"\x91" + payload))


@given(strategies.MESSAGEPACK_VALUES)
def test_what_is_not_deep_is_not_called_so(value: Any) -> None:
    """Bytes of texts and numbers may look like containers."""
    padded = [value, "\u0401" * 600, b"\x91\x81" * 600]
    assert levels(padded) <= MAXIMUM_DEPTH
    assert not is_deeper(msgspec.msgpack.encode(padded))


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x91" * 10**6,
        b"\x81" * 10**6,
        b"\x96\x01\x80\xa11\xa1M" + b"\x91" * 10**6,
        b"\x95\x03\x80\xa11\x03" + b"\x91" * 10**6 + b"\x90",
        b"\x96\x01" + b"\x81" * 10**6,
    ],
    ids=["arrays", "maps", "arguments", "a result", "headers"],
)
def test_deep_nesting_does_not_exhaust_the_stack(hostile: bytes) -> None:
    kind, *rest = outcome(PROTOCOL.decode, hostile)
    assert kind == "error" or isinstance(rest[0], InvocationBindingFailure | Completion)


@pytest.mark.parametrize("code", ["dd", "df", "db", "c6", "c9"])
@pytest.mark.parametrize(
    "around",
    [
        *("{}", "96{}", "9601{}", "960180{}", "960180a131{}", "960180a131a14d{}"),
        *("960180a131a14d91{}", "960180a131a14d90{}", "940280a131{}", "950380a13101{}"),
        *("950380a13103{}", "930580{}"),
    ],
)
def test_announced_lengths_are_not_believed(around: str, code: str) -> None:
    """Four billion of something that never comes: refused for what is there."""
    record = bytes.fromhex(around.format(code + "fffffffe" + "01" * 20))
    payload = Raw(bytes.fromhex(code + "fffffffe" + "01" * 20))
    tracemalloc.start()
    try:
        outcome(PROTOCOL.decode, record)
        for annotation in (Any, str, bytes, list[int], tuple[int, ...], dict[str, int], Keyed):
            with pytest.raises(ArgumentBindingError):
                PROTOCOL.value_reader(annotation)(payload)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
