"""MessagePack between this client and this server: the handshake, and its effects (H, M)."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest
from msgspec import Raw

from protocol import (
    Hub,
    HubConnection,
    HubException,
    HubOptions,
    JsonHubProtocol,
    MessagePackHubProtocol,
    hub_method,
)
from protocol.hub_protocol import TransferFormat
from protocol.messages import Close, Completion, Invocation, Ping, ReceivedMessage
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import call, event, result
from tests.support.memory_peer import MemoryPeer
from tests.support.server_harness import MakeServer, MemoryClient

PROTOCOL: Final = MessagePackHubProtocol()
TEXT, BINARY = TransferFormat.TEXT, TransferFormat.BINARY
HANDSHAKE: Final = b'{"protocol":"messagepack","version":1}\x1e'
SUCCESS: Final = b"{}\x1e"


class TalkHub(Hub):
    @hub_method
    def add(self, a: int, b: int) -> int:
        return a + b

    @hub_method
    async def tell(self, value: Any) -> None:
        await self.clients.all.send("Told", value)


def called(target: str, *arguments: Any, id: str = "1") -> bytes:
    return PROTOCOL.encode(
        Invocation(invocation_id=id, target=target, arguments=PROTOCOL.encode_arguments(arguments))
    )


def unframed(stream: bytes) -> list[ReceivedMessage | None]:
    """The messages in ``data``, which must contain nothing else."""
    framer = PROTOCOL.framer(None)
    messages = [PROTOCOL.decode(record) for record in framer.feed(stream)]
    assert not framer.has_partial
    return messages


# ---- the server


async def connected(client: MemoryClient) -> MemoryClient:
    client.send_bytes(HANDSHAKE)
    assert await client.arrived() == SUCCESS
    return client


async def test_the_answer_is_binary_and_so_is_all_that_follows(serve: MakeServer) -> None:
    """TW-3."""
    client = await connected(await serve(TalkHub).open())
    client.send_bytes(called("Add", 1, 2) + called("add", 3, 4, id="2"))
    assert unframed(await client.arrived()) == [
        Completion(invocation_id="1", result=Raw(b"\x03")),
        Completion(invocation_id="2", result=Raw(b"\x07")),
    ]
    assert set(client.transport.peer.formats) == {BINARY}


async def test_a_call_behind_the_handshake(serve: MakeServer) -> None:
    """H-3: in the same bytes, and in two pieces."""
    client = await serve(TalkHub).open()
    stream = HANDSHAKE + called("Add", 1, 2)
    client.send_bytes(stream[:-3])
    assert await client.arrived() == SUCCESS
    client.send_bytes(stream[-3:])
    assert unframed(await client.arrived()) == [Completion(invocation_id="1", result=Raw(b"\x03"))]


async def test_refusals_are_text(serve: MakeServer) -> None:
    """H-8: the refusal is text, because no format is agreed on."""
    client = await serve(TalkHub).open()
    client.send_bytes(HANDSHAKE.replace(b"1}", b"9}"))
    assert b"does not support version 9 of the 'messagepack' protocol" in await client.arrived()
    assert client.transport.peer.formats == [TEXT]


async def test_a_hub_that_does_not_offer_it(serve: MakeServer) -> None:
    """H-6: HubOptions.supported_protocols."""
    options = HubOptions(supported_protocols=(JsonHubProtocol(),))
    client = await serve(TalkHub, options).open()
    client.send_bytes(HANDSHAKE)
    assert await client.arrived() == (
        b'{"error":"The protocol \'messagepack\' is not supported."}\x1e'
    )


async def test_each_client_is_told_in_its_own_protocol(serve: MakeServer) -> None:
    """G-8: and the clients of one protocol get the very same bytes."""
    harness = serve(TalkHub)
    speakers = [await connected(await harness.open()) for _ in range(2)]
    reader = await harness.connect()
    speakers[0].send_bytes(called("Tell", {"a": [1, None]}, id=""))
    told = Invocation(target="Told", arguments=Raw(b"\x91\x81\xa1a\x92\x01\xc0"))
    for speaker in speakers:
        assert unframed(await speaker.arrived()) == [told]
    assert await reader.take() == [event("Told", {"a": [1, None]})]
    assert await reader.ask(call("Add", 1, 2)) == [result(3)]
    assert set(reader.transport.peer.formats) == {TEXT}
    first, second = (speaker.transport.peer.pieces[-1] for speaker in speakers)
    assert first == second


async def test_a_violation_ends_the_connection_in_its_own_words(serve: MakeServer) -> None:
    """S-20, M-10."""
    client = await connected(await serve(TalkHub, HubOptions(enable_detailed_errors=True)).open())
    client.send_bytes(b"\x02\x91\x06" + b"\x01\x90")
    text = "InvalidDataException: Reading 'messageType' as Int32 failed."
    assert unframed(await client.arrived()) == [
        Close(error=f"Connection closed with an error. {text}", allow_reconnect=True)
    ]
    assert await client.has_ended()


async def test_pings_are_messagepack(serve: MakeServer) -> None:
    """K-1, M-8."""
    harness = serve(TalkHub, HubOptions(keep_alive_interval=1))
    client = await connected(await harness.open())
    await harness.clock.advance(3)
    assert set(map(type, unframed(await client.arrived()))) == {Ping}


# ---- the client


class Speaker:
    """A connection with MessagePack, and its far end."""

    def __init__(self, harness: ClientHarness) -> None:
        self.harness = harness
        self.connection = harness.connection(hub_protocol=PROTOCOL)

    @property
    def server(self) -> MemoryPeer:
        return self.harness.server

    async def start(self) -> HubConnection:
        await self.connection.start()
        request, _, rest = (await self.server.arrived()).partition(b"\x1e")
        assert request + b"\x1e" == HANDSHAKE
        assert unframed(rest) == [Ping()]
        return self.connection


@pytest.fixture
async def speaker(harness: ClientHarness) -> Speaker:
    speaker = Speaker(harness)
    await speaker.start()
    return speaker


@pytest.mark.parametrize(
    ("completion", "result_type", "expected"),
    [
        (Completion(invocation_id="1", result=Raw(b"\x2a")), int, 42),
        (Completion(invocation_id="1", result=Raw(b"\x2a")), float, 42.0),
        (Completion(invocation_id="1", result=Raw(b"\x91\xc0")), Any, [None]),
        (Completion(invocation_id="1", result=Raw(b"\xc0")), int | None, None),
        (Completion(invocation_id="1"), int | None, None),
        (Completion(invocation_id="1", result=Raw(b"\xc0")), Raw, Raw(b"\xc0")),
        (Completion(invocation_id="1"), Raw, Raw(b"")),
    ],
)
async def test_results(
    speaker: Speaker, completion: Completion, result_type: Any, expected: Any
) -> None:
    """C-25: nil, and no result, which is read like nil except as Raw."""
    answer = asyncio.create_task(
        speaker.connection.invoke("Get", 1, Raw(b"\xa1x"), result_type=result_type)
    )
    (sent,) = unframed(await speaker.server.arrived())
    assert sent == Invocation(invocation_id="1", target="Get", arguments=Raw(b"\x92\x01\xa1x"))
    speaker.server.send_bytes(PROTOCOL.encode(completion))
    assert await answer == expected


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        (Completion(invocation_id="1", error="no"), "^no$"),
        (Completion(invocation_id="1", result=Raw(b"\xa1x")), "^Error trying to deserialize"),
    ],
)
async def test_failures(speaker: Speaker, completion: Completion, text: str) -> None:
    answer = asyncio.create_task(speaker.connection.invoke("Get", result_type=int))
    await speaker.server.arrived()
    speaker.server.send_bytes(PROTOCOL.encode(completion))
    with pytest.raises(HubException, match=text):
        await answer


async def test_handlers(speaker: Speaker) -> None:
    """C-14, M-10: arguments that do not fit, or are no array, end no connection."""
    heard: list[Any] = []
    speaker.connection.on("Said", _typed(heard))
    speaker.connection.on_any(lambda target, arguments: heard.append((target, bytes(arguments))))
    broken = bytes.fromhex("960180c0a453616964c090")
    for arguments in (["a", 1], [1, "a"], ["a"]):
        speaker.server.send_bytes(called("Said", *arguments, id=""))
    speaker.server.send_bytes(bytes([len(broken)]) + broken)
    speaker.server.send_bytes(called("Other", None, id=""))
    await speaker.harness.clock.settle()
    typed = [entry for entry in heard if entry[0] == "typed"]
    assert typed == [("typed", "a", 1)]
    assert heard[-1] == ("Other", msgspec.msgpack.encode([None]))


def _typed(heard: list[Any]) -> Callable[[str, int], None]:
    def said(text: str, number: int) -> None:
        heard.append(("typed", text, number))

    return said


async def test_goodbye(speaker: Speaker) -> None:
    """C-17."""
    await speaker.connection.stop()
    assert unframed(await speaker.server.arrived()) == [Close()]
