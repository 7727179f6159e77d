"""aiohttp applications on real loopback sockets, for as long as a test lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from protocol import EndpointOptions, Hub, HubContext, HubOptions, hub_method, map_hub

CLOSE_TIMEOUT = 0.05
"""For tests whose client does not answer a Close: the default is five seconds."""
QUICK = EndpointOptions(close_timeout=CLOSE_TIMEOUT)


class BasicHub(Hub):
    """A hub with the methods that most tests need."""

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right

    @hub_method
    async def tell_all(self, text: str) -> None:
        await self.clients.all.send("News", text)

    @hub_method
    def who(self) -> list[Any]:
        user = self.context.user_identifier
        return [self.context.connection_id, user, self.context.http_request.path]

    @hub_method
    def abort(self) -> None:
        self.context.abort()


@asynccontextmanager
async def running(app: web.Application, port: int = 0, **more: Any) -> AsyncIterator[str]:
    """Serves ``app`` on loopback; gives the URL without a slash at its end."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2, **more)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Host:
    """An application with hubs; ``url`` is there once it runs."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.url = ""

    def map(
        self,
        path: str = "/hub",
        hub_class: type[Hub] = BasicHub,
        *,
        hub_options: HubOptions | None = None,
        endpoint_options: EndpointOptions | None = QUICK,
        **more: Any,
    ) -> HubContext:
        return map_hub(
            self.app,
            path,
            hub_class,
            hub_options=hub_options,
            endpoint_options=endpoint_options,
            **more,
        )

    @asynccontextmanager
    async def run(self, port: int = 0, **more: Any) -> AsyncIterator["Host"]:
        async with running(self.app, port, **more) as self.url:
            yield self
