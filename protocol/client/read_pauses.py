"""When a client may stop reading from the server: backpressure without deadlocks.

Reading may pause while received messages wait for the program: events for their handlers, items for
the loop over their stream. It does not pause while a part of the program waits for the server,
because what that part waits for arrives behind these messages, and the program may take no message
before it has arrived. ``event_queue`` and ``downloads`` count what waits, and limit it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReadPauses:
    """How many parts of a program wait for the server. Belongs to one event loop."""

    def __init__(self) -> None:
        self._callers = 0
        self._progress = asyncio.Event()

    @property
    def are_allowed(self) -> bool:
        """Whether reading may pause: nothing waits for the server."""
        return not self._callers

    @contextmanager
    def kept_off(self) -> Iterator[None]:
        """Keeps reading active inside this context, in which a caller waits for the server."""
        self._callers += 1
        self._progress.set()
        try:
            yield
        finally:
            self._callers -= 1

    def note_room(self) -> None:
        """Lets a pause check again whether it has to last: a waiting message was taken."""
        self._progress.set()

    async def wait_while(self, is_full: Callable[[], bool]) -> None:
        """Returns when ``is_full`` returns False after a message was taken or a caller waits."""
        while is_full():
            self._progress.clear()
            await self._progress.wait()
