"""The order of handlers, their failures, and how long events wait (C-13, C-15, C-21, CR-8)."""

import asyncio

import pytest
from msgspec import Raw

from protocol import ConnectionClosed, HubConnectionState
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import CLOSE, event


class AsyncListener:
    def __init__(self) -> None:
        self.heard: list[int] = []

    async def __call__(self, number: int) -> None:
        await asyncio.sleep(0)
        self.heard.append(number)


async def test_awaitables_of_plain_handlers(harness: ClientHarness) -> None:
    """CR-8: a callable whose result is awaitable is awaited, as an async function is: objects
    with an async ``__call__``, lambdas around async functions."""
    connection = await harness.started()
    listener = AsyncListener()
    connection.on("Object", listener)
    connection.on("Lambda", lambda number: listener(number))
    harness.server.send(event("Object", 1), event("Lambda", 2))
    await harness.clock.settle()
    assert listener.heard == [1, 2]


async def test_order(harness: ClientHarness) -> None:
    """C-13, CR-8: handlers of one name in order of registration, messages in order of arrival,
    plain and async ones mixed; none begins before the one before it has ended."""
    connection = await harness.started()
    order: list[str] = []
    gate = asyncio.Event()

    @connection.on("A")
    async def slow(number: int) -> None:
        order.append(f"+A{number}")
        await gate.wait()
        order.append(f"-A{number}")

    @connection.on("A")
    def quick(number: int) -> None:
        order.append(f"a{number}")

    @connection.on("B")
    def other(number: int) -> None:
        order.append(f"b{number}")

    harness.server.send(event("B", 0), event("A", 1), event("B", 2))
    harness.server.send(event("A", 3), event("B", 4))
    await harness.clock.settle()
    assert order == ["b0", "+A1"]
    gate.set()
    await harness.clock.settle()
    assert order == ["b0", "+A1", "-A1", "a1", "b2", "+A3", "-A3", "a3", "b4"]
    harness.server.send(event("B", 5))
    await harness.clock.settle()
    assert order[-1] == "b5"


async def test_completions_overtake_slow_handlers(harness: ClientHarness) -> None:
    """CR-8: a slow handler does not delay answers."""
    connection = await harness.started()
    gate = asyncio.Event()
    connection.on("Slow", gate.wait)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send(event("Slow"), {"type": 3, "invocationId": "1", "result": 1})
    assert await calling == 1
    gate.set()


@pytest.mark.parametrize("error", [LookupError("handler"), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_handler_that_fails(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, kind: str, error: BaseException
) -> None:
    """C-13: logged and ignored: other handlers, later messages and the connection go on. A
    cancellation that is the handler's own, as of a task it awaits, is a failure as any other."""
    connection = await harness.started()
    heard: list[int] = []

    def fail(number: int) -> None:
        raise error

    async def fail_later(number: int) -> None:
        await asyncio.sleep(0)
        raise error

    connection.on("News", fail if kind == "plain" else fail_later)
    connection.on("News", heard.append)
    harness.server.send(event("News", 1), event("News", 2))
    await harness.clock.settle()
    assert heard == [1, 2]
    assert connection.state is HubConnectionState.CONNECTED
    assert [record.getMessage() for record in caplog.records] == ["A handler of 'News' failed."]


async def test_a_handler_that_fails_again(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """C-13: a server cannot fill the log; each kind of failure is shown once a minute."""
    connection = await harness.started(server_timeout=1000.0)
    errors: list[Exception] = [LookupError(), LookupError(), ValueError(), LookupError()]

    def fail(_: int) -> None:
        raise errors.pop(0)

    connection.on("News", fail)
    harness.server.send(*(event("News", number) for number in range(3)))
    await harness.clock.settle()
    await harness.clock.advance(60)
    harness.server.send(event("News", 3))
    await harness.clock.settle()
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info is not None]
    assert kinds == [LookupError, ValueError, LookupError]


async def test_catch_all_in_order(harness: ClientHarness) -> None:
    """CR-8: an async catch-all keeps the order with the others; its failures are logged."""
    connection = await harness.started()
    heard: list[str] = []

    async def catch(target: str, _: Raw) -> None:
        await asyncio.sleep(0)
        heard.append(target)
        raise LookupError(target)

    async def own() -> None:
        await asyncio.sleep(0)
        heard.append("own")

    connection.on_any(catch)
    connection.on("News", own)
    harness.server.send(event("A"), event("News"), event("B"))
    await harness.clock.settle()
    assert heard == ["A", "own", "News", "B"]


async def test_queued_calls_run_after_a_close(harness: ClientHarness) -> None:
    """C-15: events before the Close are handled, even after the end of the connection."""
    connection = await harness.started()
    heard: list[int] = []
    gate = asyncio.Event()

    @connection.on("News")
    async def news(number: int) -> None:
        await gate.wait()
        heard.append(number)

    harness.server.send(event("News", 1), event("News", 2), CLOSE, event("News", 3))
    await harness.clock.settle()
    assert connection.state is HubConnectionState.DISCONNECTED
    gate.set()
    await harness.clock.settle()
    assert heard == [1, 2]
    assert harness.clock.leftovers() == []


async def test_slow_handlers_hold_the_reader_up(harness: ClientHarness) -> None:
    """C-21: above 1 MiB of waiting events reading pauses; in the end all are handled."""
    connection = await harness.started()
    gate = asyncio.Event()
    heard: list[int] = []

    @connection.on("News")
    async def news(number: int, _: str) -> None:
        await gate.wait()
        heard.append(number)

    for number in range(40):
        harness.server.send(event("News", number, "x" * 64 * 1024))
        await harness.clock.settle()
    assert harness.near_ends[0].unread > 1024 * 1024
    gate.set()
    await harness.clock.settle()
    assert heard == list(range(40))
    assert harness.near_ends[0].unread == 0


@pytest.mark.parametrize("how", ["stop", "timeout"])
async def test_ending_while_the_reader_is_held_up(harness: ClientHarness, how: str) -> None:
    """C-17, C-21: a reader that waits for slow handlers does not delay the end."""
    connection = await harness.started()
    gate = asyncio.Event()
    connection.on_any(lambda *_: None)

    @connection.on("News")
    async def news(_: str) -> None:
        await gate.wait()

    for _ in range(5):
        harness.server.send(event("News", "x" * 512 * 1024))
    await harness.clock.settle()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    if how == "stop":
        await connection.stop()
    else:
        await harness.clock.advance(31)
    assert connection.state is HubConnectionState.DISCONNECTED
    with pytest.raises(ConnectionClosed):
        await calling
    gate.set()
    await harness.clock.settle()
    assert harness.clock.leftovers() == []
