"""CPU time to decode each type of hub message, with all checks but without reading its payloads.

This module is also a program: ``python decode.py``. The program imports ``protocol`` from
PYTHONPATH, so that it can measure any version of the library. It prints one JSON object: the
nanoseconds per message, by the name of the hub protocol and the type of message.
"""

import json
import sys
import time
from collections.abc import Callable

from protocol import JsonHubProtocol, MessagePackHubProtocol

MESSAGES = 64
USUAL = "Invocation"
"""The type of message that the others are compared with."""

_REPEATS = 5
_ROUNDS = 40
_NUMBERS = range(10, 10 + MESSAGES)  # two digits in JSON, one byte in MessagePack

JSON: dict[str, bytes] = {
    USUAL: b'{"type":1,"invocationId":"%d","target":"Echo","arguments":["hello"]}',
    "StreamInvocation": b'{"type":4,"invocationId":"%d","target":"Echo","arguments":["hello"]}',
    "StreamItem": b'{"type":2,"invocationId":"%d","item":"hello"}',
    "Completion": b'{"type":3,"invocationId":"%d","result":"hello"}',
    "Completion, void": b'{"type":3,"invocationId":"%d"}',
    "Completion, error": b'{"type":3,"invocationId":"%d","error":"it fails"}',
    "CancelInvocation": b'{"type":5,"invocationId":"%d"}',
    "Ping": b'{"type":6}',
    "Close": b'{"type":7}',
    "Ack": b'{"type":8,"sequenceId":%d}',
    "Sequence": b'{"type":9,"sequenceId":%d}',
}
"""A record of each type, without its separator; ``%d`` stands for an id."""

MESSAGEPACK: dict[str, bytes] = {
    USUAL: b"\x96\x01\x80\xa2%d\xa4Echo\x91\xa5hello\x90",
    "StreamInvocation": b"\x96\x04\x80\xa2%d\xa4Echo\x91\xa5hello\x90",
    "StreamItem": b"\x94\x02\x80\xa2%d\xa5hello",
    "Completion": b"\x95\x03\x80\xa2%d\x03\xa5hello",
    "Completion, void": b"\x94\x03\x80\xa2%d\x02",
    "Completion, error": b"\x95\x03\x80\xa2%d\x01\xa8it fails",
    "CancelInvocation": b"\x93\x05\x80\xa2%d",
    "Ping": b"\x91\x06",
    "Close": b"\x93\x07\xc0\xc2",
    "Ack": b"\x92\x08%c",
    "Sequence": b"\x92\x09%c",
}
"""The same messages in MessagePack, without their length prefixes."""


def numbered(record: bytes) -> list[bytes]:
    """Return MESSAGES records that differ only in their ids."""
    return [record % number if b"%" in record else record for number in _NUMBERS]


def json_bytes(record: bytes) -> bytes:
    """Return MESSAGES records as a client sends them together."""
    return b"".join(each + b"\x1e" for each in numbered(record))


def messagepack_bytes(record: bytes) -> bytes:
    """Return MESSAGES messages as a client sends them together."""
    return b"".join(bytes((len(each),)) + each for each in numbered(record))


USUAL_JSON = json_bytes(JSON[USUAL])


def decoder(
    hub_protocol: JsonHubProtocol | MessagePackHubProtocol, data: bytes
) -> Callable[[], None]:
    """Return a function that splits ``data`` and decodes each message."""
    framer = hub_protocol.framer(maximum_size=32 * 1024)

    def decode() -> None:
        for _ in hub_protocol.decode_all(framer.feed(data)):
            pass

    return decode


def decoders() -> dict[str, dict[str, Callable[[], None]]]:
    """Return functions that decode MESSAGES messages, by hub protocol and type of message."""
    json_protocol, messagepack = JsonHubProtocol(), MessagePackHubProtocol()
    return {
        "json": {kind: decoder(json_protocol, json_bytes(record)) for kind, record in JSON.items()},
        "messagepack": {
            kind: decoder(messagepack, messagepack_bytes(record))
            for kind, record in MESSAGEPACK.items()
        },
    }


def nanoseconds(run: Callable[[], None]) -> float:
    """Return the CPU time per message of ``run``, which handles MESSAGES messages."""
    start = time.process_time_ns()
    for _ in range(_REPEATS):
        run()
    return (time.process_time_ns() - start) / (_REPEATS * MESSAGES)


def main() -> None:
    """Print the shortest times of many rounds."""
    times = {
        name: {kind: min(nanoseconds(run) for _ in range(_ROUNDS)) for kind, run in kinds.items()}
        for name, kinds in decoders().items()
    }
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main()
