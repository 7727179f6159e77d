"""CPU time of the library's client per message, with stateful reconnect or without it.

``python client_cost.py asyncio|uvloop PORT with|without`` connects to the hub at ``PORT``, and
prints the CPU seconds per message of each case as JSON. With stateful reconnect, the client also
sends and receives Acks.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from protocol import HubConnection, HubConnectionBuilder

MESSAGES = 8000
_DEPTH = 64
_TEXT = "a text of JSON, forty-five bytes in quotes."


async def _echo(connection: HubConnection, messages: int) -> None:
    async def call() -> None:
        for _ in range(messages // _DEPTH):
            await connection.invoke("Echo", _TEXT)

    await asyncio.gather(*(call() for _ in range(_DEPTH)))


async def _events(connection: HubConnection, messages: int) -> None:
    done = asyncio.Event()
    left = messages

    def receive(_text: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    connection.on("Event", receive)
    await connection.send("Broadcast", _TEXT, messages)
    await done.wait()
    connection.off("Event")


async def _stream(connection: HubConnection, messages: int) -> None:
    async for _ in connection.stream("Stream", _TEXT, messages):
        pass


async def _upload(connection: HubConnection, messages: int) -> None:
    async def items() -> AsyncIterator[str]:
        for _ in range(messages):
            yield _TEXT

    await connection.invoke("Upload", items())


CASES: Mapping[str, Callable[[HubConnection, int], Awaitable[None]]] = {
    f"client, {_DEPTH} calls at a time": _echo,
    "client, events": _events,
    "client, stream from the hub": _stream,
    "client, stream to the hub": _upload,
}


async def measured(port: int, is_stateful: bool, messages: int = MESSAGES) -> dict[str, float]:
    """Return the CPU seconds per message of each case, of the hub at ``port``."""
    builder = HubConnectionBuilder().with_url(f"http://127.0.0.1:{port}/hub")
    if is_stateful:
        builder = builder.with_stateful_reconnect()
    costs = {}
    async with builder.build() as connection:
        for name, case in CASES.items():
            await case(connection, max(_DEPTH, messages // 8))
            before = time.process_time()
            await case(connection, messages)
            costs[name] = (time.process_time() - before) / messages
    return costs


if __name__ == "__main__":
    loop_name, hub_port, reconnect = sys.argv[1:]
    new_event_loop = importlib.import_module(loop_name).new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as loop_runner:
        print(json.dumps(loop_runner.run(measured(int(hub_port), reconnect == "with"))))
