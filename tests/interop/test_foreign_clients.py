"""pysignalr, signalrcore and aiosignalr as clients of our hub server, over all their transports."""

from contextlib import aclosing

import pytest

from protocol.testing import TcpLink
from tests.interop.foreign_clients import AioSignalR, ForeignClient, PySignalR, SignalRCore
from tests.interop.servers import HubServer

Combination = tuple[type[ForeignClient], str, str]

IMPOSSIBLE = [
    ("ServerSentEvents", "messagepack"),  # text only
    # It splits polled MessagePack at the byte that ends a record of JSON.
    (SignalRCore, "LongPolling", "messagepack"),
]
ONE_MESSAGE_PER_POLL = [
    # It handles the first message that a poll brings, and the others after further polls.
    (SignalRCore, "LongPolling", "json"),
]

INVALID_HEADERS: list[Combination] = [
    # It sends the number 128 as the headers of stream items, completions and cancellations.
    (AioSignalR, "WebSockets", "messagepack"),
    (AioSignalR, "LongPolling", "messagepack"),
]
INVALID_UPLOADS: list[Combination] = [
    *INVALID_HEADERS,
    # Its invocation has no invocation id, and its completion no result kind.
    (SignalRCore, "WebSockets", "messagepack"),
]

POLLED = [
    # There is no connection to lose: the next poll continues.
    (client, "LongPolling", hub_protocol)
    for client in (SignalRCore, AioSignalR)
    for hub_protocol in ("json", "messagepack")
]


def combinations(
    *excluded: Combination,
    clients: tuple[type[ForeignClient], ...] = (PySignalR, SignalRCore, AioSignalR),
) -> pytest.MarkDecorator:
    """Each client over each of its transports in each hub protocol that it can carry."""
    listed = [
        (client, transport, hub_protocol)
        for client in clients
        for transport in client.transports
        for hub_protocol in ("json", "messagepack")
        if (transport, hub_protocol) not in IMPOSSIBLE
        and (client, transport, hub_protocol) not in (*IMPOSSIBLE, *excluded)
    ]
    names = [f"{each[0].package}-{each[1]}-{each[2]}" for each in listed]
    return pytest.mark.parametrize("combination", listed, ids=names)


pytestmark = [
    pytest.mark.parametrize("program", ["python"], indirect=True),
    # signalrcore leaves sockets open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def client_of(combination: Combination, hub: HubServer) -> ForeignClient:
    kind, transport, hub_protocol = combination
    return kind(hub.url, transport, hub_protocol)


@combinations()
async def test_calls(hub: HubServer, combination: Combination) -> None:
    async with client_of(combination, hub) as client:
        assert await client.invoke("Add", 2, 40) == 42
        assert await client.invoke("Echo", {"text": "é\u2028", "list": [1, None, True, 0.5]}) == {
            "text": "é\u2028",
            "list": [1, None, True, 0.5],
        }
        assert await client.invoke("Nothing") is None
        await client.send("Record", f"sent by {client.package}")
        await hub.recorded(f"sent by {client.package}")


@combinations()
async def test_errors(hub: HubServer, combination: Combination) -> None:
    async with client_of(combination, hub) as client:
        for method, arguments, text in (
            ("ThrowHub", (), "hub says no"),
            ("Throw", (), "An unexpected error occurred invoking 'Throw' on the server."),
            ("NoSuchMethod", (), "Method does not exist."),
            ("Add", ("x", "y"), "Failed to invoke 'Add' due to an error on the server."),
        ):
            with pytest.raises(LookupError, match=text):
                await client.invoke(method, *arguments)
        assert await client.invoke("Add", 1, 1) == 2


@combinations(*ONE_MESSAGE_PER_POLL)
async def test_events_and_groups(hub: HubServer, combination: Combination) -> None:
    async with client_of(combination, hub) as client, client_of(combination, hub) as other:
        await client.invoke("SendToCaller", "to the caller")
        assert await client.text() == "to the caller"
        await client.invoke("SendToOthers", "to the others")
        assert await other.text() == "to the others"
        group = "-".join(map(str, combination[1:])) + client.package
        await other.invoke("JoinGroup", group)
        await client.invoke("SendToGroup", group, "to the group")
        assert await other.text() == "to the group"
        await other.invoke("LeaveGroup", group)
        await client.invoke("SendToGroup", group, "to the empty group")
        await other.invoke("SendToOthers", "last")
        await other.invoke("SendToCaller", "x" * 20_000)
        assert await client.text() == "last"
        assert await other.text() == "x" * 20_000
        assert client.texts.empty()
        assert other.texts.empty()


@combinations(*POLLED)
async def test_reconnect(hub: HubServer, combination: Combination) -> None:
    kind, transport, hub_protocol = combination
    async with TcpLink(hub.url) as link, kind(link.url, transport, hub_protocol) as client:
        assert await client.invoke("Add", 1, 2) == 3
        link.cut()
        await client.reopened()
        await client.invoke("SendToCaller", "back")
        assert await client.text() == "back"


def streaming_client(combination: Combination, hub: HubServer) -> ForeignClient:
    kind, transport, hub_protocol = combination
    return kind(hub.stream_url, transport, hub_protocol)


@combinations(*ONE_MESSAGE_PER_POLL)
async def test_streams(hub: HubServer, combination: Combination) -> None:
    async with streaming_client(combination, hub) as client:
        assert [item async for item in client.stream("Counter", 100)] == list(range(100))
        assert [item async for item in client.stream("Counter", 0)] == []


@combinations(*ONE_MESSAGE_PER_POLL)
async def test_failed_streams(hub: HubServer, combination: Combination) -> None:
    async with streaming_client(combination, hub) as client:
        items = client.stream("Break")
        assert await anext(items) == "one"
        with pytest.raises(LookupError, match="no more"):
            await anext(items)


# aiosignalr cancels a stream that has failed.
@combinations(*ONE_MESSAGE_PER_POLL, *INVALID_HEADERS)
async def test_streams_after_failed_streams(hub: HubServer, combination: Combination) -> None:
    async with streaming_client(combination, hub) as client:
        with pytest.raises(LookupError, match="no more"):
            _ = [item async for item in client.stream("Break")]
        with pytest.raises(LookupError, match="Method does not exist"):
            await anext(client.stream("NoSuchMethod"))
        assert [item async for item in client.stream("Counter", 3)] == [0, 1, 2]


@combinations(*INVALID_HEADERS, clients=(AioSignalR,))
async def test_cancelled_streams(hub: HubServer, combination: Combination) -> None:
    """The hub method's generator is closed, and the connection goes on."""
    name = f"cancelled over {' '.join(combination[1:])}"
    async with streaming_client(combination, hub) as client:
        async with aclosing(client.stream("Endless", name)) as numbers:
            assert [await anext(numbers) for _ in range(3)] == [0, 1, 2]
        await hub.recorded(name)
        assert [item async for item in client.stream("Counter", 3)] == [0, 1, 2]


@combinations(*INVALID_UPLOADS)
async def test_uploads(hub: HubServer, combination: Combination) -> None:
    texts = ["upload", combination[0].package, *combination[1:]]
    async with streaming_client(combination, hub) as client:
        await client.upload("RecordAll", texts)
        await hub.recorded(" ".join(texts))
        await client.upload("RecordAll", [*texts, "again"])
        await hub.recorded(" ".join([*texts, "again"]))


@combinations(*INVALID_HEADERS, clients=(AioSignalR,))
async def test_results_of_uploads(hub: HubServer, combination: Combination) -> None:
    async with streaming_client(combination, hub) as client:
        assert await client.upload("Sum", [1, 2, 3]) == 6
        with pytest.raises(LookupError, match="HubException: Failed to bind Stream message"):
            await client.upload("Sum", ["one"])
        assert await client.upload("Sum", [4, 5]) == 9
