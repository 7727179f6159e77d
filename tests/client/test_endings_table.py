"""What each end of a connection does to waiting calls: the table of ends in docs/library.md.

Each row of the table is a test. Its cells are the expected values.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest

from protocol import (
    HubConnection,
    RetryPolicy,
)
from protocol.client.retry import retry_delays
from tests.support.checkout import ROOT
from tests.support.client_harness import ClientHarness, refusal
from tests.support.documents import table
from tests.support.hub_messages import CLOSE, CLOSE_AND_RECONNECT, ack, completion, item, sequence

ROWS: Final = table(ROOT / "docs" / "library.md", "end of a client's connection")
LARGE: Final = "x" * 1_100_000  # more than may wait to be sent
SERVER_TIMEOUT: Final = 5.0
ACK_TIMEOUT: Final = 10.0
DELAY: Final = 1.0
"""Seconds before an attempt to reconnect."""

End: TypeAlias = Callable[[ClientHarness, HubConnection], Awaitable[object]]


async def close(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.send(CLOSE)


async def close_for_now(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.send(CLOSE_AND_RECONNECT)


async def break_rule(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.send("nonsense")


async def finish(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.transport.finish()


async def cut(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.vanish()


async def cut_for_good(harness: ClientHarness, _: HubConnection) -> None:
    harness.answers.append(refusal())
    harness.server.vanish()


async def be_silent(harness: ClientHarness, _: HubConnection) -> None:
    await harness.clock.advance(SERVER_TIMEOUT)


async def send_no_ack(harness: ClientHarness, _: HubConnection) -> None:
    await harness.clock.advance(ACK_TIMEOUT)


async def stop(_: ClientHarness, connection: HubConnection) -> None:
    await connection.stop()


async def fail_to_reconnect(harness: ClientHarness, _: HubConnection) -> None:
    harness.server.send(CLOSE_AND_RECONNECT)
    harness.answers.append(refusal())


async def stop_while_reconnecting(harness: ClientHarness, connection: HubConnection) -> None:
    harness.server.send(CLOSE_AND_RECONNECT)
    await harness.clock.settle()
    await connection.stop()


ENDS: Final[dict[str, End]] = {
    "a Close of the hub": close,
    "a Close of the hub that allows a reconnect": close_for_now,
    "an invalid message of the hub": break_rule,
    "the hub closes the transport": finish,
    "the transport is lost": cut,
    "the WebSocket is lost, and the next one opens": cut,
    "the WebSocket is lost, and the next one does not open": cut_for_good,
    "no message within the server timeout": be_silent,
    "no Ack within 10 seconds": send_no_ack,
    "stop": stop,
    "a loss, then the policy gives up": fail_to_reconnect,
    "a loss, then stop during the reconnect": stop_while_reconnecting,
}


SETTINGS: Final = {"on": [True], "off": [False], "on or off": [False, True]}
LATER_THAN_SILENCE: Final = {"no Ack within 10 seconds"}


class Work:
    """A call, a stream, an upload, a ``send`` that waits, and a handler that the hub waits for."""

    def __init__(self, harness: ClientHarness, connection: HubConnection) -> None:
        self.callbacks: list[str] = []
        self.go_on = asyncio.Event()
        self.upload = "go on"
        self.handler = "run on"
        self._harness = harness
        connection.on("Ask", self._answer)
        connection.on_reconnecting(lambda _: self.callbacks.append("on_reconnecting"))
        connection.on_reconnected(lambda _: self.callbacks.append("on_reconnected"))
        connection.on_closed(
            lambda error: self.callbacks.append("on_closed" if error else "on_closed(None)")
        )
        self._stream = connection.stream("Count")
        self._connection = connection

    async def _answer(self) -> int:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.handler = "cancelled"
            raise
        return 1

    async def _items(self) -> AsyncIterator[int]:
        try:
            yield 1
            await self.go_on.wait()
            yield 2
        finally:
            if not self.go_on.is_set():
                self.upload = "cancelled"

    async def start(self) -> None:
        connection = self._connection
        waiting = (
            connection.invoke("Add"),
            anext(self._stream),
            connection.invoke("Up", self._items()),
        )
        self.calls = [asyncio.ensure_future(it) for it in waiting]
        question = {"type": 1, "invocationId": "q", "target": "Ask", "arguments": []}
        await self._harness.server.ask(question)
        self._harness.server.transport.pause_reading()
        await connection.send("Large", LARGE)
        self.sending = asyncio.create_task(connection.send("Small"))
        await self._harness.clock.settle()
        assert not any(it.done() for it in (*self.calls, self.sending))

    async def end_calls(self) -> None:
        """Acts as the hub after a resumption: acknowledges all messages, and ends the calls."""
        server = self._harness.server
        resumed = await server.take()
        assert resumed[0] == sequence(1)
        ids = {it["target"]: it.get("invocationId") for it in resumed if "target" in it}
        assert list(ids) == ["Add", "Count", "Up", "Large"]
        server.send(
            sequence(2),
            ack(len(resumed)),
            completion(ids["Add"], result=1),
            item(1, ids["Count"]),
        )
        self.go_on.set()
        answers = await server.take()
        assert [it["target"] for it in answers if "target" in it] == ["Small"]
        assert completion("q", result=1) in answers
        await server.ask(completion(ids["Up"], result=1))
        assert [it.result() for it in self.calls] == [1, 1, 1]


def outcome(task: "asyncio.Future[Any]") -> str:
    """The name of the error of a call that has failed."""
    error = task.exception() if task.done() else None
    return "go on" if error is None else type(error).__name__


@pytest.mark.parametrize("policy", [None, retry_delays([DELAY])], ids=["no policy", "policy"])
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
async def test_a_row(harness: ClientHarness, row: list[str], policy: RetryPolicy | None) -> None:
    """C-17, R-2 … R-5, SR-8, SR-9, SR-11: callbacks are called once, and in this order."""
    end, setting, calls, sends, uploads, handlers, *callbacks = row
    for is_stateful in SETTINGS[setting]:
        harness.is_stateful = is_stateful
        connection = await harness.started(
            policy,
            server_timeout=100 if end in LATER_THAN_SILENCE else SERVER_TIMEOUT,
            stateful_reconnect_buffer_size=1000,
        )
        work = Work(harness, connection)
        await work.start()
        servers = len(harness.servers)
        await ENDS[end](harness, connection)
        await harness.clock.settle()
        assert {outcome(it) for it in work.calls} == {calls}
        assert (outcome(work.sending), work.upload) == (sends, uploads)
        if calls == "go on":
            await work.end_calls()
        else:
            await harness.clock.advance(DELAY)
            work.go_on.set()
            for server in harness.servers[servers:]:  # the answer to the question is dropped
                assert [it["type"] for it in (await server.take())[1:]] == [6]
        await harness.clock.settle()
        assert work.handler == handlers
        assert ", ".join(work.callbacks) == callbacks[policy is not None]
        await connection.stop()
        harness.answers.clear()
        assert work.callbacks.count("on_closed") + work.callbacks.count("on_closed(None)") == 1


async def test_every_end_has_a_row() -> None:
    assert [row[0] for row in ROWS] == list(ENDS)
