"""Clients of other Python packages with one interface: pysignalr, signalrcore and aiosignalr.

The tests of a package that is not installed are skipped. signalrcore calls its callbacks in other
threads; this module passes these calls to the event loop.
"""

import asyncio
import gc
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from socket import SHUT_RDWR
from typing import Any, ClassVar, Final, Self
from unittest import mock

import pytest

from tests.interop.journal import PATIENCE
from tests.support.waiting import until

RETRY_SECONDS = 0.2
_ATTEMPTS = 100


class StreamEvents:
    """The calls of the callbacks of one stream: items, then the end with its error or None."""

    def __init__(self) -> None:
        self._items: Final[asyncio.Queue[Any]] = asyncio.Queue()
        self._error: str | None = None

    def add(self, item: Any) -> None:
        self._items.put_nowait(item)

    def end(self, error: str | None) -> None:
        self._error = error
        self._items.put_nowait(self)

    async def items(self) -> AsyncGenerator[Any, None]:
        """Each item. Raises LookupError with the error at the end."""
        while (item := await asyncio.wait_for(self._items.get(), PATIENCE)) is not self:
            yield item
        if self._error is not None:
            raise LookupError(self._error)


class ForeignClient(ABC):
    """A client of a hub. ``texts`` gets the argument of each ReceiveText event."""

    package: ClassVar[str]
    transports: ClassVar[tuple[str, ...]] = ("WebSockets",)

    def __init__(self, url: str, transport: str, hub_protocol: str) -> None:
        self.url = url
        self.transport = transport
        self.hub_protocol = hub_protocol
        self.texts: asyncio.Queue[Any] = asyncio.Queue()
        self._opened: asyncio.Queue[None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        pytest.importorskip(self.package, reason=f"{self.package} is not installed")
        self._build()
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def text(self) -> Any:
        """The argument of the next event."""
        async with asyncio.timeout(PATIENCE):
            return await self.texts.get()

    async def reopened(self) -> None:
        """Waits until the connection is open again."""
        async with asyncio.timeout(PATIENCE):
            await self._opened.get()

    @abstractmethod
    async def invoke(self, method: str, *arguments: Any) -> Any:
        """The result of a call. Raises LookupError with the text of the hub's error."""

    @abstractmethod
    async def send(self, method: str, *arguments: Any) -> None:
        """Calls a method without waiting for an answer, if the client can do so."""

    @abstractmethod
    def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        """The items of a stream. Raises LookupError with the text of the hub's error.

        ``aclose`` cancels the stream, if the client can.
        """

    @abstractmethod
    async def upload(self, method: str, items: list[Any]) -> Any:
        """Calls a method with a stream as its argument. Returns the result, if the client gets it.

        Raises LookupError with the text of the hub's error, if the client gets it.
        """

    @abstractmethod
    def _build(self) -> None: ...

    @abstractmethod
    async def _start(self) -> None: ...

    @abstractmethod
    async def _stop(self) -> None: ...


class PySignalR(ForeignClient):
    package = "pysignalr"

    def _build(self) -> None:
        pass  # each run has a client of its own

    def _new_client(self) -> Any:
        from pysignalr.client import SignalRClient
        from pysignalr.protocol.json import JSONProtocol
        from pysignalr.protocol.messagepack import MessagepackProtocol

        protocol = JSONProtocol() if self.hub_protocol == "json" else MessagepackProtocol()
        client: Any = SignalRClient(
            self.url,
            protocol,
            retry_sleep=RETRY_SECONDS,
            retry_multiplier=1,
            retry_count=_ATTEMPTS,
        )
        client.on("ReceiveText", self._on_text)
        client.on_open(self._on_open)
        client.on_error(self._on_error)
        return client

    async def _on_text(self, arguments: list[Any]) -> None:
        self.texts.put_nowait(arguments[0])

    async def _on_open(self) -> None:
        self._opened.put_nowait(None)

    async def _on_error(self, message: Any) -> None:
        """The callback of the call gets the error too."""

    async def _start(self) -> None:
        self._running = asyncio.create_task(self._run_again())
        await self.reopened()

    async def _run_again(self) -> None:
        """A lost connection is opened once more with its old id. The answer 404 ends the run."""
        from websockets.exceptions import InvalidStatus

        while True:
            self._client = self._new_client()
            with suppress(InvalidStatus):
                await self._client.run()

    async def _stop(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    async def invoke(self, method: str, *arguments: Any) -> Any:
        completed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def complete(message: Any) -> None:
            completed.set_result(message)

        await self._client.send(method, list(arguments), complete)
        message = await asyncio.wait_for(completed, PATIENCE)
        if message.error:
            raise LookupError(message.error)
        return message.result

    async def send(self, method: str, *arguments: Any) -> None:
        await self._client.send(method, list(arguments))

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        events = StreamEvents()

        async def add(item: Any) -> None:
            events.add(item)

        async def end(message: Any) -> None:
            events.end(message.error)

        await self._client.stream(method, list(arguments), add, end, end)
        async for item in events.items():
            yield item

    async def upload(self, method: str, items: list[Any]) -> None:
        async with self._client.client_stream(method) as stream:
            for item in items:
                await stream.send(item)


class AioSignalR(ForeignClient):
    package = "aiosignalr"
    transports = ("WebSockets", "ServerSentEvents", "LongPolling")

    def _build(self) -> None:
        from aiosignalr.client import HubConnection, RetryPolicy

        class Repeatedly(RetryPolicy):  # type: ignore[misc]
            def next_retry_delay(self, context: Any) -> float:
                return RETRY_SECONDS

        self._client: Any = HubConnection(protocol=self.hub_protocol)
        self._client.with_retry_policy(Repeatedly())
        self._client.on("ReceiveText", self.texts.put_nowait)
        self._client.on_reconnected = lambda: self._opened.put_nowait(None)

    async def _start(self) -> None:
        await self._client.start(self.url, transports={self.transport})

    async def _stop(self) -> None:
        await self._client.stop()

    async def invoke(self, method: str, *arguments: Any) -> Any:
        from aiosignalr import HubException

        try:
            return await asyncio.wait_for(self._client.invoke(method, *arguments), PATIENCE)
        except HubException as error:
            raise LookupError(str(error)) from error

    async def send(self, method: str, *arguments: Any) -> None:
        await self._client.send(method, *arguments)

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        from aiosignalr import HubException

        stream = await self._client.stream(method, *arguments)
        try:
            async with aclosing(stream), asyncio.timeout(PATIENCE):
                async for item in stream:
                    yield item
        except HubException as error:
            raise LookupError(str(error)) from error

    async def upload(self, method: str, items: list[Any]) -> Any:
        from aiosignalr import HubException

        try:
            async with asyncio.timeout(PATIENCE), self._client.client_stream(method) as stream:
                for item in items:
                    await stream.send_item(item)
        except HubException as error:
            raise LookupError(str(error)) from error
        return stream.result


class SignalRCore(ForeignClient):
    package = "signalrcore"
    transports = ("WebSockets", "ServerSentEvents", "LongPolling")

    def _build(self) -> None:
        from signalrcore.hub_connection_builder import HubConnectionBuilder
        from signalrcore.types import HttpTransportType, HubProtocolEncoding

        self._loop = asyncio.get_running_loop()
        self._calls: dict[str, asyncio.Future[Any]] = {}
        self._streams: dict[str, StreamEvents] = {}
        self._numbers = itertools.count(1)
        is_text = self.hub_protocol == "json"
        self._client: Any = (
            HubConnectionBuilder()
            .with_url(self.url, options={"transport": HttpTransportType(self.transport)})
            .with_hub_protocol(HubProtocolEncoding.text if is_text else HubProtocolEncoding.binary)
            .with_automatic_reconnect(
                {
                    "type": "raw",
                    "reconnect_interval": RETRY_SECONDS,
                    "max_attempts": _ATTEMPTS,
                    "keep_alive_interval": 10,
                }
            )
            .configure_logging(logging.CRITICAL)
            .build()
        )
        self._client.on("ReceiveText", self._on_text)
        self._client.on_open(self._on_open)
        self._client.on_reconnect(self._on_open)
        self._client.on_error(self._on_completion)

    def _on_text(self, arguments: list[Any]) -> None:
        self._loop.call_soon_threadsafe(self.texts.put_nowait, arguments[0])

    def _on_open(self) -> None:
        self._loop.call_soon_threadsafe(self._opened.put_nowait, None)

    def _on_completion(self, message: Any) -> None:
        self._loop.call_soon_threadsafe(self._complete, message)

    def _complete(self, message: Any) -> None:
        if message.invocation_id in self._streams:
            self._streams.pop(message.invocation_id).end(message.error)
        else:
            self._calls.pop(message.invocation_id).set_result(message)

    async def _start(self) -> None:
        assert await asyncio.to_thread(self._client.start)
        await self.reopened()

    async def _stop(self) -> None:
        """``stop`` waits for a thread that reads, until its socket is shut down."""
        transport = self._client.transport
        socket = getattr(transport._client, "sock", None)
        reading = None if socket is None else socket.dup()
        stopping = asyncio.create_task(asyncio.to_thread(self._client.stop))
        if reading is not None:
            await until(lambda: transport.manually_closing)
            with suppress(OSError):
                reading.shutdown(SHUT_RDWR)
            reading.close()
        await stopping
        if socket is not None:
            socket.close()
        self._client = None
        gc.collect()  # signalrcore leaves the sockets of lost connections open

    async def invoke(self, method: str, *arguments: Any) -> Any:
        number = str(next(self._numbers))
        completed = self._calls[number] = self._loop.create_future()
        await asyncio.to_thread(
            self._client.invoke, method, list(arguments), self._on_completion, number
        )
        message = await asyncio.wait_for(completed, PATIENCE)
        if message.error:
            raise LookupError(message.error)
        return message.result

    async def send(self, method: str, *arguments: Any) -> None:
        await asyncio.to_thread(self._client.send, method, list(arguments))

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        """The request goes out after ``subscribe``: items that come before it are lost."""
        events = StreamEvents()
        transport = self._client.transport
        held: list[Any] = []
        with mock.patch.object(transport, "send", held.append):
            handler = self._client.stream(method, list(arguments))
        self._streams[handler.invocation_id] = events
        handler.subscribe(
            {
                "next": lambda item: self._loop.call_soon_threadsafe(events.add, item),
                "complete": self._on_completion,
                "error": self._on_completion,
            }
        )
        for message in held:
            await asyncio.to_thread(transport.send, message)
        async for item in events.items():
            yield item

    async def upload(self, method: str, items: list[Any]) -> None:
        from signalrcore.subject import Subject

        subject: Any = Subject()
        await asyncio.to_thread(self._client.send, method, subject)
        for item in items:
            await asyncio.to_thread(subject.next, item)
        await asyncio.to_thread(subject.complete)
