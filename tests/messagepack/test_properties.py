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
from tests.support.examples import times_usual
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
thorough = settings(max_examples=times_usual(8), suppress_health_check=[HealthCheck.too_slow])


def body(message: HubMessage) -> bytes:
    """A message without its length."""
    (record,) = PROTOCOL.framer(None).feed(PROTOCOL.encode(message))
    return record


def outcome(read: Any, record: bytes) -> tuple[Any, ...]:
    """The message in ``record``, or the error; any other exception fails the test."""
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
    """The same fields and equal payloads, whichever hub protocol they were received in."""
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
def test_any_bytes_are_a_message_or_a_remote_error(record: bytes) -> None:
    result = outcome(PROTOCOL.decode, record)
    event(result[0])
    if result[0] == "message":
        assert result[1] is None or isinstance(result[1], ReceivedMessage)


@thorough
@given(ODD_RECORDS)
def test_both_readers_agree(record: bytes) -> None:
    """The full reader returns the same message as the fast one, or both raise the same error."""
    assert outcome(PROTOCOL.decode, record) == outcome(read_message, record)


@thorough
@given(ODD_RECORDS)
def test_payloads_are_whole_values(record: bytes) -> None:
    """A payload that is forwarded is exactly one value, as msgspec reads it too."""
    kind, *rest = outcome(PROTOCOL.decode, record)
    message = rest[0] if kind == "message" else None
    if isinstance(message, Invocation | StreamInvocation):
        assert isinstance(msgspec.msgpack.Decoder(list[Raw]).decode(message.arguments), list)
    elif isinstance(message, StreamItem):
        msgspec.msgpack.Decoder(Raw).decode(message.item)
    elif isinstance(message, Completion) and message.result != VOID:
        msgspec.msgpack.Decoder(Raw).decode(message.result)


def test_an_empty_error_is_written_for_a_completion_and_not_for_a_close() -> None:
    """M-6, M-7: as .NET writes them."""
    assert body(Completion(invocation_id="1", error="")).hex() == "950380a13101a0"
    assert body(Close(error="")).hex() == "9307c0c2"


@pytest.mark.parametrize("payload", [b"\x01\x02", b"\xa5x", b"\xc1", b'{"a":1}', b"\x91" * 2000])
def test_a_raw_that_is_not_a_value_is_not_written(payload: bytes) -> None:
    """The values after it would be read at the wrong place."""
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


def test_stream_ids_are_checked_before_arguments_are_bound() -> None:
    """M-4, S-6m: the types of the arguments are not known when the message is decoded."""
    record = bytes.fromhex("960180a131a3416464" + "91a178" + "c0")
    with pytest.raises(RemoteProtocolError, match="Reading array length for 'streamIds' failed"):
        PROTOCOL.decode(record)


# ---- hostile bytes


@given(ODD_RECORDS, st.sampled_from(sorted(VALUE_TYPES)))
def test_any_payload_fits_or_does_not(payload: bytes, type_name: str) -> None:
    """No error but ArgumentBindingError, for any payload and any declared type."""
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
    """They agree where values end and what is not a value; only msgspec's depth is limited."""
    try:
        end = scan_value(data, 0)
    except RemoteProtocolError:
        with pytest.raises((ValueError, RecursionError)):
            msgspec.msgpack.Decoder(Raw).decode(data)
    else:
        msgspec.msgpack.Decoder(Raw).decode(data[:end])


def levels(value: Any) -> int:
    """How deep containers that are not empty nest in the value."""
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    return 1 + max(map(levels, inner)) if inner else 0


@given(st.integers(0, 520), st.sampled_from([b"\x91", b"\x92\x90", b"\x81\xa1k"]), st.booleans())
def test_depth(count: int, opening: bytes, is_empty: bool) -> None:
    """M-18: containers of both kinds count, except for empty ones."""
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
def test_bytes_that_look_like_containers_do_not_count(value: Any) -> None:
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
    """Four billion entries or bytes that do not follow: refused at once."""
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
