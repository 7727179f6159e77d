"""The drivers and the targets of the matrix by name, each started when it is first needed.

A program ends when the exit stack for it is closed. Foreign programs are built in threads, so that
other cells can run meanwhile.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from yarl import URL

from signalr_gateway.serving.listener import serving
from tests.interop.browser import chromium
from tests.interop.builds import BUILDS_AT_ONCE, node_program, require
from tests.interop.drivers import (
    ClientDriver,
    PageDriver,
    ProcessDriver,
    dotnet_driver_argv,
    node_driver_argv,
)
from tests.interop.matrix import cells
from tests.interop.matrix.scene import Target
from tests.interop.nginx import USUAL, documented, nginx_before
from tests.interop.orchestrations import LARGEST_MESSAGE
from tests.interop.python_driver import PythonDriver
from tests.interop.servers import (
    GatewayServer,
    HubServer,
    aspnetcore_hub,
    python_hub,
    running,
)

R = TypeVar("R")


class Peers:
    """The first test that needs a driver or a target starts it; others wait for it."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._builders = stack.enter_context(ThreadPoolExecutor(BUILDS_AT_ONCE))
        self._started: dict[str, asyncio.Task[Any]] = {}

    async def driver(self, client: str) -> ClientDriver:
        """The driver of one of `cells.CLIENTS`. Skips the test if its tools are missing."""
        return await self._once(client, self._start_driver)

    async def target(self, name: str) -> Target:
        """One of `cells.TARGETS`, serving."""
        return await self._once(name, self._start_target)

    async def _pages(self) -> str:
        """The origin that serves the driver for the browser."""
        return await self._once("pages", self._start_pages)

    async def _once(self, name: str, start: Callable[[str], Awaitable[R]]) -> R:
        if name not in self._started:
            self._started[name] = asyncio.ensure_future(start(name))
        started: R = await asyncio.shield(self._started[name])
        return started

    async def _start_driver(self, client: str) -> ClientDriver:
        if client == cells.PYTHON:
            return PythonDriver()
        if client == cells.CHROMIUM:
            require("chromium")
            pages = await self._pages()
            page = await self._stack.enter_async_context(chromium(self._folder / "profile"))
            return await PageDriver.open(page, f"{pages}/driver.html")
        if client == cells.NODE:
            argv = await self._built(node_driver_argv)
        else:
            argv = await self._built(lambda: dotnet_driver_argv(cells.DOTNET[client]))
        driver = await ProcessDriver.start(*argv)
        self._stack.push_async_callback(driver.exit)
        return driver

    async def _start_pages(self, _: str) -> str:
        program = await self._built(node_program)
        return await self._stack.enter_async_context(_served(program))

    async def _start_target(self, name: str) -> Target:
        if name in cells.BEHIND_NGINX:
            return await self._behind_nginx(await self.target(cells.BEHIND_NGINX[name]))
        if name != cells.GATEWAY:
            hub = await self._hub(name)
            return Target(hub.url, hub.url, hub)
        hub = await self._hub(cells.ASPNETCORE_NEWTONSOFT)
        gateway = await self._stack.enter_async_context(
            GatewayServer.before(
                {"chatservice": hub}, "matrix", "--allowed-origin", await self._pages()
            )
        )
        url = gateway.url("/gatewayhub")
        return Target(url, url, hub, gateway)

    async def _behind_nginx(self, target: Target) -> Target:
        addresses = []
        for site in (USUAL, documented()):
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            proxy = await self._stack.enter_async_context(nginx_before(target.url, site, folder))
            addresses.append(proxy.address + URL(target.url).path)
        usual, upgrading = addresses
        return replace(target, url=usual, web_socket_url=upgrading)

    async def _hub(self, name: str) -> HubServer:
        if name == cells.HUB:
            program = python_hub()
        else:
            program = await self._built(aspnetcore_hub)
        if name == cells.ASPNETCORE:
            program = program.with_environment(HUB_STJ="1")
        program = program.with_environment(
            HUB_MAX=str(LARGEST_MESSAGE), HUB_ORIGIN=await self._pages()
        )
        return await self._stack.enter_async_context(running(program))

    async def _built(self, build: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._builders, build)


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[str]:
    """Serves the files of a folder on http, at an origin of their own."""
    app = web.Application()
    app.router.add_static("/", folder)
    async with serving(app, "127.0.0.1", 0) as address:
        yield address
