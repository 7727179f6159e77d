"""GW-13, GW-14, GW-16: clients and hubs that use MessagePack, together with JSON ones."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec
import pytest
from msgspec import Raw

from protocol import HubException, MessagePackHubProtocol, Payload
from protocol.values import payload as payload_module
from protocol.values.transcoding import json_to_messagepack
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, sample_routes
from tests.support.waiting import until

MESSAGEPACK: Final = MessagePackHubProtocol()
HELLO: Final = b'[{"name":"John","message":"Hello!"}]'
HELLO_FRAME: Final = "23960180c0ae526563656976654d6573736167659292a44a6f686ea648656c6c6f219090"
"""What the original sends to its MessagePack clients (GW-14)."""


@asynccontextmanager
async def gateway_to(hub: RunningHub, **options: Any) -> AsyncIterator[RunningGateway]:
    async with running_gateway(lambda o: sample_routes(o, hub.url, **options)) as gateway:
        yield gateway


@asynccontextmanager
async def raw_client(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A MessagePack client that sends and receives frames byte by byte."""
    async with gateway.session.ws_connect(f"{gateway.url}/gatewayhub") as socket:
        before = gateway.clients
        await socket.send_bytes(b'{"protocol":"messagepack","version":1}\x1e')
        assert await socket.receive_bytes() == b"{}\x1e"
        await until(lambda: gateway.clients == before + 1)
        yield socket


async def test_the_frame_that_a_client_receives(gateway: RunningGateway) -> None:
    """GW-14: byte for byte, while JSON clients get their own."""
    client = gateway.client()
    inbox = Inbox(client)
    async with raw_client(gateway) as socket, client:
        await until(lambda: gateway.clients == 2)
        await gateway.post("sample/room", HELLO)
        assert (await socket.receive_bytes()).hex() == HELLO_FRAME
        assert await inbox.take() == ("ReceiveMessage", b'[["John","Hello!"],{}]')


@pytest.mark.parametrize(
    ("target", "arguments", "received"),
    [
        ("Anything", b'[{"b":1,"A":[null,0.10]},"x"]', [[{"b": 1, "A": [None, 0.1]}, "x"], []]),
        ("Anything", b"[1e400,18446744073709551616]", [[float("inf"), 2.0**64], []]),
        ("Anything", b"[]", [[], []]),
        ("Spread", b'[1,{"a":1}]', [1, {"a": 1}]),
    ],
)
async def test_events_of_a_json_hub(
    gateway: RunningGateway, hub: RunningHub, target: str, arguments: bytes, received: list[Any]
) -> None:
    """GW-14: what the original could not send (objects) arrives as maps."""
    client = gateway.client(MESSAGEPACK)
    inbox = Inbox(client)
    async with client:
        await until(lambda: gateway.clients == 1)
        await hub.send(target, arguments)
        got = await inbox.take()
    assert (got[0], msgspec.msgpack.decode(got[1])) == (target, received)


async def test_an_event_is_transcoded_once_if_a_client_needs_it(
    gateway: RunningGateway, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GW-14."""
    seen: list[bytes] = []

    def counting(payload: Raw) -> Generator[None, None, Raw]:
        yield
        seen.append(bytes(payload))
        return json_to_messagepack(payload)

    monkeypatch.setitem(payload_module._TRANSCODERS, ("json", "messagepack"), counting)
    plain = gateway.client()
    inbox = Inbox(plain)
    async with plain:
        await until(lambda: gateway.clients == 1)
        await hub.send("Anything", b"[1]")
        await inbox.take()
        assert seen == []
        clients = [gateway.client(MESSAGEPACK) for _ in range(3)]
        inboxes = [Inbox(client) for client in clients]
        async with clients[0], clients[1], clients[2]:
            await until(lambda: gateway.clients == 4)
            await hub.send("Anything", b"[2]")
            for inbox in inboxes:
                assert await inbox.take() == ("Anything", b"\x92\x91\x02\x90")
    assert seen == [b"[2]"]


# --- a MessagePack hub -----------------------------------------------------------------------


async def test_events_of_a_messagepack_hub(hub: RunningHub) -> None:
    """GW-14: unchanged to MessagePack clients, as JSON to the others."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway:
        clients = [gateway.client(), gateway.client(MESSAGEPACK)]
        inboxes = [Inbox(client) for client in clients]
        async with clients[0], clients[1]:
            await until(lambda: gateway.clients == 2)
            odd = b"\x93\xcc\x01\xc4\x02\xff\x00\xca\x3d\xcc\xcc\xcd"
            items = Payload({"messagepack": Raw(odd)}).elements()
            await hub.context.clients.all.send("Anything", *items)
            assert await inboxes[0].take() == ("Anything", b'[[1,"/wA=",0.1],{}]')
            assert await inboxes[1].take() == ("Anything", b"\x92" + odd + b"\x90")


async def test_an_event_without_a_json_form_reaches_messagepack_clients_only(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted and logged by name, and the next event arrives."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway:
        clients = [gateway.client(), gateway.client(MESSAGEPACK), gateway.client()]
        inboxes = [Inbox(client) for client in clients]
        async with clients[0], clients[1], clients[2]:
            await until(lambda: gateway.clients == 3)
            for _ in range(2):
                await hub.context.clients.all.send("Anything", Payload({"messagepack": EXTENSION}))
            await hub.send("Anything", b'["next"]')
            for inbox in (inboxes[0], inboxes[2]):
                assert await inbox.take() == ("Anything", b'[["next"],{}]')
            for _ in range(2):
                assert await inboxes[1].take() == ("Anything", b"\x92\x91\xd4\x05\x00\x90")
    assert gateway.parts.hub is not None
    counts = gateway.parts.hub.broadcaster.counts("sample")
    assert (counts.forwarded, counts.unwritable) == (3, 2)
    (logged,) = (record.getMessage() for record in caplog.records if "not sent" in record.msg)
    assert logged == (
        "hub 'sample': event 'Anything' not sent to some clients (1 so far):"
        " An extension of type 5 has no JSON form."
    )


EXTENSION: Final = Raw(b"\xd4\x05\x00")


@pytest.mark.parametrize(
    ("value", "reached", "answered"),
    [
        (
            b'{"a":[1,0.10,"\xc3\xbc"],"b":null}',
            "82a16193 01 cb3fb999999999999a a2c3bc a162c0",
            None,
        ),
        (b"[]", "90", None),
        (b"1e400", "cb7ff0000000000000", b""),
        (b"12345678901234567890", "cfab54a98ceb1f0ad2", None),
    ],
)
async def test_a_post_to_a_messagepack_hub(
    hub: RunningHub, value: bytes, reached: str, answered: bytes | None
) -> None:
    """GW-7, GW-8: the result comes back as JSON; an infinity has none."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway:
        answer = await gateway.post("sample/echo", b"[" + value + b"]")
    assert hub.calls == [("Echo", [bytes.fromhex(reached)])]
    if answered is None:
        assert answer.status == 200
        assert msgspec.json.decode(answer.body) == msgspec.json.decode(value)
    else:
        assert (answer.status, answer.problem["code"]) == (502, "result-not-json")
        assert answer.problem["detail"] == (
            "The hub ran the call, but its result cannot be written as JSON:"
            " The number inf has no JSON form."
        )


@pytest.mark.parametrize(("route", "body"), [("sample/nothing", b"[]"), ("sample/echo", b"[null]")])
async def test_nothing_and_null_of_a_messagepack_hub(
    hub: RunningHub, route: str, body: bytes
) -> None:
    """GW-8."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway:
        answer = await gateway.post(route, body)
    assert (answer.status, answer.body) == (200, b"")


async def test_names_are_those_of_the_hub(hub: RunningHub) -> None:
    """M-11: unlike JSON, MessagePack distinguishes them by their case, and they go as posted."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway, raw_client(gateway) as socket:
        assert (await gateway.post("sample/room", HELLO)).status == 200
        assert (await socket.receive_bytes()).endswith(b"\x92\xc0\xc0\x90\x90")
        await gateway.post("sample/room", b'[{"Name":"John","Message":"Hello!"}]')
        assert (await socket.receive_bytes()).hex() == HELLO_FRAME


async def test_errors_of_a_messagepack_hub(hub: RunningHub) -> None:
    """GW-9: the error text of the hub is the same in each protocol."""
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway:
        answer = await gateway.post("sample/fail", b"[]")
    assert (answer.status, answer.problem["code"]) == (502, "hub-error")
    assert answer.problem["detail"].endswith('HubException: the "hub" says no – ünchanged')


# --- the methods of the gateway hub (GW-16) --------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        {"Api": "sample", "Key": "group", "ReceiveKey": RECEIVE_KEY, "ReceiveGroup": "ChatGroup"},
        {"api": "sample", "key": "group", "receiveKey": 5, "receiveGroup": "ChatGroup"},
        {"API": "SAMPLE", "KEY": "GROUP", "receivegroup": "ChatGroup", "Extra": b"\xff"},
    ],
)
async def test_subscribing_byte_by_byte(
    gateway: RunningGateway, hub: RunningHub, call: dict[str, Any]
) -> None:
    """GW-16: any case of the names, numbers where a text is expected; answers as .NET has them."""
    body = msgspec.msgpack.encode([1, {}, "1", "SubscribeToGroup", [call]])
    async with raw_client(gateway) as socket:
        await socket.send_bytes(bytes((len(body),)) + body)
        assert (await socket.receive_bytes()).hex() == "07950380a13103c0"
        await hub.send("ToGroup", b'["x"]')
        frame = await socket.receive_bytes()
        assert msgspec.msgpack.decode(frame[1:]) == [1, {}, None, "ToGroup", [["x"], []], []]


async def test_a_call_to_a_json_hub(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-16, GW-17: data goes there as JSON, its result comes back as MessagePack."""
    async with gateway.client(MESSAGEPACK) as client:
        call = {"Api": "SAMPLE", "Key": "echo", "Data": {"Wide": 2**63, "bin": b"\xff", "f": 0.5}}
        result = await client.invoke("InvokeDownstreamHub", call)
        assert hub.calls == [("Echo", [b'{"Wide":9223372036854775808,"bin":"/w==","f":0.5}'])]
        assert result == {"Wide": 2**63, "bin": "/w==", "f": 0.5}
        ten = {"api": "sample", "KEY": "ten", "dataarray": list(range(10))}
        assert await client.invoke("invokedownstreamhub", ten) == 10
        nothing: dict[str, Any] = {"Api": "sample", "Key": "nothing", "Data": None, "DataArray": []}
        assert await client.invoke("InvokeDownstreamHub", nothing) is None


async def test_a_call_to_a_messagepack_hub_is_passed_on_as_it_came(hub: RunningHub) -> None:
    """GW-7: the bytes of a value do not change if caller and hub have the same protocol."""
    odd = Raw(b"\x95\xcc\x01\xc4\x01\xff\xca\x3d\xcc\xcc\xcd\xd4\x05\x00\x81\x90\xc0")
    async with (
        gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway,
        gateway.client(MESSAGEPACK) as client,
    ):
        call = {"Api": "sample", "Key": "echo", "Data": odd}
        result = await client.invoke("InvokeDownstreamHub", call, result_type=Raw)
    assert (bytes(result), hub.calls) == (bytes(odd), [("Echo", [bytes(odd)])])


async def test_a_json_client_and_a_messagepack_hub(hub: RunningHub) -> None:
    async with gateway_to(hub, hub_protocol=MESSAGEPACK) as gateway, gateway.client() as client:
        call = {"api": "sample", "key": "echo", "data": {"a": [1.0, 1]}}
        result = await client.invoke("InvokeDownstreamHub", call, result_type=Raw)
        assert bytes(result) == b'{"a":[1.0,1]}'
        infinite = {"api": "sample", "key": "echo", "data": Raw(b"1e400")}
        with pytest.raises(HubException, match="The number inf has no JSON form"):
            await client.invoke("InvokeDownstreamHub", infinite)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"DataArray": list(range(11))}, "There are 11 arguments; at most 10 are allowed"),
        ({"DataArray": {"a": 1}}, "The arguments must be an array"),
        ({"DataArray": "text"}, "The arguments must be an array"),
        ({"Data": Raw(b"\x91" * 40 + b"\x01")}, "deeper than 32 levels"),
        ({"Data": Raw(b"\xd4\x05\x00")}, "An extension of type 5 has no JSON form"),
        ({"Data": None}, "Data or DataArray is missing"),
        ({}, "Data or DataArray is missing"),
        ({"Data": 1, "Key": "nosuch"}, "There is no route 'sample/nosuch'"),
    ],
)
async def test_calls_that_are_refused(
    gateway: RunningGateway, hub: RunningHub, call: dict[str, Any], text: str
) -> None:
    """GW-16, GW-19: in either protocol by the same rules."""
    async with gateway.client(MESSAGEPACK) as client:
        with pytest.raises(HubException, match=text):
            await client.invoke("InvokeDownstreamHub", {"Api": "sample", "Key": "echo", **call})
        assert hub.calls == []
        with pytest.raises(HubException, match="Failed to invoke 'InvokeDownstreamHub' due to"):
            await client.invoke("InvokeDownstreamHub", [1])


async def test_receive_keys_over_messagepack(hub: RunningHub) -> None:
    """GW-18."""
    async with gateway_to(hub, receive_key=RECEIVE_KEY) as gateway:
        async with gateway.client(MESSAGEPACK) as client:
            call = {"Api": "sample", "Key": "one", "UserId": 7, "ReceiveKey": RECEIVE_KEY}
            await client.invoke("SubscribeToRoute", call)
            for wrong in (None, RECEIVE_KEY.upper(), 5):
                with pytest.raises(HubException, match="missing or wrong"):
                    await client.invoke("SubscribeToRoute", {**call, "ReceiveKey": wrong})


async def test_a_busy_log_holds_no_payload(
    gateway: RunningGateway, hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = gateway.client(MESSAGEPACK)
    inbox = Inbox(client)
    async with client:
        await until(lambda: gateway.clients == 1)
        await hub.send("Anything", b'["HUSH",1e400]')
        await inbox.take()
        with pytest.raises(HubException):
            await client.invoke(
                "InvokeDownstreamHub", {"Api": "sample", "Key": "Fail", "Data": "HUSH"}
            )
    assert "HUSH" not in caplog.text
