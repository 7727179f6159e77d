"""Properties of the JSON hub protocol that hold for any message and any bytes (section J)."""

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.json.protocol import JsonHubProtocol
from protocol.json.reader import read_message
from protocol.json.scanner import JsonSyntaxError, is_deeper, scan_value
from protocol.messages import (
    Completion,
    HubMessage,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamBindingFailure,
    StreamInvocation,
)
from tests.support import strategies
from tests.support.examples import times_usual

PROTOCOL: Final = JsonHubProtocol()
RECORDS: Final = strategies.messages().map(PROTOCOL.encode).map(lambda frame: frame[:-1])
ODD_RECORDS: Final = st.one_of(
    strategies.near_records(),
    strategies.damaged(RECORDS),
    strategies.damaged(strategies.near_records()),
    st.binary(max_size=40),
)

NO_ARRAY: Final = (
    "error",
    "InvalidDataException",
    "Expected 'arguments' to be of type Array.",
)

# Odd records are many small cases, so more examples find more.
thorough = settings(max_examples=times_usual(8), suppress_health_check=[HealthCheck.too_slow])


def decode(record: bytes) -> ReceivedMessage | None:
    """Decodes ``record`` as a connection does, which also checks that arguments are an array."""
    message = PROTOCOL.decode(record)
    if isinstance(message, Invocation | StreamInvocation):
        PROTOCOL.require_arguments(message.arguments)
    return message


def outcome(read: Any, record: bytes) -> tuple[Any, ...]:
    """The message in ``record``, or the error; any other exception fails the test."""
    try:
        return ("message", read(record))
    except RemoteProtocolError as error:
        return ("error", error.exception_name, str(error))


@given(strategies.messages())
def test_what_is_written_reads_back_equal(message: HubMessage) -> None:
    frame = PROTOCOL.encode(message)
    assert frame.endswith(b"\x1e")
    assert frame.count(b"\x1e") == 1
    assert decode(frame[:-1]) == message
    assert read_message(frame[:-1]) == message


@given(strategies.messages())
def test_what_is_written_is_one_json_object_in_utf8(message: HubMessage) -> None:
    frame = PROTOCOL.encode(message)
    assert isinstance(json.loads(frame[:-1].decode()), dict)


@given(RECORDS, st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_order_white_space_and_escapes_do_not_matter(
    record: bytes, random: Any, escaped: bool, spaced: bool
) -> None:
    """J-1, J-2, J-13: the same message in another spelling; payloads are compared by value."""
    members = [*json.loads(record).items(), ("unknown", [{"type": 5}, None])]
    random.shuffle(members)
    separators = ("\t, ", "\r\n: ") if spaced else (",", ":")
    other = json.dumps(dict(members), ensure_ascii=escaped, separators=separators).encode()
    assert plain(decode(other)) == plain(decode(record))
    assert plain(read_message(other)) == plain(read_message(record))


def plain(message: ReceivedMessage | None) -> dict[str, Any]:
    """A message with its payloads decoded."""
    assert message is not None
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return {
        "type": type(message).__name__,
        **{
            name: json.loads(bytes(value)) if isinstance(value, Raw) and bytes(value) else value
            for name, value in fields.items()
        },
    }


@thorough
@example(b'{"type":1,"target":"M","arguments":[],"streamIds":["\\ud800"]}')
@example(b'{"type":6,"\\u0061\xff":1}')
@given(ODD_RECORDS)
def test_any_bytes_are_a_message_or_a_remote_error(record: bytes) -> None:
    result = outcome(decode, record)
    event(result[0])
    if result[0] == "message":
        assert result[1] is None or isinstance(result[1], ReceivedMessage)


@thorough
@example(b'{"sequenceId":9223372036854775808,"type":8,"sequenceId":1}')
@example(b'{"type":9,"sequenceId":-9223372036854775808}')
@example(b'{"type":2,"invocationId":"","item":1}')
@example(b'{"type":5,"invocationId":""}')
@example(b'{"type":7,"error":null}')
@example(b'{"type":6,"x":1}')
@given(ODD_RECORDS)
def test_both_readers_agree(record: bytes) -> None:
    """The full reader returns the same message as the fast one, or both raise the same error."""
    full = outcome(read_message, record)
    assert outcome(decode, record) == full


@thorough
@example(b'{"type":1,"target":"","arguments":0,"arguments":[]}')
@example(b'{"type":1,"invocationId":"1","target":"","arguments":0,"arguments":[]}')
@example(b'{"type":1,"target":"M","argument\\u0073":0,"arguments":["\\\\"]}')
@given(strategies.repetitive_records())
def test_arguments_given_twice_must_both_be_arrays(record: bytes) -> None:
    """J-3, J-10: whatever else is in the record, and however "arguments" is escaped."""
    full = outcome(read_message, record)
    event(full[0])
    assert outcome(decode, record) == full


@thorough
@given(ODD_RECORDS)
def test_what_is_accepted_is_json(record: bytes) -> None:
    """J-8, J-11, compared with an independent reader."""
    result = outcome(decode, record)
    # Two kinds of mistakes fail only a call or a stream.
    forgiven = isinstance(result[1], InvocationBindingFailure | StreamBindingFailure)
    if result[0] == "message" and not forgiven:
        text = record.decode("utf-8", "surrogateescape")
        assert isinstance(json.loads(text, parse_constant=pytest.fail), dict)


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from(["arguments", "result", "x"]))
def test_no_more_than_64_levels(arrays: int, objects: int, name: str) -> None:
    """J-11, wherever the nesting is and whatever it is made of."""
    nested = "[" * arrays + '{"]":' * objects + '"[["' + "}" * objects + "]" * arrays
    value = f"[{nested}]" if name == "arguments" else nested
    record = f'{{"type":{3 if name == "result" else 1},"invocationId":"1","target":"M"'
    record += "" if name in ("arguments", "result") else ',"arguments":[]'
    record = f'{record},"{name}":{value}}}'
    depth = 1 + arrays + objects + (name == "arguments")
    for read in (decode, read_message):
        result = outcome(read, record.encode())
        if depth <= 64:
            assert result[0] == "message"
        else:
            assert result == ("error", "InvalidDataException", "Error reading JSON.")


def test_a_record_of_opening_brackets_does_not_exhaust_the_stack() -> None:
    for record in (b"[" * 1_000_000, b'{"a":' * 200_000, b'{"type":1,"arguments":' + b"[" * 10**6):
        assert outcome(decode, record)[0] == "error"


@given(st.binary())
def test_a_raw_payload_with_a_separator_in_it_is_not_written(payload: bytes) -> None:
    """The receiver would read two records."""
    message = Completion(invocation_id="1", result=Raw(b'"' + payload + b'\x1e"'))
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode(message)


def test_an_empty_error_is_left_out_and_the_message_stays_as_it_is() -> None:
    message = Completion(invocation_id="1", error="")
    assert PROTOCOL.encode(message) == b'{"type":3,"invocationId":"1"}\x1e'
    assert message.error == ""
    assert Completion(invocation_id="1").error is UNSET


def levels(value: Any) -> int:
    """How deep arrays and objects nest in ``value``."""
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(levels, value), default=0)
    return 0


@example(b'["[[[[", "\\"[[[[", "\\\\"]', 10)
@example(b'{"[[[[": "]]]]"}', 10)
@given(strategies.json_texts(), st.integers(0, 40))
def test_depth_is_counted_outside_of_texts(text: bytes, around: int) -> None:
    """J-11: in records below and above the size from which brackets are searched one by one."""
    deep = b"[" * around + text + b"]" * around
    depth = around + levels(json.loads(text))
    for padded in (deep, deep + b" " * 2000):
        assert is_deeper(padded, depth) is False
        assert depth == 0 or is_deeper(padded, depth - 1) is True


BRACKETS: Final = st.text(st.sampled_from('[[]]{},,"": 0'), max_size=24).map(str.encode)


@thorough
@example(b"[[[]],[[],[]] , [[0] ]]")
@example(b'[{"":[]},{"":{}} ,{"":[[0]]}]')
@example(b"[[0]]]")
@example(b'[[{"":[0]]]]')
@example(b"[[0],]")
@example(b"[[,0]]")
@given(st.one_of(BRACKETS, strategies.json_texts(), strategies.damaged(strategies.json_texts())))
def test_the_scanner_and_pythons_json_see_the_same_values(text: bytes) -> None:
    """In any order of brackets, whichever of them the scanner skips in one step."""
    assert is_scanned_as_one_value(text.strip(b" \t\r\n")) is is_json(text)


def is_scanned_as_one_value(text: bytes) -> bool:
    try:
        return scan_value(text + b" ", 0) == len(text)  # a number is whole if something follows it
    except JsonSyntaxError:
        return False


def is_json(text: bytes) -> bool:
    def refuse(constant: str) -> float:
        raise ValueError(constant)

    try:
        json.loads(text.decode("utf-8", "replace"), parse_constant=refuse)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("inner", [b"0", b"[]", b'{"":0}', b"[0]", b"[[]]"])
@pytest.mark.parametrize("before", [b"", b"0,"])
def test_depth_is_limited_in_skipped_runs_too(inner: bytes, before: bytes) -> None:
    """J-11: 64 levels, whether the innermost one is alone or follows others."""
    own = levels(json.loads(inner))
    for depth, is_legal in ((64, True), (65, False)):
        around = depth - own
        data = b"[" * around + before + inner + b"]" * around
        if is_legal:
            assert scan_value(data, 0) == len(data)
        else:
            with pytest.raises(JsonSyntaxError):
                scan_value(data, 0)
