"""G-1, G-3: a wrong name of a method, a group or a client is a TypeError, and nothing is sent."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol import Hub, HubContext, Principal, hub_method
from protocol.server.clients import ClientProxy, HubClients
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import call, event, failure
from tests.support.server_harness import MakeServer

NO_NAMES = [{"x": 1}, None, 5, b"Name", ["Name"]]


class SendingHub(Hub):
    @hub_method
    async def forget_the_target(self, value: Any) -> None:
        await self.clients.all.send(value)


@pytest.mark.parametrize("target", [{"x": 1}, None, 5, []])
async def test_a_hub_that_forgets_the_target(serve: MakeServer, target: Any) -> None:
    """Its caller gets an error; every client stays connected and gets what comes next."""
    harness = serve(SendingHub)
    caller, other = await harness.connect(), await harness.connect()
    answer = await caller.ask(call("ForgetTheTarget", target))
    text = "An unexpected error occurred invoking 'ForgetTheTarget' on the server."
    assert answer == [failure(text)]
    assert await other.take() == []
    await harness.server.context.clients.all.send("News", 1)
    for client in (caller, other):
        assert await client.take() == [event("News", 1)]
        assert not await client.has_ended()


@pytest.mark.parametrize("target", NO_NAMES)
async def test_targets_of_a_hub_context(serve: MakeServer, target: Any) -> None:
    harness = serve(Hub)
    client = await harness.connect()
    clients = harness.server.context.clients
    for proxy in (clients.all, clients.client("c1"), clients.group("a"), clients.user("u")):
        with pytest.raises(TypeError, match=r'target is a str.*: send\("ReceiveMessage", value\)'):
            await proxy.send(target)
    assert await client.take() == []


async def test_an_empty_target(serve: MakeServer) -> None:
    with pytest.raises(ValueError, match="target is empty"):
        await serve(Hub).server.context.clients.all.send("")


@pytest.mark.parametrize(
    "choose",
    [
        lambda clients: clients.groups("abc"),
        lambda clients: clients.users("abc"),
        lambda clients: clients.clients("abc"),
        lambda clients: clients.all_except("abc"),
        lambda clients: clients.group_except("a", "abc"),
        lambda clients: clients.groups(["a", 5]),
        lambda clients: clients.users([None]),
        lambda clients: clients.clients([b"c1"]),
        lambda clients: clients.groups(5),
        lambda clients: clients.group(None),
        lambda clients: clients.client(5),
        lambda clients: clients.user(None),
        lambda clients: clients.group_except(None, []),
        lambda clients: clients.group_except("a", [5]),
    ],
)
def test_names_of_receivers(choose: Callable[[HubClients], Any]) -> None:
    from protocol.server.lifetime import DefaultHubLifetimeManager

    with pytest.raises(TypeError):
        choose(HubContext(DefaultHubLifetimeManager()).clients)


@pytest.mark.parametrize(
    "choose",
    [
        lambda clients: clients.groups(name for name in ("a", "b")),
        lambda clients: clients.users({"ann": 1, "bob": 2}),
        lambda clients: clients.clients(frozenset({"c1", "c2"})),
        lambda clients: clients.all_except(name for name in ("c3",)),
        lambda clients: clients.group_except("all", {"c3"}),
    ],
)
async def test_names_may_come_from_any_iterable(
    serve: MakeServer, choose: Callable[[HubClients], ClientProxy]
) -> None:
    """Each of these names the first two of three clients, and can be used more than once."""
    harness = serve(Hub)
    context = harness.server.context
    clients = [await harness.connect(Principal(user)) for user in ("ann", "bob", "cem")]
    for client, group in zip(clients, ("a", "b", "c"), strict=True):
        await context.groups.add(client.connection_id, group)
        await context.groups.add(client.connection_id, "all")
    proxy = choose(context.clients)
    for number in (1, 2):
        await proxy.send("News", number)
        taken = [await client.take() for client in clients]
        assert taken == [[event("News", number)], [event("News", number)], []]


@pytest.mark.parametrize(("connection_id", "group"), [(5, "a"), ("c1", None), ("c1", 5)])
async def test_names_of_memberships(serve: MakeServer, connection_id: Any, group: Any) -> None:
    groups = serve(Hub).server.context.groups
    with pytest.raises(TypeError):
        await groups.add(connection_id, group)
    with pytest.raises(TypeError):
        await groups.remove(connection_id, group)


@pytest.mark.parametrize("target", NO_NAMES)
async def test_targets_of_a_client(harness: ClientHarness, target: Any) -> None:
    """Nothing is sent, and the connection goes on."""
    connection = await harness.started()
    with pytest.raises(TypeError, match=r'invoke\("SendMessage", value\)'):
        await connection.invoke(target)
    with pytest.raises(TypeError, match=r'send\("SendMessage", value\)'):
        await connection.send(target)
    with pytest.raises(TypeError, match=r'on\("ReceiveMessage", handler\)'):
        connection.on(target, print)
    with pytest.raises(TypeError, match=r'off\("ReceiveMessage"\)'):
        connection.off(target)
    assert await harness.server.take() == []


async def test_a_handler_that_is_no_function(harness: ClientHarness) -> None:
    connection = harness.connection()
    with pytest.raises(TypeError, match="A handler is a function, not int"):
        connection.on("News", 5)  # type: ignore[call-overload]


async def test_a_decorator_without_its_target(harness: ClientHarness) -> None:
    connection = harness.connection()
    with pytest.raises(TypeError, match="not function"):
        connection.on(lambda: None)  # type: ignore[call-overload]
