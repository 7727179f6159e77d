"""Stateful reconnect: the messages that a connection may have to send again (section SR).

Counts the messages of both directions, keeps sent frames until the other end has acknowledged them,
limits their size, and drops received duplicates. It has no clock and no transport. The connection
decides when to send an Ack, and how long the buffer may be full.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from .errors import RemoteProtocolError
from .messages import (
    Ack,
    CancelInvocation,
    Completion,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    Sequence,
    StreamBindingFailure,
    StreamInvocation,
    StreamItem,
)

COUNTED: Final[frozenset[type[ReceivedMessage | None]]] = frozenset(
    {
        Invocation,
        InvocationBindingFailure,
        StreamItem,
        StreamBindingFailure,
        Completion,
        StreamInvocation,
        CancelInvocation,
    }
)
"""The kinds of messages that both ends number from 1 on. The numbers are not sent (SR-2, SR-3)."""


class MessageBuffer:
    """The counted messages of one connection, which outlives its transports.

    The buffer becomes full when the frames without an Ack have more than ``limit`` bytes. It stays
    full until Acks bring them below ``limit``. Frames that are added to a full buffer are held back
    (SR-8). The caller bounds the number of bytes that are held back.
    """

    __slots__ = (
        "_acknowledged",
        "_answered",
        "_held",
        "_latest",
        "_next",
        "_sent",
        "held_size",
        "is_full",
        "limit",
        "size",
    )

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self._sent: deque[bytes] = deque()  # without an Ack
        self._acknowledged = 0  # the highest number of a sent message that has its Ack
        self._held: deque[bytes] = deque()
        self._next = 1  # the number of the next received message
        self._latest = 0  # the highest number received
        self._answered = 0  # the highest number received that an Ack was sent for
        self.size = 0
        """The bytes of the sent frames that have no Ack yet."""
        self.held_size = 0
        """The bytes of the frames that are held back."""
        self.is_full = False
        """Whether further frames are held back."""

    # ---- sending

    def add(self, frame: bytes) -> bytes:
        """Counts a message and returns its frame, or b"" if the frame is held back."""
        if self.is_full:
            self._held.append(frame)
            self.held_size += len(frame)
            return b""
        self._sent.append(frame)
        self.size = size = self.size + len(frame)
        if size > self.limit:
            self.is_full = True
        return frame

    def release(self) -> bytes:
        """Returns the frames that were held back and for which there is room now."""
        released: list[bytes] = []
        while self._held and not self.is_full:
            frame = self._held.popleft()
            self.held_size -= len(frame)
            released.append(self.add(frame))
        return b"".join(released)

    def release_all(self) -> bytes:
        """Returns all frames that are held back, because the connection ends."""
        released = b"".join(self._held)
        self._held.clear()
        self.held_size = 0
        return released

    def replay(self) -> tuple[Sequence, bytes]:
        """The messages for a new transport: the Sequence, then all frames without an Ack (SR-13).

        Every Ack that was sent may be lost. So ``next_ack`` returns the last one again.
        """
        self._answered = 0
        return Sequence(sequence_id=self._acknowledged + 1), b"".join(self._sent)

    def _acknowledge(self, number: int) -> None:
        """Drops the frames up to this number. A number that is too high drops all (SR-7)."""
        sent = self._sent
        count = min(number - self._acknowledged, len(sent))
        if count > 0:
            self._acknowledged += count
            self.size -= sum([len(sent.popleft()) for _ in range(count)])
        if self.size < self.limit:
            self.is_full = False

    # ---- receiving

    def receive(
        self, messages: Iterator[ReceivedMessage | None]
    ) -> Iterator[ReceivedMessage | None]:
        """Counts the messages and yields them, with None in place of a duplicate (SR-5).

        Acks drop sent frames. A Sequence sets the number of the next message. Both are yielded too.
        After an Ack the caller sends what ``release`` returns. Raises RemoteProtocolError for a
        Sequence that leaves out messages (SR-14).
        """
        for message in messages:
            kind = type(message)
            if kind in COUNTED:
                number = self._next
                self._next = number + 1
                if number <= self._latest:
                    yield None
                    continue
                self._latest = number
            elif isinstance(message, Ack):
                self._acknowledge(message.sequence_id)
            elif isinstance(message, Sequence):
                self._continue_at(message.sequence_id)
            yield message

    def _continue_at(self, number: int) -> None:
        if number > self._next:
            raise RemoteProtocolError(
                "Sequence ID greater than amount of messages we've received.",
                "InvalidOperationException",
            )
        self._next = number

    @property
    def progress(self) -> int:
        """How many messages were received, duplicates excluded, and how many were acknowledged."""
        return self._latest + self._acknowledged

    @property
    def owes_ack(self) -> bool:
        """Whether messages were received for which no Ack was sent on the present transport."""
        return self._latest > self._answered

    def next_ack(self) -> Ack:
        """The Ack for all received messages. It counts as sent (SR-6)."""
        self._answered = self._latest
        return Ack(sequence_id=self._latest)
