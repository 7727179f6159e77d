"""``Link``: the part that ``MemoryLink`` and ``TcpLink`` share.

A link carries connections between a client and a server, and is cut, delayed, throttled or held by
a test. It reads the clock of the running event loop, so that ``LoopClock`` moves its times. The
subclasses define what an end of a connection is, and open the connections.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol, get_args

_HIGH_WATER: Final = 64 * 1024
"""While more bytes are on their way in one direction of a connection, reading is paused."""
_SLICE: Final = 0.05
"""A throttled direction passes on the bytes of this many seconds together."""

Ends = Literal["both", "client", "server"]


class LinkEnd(Protocol):
    """The link's end of a connection to the client or to the server."""

    @property
    def is_full(self) -> bool:
        """Whether written bytes still wait because the client or the server does not read."""

    def write(self, data: bytes) -> object:
        """Sends bytes to the client or the server."""

    def finish(self, error: Exception | None) -> None:
        """Ends the stream to the client or the server, behind all bytes that were written."""

    def pause_reading(self) -> None:
        """Receives no more bytes from the client or the server."""

    def resume_reading(self) -> None:
        """Receives bytes again."""

    def cut(self, *, reset: bool) -> None:
        """Ends the connection at once. The client or the server gets no orderly close."""


class LinkDirection:
    """How all connections of a link carry bytes in one direction.

    A change applies to bytes that the link receives later. ``hold`` and ``release`` also apply to
    bytes that are on their way.
    """

    def __init__(self, cut: Callable[[], object]) -> None:
        self._delay = 0.0
        self._bytes_per_second: float | None = None
        self.passed = 0
        """The number of bytes that have arrived in this direction, over all connections."""
        self.is_held = False
        self._cut = cut
        self._cut_at: int | None = None
        self._pipes: set[Pipe] = set()

    @property
    def delay(self) -> float:
        """Seconds that each byte is on its way, at first 0.

        Setting it raises ValueError for a number that is negative or not finite.
        """
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"A delay is a number of seconds from 0 on, not {seconds!r}.")
        self._delay = seconds

    @property
    def bytes_per_second(self) -> float | None:
        """The largest rate of each connection, at first None: no limit.

        Setting it raises ValueError for a number that is not finite or not above 0. To stop all
        bytes, call ``hold``.
        """
        return self._bytes_per_second

    @bytes_per_second.setter
    def bytes_per_second(self, rate: float | None) -> None:
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"A rate is a number of bytes above 0, or None, not {rate!r}.")
        self._bytes_per_second = rate

    def hold(self) -> None:
        """Keeps all bytes until ``release``. The connections stay open.

        The link then takes a limited number of bytes, as a network does that has failed silently.
        """
        self.is_held = True

    def release(self) -> None:
        """Lets the held bytes and all later ones arrive."""
        self.is_held = False
        for pipe in [*self._pipes]:
            pipe.deliver()

    def cut_after(self, count: int) -> None:
        """Cuts all connections of the link when ``count`` more bytes have passed.

        Later bytes are lost, also those of the same write. The cut happens once.
        """
        self._cut_at = self.passed + count
        self._cut_if_due()

    def _pass(self, end: LinkEnd, piece: bytes) -> None:
        """Writes a piece to an end, up to the byte at which the link is cut."""
        if self._cut_at is not None:
            piece = piece[: self._cut_at - self.passed]
        self.passed += len(piece)
        end.write(piece)
        self._cut_if_due()

    def _cut_if_due(self) -> None:
        if self._cut_at is not None and self.passed >= self._cut_at:
            self._cut_at = None
            self._cut()


class Pipe:
    """The bytes that are on their way in one direction of one connection."""

    def __init__(self, direction: LinkDirection, source: LinkEnd, sink: LinkEnd) -> None:
        self._direction = direction
        self.source = source
        self.sink = sink
        self._waiting: deque[tuple[float, bytes]] = deque()  # with the times of arrival
        self._size = 0
        self._is_paused = False
        self._idle_at = 0.0  # when the throttled line has carried all bytes so far
        self._timer: asyncio.TimerHandle | None = None
        self._finish: tuple[float, Exception | None] | None = None
        self.has_ended = False
        """Whether the end of the stream has arrived, or the connection was cut."""
        direction._pipes.add(self)

    def put(self, data: bytes) -> None:
        """Takes bytes from the source."""
        if self.has_ended:
            return
        rate = self._direction.bytes_per_second
        step = len(data) if rate is None else max(1, int(rate * _SLICE))
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self._waiting.append((self._arrival(0 if rate is None else len(piece) / rate), piece))
        self._size += len(data)
        if self._size > _HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self.source.pause_reading()
        self.deliver()

    def finish(self, error: Exception | None) -> None:
        """Takes the end of the stream from the source."""
        if self._finish is None and not self.has_ended:
            self._finish = (self._arrival(0), error)
            self.deliver()

    def deliver(self) -> None:
        """Writes to the sink what has to arrive by now."""
        while self._waiting and self._may_deliver(self._waiting[0][0]):
            _, piece = self._waiting.popleft()
            self._size -= len(piece)
            self._direction._pass(self.sink, piece)
        if self._is_paused and self._size <= _HIGH_WATER // 2 and not self.has_ended:
            self._is_paused = False
            self.source.resume_reading()
        finish = self._finish
        if finish is not None and not self._waiting and self._may_deliver(finish[0]):
            self.close()
            self.sink.finish(finish[1])

    def close(self) -> None:
        """Drops the bytes that are on their way, and all later ones."""
        self.has_ended = True
        self._direction._pipes.discard(self)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._is_paused:  # so that the source notices its end
            self._is_paused = False
            self.source.resume_reading()

    def _arrival(self, duration: float) -> float:
        """The time of arrival of bytes that the throttled line carries in ``duration`` seconds."""
        self._idle_at = max(self._idle_at, asyncio.get_running_loop().time()) + duration
        arrival = self._idle_at + self._direction.delay
        return max(arrival, self._waiting[-1][0]) if self._waiting else arrival

    def _may_deliver(self, arrival: float) -> bool:
        """Whether a piece may arrive now. If only its time has not come, sets a timer."""
        if self.has_ended or self._direction.is_held or self.sink.is_full:
            return False
        loop = asyncio.get_running_loop()
        if arrival <= loop.time():
            return True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(arrival, self.deliver)
        return False


class LinkConnection:
    """One connection over a link: its two ends, and the bytes between them."""

    def __init__(self, link: "Link", client: LinkEnd, server: LinkEnd) -> None:
        self._link = link
        self._open_ends: dict[Ends, LinkEnd] = {"client": client, "server": server}
        self._to_server = Pipe(link.to_server, client, server)
        self._to_client = Pipe(link.to_client, server, client)
        link._connections.add(self)
        link.opened += 1

    def pipe_from(self, end: LinkEnd) -> Pipe:
        """The pipe that takes the bytes of an end."""
        return self._to_server if self._to_server.source is end else self._to_client

    def pipe_to(self, end: LinkEnd) -> Pipe:
        """The pipe that writes to an end."""
        return self._to_server if self._to_server.sink is end else self._to_client

    def cut(self, ends: Ends = "both", *, reset: bool = False) -> None:
        """Loses all bytes, and cuts the given ends. Another end stays open and receives nothing."""
        self._to_server.close()
        self._to_client.close()
        for name in [*self._open_ends]:
            if ends in ("both", name):
                self._open_ends.pop(name).cut(reset=reset)
        self._forget_if_over()

    def lost(self, end: LinkEnd) -> None:
        """Removes an end whose client or server has closed its transport."""
        self.pipe_to(end).close()
        for name in [name for name, open_end in self._open_ends.items() if open_end is end]:
            del self._open_ends[name]
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        if not self._open_ends:
            self._link._connections.discard(self)


class Link:
    """A link between a client and a server, which a test cuts, delays, throttles and holds."""

    def __init__(self) -> None:
        self.to_server = LinkDirection(self.cut)
        """The direction from the client to the server."""
        self.to_client = LinkDirection(self.cut)
        """The direction from the server to the client."""
        self.accepts = True
        """Whether new connections can be opened. Open connections are not affected."""
        self.opened = 0
        """The number of connections that were opened."""
        self._connections: set[LinkConnection] = set()

    @property
    def connections(self) -> int:
        """The number of connections that are open at one end at least."""
        return len(self._connections)

    def cut(self, ends: Ends = "both", *, reset: bool = False) -> None:
        """Ends all connections without an orderly close. Bytes that are on their way are lost.

        With ``ends`` "client" or "server" only that end notices. The connection is then half open:
        the other end keeps it, its bytes are lost, and it receives nothing. With ``reset`` the ends
        of a ``TcpLink`` get an RST. Without it they get a FIN, or an RST if the link has not read
        all of their bytes. New connections can be opened.

        Raises ValueError for another value of ``ends``.
        """
        if ends not in get_args(Ends):
            raise ValueError(f'ends is "both", "client" or "server", not {ends!r}.')
        for connection in [*self._connections]:
            connection.cut(ends, reset=reset)
