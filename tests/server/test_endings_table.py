"""What each end of a connection does to the calls on the server: the table in docs/library.md.

Each row of the table is a test. Its cells are the expected values.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest

import protocol
from protocol import ConnectionClosed, Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from tests.support.checkout import ROOT
from tests.support.documents import table
from tests.support.hub_messages import CLOSE, call, completion, sequence, stream_call
from tests.support.server_harness import GAP, MakeServer, MemoryClient, StatefulClient

ROWS: Final = table(ROOT / "docs" / "library.md", "end of a connection on the server")
LARGE: Final = "x" * 70_000  # more than may wait to be sent
SEND_TIMEOUT: Final = 20.0
CLIENT_TIMEOUT: Final = 5.0


class WorkHub(Hub):
    work: "Work"

    async def on_disconnected(self, error: Exception | None) -> None:
        self.work.disconnected.append(error)

    @hub_method
    async def hold(self) -> str:
        await self.work.go_on.wait()
        self.work.ends["Hold"] = "returned"
        return "held"

    @hub_method
    def echo(self) -> None:
        self.work.ends["Echo"] = "run"

    @hub_method
    async def count(self) -> AsyncIterator[int]:
        try:
            yield 1
            await self.work.resumed.wait()
            yield 2
        finally:
            self.work.ends["Count"] = "go on" if self.work.resumed.is_set() else "cancelled"

    @hub_method
    async def total(self, numbers: AsyncIterable[int]) -> None:
        try:
            async for _ in numbers:
                pass
        except ConnectionClosed:
            self.work.ends["Total"] = "ConnectionClosed"
            raise
        self.work.ends["Total"] = "go on"

    @hub_method
    async def ask(self) -> None:
        try:
            await self.clients.caller.invoke("Question", result_type=int)
        except ConnectionClosed:
            self.work.ends["Ask"] = "ConnectionClosed"
            raise
        self.work.ends["Ask"] = "go on"


class Work:
    """A client, and a call of each method above. ``Echo`` waits until ``Hold`` has returned."""

    client: MemoryClient

    def __init__(self, serve: MakeServer) -> None:
        self.disconnected: list[Exception | None] = []
        self.ends: dict[str, str] = {"Echo": "dropped"}
        self.go_on = asyncio.Event()
        self.resumed = asyncio.Event()
        options = HubOptions(
            client_timeout_interval=CLIENT_TIMEOUT, stateful_reconnect_buffer_size=1000
        )
        limits = TransportLimits(transport_send_timeout=SEND_TIMEOUT)
        self.harness = serve(WorkHub, options, hub_factory=self._make_hub, limits=limits)
        self.clock = self.harness.clock
        self.context = self.harness.server.context

    def _make_hub(self) -> WorkHub:
        hub = WorkHub()
        hub.work = self
        return hub

    async def start(self, is_stateful: bool) -> None:
        connect = self.harness.connect_stateful if is_stateful else self.harness.connect
        self.client = await connect()
        (question, _) = await self.client.ask(
            call("Ask", id="1"),
            stream_call("Count", id="2"),
            call("Total", id="3", streamIds=["u"]),
            call("Hold", id="4"),
            call("Echo", id="5"),
        )
        self.question: str = question["invocationId"]

    async def let_go_on(self) -> None:
        self.go_on.set()
        await self.clock.settle()

    async def send_large(self) -> None:
        """Sends messages that fill the buffer. The last one waits until the connection ends."""
        one = self.context.clients.client("c1")
        sending = asyncio.gather(one.send("News", LARGE), one.send("News", LARGE))
        await self.clock.advance(SEND_TIMEOUT)
        await sending


End: TypeAlias = Callable[[Work], Awaitable[Any]]


async def close(work: Work) -> None:
    work.client.send(CLOSE)


async def leave(work: Work) -> None:
    work.client.transport.finish()


async def vanish(work: Work) -> None:
    work.client.vanish()


async def vanish_for_good(work: Work) -> None:
    work.client.vanish()
    await work.clock.advance(GAP)


async def resume(work: Work) -> None:
    client = work.client
    assert isinstance(client, StatefulClient)
    client.vanish()
    await work.clock.advance(GAP - 1)
    client.resume()
    assert (await client.take())[0] == sequence(1)
    work.resumed.set()
    client.send(sequence(6), completion(work.question, result=1), completion("u"))


async def break_rule(work: Work) -> None:
    work.client.send("nonsense")


async def be_silent(work: Work) -> None:
    await work.let_go_on()
    work.client.send({"type": 6})
    await work.clock.advance(CLIENT_TIMEOUT)


async def read_nothing(work: Work) -> None:
    work.client.transport.pause_reading()
    await work.send_large()


async def acknowledge_nothing(work: Work) -> None:
    await work.let_go_on()
    await work.send_large()


async def abort(work: Work) -> None:
    work.client.connection.connection.abort()


async def close_connection(work: Work) -> None:
    await work.context.close_connection("c1", "reason")


async def shut_down(work: Work) -> None:
    closing = asyncio.create_task(work.harness.server.close())
    await work.let_go_on()
    await closing


ENDS: Final[dict[str, End]] = {
    "a Close of the client": close,
    "the client closes the transport": leave,
    "the transport is lost": vanish,
    "the WebSocket is lost, and another one opens in time": resume,
    "the WebSocket is lost, and no other one opens in time": vanish_for_good,
    "an invalid message of the client": break_rule,
    "no message within client_timeout_interval": be_silent,
    "the client reads nothing for transport_send_timeout": read_nothing,
    "no Ack within transport_send_timeout": acknowledge_nothing,
    "context.abort()": abort,
    "close_connection": close_connection,
    "a shutdown of the server": shut_down,
}

SETTINGS: Final = {"on": [True], "off": [False], "on or off": [False, True]}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
async def test_a_row(serve: MakeServer, row: list[str]) -> None:
    """L-4, L-5, TW-14, SR-9, SR-10: methods that run are never cancelled."""
    end, setting, waiting, downloads, uploads, questions, argument = row
    for is_stateful in SETTINGS[setting]:
        work = Work(serve)
        await work.start(is_stateful)
        await ENDS[end](work)
        await work.let_go_on()
        assert work.ends == {
            "Hold": "returned",
            "Echo": waiting,
            "Count": downloads,
            "Total": uploads,
            "Ask": questions,
        }
        match argument:
            case "not called":
                assert work.disconnected == []
            case "None":
                assert work.disconnected == [None]
            case name:
                (error,) = work.disconnected
                assert isinstance(error, getattr(protocol, name))


async def test_every_end_has_a_row() -> None:
    assert [row[0] for row in ROWS] == list(ENDS)
