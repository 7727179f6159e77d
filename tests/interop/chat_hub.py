"""The chat hub of `dotnet/chat-hub` on this library's server, to be run as a program of its own.

    python -m tests.interop.chat_hub --urls http://127.0.0.1:5000

The hubs, their methods and the lines on standard output are the same as in `dotnet/chat-hub`, whose
sources describe the methods. HUB_ORIGIN, HUB_MAX, HUB_KEEPALIVE and HUB_TIMEOUT in the environment
have the same meaning, but the last three apply to the chat hub only. HUB_STATEFUL is the size in
bytes of its buffer for stateful reconnect.
"""

import argparse
import asyncio
import itertools
import os
import signal
import sys
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from protocol import (
    EndpointOptions,
    HttpRequestData,
    Hub,
    HubException,
    HubOptions,
    Principal,
    hub_method,
    map_hub,
)
from tests.interop.stream_hub import StreamHub
from tests.interop.token_hub import TokenHub, revoke, user_of_token
from tests.interop.values_hub import ValuesHub
from tests.vectors.value_types import Person


class Request(msgspec.Struct):
    name: str
    message: str


GATES: dict[str, asyncio.Event] = {}
"""The events for which calls of Hold wait, by name."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class ChatHub(Hub):
    @hub_method
    async def send_message(self, request: Request) -> None:
        await self.clients.all.send("ReceiveMessage", request.name, request.message)

    @hub_method
    async def add(self, a: int, b: int) -> int:
        return a + b

    @hub_method
    async def echo(self, value: Any) -> Any:
        return value

    @hub_method
    async def relay(self, value: Any) -> None:
        await self.clients.all.send("ReceiveRelay", value)

    @hub_method
    async def echo_person(self, person: Person) -> Person:
        return person

    @hub_method
    async def connection_id(self) -> str:
        return self.context.connection_id

    @hub_method
    async def nothing(self) -> None:
        pass

    @hub_method
    async def throw(self) -> None:
        raise ValueError("plain secret")

    @hub_method
    async def throw_hub(self) -> None:
        raise HubException("hub says no")

    @hub_method
    async def send_to_caller(self, text: str) -> None:
        await self.clients.caller.send("ReceiveText", text)

    @hub_method
    async def send_to_others(self, text: str) -> None:
        await self.clients.others.send("ReceiveText", text)

    @hub_method
    async def send_to_user(self, user: str, text: str) -> None:
        await self.clients.user(user).send("ReceiveText", text)

    @hub_method
    async def send_to_group(self, group: str, text: str) -> None:
        await self.clients.group(group).send("ReceiveText", text)

    @hub_method
    async def join_group(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    @hub_method
    async def leave_group(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)

    @hub_method
    async def abort(self) -> None:
        self.context.abort()

    @hub_method
    async def send_numbers(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            await self.clients.caller.send("ReceiveNumber", number)

    @hub_method
    async def note(self, number: int) -> None:
        self.context.items.setdefault("numbers", []).append(number)

    @hub_method
    async def noted(self) -> list[int]:
        numbers = self.context.items.get("numbers", [])
        pairs = itertools.pairwise([-1, *numbers])
        return [len(numbers), *(number for before, number in pairs if number != before + 1)]

    @hub_method
    async def record(self, text: str) -> str:
        say(f"RECORDED {text}")
        return text

    @hub_method
    async def hold(self, name: str) -> str:
        say(f"HOLDING {name}")
        await GATES.setdefault(name, asyncio.Event()).wait()
        return name

    async def on_disconnected(self, error: Exception | None) -> None:
        say(f"DISCONNECTED {self.context.connection_id}{' in error' if error else ''}")


def user_of(request: HttpRequestData) -> Principal:
    """The X-User header is the user of a connection."""
    return Principal(user_id=request.headers.get("X-User"), roles=frozenset(), claims={})


async def release(request: web.Request) -> web.Response:
    GATES.pop(request.match_info["name"]).set()
    return web.Response(status=204)


def chat_options() -> HubOptions:
    options = HubOptions(maximum_receive_message_size=int(os.environ.get("HUB_MAX", 32768)))
    if "HUB_KEEPALIVE" in os.environ:
        options = replace(options, keep_alive_interval=int(os.environ["HUB_KEEPALIVE"]) / 1000)
    if "HUB_STATEFUL" in os.environ:
        size = int(os.environ["HUB_STATEFUL"])
        options = replace(options, stateful_reconnect_buffer_size=size)
    if "HUB_TIMEOUT" in os.environ:
        options = replace(options, client_timeout_interval=int(os.environ["HUB_TIMEOUT"]) / 1000)
    return options


async def serve(url: URL, hub: type[Hub] = ChatHub) -> None:
    """Serves until SIGTERM."""
    app = web.Application()
    app.router.add_post("/release/{name}", release)
    origin = os.environ.get("HUB_ORIGIN")
    origins = None if origin is None else [origin]
    map_hub(
        app,
        "/chathub",
        hub,
        hub_options=chat_options(),
        endpoint_options=EndpointOptions(
            authenticate=user_of, allowed_origins=origins, allow_stateful_reconnects=True
        ),
    )
    map_hub(app, "/valueshub", ValuesHub)
    map_hub(
        app,
        "/tokenhub",
        TokenHub,
        endpoint_options=EndpointOptions(
            authenticate=user_of_token, authorize=True, allowed_origins=origins
        ),
    )
    app.router.add_post("/revoke/{token}", revoke)
    map_hub(app, "/streamhub", StreamHub, endpoint_options=EndpointOptions(allowed_origins=origins))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, url.host, url.port).start()
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    say(f"LISTENING {url}")
    await terminated.wait()
    await runner.cleanup()


def main(hub: type[Hub] = ChatHub) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--urls", type=URL, required=True)
    asyncio.run(serve(parser.parse_args().urls, hub))


if __name__ == "__main__":
    main()
