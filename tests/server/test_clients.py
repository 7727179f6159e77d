"""Which clients get the messages of hub methods and HubContext (section G)."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol import (
    ClientProxy,
    Hub,
    HubContext,
    HubOptions,
    LocalProtocolError,
    Principal,
    hub_method,
)
from tests.support.hub_messages import CLOSE, call, event, failure, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness


class TalkHub(Hub):
    """Each method sends one message, whose target is the name of the audience."""

    async def on_connected(self) -> None:
        await self.groups.add(self.context.connection_id, "everybody")

    @hub_method
    async def send(self, target: str, argument: Any) -> None:
        clients = self.clients
        proxies: dict[str, Callable[[], ClientProxy]] = {
            "all": lambda: clients.all,
            "others": lambda: clients.others,
            "caller": lambda: clients.caller,
            "all_except": lambda: clients.all_except(argument),
            "client": lambda: clients.client(argument),
            "clients": lambda: clients.clients(argument),
            "group": lambda: clients.group(argument),
            "group_except": lambda: clients.group_except("everybody", argument),
            "groups": lambda: clients.groups(argument),
            "others_in_group": lambda: clients.others_in_group(argument),
            "user": lambda: clients.user(argument),
            "users": lambda: clients.users(argument),
        }
        await proxies[target]().send("News", target)

    @hub_method
    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    @hub_method
    async def leave(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)


async def three(serve: MakeServer) -> tuple[ServerHarness, list[MemoryClient]]:
    harness = serve(TalkHub)
    clients = [await harness.connect(Principal(user)) for user in ("ann", "ann", "bob")]
    await clients[0].ask(call("Join", "g"))
    await clients[1].ask(call("Join", "g"))
    await clients[1].ask(call("Join", "h"))
    return harness, clients


async def news(clients: list[MemoryClient]) -> str:
    """The numbers of the clients that got a message, once per message."""
    arrived = [await client.take() for client in clients]
    return "".join(
        str(number)
        for number, messages in enumerate(arrived, 1)
        for message in messages
        if message["type"] == 1
    )


@pytest.mark.parametrize(
    ("target", "argument", "expected"),
    [
        ("all", None, "123"),
        ("others", None, "23"),
        ("caller", None, "1"),
        ("all_except", ["c2"], "13"),
        ("client", "c3", "3"),
        ("client", "nobody", ""),
        ("clients", ["c1", "c3", "c3"], "13"),
        ("group", "g", "12"),
        ("group", "G", ""),
        ("group_except", ["c1", "c3"], "2"),
        ("groups", ["g", "h"], "122"),
        ("groups", [], ""),
        ("others_in_group", "g", "2"),
        ("user", "ann", "12"),
        ("user", "Ann", ""),
        ("users", ["ann", "bob", "bob"], "123"),
    ],
)
async def test_from_a_hub_method(
    serve: MakeServer, target: str, argument: Any, expected: str
) -> None:
    """G-3 … G-7."""
    _, clients = await three(serve)
    clients[0].send(call("Send", target, argument))
    assert await news(clients) == expected


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        pytest.param(lambda c: c.all, "123", id="all"),
        pytest.param(lambda c: c.all_except(["c1"]), "23", id="all_except"),
        pytest.param(lambda c: c.client("c2"), "2", id="client"),
        pytest.param(lambda c: c.clients(name for name in ("c2", "c3")), "23", id="clients"),
        pytest.param(lambda c: c.group("everybody"), "123", id="group"),
        pytest.param(lambda c: c.group_except("g", ["c1"]), "2", id="group_except"),
        pytest.param(lambda c: c.groups(name for name in ("h", "g")), "122", id="groups"),
        pytest.param(lambda c: c.user("bob"), "3", id="user"),
        pytest.param(lambda c: c.users(name for name in ("bob", "ann")), "123", id="users"),
    ],
)
async def test_from_outside(serve: MakeServer, choose: Any, expected: str) -> None:
    """G-5: HubContext has no caller; a proxy can be used several times."""
    harness, clients = await three(serve)
    context: HubContext = harness.server.context
    proxy = choose(context.clients)
    await proxy.send("News")
    assert await news(clients) == expected
    await proxy.send("News")
    assert await news(clients) == expected


async def test_groups_from_outside(serve: MakeServer) -> None:
    """G-3: memberships can be changed for any connection id."""
    harness, clients = await three(serve)
    context = harness.server.context
    await context.groups.add("c3", "g")
    await context.groups.remove("c1", "g")
    await context.groups.add("nobody", "g")
    await context.clients.group("g").send("News")
    assert await news(clients) == "23"


@pytest.mark.parametrize("names", [["g", ""], [""]])
async def test_lists_of_groups_refuse_empty_names(serve: MakeServer, names: list[Any]) -> None:
    """G-3: only ``groups`` refuses an empty name; the method fails like any other."""
    harness, clients = await three(serve)
    with pytest.raises(LocalProtocolError, match=r"Cannot send to an empty group name\."):
        harness.server.context.clients.groups(names)
    (answer,) = await clients[0].ask(call("Send", "groups", names))
    assert answer["error"] == "An unexpected error occurred invoking 'Send' on the server."
    assert await news(clients) == ""


async def test_membership_ends_with_the_connection(serve: MakeServer) -> None:
    """G-3: a client that connects again is in no group."""
    harness, clients = await three(serve)
    assert await clients[0].ask(CLOSE) == [CLOSE]
    again = await harness.connect(Principal("ann"))
    await harness.server.context.clients.group("g").send("News")
    assert await news([clients[1], again]) == "1"


async def test_leaving(serve: MakeServer) -> None:
    """G-3: removing is idempotent, too."""
    harness, clients = await three(serve)
    assert await clients[1].ask(call("Leave", "h")) == [result()]
    assert await clients[1].ask(call("Leave", "h")) == [result()]
    await harness.server.context.clients.groups(["g", "h"]).send("News")
    assert await news(clients) == "12"


async def test_sends_come_before_the_answer(serve: MakeServer) -> None:
    """P-5: what a method sends to its caller is on the wire before its Completion."""
    _, clients = await three(serve)
    assert await clients[0].ask(call("Send", "caller", None)) == [
        event("News", "caller"),
        result(),
    ]


async def test_sends_in_on_connected_and_on_disconnected(serve: MakeServer) -> None:
    """L-1: a send to all reaches the caller in OnConnected, and not in OnDisconnected."""

    class HelloHub(Hub):
        async def on_connected(self) -> None:
            await self.clients.all.send("Hello", self.context.connection_id)

        async def on_disconnected(self, error: Exception | None) -> None:
            await self.clients.all.send("Bye", self.context.connection_id)

    harness = serve(HelloHub)
    one = await harness.open()
    assert await one.ask({"protocol": "json", "version": 1}) == [{}, event("Hello", "c1")]
    two = await harness.open()
    assert await two.ask({"protocol": "json", "version": 1}) == [{}, event("Hello", "c2")]
    assert await two.ask(CLOSE) == [CLOSE]
    assert await one.take() == [event("Hello", "c2"), event("Bye", "c2")]


async def test_a_client_that_joins_too_many_groups(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its call fails with the reason, also without detailed errors; nothing else fails."""
    client = await serve(TalkHub, HubOptions(maximum_groups_per_connection=2)).connect()
    refused = failure(
        "An unexpected error occurred invoking 'Join' on the server. HubException: "
        "The connection is in 2 groups, and no more are allowed."
    )
    assert await client.ask(call("Join", "g")) == [result()]
    for _ in range(3):
        assert await client.ask(call("Join", "h")) == [refused]
    await client.ask(call("Leave", "g"))
    assert await client.ask(call("Join", "h")) == [result()]
    assert caplog.records == []  # otherwise a client could fill the log


async def test_clients_that_come_and_go_leave_nothing(serve: MakeServer) -> None:
    """G-3: an ended connection is in no table, whatever ended it."""
    harness = serve(TalkHub)
    for _ in range(40):
        clients = [await harness.connect(Principal(f"user {number}")) for number in range(50)]
        for client in clients:
            client.send(call("Join", client.connection_id), call("Join", "g"), call("Leave", "g"))
        for number, client in enumerate(clients):
            if number % 2:
                client.send(CLOSE)
            else:
                client.vanish()
        await harness.clock.settle()
    manager = harness.server.lifetime
    tables = [value for each in (manager, harness.server) for value in vars(each).values()]
    kept = [table for table in tables if isinstance(table, dict) and table]
    assert kept == [harness.server._protocols]
