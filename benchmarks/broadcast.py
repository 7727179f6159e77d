"""One event to many connections, against a loop that sends the same bytes to as many sockets.

The time is that of the sending thread alone: what other processes take of the machine meanwhile,
the receiving one among them, is nobody's fault.
"""

import asyncio
import contextlib
from urllib.parse import quote

from .load import Listener, Server, serving
from .pairs import WARM_UP, Costs, measured
from .servers import SIGNALR_PATH

PAIRS = 100
_TEXT = "x" * 60


async def _connect(port: int, path: str, count: int) -> list[Listener]:
    loop = asyncio.get_running_loop()
    listeners = []
    for _ in range(count):
        _, listener = await loop.create_connection(
            lambda: Listener(path, _TEXT.encode(), PAIRS + WARM_UP), "127.0.0.1", port
        )
        await listener.ready
        listeners.append(listener)
    return listeners


async def _measure(server: Server, count: int) -> Costs:
    raw_port = int(await server.get("/raw-port"))
    listeners = [
        *await _connect(server.port, SIGNALR_PATH, count),
        *await _connect(raw_port, "", count),
    ]
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        found = await measured(
            lambda: server.get(f"/broadcast?text={quote(_TEXT)}"),
            lambda: server.get(f"/raw?text={quote(_TEXT)}"),
            PAIRS,
        )
        async with asyncio.timeout(60):  # nobody may have been left out
            await asyncio.gather(*(listener.done for listener in listeners))
    return Costs(found.ours * 1e6 / count, found.theirs * 1e6 / count, found.ratio)


def measure(count: int) -> Costs:
    """µs per connection until everything is written: ours, raw sockets."""
    with serving() as server:
        return asyncio.run(_measure(server, count))
