"""Decides when received messages are acknowledged, for stateful reconnect (SR-6).

``message_buffer`` counts the messages. A timer runs only while an Ack may be due, so that an idle
connection costs nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ..peer import HubPeer
from .transport import Transport

_INTERVAL: Final = 1.0  # seconds


class AckTimer:
    """Sends Acks to ``transport``: one second after a message, or after ``size`` received bytes.

    With the timer alone, a peer could send only as much per second as its buffer holds.
    ``is_waiting`` returns True while received messages wait that are not counted yet. ``fail`` is
    called with the error of an Ack that cannot be encoded.
    """

    __slots__ = (
        "_fail",
        "_is_waiting",
        "_loop",
        "_peer",
        "_received",
        "_size",
        "_timer",
        "_transport",
    )

    def __init__(
        self,
        peer: HubPeer,
        transport: Transport,
        is_waiting: Callable[[], bool],
        fail: Callable[[Exception], None],
        *,
        size: int,
    ) -> None:
        self._peer = peer
        self._transport = transport
        self._is_waiting = is_waiting
        self._fail = fail
        self._size = size
        self._received = 0  # bytes since the last Ack
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def received(self, size: int) -> None:
        """Notes that ``size`` received bytes are about to be handled."""
        self._received += size
        if self._received >= self._size:
            self._send()
        if self._timer is None:
            self._timer = self._loop.call_later(_INTERVAL, self._fire)

    def start(self) -> None:
        """Sends an Ack on a new transport after a second: the last transport may have lost one.

        A timer that runs already keeps its time. If each new transport restarted the timer, no Ack
        would ever be sent on a link that is cut more often than once per second.
        """
        if self._timer is None:
            self._timer = self._loop.call_later(_INTERVAL, self._fire)

    def stop(self) -> None:
        """Sends no more Acks, because the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        try:
            self._send()
        except Exception as error:  # a user's hub protocol can raise anything
            self._fail(error)
            return
        if self._is_waiting():
            self._timer = self._loop.call_later(_INTERVAL, self._fire)

    def _send(self) -> None:
        self._received = 0
        ack = self._peer.acknowledge(self._loop.time())
        if ack:
            self._transport.write(ack)
