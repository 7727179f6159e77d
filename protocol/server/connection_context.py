"""The server's end of one connection: identity, and everything that is sent to it.

Decides what happens when a client does not read: its queue is bounded, and a client whose queue is
full is cut off. Reading and dispatch are left to ``connection`` and ``dispatcher``.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..aio.transport import Transport, TransportLimits
from ..errors import SignalRError
from ..hub_protocol import HubProtocol, SerializedHubMessage
from ..messages import Close, HubMessage
from .context import HttpRequestData, HubCallerContext, Principal
from .options import HubOptions, SlowClientPolicy

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: what the client and OnDisconnected get (L-4, L-5)."""

    close: Close | None
    error: Exception | None = None


class HubConnectionContext(HubCallerContext):
    """A connected client, as the lifetime manager and the dispatcher see it."""

    def __init__(
        self,
        connection_id: str,
        http_request: HttpRequestData,
        user: Principal | None,
        transport: Transport,
        options: HubOptions,
        limits: TransportLimits | None = None,
    ) -> None:
        super().__init__(connection_id, http_request, user)
        self.ending: Ending | None = None
        self.on_end: Callable[[], None] = lambda: None
        """Called once, when ``ending`` has been set."""
        self.options = options
        self._transport = transport
        self._write = transport.write
        self.is_congested = False
        """Whether more waits than senders to it alone should add to: let them ``drain``.

        As of the last write; by now it may be less.
        """  # TG-8
        self._hub_protocol: HubProtocol | None = None
        self.limits = limits or TransportLimits()
        self._high_water = self.limits.transport_max_buffer_size
        self._maximum_buffered = options.maximum_outbound_buffer_size
        self._relief_mark = min(self._high_water, self._maximum_buffered)
        self._may_miss = options.slow_client_policy is SlowClientPolicy.DROP
        self._missed = 0  # messages, since it was last seen to read

    @property
    def hub_protocol(self) -> HubProtocol:
        """What was agreed in the handshake."""
        assert self._hub_protocol is not None, "the handshake is not done"
        return self._hub_protocol

    @hub_protocol.setter
    def hub_protocol(self, hub_protocol: HubProtocol) -> None:
        self._hub_protocol = hub_protocol

    def send(self, message: HubMessage) -> None:
        """Queues a message for this connection alone."""
        self.write(self.hub_protocol.encode(message))

    def send_serialized(self, message: SerializedHubMessage) -> bool:
        """Queues a message that others get as well, unless it is missed; see ``write``."""
        assert self._hub_protocol is not None  # the property would take its time at each receiver
        frame = message.frame(self._hub_protocol)
        if self._may_miss and self.is_congested and self._misses(len(frame)):
            return True
        return self.write(frame)

    def _misses(self, size: int) -> bool:
        """Whether so much is waiting that a message of ``size`` bytes has no room."""
        self._transport.flush()
        buffered = self._transport.buffered
        has_room = not buffered or buffered + size <= self._maximum_buffered
        if has_room:
            if self._missed:
                logger.info(
                    "Connection %s reads again; it has missed %d messages.",
                    self.connection_id,
                    self._missed,
                )
                self._missed = 0
            return False
        if not self._missed:
            logger.warning(
                "Connection %s misses messages: %d bytes are waiting for it and it does not read.",
                self.connection_id,
                buffered,
            )
        self._missed += 1
        return True

    def write(self, frame: bytes) -> bool:
        """Queues a ready frame. To a gone connection it succeeds silently.

        Whether so much was waiting that it has gone to the socket at once, which takes its time.
        """  # G-7
        if self.ending is None:
            if self._write(frame) > self._relief_mark:
                self._relieve(len(frame))
                return True
            if self.is_congested:
                self.is_congested = False
        return False

    def _relieve(self, last_frame: int) -> None:
        """Hands over what waits, and cuts off a client for which more piles up than it may.

        Only what the socket does not take counts, so a burst within one tick cuts off no client.
        One message larger than the bound may enter an empty queue, or it could never be sent.
        """
        self._transport.flush()
        buffered = self._transport.buffered
        self.is_congested = buffered > self._high_water
        waiting = buffered - last_frame
        if waiting > 0 and waiting + last_frame > self._maximum_buffered:
            logger.warning(
                "Connection %s is cut off: %d bytes are waiting for it and it does not read.",
                self.connection_id,
                waiting,
            )
            self.cut(SlowClientError("The client does not read what is sent to it."))

    async def drain(self) -> None:
        """Waits while it ``is_congested``; cuts it off when nothing moves."""  # TG-9
        if not self.is_congested:
            return
        self.is_congested = self._transport.buffered > self._high_water
        if not self.is_congested or self.ending is not None:
            return
        try:
            async with asyncio.timeout(self.limits.transport_send_timeout):
                await self._transport.drain()
        except TimeoutError:
            logger.warning("Connection %s is cut off: a send timed out.", self.connection_id)
            self.cut(SlowClientError("The client took too long to read."))

    def end(self, ending: Ending) -> None:
        """Ends the connection for this reason; the first reason counts."""
        if self.ending is None:
            self.ending = ending
            self.on_end()

    def cut(self, error: Exception) -> None:
        """Ends the connection without a Close, which would only wait behind what is buffered."""
        self.end(Ending(None, error))
        self._transport.abort()

    def abort(self) -> None:
        """See HubCallerContext."""
        self.end(Ending(Close()))


class SlowClientError(SignalRError):
    """The error that OnDisconnected gets for a client that did not read."""

    exception_name = "OperationCanceledException"
