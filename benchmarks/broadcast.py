"""One event to many connections, against a loop that sends the same bytes to as many sockets."""

import asyncio
import contextlib
from statistics import median
from urllib.parse import quote

from .load import Listener, Server, serving
from .servers import SIGNALR_PATH

ROUNDS = 41
_TEXT = "x" * 60


async def _connect(server: Server, raw_port: int, count: int) -> list[Listener]:
    loop = asyncio.get_running_loop()
    listeners: list[Listener] = []
    for port, path in ((server.port, SIGNALR_PATH), (raw_port, "")):
        for _ in range(count):
            _, listener = await loop.create_connection(
                lambda path=path: Listener(path),  # type: ignore[misc]
                "127.0.0.1",
                port,
            )
            await listener.ready
            listeners.append(listener)
    return listeners


async def _rounds(server: Server, count: int) -> tuple[float, float]:
    raw_port = int(await server.get("/raw-port"))
    listeners = await _connect(server, raw_port, count)
    ours, raw = [], []
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        for _ in range(ROUNDS):
            ours.append(await server.get(f"/broadcast?text={quote(_TEXT)}"))
            raw.append(await server.get(f"/raw?text={quote(_TEXT)}"))
    return median(ours) * 1e6 / count, median(raw) * 1e6 / count


def measure(count: int) -> tuple[float, float]:
    """µs per connection until everything is written: ours, raw sockets."""
    with serving() as server:
        return asyncio.run(_rounds(server, count))
