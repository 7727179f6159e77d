"""CPU time for hostile input: how it grows with the size of the input, and how much it is per byte.

Each case is measured at one size and at four times that size. A linear algorithm then takes four
times as long, a quadratic one sixteen times. The time per byte is compared with `json.loads`.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct

from protocol import (
    ArgumentBindingError,
    HandshakeError,
    NegotiationError,
    RemoteProtocolError,
    TranscodingError,
)
from protocol.handshake import ServerHandshake
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.framing import frame
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.negotiate import choose_version, read_response
from protocol.server_sent_events import ServerSentEventsParser
from protocol.values.transcoding import (
    json_to_messagepack,
    messagepack_to_json,
    messagepack_to_json_in_steps,
)
from signalr_gateway.routing.arguments import InvalidArguments, split_arguments

from . import decode


class _Record(Struct):
    value: int = 0


SIZE = 100_000
FACTOR = 4
ROUNDS = 5
_SLICE = 1024
_CALL = b'{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}\x1e'
_protocol = JsonHubProtocol()
_messagepack = MessagePackHubProtocol()
_bind = _protocol.arguments_reader((Any,))
_bind_messagepack = _messagepack.arguments_reader((Any,))
_bind_dict = _messagepack.arguments_reader((dict[str, Any],))
_bind_records = _messagepack.arguments_reader((list[_Record],))
_bind_keys = _protocol.arguments_reader((dict[int, int],))
_bind_dates = _protocol.arguments_reader((datetime,))
_bind_decimal = _protocol.arguments_reader((Decimal,))
_bind_int = _protocol.arguments_reader((int,))
_bind_float = _protocol.arguments_reader((float,))


def _sliced(record: bytes) -> None:
    framer = _protocol.framer(None)
    data = record + b"\x1e"
    for start in range(0, len(data), _SLICE):
        for piece in framer.feed(data[start : start + _SLICE]):
            _protocol.decode(piece)


def _at_once(stream: bytes) -> None:
    for _ in _protocol.decode_all(_protocol.framer(None).feed(stream)):
        pass


def _framed(stream: bytes) -> None:
    framer = _messagepack.framer(None)
    for start in range(0, len(stream), _SLICE):
        for piece in framer.feed(stream[start : start + _SLICE]):
            _messagepack.decode(piece)


def _listen(stream: bytes) -> None:
    parser = ServerSentEventsParser(None)
    for start in range(0, len(stream), _SLICE):
        parser.feed(stream[start : start + _SLICE])


def _shake_hands(record: bytes) -> None:
    handshake = ServerHandshake({"json": _protocol}, maximum_size=None)
    for start in range(0, len(record), _SLICE):
        handshake.receive(record[start : start + _SLICE])
    handshake.receive(b"\x1e")


def _invocation(arguments: bytes) -> bytes:
    return b'{"type":1,"target":"T","arguments":[%b]}' % arguments


def _call(arguments: bytes) -> bytes:
    """An Invocation in MessagePack with a header, which only the full reader accepts."""
    return b"\x96\x01\x81\xa1a\xa1b\xc0\xa1T" + arguments + b"\x90"


def _array(element: bytes, count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4) + element * count


def _map(entries: Iterable[bytes], count: int) -> bytes:
    return b"\xdf" + count.to_bytes(4) + b"".join(entries)


def _text(number: int) -> bytes:
    return b"\xa8%08x" % number


# Two functions for each case: one processes bytes, the other one makes about `n` bytes of input.
CASES: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "one record in slices": (_sliced, lambda n: _invocation(b'"' + b"x" * n + b'"')),
    "small records": (_sliced, lambda n: b'{"type":6}\x1e' * (n // 11)),
    "usual records at once": (_at_once, lambda n: _CALL * (n // len(_CALL))),
    "an odd record behind usual ones": (
        _at_once,
        lambda n: _CALL * (n // len(_CALL)) + b'{"type":99}\x1e',
    ),
    "an odd record behind each": (
        _at_once,
        lambda n: (_CALL + b'{"type":99}\x1e') * (n // (len(_CALL) + 12)),
    ),
    "escapes": (_protocol.decode, lambda n: _invocation(b'"' + b"\\u0041" * (n // 6) + b'"')),
    "open brackets": (_protocol.decode, lambda n: b"[" * n),
    "open strings": (_protocol.decode, lambda n: b'{"a":"' + b'\\"' * (n // 2)),
    "wide nesting": (_protocol.decode, lambda n: _invocation(b",".join([b"[[[]]]"] * (n // 7)))),
    "properties": (_protocol.decode, lambda n: b'{"type":6' + b',"a":{}' * (n // 7) + b"}"),
    "one property again": (
        _protocol.decode,
        lambda n: b'{"type":6' + b',"target":"x"' * (n // 13) + b"}",
    ),
    "headers": (
        _protocol.decode,
        lambda n: b'{"type":6,"headers":{%b}}' % b",".join(b'"%d":"x"' % i for i in range(n // 10)),
    ),
    "stream ids": (
        _protocol.decode,
        lambda n: (
            b'{"type":1,"target":"T","arguments":[],"a":0,"streamIds":[%b]}'
            % b",".join([b'"1"'] * (n // 4))
        ),
    ),
    "a long number as type": (_protocol.decode, lambda n: b'{"type":' + b"9" * n + b"}"),
    "a long whole number": (lambda b: _bind_int(Raw(b)), lambda n: b"[" + b"9" * n + b"]"),
    "a long fraction": (lambda b: _bind_float(Raw(b)), lambda n: b"[0." + b"9" * n + b"]"),
    "values of any kind": (
        lambda b: _bind(Raw(b)),
        lambda n: b"[[" + b",".join([b'{"a":1e999}'] * (n // 12)) + b"]]",
    ),
    "a handshake in slices": (_shake_hands, lambda n: b'{"protocol":"' + b"x" * n + b'"}'),
    "a handshake of properties": (_shake_hands, lambda n: b"{" + b'"a":1,' * (n // 6) + b"}"),
    "a negotiate version": (lambda b: choose_version([b.decode()]), lambda n: b"9" * n),
    "a negotiate answer": (read_response, lambda n: b'{"error":"' + b"\\n" * (n // 2) + b'"}'),
}
CASES |= {
    "one message in slices": (
        _framed,
        lambda n: frame(_call(b"\x91\xdb" + n.to_bytes(4) + b"x" * n)),
    ),
    "messages of two bytes": (_framed, lambda n: b"\x02\x91\x06" * (n // 3)),
    "messages of no known type": (_framed, lambda n: b"\x02\x91\x63" * (n // 3)),
    "a message of open arrays": (_messagepack.decode, lambda n: _call(b"\x91" * n)),
    "arguments, one by one": (_messagepack.decode, lambda n: _call(_array(b"\x01", n))),
    "headers in MessagePack": (
        _messagepack.decode,
        lambda n: (
            b"\x93\x05" + _map((_text(i) + b"\xa1x" for i in range(n // 11)), n // 11) + b"\xa11"
        ),
    ),
    "stream ids in MessagePack": (
        _messagepack.decode,
        lambda n: b"\x96\x01\x80\xc0\xa1T\x90" + _array(b"\xa11", n // 2),
    ),
    "MessagePack of any kind": (
        lambda b: _bind_messagepack(Raw(b"\x91" + b)),
        lambda n: _array(b"\x81\xa1a\x91\xc0", n // 5),
    ),
    "bad UTF-8 in depth": (
        lambda b: _bind_messagepack(Raw(b"\x91" + b)),
        lambda n: b"\x92\x01" * 400 + _array(b"\xa1\xff", n // 2),
    ),
    "records of unknown types": (_at_once, lambda n: b'{"type":99}\x1e' * (n // 12)),
    "timestamps in MessagePack": (
        lambda b: _bind_messagepack(Raw(b"\x91" + b)),
        lambda n: _array(b"\xd6\xff\x00\x00\x00\x01", n // 6),
    ),
    "empty maps in MessagePack": (
        lambda b: _bind_messagepack(Raw(b"\x91" + b)),
        lambda n: _array(b"\x80", n),
    ),
    "keys in MessagePack": (
        lambda b: _bind_dict(Raw(b"\x91" + b)),
        lambda n: _map((_text(i) + b"\xc0" for i in range(n // 10)), n // 10),
    ),
    "members again and again": (
        lambda b: _bind_records(Raw(b"\x91" + b)),
        lambda n: _array(b"\xde\x00\x10" + b"\xa5Value\x01" * 16, n // 115),
    ),
}
CASES |= {
    "keys that are numbers": (
        lambda b: _bind_keys(Raw(b)),
        lambda n: b"[{%b}]" % b",".join(b'"%d":1' % i for i in range(n // 9)),
    ),
    "a long key": (lambda b: _bind_keys(Raw(b)), lambda n: b'[{"' + b"9" * n + b'":1}]'),
    "a long date": (
        lambda b: _bind_dates(Raw(b)),
        lambda n: b'["2024-02-29T12:00:00.' + b"9" * n + b'"]',
    ),
    "a long decimal": (lambda b: _bind_decimal(Raw(b)), lambda n: b"[0." + b"9" * n + b"]"),
    "an event of many lines": (_listen, lambda n: b"data:x\r\n" * (n // 8) + b"\n"),
    "an event of one line": (_listen, lambda n: b"data:" + b"x" * n + b"\n\n"),
    "lines without anything": (_listen, lambda n: b"\r" * n),
    "JSON to MessagePack": (
        json_to_messagepack,
        lambda n: b"[" + b",".join([b'{"\\ud800":1e999}'] * (n // 17)) + b"]",
    ),
    "a long number to MessagePack": (json_to_messagepack, lambda n: b"9" * n),
    "MessagePack to JSON": (
        messagepack_to_json,
        lambda n: _array(b"\x91" * 50 + b"\xa1\xff", n // 52),
    ),
    "floats of 32 bits to JSON": (
        messagepack_to_json,
        lambda n: _array(b"\xca\x00\x12\xd6\x87", n // 5),  # 1.73e-39, with fewer digits
    ),
    "keys of MessagePack to JSON": (
        messagepack_to_json,
        lambda n: _array(b"\x81\xca\x3f\x80\x00\x01\xc4\x00", n // 8),
    ),
    "small arrays to JSON": (messagepack_to_json, lambda n: _array(b"\x91\x91\x01", n // 3)),
    "empty bytes to JSON": (messagepack_to_json, lambda n: _array(b"\xc4\x00", n // 2)),
    "arguments to split": (split_arguments, lambda n: b"[" + b'["\\\\[",{}],' * (n // 11) + b"1]"),
    "arguments in depth": (
        split_arguments,
        lambda n: b"[[" + b",".join([b"[" * 30 + b"]" * 30] * (n // 61)) + b"]]",
    ),
    "arguments in depth, in MessagePack": (
        lambda data: split_arguments(data, protocol_name="messagepack"),
        lambda n: b"\x91" + _array(b"\x91" * 29 + b"\x90", n // 30),
    ),
    "arguments without a text": (
        split_arguments,
        lambda n: b'["\\ud800",[' + b"[]," * (n // 3) + b"1]]",
    ),
}
_REFUSALS = (
    RemoteProtocolError,
    ArgumentBindingError,
    HandshakeError,
    NegotiationError,
    TranscodingError,
    InvalidArguments,
)


def _seconds(act: Callable[[bytes], object], data: bytes) -> float:
    start = time.process_time()
    try:
        act(data)
    except _REFUSALS:
        pass  # a refusal is measured in the same way
    return time.process_time() - start


@dataclass(frozen=True)
class Worst:
    """The case with the highest factor, and the factor."""

    case: str
    factor: float


def _parser_seconds() -> float:
    """The CPU time per byte of `json.loads` for an array of usual messages."""
    message = decode.JSON[decode.USUAL] % 1
    data = b"[" + b",".join([message] * (SIZE // len(message))) + b"]"
    return min(_seconds(json.loads, data) for _ in range(3)) / len(data)


def longest_step() -> Worst:
    """Return the longest step of the cases that are transcoded in turns of the event loop.

    Its factor is the CPU time divided by that of `json.loads` for SIZE bytes.
    """
    steps = {}
    for name, (act, make) in CASES.items():
        if act is messagepack_to_json:
            data = make(SIZE)
            fastest = min(_longest(messagepack_to_json_in_steps(data)) for _ in range(ROUNDS))
            steps[name] = fastest / (SIZE * _parser_seconds())
    return _worst(steps)


def _longest(steps: Iterator[None]) -> float:
    longest, is_done = 0.0, False
    while not is_done:
        start = time.process_time()
        is_done = next(steps, StopIteration) is StopIteration
        longest = max(longest, time.process_time() - start)
    return longest


def measure() -> tuple[Worst, Worst]:
    """Return the case whose time grows most, and the case that costs most per byte.

    The cost per byte is measured at the larger size, and divided by the cost of `json.loads`.
    """
    growth, costs = {}, {}
    for name, (act, make) in CASES.items():
        small, large = make(SIZE), make(SIZE * FACTOR)
        times, ratios = [], []
        for _ in range(ROUNDS):
            times.append((_seconds(act, small), _seconds(act, large)))
            # `json.loads` is measured at once, because the speed of the processor varies.
            ratios.append(times[-1][1] / len(large) / _parser_seconds())
        # Times below 50 µs count as 50 µs, because they are mostly noise.
        fastest = [min(column) for column in zip(*times, strict=True)]
        growth[name] = fastest[1] / max(fastest[0], 50e-6)
        costs[name] = min(ratios)
    return _worst(growth), _worst(costs)


def _worst(factors: dict[str, float]) -> Worst:
    case = max(factors, key=lambda name: factors[name])
    return Worst(case, factors[case])
