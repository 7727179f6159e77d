"""Headless Chromium, controlled through its DevTools protocol.

There are only the functions that a test of a page needs: open the page, wait for an element, use
it, read the errors in the console of the browser, take a screenshot.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.interop.builds import require
from tests.interop.journal import PATIENCE, Journal
from tests.interop.processes import LineProcess

FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1000",
    "--remote-debugging-port=0",
)

_WHEN = """
new Promise((done) => {
    const look = () => (%s) && (observer.disconnect(), done(true));
    const observer = new MutationObserver(look);
    observer.observe(document, {
        subtree: true, childList: true, characterData: true, attributes: true
    });
    look();
})
"""


class Page:
    """One tab, controlled through a DevTools session. A script that throws is an AssertionError."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events = Journal[dict[str, Any]]("events of the page")
        self._socket = socket
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: dict[str, str] = {}
        self._bindings: dict[str, Callable[[str], None]] = {}
        self._reader = asyncio.create_task(self._read())

    async def open(self, url: str) -> None:
        """Opens a tab with this address and waits until it has loaded."""
        target = await self.command("Target.createTarget", url="about:blank")
        session = await self.command("Target.attachToTarget", **target, flatten=True)
        self._session = {"sessionId": session["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")
        await self.go(url)

    async def go(self, url: str) -> None:
        """Goes to another address in the same tab and waits until it has loaded."""
        loaded = sum(_is_load(event) for event in self.events.entries)
        await self.command("Page.navigate", url=url)
        await self.events.wait(loaded + 1, _is_load)

    async def bind(self, name: str, function: Callable[[str], None]) -> None:
        """Gives the pages of this tab a function `name`, which calls `function` with a text."""
        self._bindings[name] = function
        await self.command("Runtime.addBinding", name=name)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def when(self, condition: str) -> None:
        """Waits until a JavaScript condition is true; evaluates it after every change of the
        document."""
        try:
            await self.evaluate(_WHEN % condition)
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never came true: {condition}; the page shows\n{text}") from None

    async def text(self, selector: str) -> str:
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def complaints(self) -> list[str]:
        """The errors in the browser's console: errors, exceptions, failed requests."""
        found = []
        for event in self.events.entries:
            match event:
                case {"method": "Runtime.exceptionThrown", "params": params}:
                    found.append(json.dumps(params["exceptionDetails"]))
                case {"method": "Runtime.consoleAPICalled", "params": {"type": "error"} as params}:
                    found.append(json.dumps(params["args"]))
                case {"method": "Log.entryAdded", "params": {"entry": {"level": "error"} as entry}}:
                    found.append(f"{entry['text']} {entry.get('url', '')}")
                case _:
                    pass
        return found

    async def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        image = await self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(image["data"])

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        await self._socket.send_json(
            {"id": number, "method": method, "params": params, **self._session}
        )
        async with asyncio.timeout(PATIENCE):
            return await reply

    async def _read(self) -> None:
        async for frame in self._socket:
            message = json.loads(frame.data)
            if message.get("method") == "Runtime.bindingCalled":
                self._bindings[message["params"]["name"]](message["params"]["payload"])
            elif "method" in message:
                self.events.add(message)
            elif (reply := self._replies.pop(message["id"], None)) and not reply.done():
                if "error" in message:
                    reply.set_exception(AssertionError(message["error"]))
                else:
                    reply.set_result(message["result"])
        self.events.end()

    async def close(self) -> None:
        """Ends the browser."""
        self._session = {}
        await self.command("Browser.close")
        await self._reader


def _is_load(event: dict[str, Any]) -> bool:
    return bool(event["method"] == "Page.loadEventFired")


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """A new browser whose profile is the folder."""
    process = await LineProcess.start(
        require("chromium"), *FLAGS, f"--user-data-dir={profile}", "about:blank"
    )
    try:
        address = (await process.line(r"DevTools listening on (ws://\S+)"))[1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            page = Page(socket)
            yield page
            await page.close()
    finally:
        await process.kill()
