"""Repeats recorded steps with our gateway, and records the outcome of each.

No step waits for a fixed time. After each step, three calls show that its outcome is complete.
First each client calls the gateway, which answers after it has handled everything that the client
has sent. Then the gateway calls the hub, whose event arrives after everything that the hub has sent
for the step. Then each client calls the gateway again, and the answer arrives after everything that
the gateway has sent to the client.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from protocol import HubConnection, Payload
from signalr_gateway.downstream.clock import Clock
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.downstream.hub import Downstream, OnEvent
from signalr_gateway.orchestration.orchestrator import DownstreamHub, Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.app import GATEWAY, create_app
from signalr_gateway.serving.gateway import Gateway
from signalr_gateway.serving.listener import serving
from tests.interop.hub_leg import HubLeg
from tests.interop.journal import Journal
from tests.interop.orchestrations import connect_to
from tests.interop.original_recording import (
    PING,
    SEPARATOR,
    STARTS,
    Outcome,
    Scenario,
    Step,
    answer,
    body_of,
    hub_record,
    modes,
    records,
    shortened,
    text_of,
    tidy,
)
from tests.interop.raw_http import raw_request
from tests.support.routes import route_to
from tests.support.waiting import until

BARRIER = "ReceiveRelay"
"""An event of the hub that no recorded route receives; its method is Relay."""
_INTERVAL = 0.002  # between two checks of the gateway, so that the hub can use the processor


class OriginalMessage(msgspec.Struct):
    """The class that a recorded route declares as its parameter type."""

    name: str
    message: str


TYPES: Mapping[str, object] = {
    "string": str,
    "object": Any,
    "int": int,
    "LabMsg {Name, Message}": OriginalMessage,
}


def orchestrate(mode: str, urls: Sequence[str]) -> Orchestrator:
    """The orchestration of a mode, with its hubs at these addresses."""
    orchestrator = Orchestrator()
    for hub, url in zip(modes()[mode], urls, strict=False):
        builder = orchestrator.add_hub(hub["api"], connect_to(url), hub["receiveKey"])
        for route in hub["routes"]:
            types = route.get("receiveParameterTypes")
            builder.add_route(
                route["key"],
                HubRouteInfo(
                    invoke_method=route.get("invokeMethod"),
                    receive_method=route.get("receiveMethod"),
                    receive_parameter_types=types and [TYPES[name] for name in types],
                    broadcast_type=BroadcastType(route.get("broadcastType", "All")),
                    receive_group=route.get("receiveGroup"),
                ),
            )
    return orchestrator


class RawClient:
    """A client of the gateway hub that sends and receives the exact text of records."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, name: str) -> None:
        self.received: Journal[str] = Journal(f"records to {name}")
        self._socket = socket
        self._reader = asyncio.create_task(self._read())
        self._speaks_json = False
        self._taken = 0
        self._leaving = False

    async def _read(self) -> None:
        while True:
            frame = await self._socket.receive()
            if frame.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            text = frame.data if isinstance(frame.data, str) else frame.data.decode()
            for record in records(text):
                if record != PING:
                    self.received.add(record)
        if not self._leaving:
            self.received.add(f"CLOSED {self._socket.close_code}")

    @property
    def open(self) -> bool:
        return not self._reader.done()

    async def send(self, text: str) -> None:
        """Sends records, and waits for the answer: a completion, a handshake response, or the
        end."""
        message = json.loads(text.removesuffix(SEPARATOR))
        before = len(self.received.entries)
        await self._socket.send_str(text)
        if "protocol" in message:
            self._speaks_json = message["protocol"] == "json"
            await self.received.wait(before + 1)
            if self.received.entries[before] != "{}":
                await self._reader
        elif "invocationId" in message:
            await self.received.wait(1, lambda record: _completes(record, message["invocationId"]))

    async def catch_up(self, barrier: str) -> None:
        """Returns when everything that was sent to this client before has arrived."""
        if self.open and self._speaks_json:
            invocation = {"type": 1, "invocationId": barrier, "target": "Barrier", "arguments": []}
            await self.send(json.dumps(invocation) + SEPARATOR)

    async def close(self) -> None:
        self._leaving = True
        await self._socket.close()
        await self._reader

    def take(self) -> list[str]:
        """The records since the last call, without the answers to `catch_up`."""
        new = self.received.entries[self._taken :]
        self._taken += len(new)
        return [shortened(record) for record in new if '"invocationId":"barrier' not in record]


def _completes(record: str, invocation_id: str) -> bool:
    start = f'{{"type":3,"invocationId":"{invocation_id}",'
    return record.startswith((start, "CLOSED"))


class Replay:
    """A gateway of one mode in front of the hub, and the clients of a recording."""

    def __init__(self, parts: Gateway, address: URL, legs: Mapping[str, HubLeg]) -> None:
        self._parts = parts
        self._address = address
        self._legs = legs
        self._told: dict[str, Journal[str]] = {}
        self._sent: dict[str, int] = dict.fromkeys(legs, 0)
        self._clients: dict[str, RawClient | None] = {}
        self._refusals: dict[str, int] = {}
        self._barriers = itertools.count(1)
        self._session: aiohttp.ClientSession

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        mode: str,
        hubs: Sequence[str],
        *,
        gateway_hub: bool = True,
        connected: bool = True,
        clock: Clock | None = None,
    ) -> AsyncIterator["Replay"]:
        """A replay whose gateway is connected to the hubs at these addresses, by default.

        The gateway measures by `clock` how long it waits for a hub; by default that is the event
        loop's.
        """
        told: dict[str, Journal[str]] = {}

        def make_downstream(
            hub: DownstreamHub, connection: HubConnection, on_event: OnEvent | None
        ) -> Downstream:
            heard = told[hub.api] = Journal[str](f"barriers of {hub.api}")

            async def hear(api: str, target: str, arguments: Payload, user: str | None) -> None:
                if target == BARRIER:
                    heard.add(msgspec.json.decode(arguments.form("json"), type=tuple[str])[0])
                elif on_event is not None:
                    await on_event(api, target, arguments, user)

            return Downstream(hub, connection, hear, clock=clock)

        apis = [hub["api"].lower() for hub in modes()[mode]]
        async with AsyncExitStack() as stack:
            legs = {
                api: await stack.enter_async_context(HubLeg(url).relaying())
                for api, url in zip(apis, hubs, strict=False)
            }
            orchestrator = orchestrate(mode, [leg.url for leg in legs.values()])
            orchestrator.start_gateway_hub = gateway_hub
            app = create_app(orchestrator, make_downstream=make_downstream)
            address = await stack.enter_async_context(serving(app, "127.0.0.1", 0))
            replay = cls(app[GATEWAY], URL(address), legs)
            replay._told = told
            replay._session = await stack.enter_async_context(aiohttp.ClientSession())
            if connected:
                await replay.connected()
            yield replay
            for client in replay._clients.values():
                if client is not None:
                    await client.close()

    async def connected(self) -> None:
        """Waits until the gateway has a connection to every hub."""
        downstreams = self._parts.downstreams.values()
        await until(
            lambda: all(it.status.state is HubState.CONNECTED for it in downstreams),
            interval=_INTERVAL,
        )

    async def disconnected(self) -> None:
        """Waits until the gateway has noticed that it has no connection to any hub."""
        downstreams = self._parts.downstreams.values()
        await until(
            lambda: all(it.status.state is not HubState.CONNECTED for it in downstreams),
            interval=_INTERVAL,
        )

    def url(self, path: str) -> str:
        return str(self._address.with_path(path))

    async def join(self, name: str) -> None:
        """Connects a client whose connection is not in the recording."""
        client = await self._client(name)
        assert client is not None
        await client.send('{"protocol":"json","version":1}' + SEPARATOR)
        client.take()

    async def play(self, scenario: Scenario) -> dict[str, Outcome]:
        """Repeats the steps one by one; returns the outcome of each by its id."""
        outcomes = {}
        if scenario.name not in STARTS:
            self._take_sent()
        for step in scenario.steps:
            outcome = await self._do(step)
            await self.catch_up()
            for name, client in self._clients.items():
                received = [] if client is None else client.take()
                if received and name in scenario.clients:
                    outcome.setdefault("frames", {})[name] = received
            sent = self._take_sent()
            if scenario.hub_leg and sent:
                outcome["to_hub"] = sent
            outcomes[step.id] = tidy(outcome)
        return outcomes

    async def _do(self, step: Step) -> Outcome:
        match step.content:
            case {"kind": "start"}:
                return {}
            case {"kind": "exit"}:
                return {"runs": True}
            case {"kind": "http", "closed_by_caller": True}:
                await self._give_up(step)
                return {}
            case {"kind": "http"}:
                return {"http": await self.request(step)}
            case {"kind": "hub_event"}:
                [leg] = self._legs.values()
                async with self._session.get(f"{leg.hub_address}/burst?n=1&size=3") as response:
                    assert response.status == 200
                return {}
            case {"kind": "ws", "client": name, "dir": "closed"}:
                client = self._clients[name]
                if client is None:
                    return {"refused": self._refusals[name]}
                await client.close()
                return {}
            case {"kind": "ws", "client": name}:
                client = await self._client(name)
                if client is None:
                    return {"refused": self._refusals[name]}
                await client.send(text_of(step.content))
                return {}
            case _:
                raise AssertionError(step)

    async def request(self, step: Step) -> Outcome:
        """Makes the request of a step, and returns the answer."""
        content = step.content
        headers = dict(content.get("extra_request_headers", {}))
        if content.get("content_type") is not None:
            headers["Content-Type"] = content["content_type"]
        request = content["request"]
        assert self._address.port is not None
        got = await raw_request(self._address.port, request, headers, body_of(content))
        return answer(got.status, got.headers, got.body.decode())

    async def request_under_way(self, step: Step) -> asyncio.Task[Outcome]:
        """Starts the request of a step; returns once its call has gone to the hub."""
        [leg] = self._legs.values()
        before = len(leg.to_hub.entries)
        request = asyncio.create_task(self.request(step))
        await leg.to_hub.wait(before + 1)
        return request

    async def _give_up(self, step: Step) -> None:
        """Disconnects the caller when its call has reached the hub, and waits until the hub gets
        the cancellation."""
        [leg] = self._legs.values()
        request = await self.request_under_way(step)
        sent = len(leg.to_hub.entries)
        request.cancel()
        await asyncio.wait({request})
        await leg.to_hub.wait(sent + 1)

    async def _client(self, name: str) -> RawClient | None:
        """The client of that name, connected when it is new; None when it was refused."""
        if name not in self._clients:
            try:
                socket = await self._session.ws_connect(
                    self._address / "gatewayhub", max_msg_size=0
                )
            except aiohttp.WSServerHandshakeError as refusal:
                self._clients[name] = None
                self._refusals[name] = refusal.status
            else:
                self._clients[name] = RawClient(socket, name)
        return self._clients[name]

    async def catch_up(self) -> None:
        """Returns when the clients have received everything that follows from earlier actions."""
        await self._clients_catch_up()  # calls without an id have then ended
        barrier = f"barrier{next(self._barriers)}"
        for api, downstream in self._parts.downstreams.items():
            if downstream.status.state is not HubState.CONNECTED:
                continue
            text = msgspec.Raw(msgspec.json.encode(barrier))
            await downstream.invoke(route_to("Relay"), [Payload({"json": text})])
            await self._told[api].wait(1, barrier.__eq__)
        await self._clients_catch_up()

    async def _clients_catch_up(self) -> None:
        for client in self._clients.values():
            if client is not None:
                await client.catch_up(f"barrier{next(self._barriers)}")

    def _take_sent(self) -> list[str]:
        sent = []
        for api, leg in self._legs.items():
            new = leg.to_hub.entries[self._sent[api] :]
            self._sent[api] += len(new)
            named = api if len(self._legs) > 1 else None
            sent += [hub_record(each, named) for each in new if '"target":"Relay"' not in each]
        return sent
