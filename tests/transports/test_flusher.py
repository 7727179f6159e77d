"""One flush per connection and turn of the event loop; many connections in several turns."""

import asyncio
import itertools
from typing import Any

import pytest

from protocol.aio.transport import CONNECTIONS_PER_TURN, TransportLimits
from protocol.hub_protocol import TransferFormat
from protocol.json.protocol import JsonHubProtocol
from protocol.server.connection_context import HubConnectionContext
from protocol.server.http_request import HttpRequestData
from protocol.server.lifetime import DefaultHubLifetimeManager
from protocol.server.options import HubOptions
from protocol.transports.flusher import Flusher
from protocol.transports.server.web_socket import WebSocketServerTransport
from protocol.transports.web_socket_frame import FrameCache

from .raw_web_socket import BINARY, TEXT, encode

Frames = dict[TransferFormat, FrameCache]


def new_frames() -> Frames:
    return {each: FrameCache(each) for each in TransferFormat}


class Recorder:
    def __init__(self, order: list["Recorder"]) -> None:
        self._order = order

    def flush(self) -> None:
        self._order.append(self)

    def abort(self) -> None:
        raise AssertionError("nothing has failed")


class Failing(Recorder):
    """Raises an error that no flush should raise."""

    aborted = False

    def flush(self) -> None:
        super().flush()
        raise LookupError("broken")

    def abort(self) -> None:
        self.aborted = True


async def test_a_flush_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """That connection is cut; the others are flushed, in this turn and later ones."""
    flusher, order = Flusher(), list[Recorder]()
    failing, other = Failing(order), Recorder(order)
    for recorder in (failing, other):
        flusher.schedule(recorder)
    await asyncio.sleep(0)
    flusher.schedule(other)
    await asyncio.sleep(0)
    assert order == [failing, other, other]
    assert failing.aborted
    assert [record.getMessage() for record in caplog.records] == [
        "A connection could not be written to; it is cut off."
    ]


async def test_at_the_end_of_the_tick() -> None:
    """Everything is flushed in the next turn, in order."""
    flusher, order = Flusher(), list[Recorder]()
    recorders = [Recorder(order) for _ in range(3)]
    for recorder in recorders:
        flusher.schedule(recorder)
    assert order == []
    await asyncio.sleep(0)
    assert order == recorders


async def test_again_and_again() -> None:
    """A connection can be scheduled again in each turn."""
    flusher, order = Flusher(), list[Recorder]()
    recorder = Recorder(order)
    for count in range(1, 4):
        flusher.schedule(recorder)
        await asyncio.sleep(0)
        assert len(order) == count
    await asyncio.sleep(0)
    assert len(order) == 3


async def test_asked_during_a_flush() -> None:
    """A connection that is scheduled during a flush is flushed later."""
    flusher, order = Flusher(), list[Recorder]()
    late = Recorder(order)

    class Asking(Recorder):
        def flush(self) -> None:
            super().flush()
            flusher.schedule(late)

    flusher.schedule(Asking(order))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order[-1] is late
    assert len(order) == 2


@pytest.mark.parametrize(
    "count",
    [
        CONNECTIONS_PER_TURN - 1,
        CONNECTIONS_PER_TURN,
        CONNECTIONS_PER_TURN + 1,
        3 * CONNECTIONS_PER_TURN + 7,
    ],
)
async def test_slices(count: int) -> None:
    """Between two batches the loop runs other callbacks; order is kept."""
    flusher, order = Flusher(), list[Recorder]()
    recorders = [Recorder(order) for _ in range(count)]
    for recorder in recorders:
        flusher.schedule(recorder)
    for done in range(CONNECTIONS_PER_TURN, count + CONNECTIONS_PER_TURN, CONNECTIONS_PER_TURN):
        await asyncio.sleep(0)
        assert len(order) == min(done, count)
    assert order == recorders


class FakeSocket:
    """The methods of asyncio's transport that are used."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.waiting


class FakeRequest:
    def __init__(self, transport: FakeSocket) -> None:
        self.transport: FakeSocket | None = transport


def transport_over(socket: FakeSocket, flusher: Flusher, frames: Frames) -> Any:
    return WebSocketServerTransport(
        FakeRequest(socket),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        flusher,
        frames,
        TransportLimits(),
        close_timeout=1.0,
        receive_timeout=30.0,
    )


class Broadcast:
    """Registered connections over real transports, with sockets that only record writes."""

    def __init__(self) -> None:
        self.manager = DefaultHubLifetimeManager()
        self.sockets: list[FakeSocket] = []
        self._flusher, self._frames = Flusher(), new_frames()

    async def connect(self, count: int) -> None:
        for number in range(count):
            self.sockets.append(FakeSocket())
            transport = transport_over(self.sockets[-1], self._flusher, self._frames)
            data = HttpRequestData("GET", "/hub", "", {}, None)
            connection = HubConnectionContext(f"c{number}", data, None, transport, HubOptions())
            connection.hub_protocol = JsonHubProtocol()
            await self.manager.on_connected(connection)

    @property
    def reached(self) -> int:
        return sum(1 for socket in self.sockets if socket.written)


async def test_a_broadcast_to_600_connections() -> None:
    """G-8: encoded and framed once, the very same bytes object for all; 256 per tick."""
    broadcast = Broadcast()
    await broadcast.connect(600)
    await broadcast.manager.send_all("News", ["x"])
    assert broadcast.reached == 0
    for reached in (256, 512, 600):
        await asyncio.sleep(0)
        assert broadcast.reached == reached
    frames = [frame for socket in broadcast.sockets for frame in socket.written]
    assert len(frames) == 600
    assert len({id(frame) for frame in frames}) == 1
    expected = b'{"type":1,"target":"News","arguments":["x"]}\x1e'
    assert frames[0] == encode(TEXT, expected, masked=False)


@pytest.mark.parametrize("size", [1, 100_000])
async def test_a_broadcast_to_5000_connections_leaves_the_loop_its_turns(size: int) -> None:
    """GW-24, TG-8: at most CONNECTIONS_PER_TURN connections are written to in one turn."""
    broadcast = Broadcast()
    await broadcast.connect(5000)
    sending = asyncio.create_task(broadcast.manager.send_all("News", ["x" * size]))
    reached = [0]
    while reached[-1] < 5000:
        await asyncio.sleep(0)
        reached.append(broadcast.reached)
    await sending
    assert (
        max(after - before for before, after in itertools.pairwise(reached)) <= CONNECTIONS_PER_TURN
    )


async def test_who_leaves_between_two_slices_gets_nothing_more() -> None:
    """GW-16: messages sent to a group after a member has left do not reach it."""
    broadcast = Broadcast()
    await broadcast.connect(CONNECTIONS_PER_TURN + 2)
    for number in range(CONNECTIONS_PER_TURN + 2):
        await broadcast.manager.add_to_group(f"c{number}", "g")
    sending = asyncio.create_task(broadcast.manager.send_groups(["g"], "News", ["x" * 100_000]))
    await asyncio.sleep(0)
    assert broadcast.reached == CONNECTIONS_PER_TURN
    await broadcast.manager.remove_from_group(f"c{CONNECTIONS_PER_TURN}", "g")
    await sending
    assert [bool(socket.written) for socket in broadcast.sockets[CONNECTIONS_PER_TURN:]] == [
        False,
        True,
    ]


async def test_several_messages_of_one_tick() -> None:
    """TSC-7: they leave as one frame that ends with a record's end."""
    broadcast = Broadcast()
    await broadcast.connect(2)
    for number in range(3):
        await broadcast.manager.send_all("News", [number])
    await broadcast.manager.send_connections(["c1"], "Own", [])
    await asyncio.sleep(0)
    common = b"".join(b'{"type":1,"target":"News","arguments":[%d]}\x1e' % n for n in range(3))
    own = b'{"type":1,"target":"Own","arguments":[]}\x1e'
    assert [socket.written for socket in broadcast.sockets] == [
        [encode(TEXT, common, masked=False)],
        [encode(TEXT, common + own, masked=False)],
    ]


async def test_formats_do_not_mix() -> None:
    """TW-3, H-8: bytes written before the format was known are sent in their own frame."""
    socket = FakeSocket()
    transport = transport_over(socket, Flusher(), new_frames())
    transport.write(b"text")
    transport.use_transfer_format(TransferFormat.BINARY)
    transport.write(b"\x02\x91")
    transport.write(b"\x06")
    await asyncio.sleep(0)
    assert socket.written == [
        encode(TEXT, b"text", masked=False),
        encode(BINARY, b"\x02\x91\x06", masked=False),
    ]


async def test_the_same_payload_in_both_formats() -> None:
    """TW-3: ``{}`` of a handshake goes to clients of either kind, and is the same object."""
    flusher, frames = Flusher(), new_frames()
    sockets = [FakeSocket() for _ in range(4)]
    for socket, transfer_format in zip(sockets, 2 * list(TransferFormat), strict=True):
        transport = transport_over(socket, flusher, frames)
        transport.use_transfer_format(transfer_format)
        transport.write(b"{}")
    await asyncio.sleep(0)
    written = 2 * [[encode(opcode, b"{}", masked=False)] for opcode in (TEXT, BINARY)]
    assert [socket.written for socket in sockets] == written


async def test_what_is_buffered() -> None:
    """TG-9: bytes that wait for the flush, and bytes that the socket has not taken."""
    socket = FakeSocket()
    transport = transport_over(socket, Flusher(), new_frames())
    assert transport.buffered == 0
    assert transport.write(b"12345") == 5
    assert transport.write(b"678") == 8
    assert transport.buffered == 8
    socket.waiting = 100
    transport.flush()
    assert transport.buffered == 100
    assert transport.write(b"9") == 101
    socket.waiting = 40
    assert transport.buffered == 41
    assert transport.write(b"0") == 42


async def test_a_socket_that_is_closing() -> None:
    """G-7: bytes written to it are dropped and not counted."""
    socket = FakeSocket()
    transport = transport_over(socket, Flusher(), new_frames())
    socket.closing = True
    transport.write(b"12345")
    transport.flush()
    assert socket.written == []
    assert transport.buffered == 0
