"""``HubProtocolContract``: the tests that every ``HubProtocol`` has to pass."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec import Raw

from ..errors import ArgumentBindingError, LocalProtocolError, RemoteProtocolError
from ..hub_protocol import HubProtocol, TransferFormat
from ..messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    InvocationBindingFailure,
    Ping,
    ReceivedMessage,
    Sequence,
    StreamInvocation,
    StreamItem,
)

_HEADERS: Final = {"a": "b", "ü": "😀"}
_LONG: Final = "x" * 5000
_MESSAGES: Final[dict[str, Callable[[HubProtocol], HubMessage]]] = {
    "a call": lambda it: Invocation(
        invocation_id="1", target="M", arguments=it.encode_arguments([1, "ü"])
    ),
    "a call without an answer": lambda it: Invocation(
        target="M", arguments=it.encode_arguments([])
    ),
    "a call with all there is": lambda it: Invocation(
        headers=_HEADERS,
        invocation_id="ü",
        target="ü",
        arguments=it.encode_arguments([_LONG, {"a": [None]}]),
        stream_ids=("1", "2"),
    ),
    "a stream item": lambda it: StreamItem(
        headers=_HEADERS, invocation_id="1", item=it.encode_value([1.5])
    ),
    "a void completion": lambda _: Completion(invocation_id="1"),
    "a null completion": lambda it: Completion(invocation_id="1", result=it.encode_value(None)),
    "a completion": lambda it: Completion(
        headers=_HEADERS, invocation_id="1", result=it.encode_value({"a": True})
    ),
    "a failed completion": lambda _: Completion(invocation_id="1", error="no"),
    "a call of a stream": lambda it: StreamInvocation(
        headers=_HEADERS,
        invocation_id="1",
        target="M",
        arguments=it.encode_arguments([1]),
        stream_ids=("1",),
    ),
    "a cancellation": lambda _: CancelInvocation(headers=_HEADERS, invocation_id="1"),
    "a ping": lambda _: Ping(),
    "a close": lambda _: Close(),
    "a close with an error": lambda _: Close(error="no", allow_reconnect=True),
    "an ack": lambda _: Ack(sequence_id=2**63 - 1),
    "a sequence": lambda _: Sequence(sequence_id=1),
}
_VALUES: Final = [
    *(
        None,
        True,
        False,
        0,
        -1,
        255,
        2**31,
        -(2**63),
        2**63 - 1,
        1.5,
        -0.25,
        "",
        "ü😀\x00\n",
        _LONG,
    ),
    *([], [1, [2, [None]]], {}, {"a": 1, "ü": {"": []}}),
]
_READ: Final = [
    (int, 1),
    (str, "a"),
    (bool, True),
    (float, 1.5),
    (list[int], [1]),
    (int | None, None),
]
_NOT_READ: Final = [(int, "a"), (str, 1), (list[int], ["a"]), (int, None), (bool, 1)]


class HubProtocolContract(ABC):
    """The tests of a hub protocol. Subclass it as ``Test…`` and implement ``make``."""

    @abstractmethod
    def make(self) -> HubProtocol:
        """Returns the hub protocol to test."""

    def test_description(self) -> None:
        """The protocol has the name, version and format that handshake and transports need."""
        protocol = self.make()
        assert isinstance(protocol.name, str)
        assert protocol.name
        assert isinstance(protocol.version, int)
        assert isinstance(protocol.transfer_format, TransferFormat)

    # ---- messages

    @pytest.mark.parametrize("kind", _MESSAGES)
    def test_messages(self, kind: str) -> None:
        """A message that is written and read is equal to the original."""
        protocol = self.make()
        message = _MESSAGES[kind](protocol)
        [record] = _records(protocol, protocol.encode(message))
        assert protocol.decode(record) == message

    def test_messages_in_one_go(self) -> None:
        """``decode_all`` yields what ``decode`` returns for each record."""
        protocol = self.make()
        records = _records(protocol, _stream(protocol))
        messages: list[ReceivedMessage | None] = list(protocol.decode_all(records))
        assert messages == [protocol.decode(record) for record in records]
        calls = _records(protocol, protocol.encode(_MESSAGES["a call"](protocol)) * 100)
        assert list(protocol.decode_all(calls)) == [protocol.decode(calls[0])] * 100

    @pytest.mark.parametrize("kind", _MESSAGES)
    def test_damaged_messages(self, kind: str) -> None:
        """Missing or changed bytes raise RemoteProtocolError, or are read as another message."""
        protocol = self.make()
        [record] = _records(protocol, protocol.encode(_MESSAGES[kind](protocol)))
        for position in range(min(len(record), 200)):
            before, behind = record[:position], record[position + 1 :]
            for damaged in (
                before,
                before + behind,
                before + b"\xff" + behind,
                before + b"\0" + behind,
            ):
                _try_to_decode(protocol, damaged)

    # ---- framing

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
    def test_slices(self, size: int) -> None:
        """Records are the same however the transport splits the stream."""
        protocol = self.make()
        stream = _stream(protocol)
        framer = protocol.framer(None)
        records: list[bytes] = []
        assert not framer.has_partial
        for start in range(0, len(stream), size):
            records += map(bytes, framer.feed(stream[start : start + size]))
        assert records == _records(protocol, stream)
        assert not framer.has_partial

    def test_a_message_that_has_begun(self) -> None:
        """``has_partial`` is true, so that the end of the stream inside a message is noticed."""
        protocol = self.make()
        frame = protocol.encode(Ping())
        framer = protocol.framer(None)
        assert list(framer.feed(frame[:-1])) == []
        assert framer.has_partial
        assert len(list(framer.feed(frame[-1:]))) == 1
        assert not framer.has_partial

    def test_framers_are_independent(self) -> None:
        """One hub protocol is used by any number of connections at the same time."""
        protocol = self.make()
        frame = protocol.encode(Ping())
        one, other = protocol.framer(None), protocol.framer(None)
        assert list(one.feed(frame[:-1])) == []
        assert not other.has_partial
        assert len(list(other.feed(frame))) == 1

    @pytest.mark.parametrize("sliced", [False, True], ids=["in one piece", "byte by byte"])
    def test_the_size_of_messages_is_limited(self, sliced: bool) -> None:
        """The limit applies to the whole frame. Messages before a message over it are read."""
        protocol = self.make()
        small = protocol.encode(Ping())
        large = protocol.encode(_MESSAGES["a call with all there is"](protocol))
        stream = small + large
        pieces = [stream[i : i + 1] for i in range(len(stream))] if sliced else [stream]
        framer, too_small = protocol.framer(len(large)), protocol.framer(len(large) - 1)
        assert len([record for piece in pieces for record in framer.feed(piece)]) == 2
        records = (it for piece in pieces for it in too_small.feed(piece))
        next(records)
        with pytest.raises(RemoteProtocolError):
            next(records)

    # ---- values

    @pytest.mark.parametrize("value", _VALUES, ids=lambda value: repr(value)[:20])
    def test_values(self, value: Any) -> None:
        """A plain value that is written and read is equal, as a result and as an argument."""
        protocol = self.make()
        assert protocol.value_reader(Any)(protocol.encode_value(value)) == value
        arguments = protocol.encode_arguments([value, "last"])
        assert list(protocol.arguments_reader([Any, str])(arguments)) == [value, "last"]

    @pytest.mark.parametrize("value", [None, 1, "ü", True, [1], {"a": 1.5}], ids=repr)
    def test_results(self, value: Any) -> None:
        """``encode_result`` writes what ``encode_value`` and ``encode`` write together."""
        protocol = self.make()
        completion = Completion(invocation_id="1", result=protocol.encode_value(value))
        assert protocol.encode_result("1", value) == protocol.encode(completion)

    @pytest.mark.parametrize("value", [None, 1, "ü", True, [1], {"a": 1.5}], ids=repr)
    def test_items(self, value: Any) -> None:
        """``encode_item`` writes what ``encode_value`` and ``encode`` write together."""
        protocol = self.make()
        item = StreamItem(invocation_id="1", item=protocol.encode_value(value))
        assert protocol.encode_item("1", value) == protocol.encode(item)

    def test_raw_values(self) -> None:
        """A Raw is written unchanged, alone and among arguments."""
        protocol = self.make()
        raw = protocol.encode_value({"a": [1]})
        assert bytes(protocol.encode_value(raw)) == bytes(raw)
        assert bytes(protocol.encode_arguments([raw, 1])) == bytes(
            protocol.encode_arguments([{"a": [1]}, 1])
        )
        assert protocol.encode_result("1", raw) == protocol.encode_result("1", {"a": [1]})
        assert protocol.encode_item("1", raw) == protocol.encode_item("1", {"a": [1]})
        assert protocol.value_reader(Raw)(raw) == raw

    @pytest.mark.parametrize("value", [object(), [object()], {"a": object()}], ids=["", "[]", "{}"])
    def test_values_that_cannot_be_written(self, value: Any) -> None:
        """Each method that writes raises LocalProtocolError."""
        protocol = self.make()
        with pytest.raises(LocalProtocolError):
            protocol.encode_value(value)
        with pytest.raises(LocalProtocolError):
            protocol.encode_arguments([value])
        with pytest.raises(LocalProtocolError):
            protocol.encode_result("1", value)
        with pytest.raises(LocalProtocolError):
            protocol.encode_item("1", value)

    # ---- reading into declared types

    @pytest.mark.parametrize(("annotation", "value"), _READ, ids=repr)
    def test_declared_types(self, annotation: Any, value: Any) -> None:
        """A value that fits the annotation is read."""
        protocol = self.make()
        assert protocol.value_reader(annotation)(protocol.encode_value(value)) == value
        read = protocol.arguments_reader([annotation])
        assert list(read(protocol.encode_arguments([value]))) == [value]

    @pytest.mark.parametrize(("annotation", "value"), _NOT_READ, ids=repr)
    def test_values_of_other_types(self, annotation: Any, value: Any) -> None:
        """ArgumentBindingError is raised, which fails the call and not the connection."""
        protocol = self.make()
        with pytest.raises(ArgumentBindingError):
            protocol.value_reader(annotation)(protocol.encode_value(value))
        with pytest.raises(ArgumentBindingError):
            protocol.arguments_reader([annotation])(protocol.encode_arguments([value]))

    @pytest.mark.parametrize("values", [[], [1], [1, 2, 3]], ids=len)
    def test_another_number_of_arguments(self, values: list[int]) -> None:
        """Too few or too many arguments fail the call and not the connection."""
        protocol = self.make()
        with pytest.raises(ArgumentBindingError):
            protocol.arguments_reader([int, int])(protocol.encode_arguments(values))

    @pytest.mark.parametrize("values", [[1], [1, 2], [1, 2, 3]], ids=len)
    def test_arguments_that_may_be_left_out(self, values: list[int]) -> None:
        """The reader returns the arguments that were sent."""
        protocol = self.make()
        read = protocol.arguments_reader([int, int, int], 1)
        assert list(read(protocol.encode_arguments(values))) == values

    @pytest.mark.parametrize("values", [[], [1, 2, 3, 4]], ids=len)
    def test_too_few_arguments_and_too_many(self, values: list[int]) -> None:
        """Too few or too many arguments fail the call, even if some arguments are optional."""
        protocol = self.make()
        with pytest.raises(ArgumentBindingError):
            protocol.arguments_reader([int, int, int], 1)(protocol.encode_arguments(values))

    @pytest.mark.parametrize("value", [None, 1, "a", {}], ids=repr)
    def test_arguments_that_are_no_array(self, value: Any) -> None:
        """Either the message is decoded as a binding failure, or both ways to use it raise.

        The binding failure fails the call, RemoteProtocolError the connection.
        """
        protocol = self.make()
        call = Invocation(target="M", arguments=protocol.encode_value(value))
        [record] = _records(protocol, protocol.encode(call))
        message = protocol.decode(record)
        if isinstance(message, InvocationBindingFailure):
            return
        assert isinstance(message, Invocation)
        for use in (protocol.require_arguments, protocol.arguments_reader([Any])):
            with pytest.raises(RemoteProtocolError):
                use(message.arguments)

    @pytest.mark.parametrize("values", [[], [1, None], [[]]], ids=repr)
    def test_arguments_that_are_an_array(self, values: list[Any]) -> None:
        """``require_arguments`` accepts any array."""
        protocol = self.make()
        protocol.require_arguments(protocol.encode_arguments(values))


def _stream(protocol: HubProtocol) -> bytes:
    return b"".join(protocol.encode(make(protocol)) for make in _MESSAGES.values())


def _records(protocol: HubProtocol, data: bytes) -> list[bytes]:
    return [bytes(record) for record in protocol.framer(None).feed(data)]


def _try_to_decode(protocol: HubProtocol, record: bytes) -> None:
    try:
        message = protocol.decode(record)
        if isinstance(message, Invocation | StreamInvocation):
            protocol.require_arguments(message.arguments)
    except RemoteProtocolError:
        pass
