"""Plays the limits of hubs and clients that need no sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from protocol import (
    ClientProxy,
    Hub,
    HubException,
    HubOptions,
    SignalRError,
    SlowClientPolicy,
    hub_method,
)
from protocol.aio.log_thinning import LogThinning, shown_name
from protocol.aio.transport import TransportLimits
from protocol.authentication_refresh import read_lifetime
from protocol.messagepack.framing import LengthPrefixFramer, frame
from protocol.server_sent_events import ServerSentEventsParser, write_event
from protocol.testing import LoopClock
from protocol.transports.server.inbound_pipe import InboundPipe
from protocol.values.transcoding import messagepack_to_json
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import (
    HANDSHAKE,
    call,
    event,
    item,
    joined,
    result,
    stream_call,
)
from tests.support.server_harness import MakeServer, MemoryClient

from .players import Players


class LimitedHub(Hub):
    """A method for each way to reach a limit of a hub."""

    release: asyncio.Event
    ended: list[str]

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def take(self, value: Any) -> None:
        pass

    @hub_method
    async def hold(self) -> None:
        await self.release.wait()

    @hub_method
    async def ask(self) -> Any:
        return await self.clients.caller.invoke("Answer")

    @hub_method
    async def stream(self) -> AsyncIterator[int]:
        await self.release.wait()
        yield 1

    @hub_method
    async def upload(self, items: AsyncIterator[int]) -> None:
        await self.release.wait()

    @hub_method
    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    @hub_method
    async def tell(self, text: str) -> None:
        await self.clients.caller.send("News", text)
        self.ended.append("Tell")


@dataclass
class Scene:
    """What a row is played with."""

    serve: MakeServer
    clients: ClientHarness
    clock: LoopClock

    async def client(self, limits: TransportLimits | None = None, **options: Any) -> HubClient:
        """A client of the hub with these options."""
        client = HubClient()
        harness = self.serve(
            LimitedHub, HubOptions(**options), hub_factory=client.make_hub, limits=limits
        )
        client.everyone = harness.server.context.clients.all
        client.connection = await harness.connect()
        return client

    async def unshaken(self, **options: Any) -> MemoryClient:
        """A client of the hub before its handshake."""
        return await self.serve(
            LimitedHub, HubOptions(**options), hub_factory=HubClient().make_hub
        ).open()


class HubClient:
    """A client, and what its hub's methods wait for and have done."""

    connection: MemoryClient
    everyone: ClientProxy

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.ended: list[str] = []

    def make_hub(self) -> LimitedHub:
        hub = LimitedHub()
        hub.release, hub.ended = self.release, self.ended
        return hub

    async def ask(self, *records: Any) -> str:
        """What the last of the records is answered with; the hub's methods then end."""
        messages = await self.connection.ask(*records)
        self.release.set()
        return said(messages)


def said(messages: list[Any]) -> str:
    """The last message in words."""
    if not messages:
        return "nothing"
    message = messages[-1]
    error = message.get("error")
    match message.get("type"):
        case 7:
            return f"Close: {error}"
        case 3:
            return f"error: {error}" if error else "result"
        case kind:
            return f"error: {error}" if error else {1: "a question", None: "accepted"}[kind]


async def refusal(action: Callable[[], Any], accepted: str = "accepted") -> str:
    """The type and the text of the error that `action` raises, or `accepted`."""
    try:
        outcome = action()
        if isinstance(outcome, Awaitable):
            await outcome
    except SignalRError as error:
        return f"{type(error).__name__}: {error}"
    return accepted


def padded(target: str, size: int) -> str:
    """A call of `size` bytes, the record separator included, as text."""
    text = json.dumps(call(target, ""))
    return text.replace('""', '"' + "x" * (size - len(text) - 1) + '"')


Play = Callable[[Scene, int, int], Awaitable[str]]
plays: Players[Play] = Players()


# ---- hubs: messages


@plays("HubOptions.maximum_receive_message_size (JSON)")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_receive_message_size=limit)
    return await client.ask(padded("Echo", count))


@plays("HubOptions.maximum_receive_message_size (unfinished)")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_receive_message_size=limit)
    client.connection.send_bytes(b"x" * count)
    return said(await client.connection.take())


@plays("HubOptions.maximum_receive_message_size (MessagePack)")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.unshaken(maximum_receive_message_size=limit)
    assert await client.ask({"protocol": "messagepack", "version": 1}) == [{}]
    sizes = range(count - 40, count)
    calls = (frame(msgspec.msgpack.encode([1, {}, "1", "Echo", [b"x" * it], []])) for it in sizes)
    sent = next(each for each in calls if len(each) == count)
    client.send_bytes(sent)
    (answer,) = LengthPrefixFramer().feed(await client.arrived())
    kind, *fields = msgspec.msgpack.decode(answer)
    return f"Close: {fields[0]}" if kind == 7 else "result"


@plays("HubOptions.maximum_receive_message_size (handshake)")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.unshaken(maximum_receive_message_size=limit)
    text = json.dumps(HANDSHAKE)
    return said(await client.ask(text + " " * (count - len(text) - 1)))


@plays("protocol.json.scanner.MAXIMUM_DEPTH")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client()
    nested = "[" * (count - 2) + "]" * (count - 2)
    return await client.ask(
        f'{{"type":1,"invocationId":"1","target":"Echo","arguments":[{nested}]}}'
    )


@plays("protocol.messagepack.scanner.MAXIMUM_DEPTH")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.unshaken()
    assert await client.ask({"protocol": "messagepack", "version": 1}) == [{}]
    nested = b"\x91" * count + b"\xc0"
    client.send_bytes(frame(b"\x96\x01\x80\xa11\xa4Take\x91" + nested + b"\x90"))
    (answer,) = LengthPrefixFramer().feed(await client.arrived())
    fields = msgspec.msgpack.decode(answer)
    return f"error: {fields[4]}" if fields[3] == 1 else "result"


@plays("protocol.values.transcoding.MAXIMUM_JSON_DEPTH")
async def _(scene: Scene, limit: int, count: int) -> str:
    return await refusal(lambda: messagepack_to_json(b"\x91" * count + b"\xc0"))


@plays("protocol.messagepack.framing.MAXIMUM_LENGTH")
async def _(scene: Scene, limit: int, count: int) -> str:
    prefix = bytes(count >> 7 * number & 0x7F | (0x80 if number < 4 else 0) for number in range(5))
    return await refusal(lambda: list(LengthPrefixFramer().feed(prefix)), "waits for the message")


@plays("protocol.messagepack.framing._LONGEST_PREFIX")
async def _(scene: Scene, limit: int, count: int) -> str:
    prefix = b"\x80" * (count - 1) + b"\x00"
    return await refusal(lambda: list(LengthPrefixFramer().feed(prefix)), "an empty message")


# ---- hubs: calls, streams, groups


@plays("HubOptions.maximum_parallel_invocations_per_client")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_parallel_invocations_per_client=limit)
    held = [call("Hold", id=f"h{number}") for number in range(count - 1)]
    return await client.ask(*held, call("Echo", 1))


@plays("HubOptions.maximum_client_results_per_connection")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_client_results_per_connection=limit)
    return await client.ask(*(call("Ask", id=str(number)) for number in range(count)))


@plays("HubOptions.maximum_streams_per_connection")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_streams_per_connection=limit)
    return await client.ask(*(stream_call("Stream", id=str(number)) for number in range(count)))


@plays("HubOptions.stream_buffer_capacity")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(
        stream_buffer_capacity=limit, maximum_parallel_invocations_per_client=2
    )
    items = [item(number, "s") for number in range(count)]
    return await client.ask(call("Upload", id="u", streamIds=["s"]), *items, call("Echo", 1))


@plays("HubOptions.maximum_groups_per_connection")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_groups_per_connection=limit)
    return await client.ask(*(call("Join", f"group {number}") for number in range(count)))


@plays("HubOptions.maximum_group_name_length")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(maximum_group_name_length=limit)
    return await client.ask(call("Join", "ü" * count))


# ---- hubs: buffers


async def _fill(scene: Scene, limit: int, count: int, policy: SlowClientPolicy) -> str:
    """Sends two messages of together `count` bytes to a client that does not read."""
    client = await scene.client(maximum_outbound_buffer_size=limit, slow_client_policy=policy)
    peer = client.connection.transport
    peer.pause_reading()
    await client.everyone.send("News", "x")
    first = peer.peer.buffered
    await client.everyone.send("News", "x" * (count - 2 * first + 1))
    await scene.clock.settle()
    if peer.peer.ended is not None:
        return "the connection is cut off"
    return "both wait" if peer.peer.buffered == count else "the second is dropped"


@plays("HubOptions.maximum_outbound_buffer_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    return await _fill(scene, limit, count, SlowClientPolicy.CLOSE)


@plays("HubOptions.maximum_outbound_buffer_size (SlowClientPolicy.DROP)")
async def _(scene: Scene, limit: int, count: int) -> str:
    return await _fill(scene, limit, count, SlowClientPolicy.DROP)


@plays("EndpointOptions.application_max_buffer_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(TransportLimits(application_max_buffer_size=limit))
    await client.connection.ask(call("Hold", id="h"))
    client.connection.send(padded("Echo", count))
    await scene.clock.settle()
    client.connection.send(padded("Echo", 100))
    is_paused = client.connection.transport.buffered > 0
    client.release.set()
    return "reading pauses" if is_paused else "reading goes on"


@plays("EndpointOptions.transport_max_buffer_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    client = await scene.client(TransportLimits(transport_max_buffer_size=limit))
    client.connection.transport.pause_reading()
    message = len(joined(event("News", "x")).replace(b" ", b"")) - 1
    client.connection.send(call("Tell", "x" * (count - message)))
    await scene.clock.settle()
    assert client.connection.transport.peer.buffered >= count
    answer = "the method goes on" if client.ended else "the method waits"
    client.connection.transport.resume_reading()
    return answer


@plays("protocol.transports.server.inbound_pipe.EARLY_SIZE")
async def _(scene: Scene, limit: int, count: int) -> str:
    pipe = InboundPipe()
    writing = asyncio.create_task(pipe.write(b"x" * count))
    await scene.clock.settle()
    answer = "the POST is answered" if writing.done() else "the POST waits"
    pipe.open(2 * limit)
    await writing
    return answer


# ---- clients


@plays("HubConnectionOptions.maximum_receive_message_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    connection = await scene.clients.started(maximum_receive_message_size=limit)
    ends: list[Exception | None] = []
    connection.on_closed(ends.append)
    scene.clients.server.send(padded("News", count))
    await scene.clock.settle()
    return f"the connection ends: {ends[0]}" if ends else "received"


@plays("HubConnectionOptions.maximum_receive_message_size (Server-Sent Events)")
async def _(scene: Scene, limit: int, count: int) -> str:
    parser = ServerSentEventsParser(limit)
    return await refusal(lambda: parser.feed(write_event(b"x" * count)), "received")


@plays("HubConnectionOptions.maximum_send_message_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    connection = await scene.clients.started(maximum_send_message_size=limit)
    text = len(joined(event("Echo", "")).replace(b" ", b""))
    return await refusal(lambda: connection.send("Echo", "x" * (count - text)), "sent")


@plays("HubConnectionOptions.maximum_waiting_events_size")
async def _(scene: Scene, limit: int, count: int) -> str:
    connection = await scene.clients.started(maximum_waiting_events_size=limit)
    ends: list[Exception | None] = []
    connection.on_closed(ends.append)
    calling = asyncio.create_task(connection.invoke("X"))
    await scene.clients.server.take()
    scene.clients.server.send(event("News", "x" * (count - 256 - len('News[""]'))))
    await scene.clock.settle()
    scene.clients.server.send(result(id="1"))
    await scene.clock.settle()
    await asyncio.wait([calling])
    calling.exception()
    return f"the connection ends: {ends[0]}" if ends else "received"


@plays("protocol.handshake.MAXIMUM_RESPONSE_SIZE")
async def _(scene: Scene, limit: int, count: int) -> str:
    scene.clients.answers.append(lambda server: server.send("{}" + " " * (count - 3)))
    return await refusal(scene.clients.connection().start)


@plays("protocol.client.results.LONGEST_ERROR_TEXT")
async def _(scene: Scene, limit: int, count: int) -> str:
    def fail() -> str:
        raise HubException("x" * count)

    connection = await scene.clients.started()
    connection.on("Ask", fail)
    (answer,) = await scene.clients.server.ask(call("Ask", id="s1"))
    return f"{len(answer['error'])} characters"


@plays("protocol.ledger.MAXIMUM_CANCELLED")
async def _(scene: Scene, limit: int, count: int) -> str:
    connection = await scene.clients.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(count)]
    await scene.clock.settle()
    for each in calls:
        each.cancel()
    await asyncio.wait(calls)
    return f"{connection.cancelled_calls} are counted"


@plays("protocol.authentication_refresh.LONGEST_LIFETIME")
async def _(scene: Scene, limit: int, count: int) -> str:
    return f"{read_lifetime(count):.0f} s"


# ---- logs


@plays("protocol.aio.log_thinning._MAXIMUM_SUBJECTS")
async def _(scene: Scene, limit: int, count: int) -> str:
    thinning = LogThinning()
    levels = [thinning.level(number, 0.0) for number in range(count + 1)]
    return logging.getLevelName(levels[-1])


@plays("protocol.aio.log_thinning._LONGEST_NAME")
async def _(scene: Scene, limit: int, count: int) -> str:
    return f"{len(shown_name('x' * count))} characters"
