"""The longest time that a client's call takes while another client sends 1 MiB."""

from collections.abc import Mapping

from . import load
from .processes import Server
from .rounds import Row, interleaved

SIZE = 1024 * 1024 - 1  # aiohttp refuses a WebSocket message of 1 MiB
_TEXT = "a text of JSON, forty-five bytes in quotes."  # ARGUMENT in load.c
_ENDS = {
    "json": f'{{"type":1,"invocationId":"e","target":"Echo","arguments":["{_TEXT}"]}}\x1e'.encode(),
    "messagepack": b"\x39\x96\x01\x80\xa1e\xa4Echo\x91\xd9\x2b%b\x90" % _TEXT.encode(),
}
_PING = b'{"type":6}\x1e'
_IN_SMALL_MESSAGES = "pings in messages of their own"
RECORDS: dict[str, tuple[str, bytes]] = {
    "nothing": ("json", b""),
    "pings": ("json", _PING),
    _IN_SMALL_MESSAGES: ("json", _PING),
    "unknown types": ("json", b'{"type":99}\x1e'),
    "stream items": ("json", b'{"type":2,"invocationId":"1","item":1}\x1e'),
    "completions": ("json", b'{"type":3,"invocationId":"1","result":1}\x1e'),
    "cancellations": ("json", b'{"type":5,"invocationId":"1"}\x1e'),
    "acks": ("json", b'{"type":8,"sequenceId":1}\x1e'),
    "calls": ("json", b'{"type":1,"target":"Echo","arguments":["x"]}\x1e'),
    "calls of no method": ("json", b'{"type":1,"target":"x","arguments":[]}\x1e'),
    "MessagePack pings": ("messagepack", b"\x02\x91\x06"),
    "MessagePack unknown types": ("messagepack", b"\x02\x91\x63"),
    "MessagePack stream items": ("messagepack", b"\x06\x94\x02\x80\xa11\x01"),
    "MessagePack completions": ("messagepack", b"\x07\x95\x03\x80\xa11\x03\x01"),
    "MessagePack calls": ("messagepack", b"\x0d\x96\x01\x80\xc0\xa4Echo\x91\xa1x\x90"),
}
"""The hub protocol, and the record that the client repeats.

The client sends all records in one WebSocket message, except in `_IN_SMALL_MESSAGES`.
"""


def flood(record: bytes, hub_protocol: str) -> bytes:
    """Return at most SIZE bytes that repeat a record and end with a call of Echo."""
    end = _ENDS[hub_protocol]
    return record * ((SIZE - len(end)) // len(record) if record else 0) + end


def measure(servers: Mapping[str, Server], case: str, rounds: int) -> list[Row]:
    """Return the longest wait in seconds of one case."""
    hub_protocol, record = RECORDS[case]
    records = flood(record, hub_protocol)
    payload = len(record) if case == _IN_SMALL_MESSAGES else 0

    def wait(server: Server) -> dict[str, float]:
        return {case: load.longest_wait(server, hub_protocol, records, payload)}

    return interleaved(servers, wait, rounds)
