"""The vectors of hub messages and of values, in both hub protocols."""

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest
from msgspec import UNSET, Raw

from protocol.errors import ArgumentBindingError, RemoteProtocolError, TranscodingError
from protocol.framing import RECORD_SEPARATOR
from protocol.json import reader as json_reader
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack import reader as messagepack_reader
from protocol.messagepack.framing import frame
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.messages import (
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamBindingFailure,
    StreamInvocation,
)
from protocol.values.transcoding import json_to_messagepack, messagepack_to_json

from .parameters import (
    JSON,
    MESSAGEPACK,
    MESSAGEPACK_VALUES,
    VALUES,
    directed,
    each,
)
from .schema import (
    JsonVector,
    MessagePackValueVector,
    MessagePackVector,
    MessageVector,
    TranscodingVector,
)
from .value_types import VALUE_TYPES

PROTOCOL: Final = JsonHubProtocol()


# ---- messages


def read_json(record: bytes) -> ReceivedMessage | None:
    """What a connection does with a record: the kind of the arguments is judged as they pass."""
    message = PROTOCOL.decode(record)
    if isinstance(message, Invocation | StreamInvocation):
        PROTOCOL.require_arguments(message.arguments)
    return message


Read: TypeAlias = Callable[[bytes], ReceivedMessage | None]


@pytest.mark.parametrize("read", [read_json, json_reader.read_message], ids=["protocol", "full"])
@each(directed(JSON, "read"))
def test_json_read(vector: JsonVector, read: Read) -> None:
    read_message(vector, read)


@pytest.mark.parametrize(
    "read",
    [MessagePackHubProtocol().decode, messagepack_reader.read_message],
    ids=["protocol", "full"],
)
@each(directed(MESSAGEPACK, "read"))
def test_messagepack_read(vector: MessagePackVector, read: Read) -> None:
    read_message(vector, read)


def read_message(vector: MessageVector, read: Read) -> None:
    record = vector.record
    if vector.error is not UNSET:
        with pytest.raises(RemoteProtocolError) as caught:
            read(record)
        assert caught.value.exception_name == vector.exception
        assert vector.error is None or str(caught.value) == vector.error
        return
    message = read(record)
    if vector.message is not UNSET:
        assert message == vector.build()
    elif vector.binding_failure is not UNSET:
        failure = vector.binding_failure
        assert isinstance(message, InvocationBindingFailure)
        assert (message.invocation_id, message.target) == (failure.invocation_id, failure.target)
        assert message.error.startswith(f"{failure.exception}: ")
    elif vector.stream_binding_failure is not UNSET:
        lost = vector.stream_binding_failure
        assert isinstance(message, StreamBindingFailure)
        assert message.invocation_id == lost.invocation_id
        assert message.error.startswith(f"{lost.exception}: ")
    else:
        assert message is None


@each(directed(JSON, "write"))
def test_json_write(vector: JsonVector) -> None:
    assert PROTOCOL.encode(vector.build()) == vector.record + RECORD_SEPARATOR


@each(directed(MESSAGEPACK, "write"))
def test_messagepack_write(vector: MessagePackVector) -> None:
    assert MessagePackHubProtocol().encode(vector.build()) == frame(vector.record)


# ---- values


@each(directed(MESSAGEPACK_VALUES, "read"))
def test_messagepack_value_read(vector: MessagePackValueVector) -> None:
    """With JSON as the measure: the same value, of the same type."""
    annotation = VALUE_TYPES[vector.type]
    payload = Raw(bytes.fromhex(vector.bytes))
    read = MessagePackHubProtocol().value_reader(annotation)
    if vector.refused is not UNSET:
        with pytest.raises(ArgumentBindingError):
            read(payload)
        return
    assert isinstance(vector.json, str)
    expected = PROTOCOL.value_reader(annotation)(Raw(vector.json.encode()))
    value = read(payload)
    assert (type(value), repr(value)) == (type(expected), repr(expected))
    assert (value == expected) is (expected == expected)


@each(directed(MESSAGEPACK_VALUES, "write"))
def test_messagepack_value_write(vector: MessagePackValueVector) -> None:
    assert isinstance(vector.json, str)
    value = PROTOCOL.value_reader(VALUE_TYPES[vector.type])(Raw(vector.json.encode()))
    assert bytes(MessagePackHubProtocol().encode_value(value)).hex() == vector.bytes


# ---- transcoding


@each(directed(VALUES, "to-messagepack"))
def test_json_as_messagepack(vector: TranscodingVector) -> None:
    assert isinstance(vector.json, str)
    assert bytes(json_to_messagepack(vector.json.encode())).hex() == vector.messagepack


@each(directed(VALUES, "to-json"))
def test_messagepack_as_json(vector: TranscodingVector) -> None:
    payload = bytes.fromhex(vector.messagepack)
    if vector.error:
        with pytest.raises(TranscodingError):
            messagepack_to_json(payload)
    else:
        assert bytes(messagepack_to_json(payload)).decode() == vector.json
