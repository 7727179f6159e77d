"""The server's long polling transport (section TL).

Decides when a poll ends, and with which bytes. The transport exists longer than one request: it
buffers bytes between two polls. ``http_dispatcher`` receives polls, and ``poll_delivery`` sends
their answers.
"""

import asyncio
from dataclasses import replace
from typing import Final, TypeVar

from ...aio.transport import TransportLimits
from ...hosting.poll_end import PollEnd
from ...http_transport_type import TRANSFER_FORMATS, HttpTransportType
from ...hub_protocol import TransferFormat
from ..flusher import Flusher
from .inbound_pipe import InboundPipe

T = TypeVar("T")


class LongPollingServerTransport:
    """An ``aio.transport.ServerTransport`` over polls and POSTs."""

    has_inherent_keep_alive: Final = True
    was_cut: Final = False
    transfer_formats: Final = frozenset(TRANSFER_FORMATS[HttpTransportType.LONG_POLLING])

    def __init__(
        self,
        inbound: InboundPipe,
        flusher: Flusher,
        limits: TransportLimits,
        *,
        poll_timeout: float,
        disconnect_timeout: float,
    ) -> None:
        self._inbound = inbound
        self.set_receiver = inbound.set_receiver
        self.pause_reading = inbound.pause_reading
        self.resume_reading = inbound.resume_reading
        self._flusher = flusher
        # Between two polls a client takes no bytes, for up to the disconnect timeout (TG-10).
        self.limits = replace(limits, transport_send_timeout=disconnect_timeout)
        self._poll_timeout = poll_timeout
        self._disconnect_timeout = disconnect_timeout
        self._loop = asyncio.get_running_loop()
        self._idle_timer = self._loop.call_later(disconnect_timeout, self.abort)
        self._out: list[bytes] = []
        self._out_size = 0
        self._poll: asyncio.Future[PollEnd | None] | None = None
        self._owner: object = None  # of the waiting poll
        self._is_delivering = False  # a poll has taken bytes, which ``put_back`` may return
        self._end: PollEnd | None = None  # how the hub's side has ended
        self._gone = asyncio.Event()  # there will be no further poll
        self._is_last_poll = False
        self._drained: list[asyncio.Future[None]] = []

    # ---- the hub's side

    def stop_receiving(self) -> None:
        """See ServerTransport. POSTs still succeed until a poll has returned the end (TG-6)."""
        self._inbound.ignore()

    def write(self, data: bytes) -> int:
        """See Transport."""
        if not self._gone.is_set():
            if not self._out:
                self._flusher.schedule(self)
            self._out.append(data)
            self._out_size += len(data)
        return self._out_size

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport. The answer to a poll has the same type for both formats (TL-4)."""

    def flush(self) -> None:
        """See Transport. A waiting poll gets all bytes. Otherwise the next poll gets them."""
        if self._out:
            self._wake_poll_if_due()

    @property
    def buffered(self) -> int:
        """See Transport. The bytes that no poll has taken yet."""
        return self._out_size

    async def drain(self) -> None:
        """See Transport."""
        if self._out_size > self.limits.transport_max_buffer_size // 2 and not self._gone.is_set():
            drained = self._loop.create_future()
            self._drained.append(drained)
            await drained

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. Waits until a poll has got the end, or the client is gone (TL-6)."""
        self._end = PollEnd.CONNECTION_FAILED if failed else PollEnd.CONNECTION_ENDED
        self._wake_poll_if_due()
        if not self._is_last_poll:
            await self._gone.wait()
        self._set_gone()
        self._inbound.complete()

    def abort(self) -> None:
        """See Transport."""
        self._take()
        self._end = self._end or PollEnd.CONNECTION_ENDED
        self._inbound.complete()
        self._set_gone()
        self._wake(None)

    # ---- the client's side

    async def poll(self, owner: object) -> "bytes | PollEnd":
        """Waits for bytes and returns all of them, or the reason why the poll ends without bytes.

        ``owner`` identifies the poll, for ``abandon``. A caller that gets bytes has to call
        ``delivered`` or ``put_back``. Until then no other poll gets bytes.
        """
        self._wake(PollEnd.REPLACED)
        self._restart_idle_timer()
        if self._is_poll_due:
            return self._take_outcome()
        self._owner = owner
        poll: asyncio.Future[PollEnd | None] = self._loop.create_future()
        self._poll = poll
        self._idle_timer.cancel()
        timer = self._loop.call_later(self._poll_timeout, _resolve, poll, PollEnd.TIMED_OUT)
        try:
            outcome = await poll
        finally:
            timer.cancel()
            if self._poll is poll:
                self._poll = self._owner = None
                self._restart_idle_timer()
        if outcome is not None:
            return outcome
        return self._take_outcome() if self._is_poll_due else PollEnd.REPLACED

    def abandon(self, owner: object) -> None:
        """Ends the poll of a client that has disconnected. The next poll gets the bytes (TL-8)."""
        if self._owner is owner:
            self._wake(PollEnd.ABANDONED)

    def delivered(self) -> None:
        """Confirms that the bytes of the last poll were sent."""
        self._is_delivering = False
        self._wake_poll_if_due()

    def put_back(self, data: bytes) -> None:
        """Takes back bytes that could not be sent. The next poll gets them (TL-8)."""
        if not self._gone.is_set():
            self._out.insert(0, data)
            self._out_size += len(data)
        self.delivered()

    def terminate(self) -> None:
        """Makes ``close`` return without a further poll, because the client sends none."""
        self._is_last_poll = True
        self._inbound.complete()
        if self._end is not None:
            self._set_gone()

    def _set_gone(self) -> None:
        self._gone.set()
        self._idle_timer.cancel()

    def _restart_idle_timer(self) -> None:
        """Restarts the timer that aborts the connection if no poll arrives in time (TG-10)."""
        self._idle_timer.cancel()
        if not self._gone.is_set():
            self._idle_timer = self._loop.call_later(self._disconnect_timeout, self.abort)

    @property
    def _is_poll_due(self) -> bool:
        """Whether a poll can be answered at once."""
        if self._is_delivering:
            return self._gone.is_set()
        return bool(self._out) or self._end is not None

    def _take_outcome(self) -> "bytes | PollEnd":
        if self._out:
            self._is_delivering = True
            return self._take()
        assert self._end is not None
        self._set_gone()
        return self._end

    def _take(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        for drained in self._drained:
            _resolve(drained, None)
        self._drained.clear()
        return data

    def _wake_poll_if_due(self) -> None:
        if self._is_poll_due:
            self._wake(None)

    def _wake(self, end: PollEnd | None) -> None:
        """Wakes the waiting poll: it ends with ``end``, or takes all bytes if ``end`` is None."""
        if self._poll is not None:
            _resolve(self._poll, end)


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
