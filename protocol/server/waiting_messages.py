"""The messages that wait for a client whose transport has no room, and which of them are dropped.

``connection_context`` decides when a message waits, and moves waiting messages to the transport.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

_ENTRY_SIZE: Final = 256
"""Bytes counted for each waiting message besides its frame. They bound the number of messages."""


class QueuePolicy(Enum):
    """What happens to the messages of one source when a client reads too slowly."""

    CLOSE = "close"
    """When the queue is full, the client is disconnected."""

    DROP_OLDEST = "drop_oldest"
    """When the queue is full, the oldest waiting messages of the source are dropped."""

    LATEST = "latest"
    """At most one message of the source waits: a new message replaces the waiting one."""


@dataclass(frozen=True, slots=True)
class MessageQueue:
    """The source of a message, and the policy for the waiting messages of this source."""

    source: str
    policy: QueuePolicy


CLOSING: Final = MessageQueue("", QueuePolicy.CLOSE)
"""The queue of messages without a source. They wait only while earlier messages wait."""


class WaitingMessages:
    """The waiting messages of one client, in order. ``maximum`` limits their size in bytes."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._frames: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._numbers: dict[str, deque[int]] = {}  # by source: the keys of its frames, in order
        self._size = 0
        self._last_number = 0
        self.missed = 0
        """How many messages were dropped."""

    def __bool__(self) -> bool:
        return bool(self._frames)

    def put(self, frame: bytes, queue: MessageQueue, buffered: int) -> bool:
        """Adds a message, and drops others of its source if necessary.

        ``buffered`` bytes are in the transport, and count for the maximum. If the message itself
        has no room, it is dropped. Returns False if the client is to be disconnected instead.
        """
        source = queue.source
        if queue.policy is QueuePolicy.LATEST:
            while source in self._numbers:
                self._drop_oldest(source)
        size = len(frame) + _ENTRY_SIZE
        while buffered + self._size + size > self._maximum:
            if queue.policy is QueuePolicy.CLOSE:
                return False
            if source not in self._numbers:
                self.missed += 1
                return True
            self._drop_oldest(source)
        self._last_number += 1
        self._frames[self._last_number] = source, frame
        self._numbers.setdefault(source, deque()).append(self._last_number)
        self._size += size
        return True

    def take(self) -> bytes:
        """Removes and returns the oldest message."""
        _, (source, frame) = self._frames.popitem(last=False)
        self._forget_oldest(source, frame)
        return frame

    def _drop_oldest(self, source: str) -> None:
        _, frame = self._frames.pop(self._numbers[source][0])
        self._forget_oldest(source, frame)
        self.missed += 1

    def _forget_oldest(self, source: str, frame: bytes) -> None:
        numbers = self._numbers[source]
        numbers.popleft()
        if not numbers:
            del self._numbers[source]
        self._size -= len(frame) + _ENTRY_SIZE
