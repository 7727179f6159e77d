"""Hub messages decoded to envelopes, all checks included, against orjson parsing the same bytes."""

import time
from collections.abc import Callable
from statistics import median

import orjson

from protocol.framing import RECORD_SEPARATOR
from protocol.json_protocol import JsonHubProtocol

_FRAME = b"".join(
    b'{"type":1,"invocationId":"%d","target":"Echo","arguments":["hello %d"]}\x1e' % (i, i)
    for i in range(64)
)
ROUNDS = 200
REPEATS = 10


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(REPEATS):
        run()
    return time.perf_counter() - start


def measure() -> tuple[float, float]:
    """Nanoseconds per message: ours, orjson; medians of interleaved rounds, splitting included."""
    hub_protocol = JsonHubProtocol()
    framer = hub_protocol.framer(maximum_size=32 * 1024)

    def decode() -> None:
        for _ in hub_protocol.decode_all(framer.feed(_FRAME)):
            pass

    def parse() -> None:
        for record in _FRAME.split(RECORD_SEPARATOR)[:-1]:
            orjson.loads(record)

    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_seconds(decode))
        theirs.append(_seconds(parse))
    messages = 64 * REPEATS
    return median(ours) / messages * 1e9, median(theirs) / messages * 1e9
