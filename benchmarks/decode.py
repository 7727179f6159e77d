"""Hub messages decoded to envelopes, all checks included, against orjson parsing them as JSON."""

import time
from collections.abc import Callable

import orjson

from protocol.framing import RECORD_SEPARATOR
from protocol.hub_protocol import HubProtocol
from protocol.json_protocol import JsonHubProtocol
from protocol.messages import Invocation

from .pairs import Costs, costs

MESSAGES = 64
ROUNDS = 200
REPEATS = 10


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(REPEATS):
        run()
    return time.perf_counter() - start


def _frames(hub_protocol: HubProtocol) -> bytes:
    return b"".join(
        hub_protocol.encode(
            Invocation(
                invocation_id=str(number),
                target="Echo",
                arguments=hub_protocol.encode_arguments([f"hello {number}"]),
            )
        )
        for number in range(MESSAGES)
    )


def measure(hub_protocol: HubProtocol) -> Costs:
    """Nanoseconds per message: ours, orjson's; splitting included."""
    frames, json_frames = _frames(hub_protocol), _frames(JsonHubProtocol())
    framer = hub_protocol.framer(maximum_size=32 * 1024)

    def decode() -> None:
        for _ in hub_protocol.decode_all(framer.feed(frames)):
            pass

    def parse() -> None:
        for record in json_frames.split(RECORD_SEPARATOR)[:-1]:
            orjson.loads(record)

    found = costs([(_seconds(decode), _seconds(parse)) for _ in range(ROUNDS)])
    each = MESSAGES * REPEATS / 1e9
    return Costs(found.ours / each, found.theirs / each, found.ratio)
