"""Streams and client results with ASP.NET Core, over each transport and hub protocol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from protocol import HubConnection, HubException
from tests.interop.python_client import Combination, all_combinations
from tests.interop.servers import HubServer

pytestmark = pytest.mark.parametrize(
    ("program", "combination"), [*all_combinations()], indirect=["program"], scope="session"
)


@pytest_asyncio.fixture(loop_scope="session")
async def connection(hub: HubServer, combination: Combination) -> AsyncIterator[HubConnection]:
    async with combination.to_url(hub.stream_url).build() as connection:
        yield connection
        assert await connection.invoke("Sum", uploaded(1)) == 1  # the connection is still open


async def uploaded(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def failing(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value
    raise LookupError("broken source")


async def test_streams_of_the_hub(connection: HubConnection) -> None:
    async def taken(count: int) -> list[int]:
        return [number async for number in connection.stream("Counter", count, item_type=int)]

    assert await taken(1000) == list(range(1000))
    assert await asyncio.gather(*map(taken, range(20))) == [[*range(n)] for n in range(20)]

    stream = connection.stream("Break", item_type=str)
    assert await anext(stream) == "one"
    with pytest.raises(HubException) as caught:
        await anext(stream)
    assert str(caught.value) == (
        "An error occurred on the server while streaming results. HubException: no more"
    )
    with pytest.raises(HubException, match="deserialize item to str"):
        await anext(connection.stream("Counter", 10, item_type=str))


async def test_the_wrong_kind_of_call(connection: HubConnection) -> None:
    """S-10, S-11."""
    with pytest.raises(HubException, match="the streaming 'Counter' method"):
        await connection.invoke("Counter", 1)
    with pytest.raises(HubException, match="the non-streaming 'Ask' method"):
        await anext(connection.stream("Ask", "X", []))


async def test_leaving_a_stream(
    hub: HubServer, connection: HubConnection, request: pytest.FixtureRequest
) -> None:
    """The hub cancels its method."""
    name = f"left by {request.node.callspec.id}"
    async for number in connection.stream("Endless", name, item_type=int):
        if number == 3:
            break
    await hub.recorded(name)


async def test_uploads(connection: HubConnection) -> None:
    assert await connection.invoke("Sum", uploaded(*range(1000))) == sum(range(1000))
    assert await connection.invoke("Sum", uploaded()) == 0
    await connection.send("Sum", uploaded(1, 2))
    pairs = await connection.invoke("Pairs", uploaded(1, 2), "-", uploaded("a", "b"))
    assert pairs == ["1-a", "2-b"]
    assert await connection.invoke("Failure", failing(1, 2)) == (
        "Stream errored by client: 'LookupError: broken source'"
    )


async def test_a_hub_that_answers_before_an_upload_ends(connection: HubConnection) -> None:
    """U-6: the source is closed, and the connection stays open.

    ASP.NET Core ends the connection if items wait for room in its buffer at this moment.
    """
    ended: list[str] = []

    async def one() -> AsyncIterator[int]:
        try:
            yield 7
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    assert await connection.invoke("First", one()) == 7
    assert ended == ["ended"]


async def test_both_directions(connection: HubConnection) -> None:
    doubled = connection.stream("Doubled", uploaded(*range(100)), item_type=int)
    assert [number async for number in doubled] == list(range(0, 200, 2))
    async with contextlib.aclosing(connection.stream("Doubled", uploaded(1, 2))) as stream:
        assert await anext(stream) == 2


async def test_answers_to_the_hub(connection: HubConnection) -> None:
    @connection.on("Greet")
    async def greet(name: str) -> str:
        await asyncio.sleep(0)
        return f"Hello, {name}"

    @connection.on("Null")
    def null() -> str | None:
        return None

    @connection.on("Fail")
    def fail() -> str:
        raise LookupError("handler broke")

    @connection.on("Void")
    def void() -> None: ...

    async def answer(target: str, *arguments: Any) -> Any:
        return await connection.invoke("Ask", target, arguments)

    assert await answer("Greet", "Zoë") == "Hello, Zoë"
    assert await answer("Null") is None
    assert await answer("Fail") == "error: handler broke"
    assert await answer("Void") == "error: Client didn't provide a result."
    assert await answer("Nobody") == "error: Client didn't provide a result."
    assert await answer("Greet", 1) == "error: Client failed to parse argument(s)."
    names = [f"number {number}" for number in range(20)]
    answers = await asyncio.gather(*(answer("Greet", name) for name in names))
    assert answers == [f"Hello, {name}" for name in names]
