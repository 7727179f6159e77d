"""The order of answers that are encoded together, and of other messages (P-1)."""

import asyncio
from typing import Any

import pytest

from protocol import Hub, HubException, HubOptions, hub_method
from tests.support.hub_messages import CLOSE_AND_RECONNECT, PING, call, event, failure, result
from tests.support.server_harness import MakeServer

ODD = 'ä"\\\n\x1e\x7f'


class OrderHub(Hub):
    gate: asyncio.Event

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    async def tell_caller(self, text: str) -> str:
        await self.clients.caller.send("News", text)
        return text

    @hub_method
    async def tell_all(self, text: str) -> str:
        await self.clients.all.send("News", text)
        return text

    @hub_method
    async def wait(self) -> str:
        await self.gate.wait()
        return "waited"

    @hub_method
    def fail(self) -> None:
        raise HubException("no")

    @hub_method
    def abort(self) -> str:
        self.context.abort()
        return "aborted"


def text_of(name: str) -> str:
    return f"An unexpected error occurred invoking '{name}' on the server. HubException: no"


UNKNOWN = (
    "Failed to invoke 'Nothing' due to an error on the server. HubException: Method does not exist."
)

CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "plain and other values": (
        [call("Echo", value) for value in (1, ODD, "a", [2], None, 2**63 - 1, -(2**63), True, 1.5)],
        [result(value) for value in (1, ODD, "a", [2], None, 2**63 - 1, -(2**63), True, 1.5)],
    ),
    "more than are kept": (
        [*(call("Echo", n) for n in range(100)), call("TellCaller", "a"), call("Echo", 100)],
        [*map(result, range(100)), event("News", "a"), result("a"), result(100)],
    ),
    "ids": (
        [call("Echo", 0, id=id) for id in (ODD, "\n", "\x1e", "x" * 10_000)],
        [result(0, id=id) for id in (ODD, "\n", "\x1e", "x" * 10_000)],
    ),
    "what methods send": (
        [call("Echo", 0), call("TellCaller", "a"), call("Echo", 1), call("TellAll", "b")],
        [
            result(0),
            *(event("News", "a"), result("a"), result(1)),
            *(event("News", "b"), result("b")),
        ],
    ),
    "errors": (
        [call("Echo", 0), call("Fail"), call("Echo", 1), call("Nothing"), call("Echo", 2)],
        [result(0), failure(text_of("Fail")), result(1), failure(UNKNOWN), result(2)],
    ),
    "a method's end of the connection": (
        [call("Echo", 0), call("Abort"), call("Echo", 1)],
        [result(0), {"type": 7}],
    ),
    "the client's end": ([call("Echo", 0), {"type": 7}, call("Echo", 1)], [result(0), {"type": 7}]),
    "a record that is none": (
        [call("Echo", 0), call("Echo", 1), "x", call("Echo", 2)],
        [
            *(result(0), result(1)),
            {
                "type": 7,
                "error": "Connection closed with an error. InvalidDataException: "
                "Error reading JSON.",
                "allowReconnect": True,
            },
        ],
    ),
    "arguments given twice": (
        [call("Echo", 0), '{"type":1,"target":"Echo","arguments":0,"arguments":[1]}'],
        [
            result(0),
            {
                "type": 7,
                "error": "Connection closed with an error. InvalidDataException: "
                "Expected 'arguments' to be of type Array.",
                "allowReconnect": True,
            },
        ],
    ),
}


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("name", CASES)
async def test_a_burst(serve: MakeServer, name: str, slots: int) -> None:
    """Answers are the same whether calls arrive in one piece or one by one."""
    calls, expected = CASES[name]
    options = HubOptions(maximum_parallel_invocations_per_client=slots, enable_detailed_errors=True)
    at_once, one_by_one = serve(OrderHub, options), serve(OrderHub, options)
    assert await (await at_once.connect()).ask(*calls) == expected
    client = await one_by_one.connect()
    got = [record for one in calls for record in await client.ask(one)]
    assert got == expected


@pytest.mark.parametrize("slots", [1, 2])
async def test_what_comes_while_a_method_waits(serve: MakeServer, slots: int) -> None:
    """Answers before it are sent at once, and those of another slot come in between."""
    OrderHub.gate = asyncio.Event()
    harness = serve(OrderHub, HubOptions(maximum_parallel_invocations_per_client=slots))
    client, other = await harness.connect(), await harness.connect()
    answers = await client.ask(call("Echo", 0), call("Wait", id="w"), call("Echo", 1))
    assert answers == [result(0), result(1)][:slots]
    assert len(await other.ask(call("TellAll", "news"))) == 2
    assert await client.take() == [event("News", "news")]
    await harness.clock.advance(16)
    assert await client.take() == [PING]
    OrderHub.gate.set()
    assert await client.take() == [result("waited", id="w"), result(1)][: 3 - slots]
    closing = asyncio.create_task(harness.server.close())
    assert await client.take() == [CLOSE_AND_RECONNECT]
    await closing
