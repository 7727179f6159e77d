"""When a client may stop reading from the server: backpressure without deadlocks.

Reading may pause while received messages wait for the program: events wait for their handlers,
items for the loop over their stream. Reading does not pause while a part of the program waits for
an answer of the server. The answer arrives behind the waiting messages, and the program may take no
message before the answer. ``event_queue`` and ``downloads`` count and limit the waiting messages.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ReadPauses:
    """Counts the parts of a program that wait for the server. Belongs to one event loop."""

    def __init__(self) -> None:
        self._callers = 0
        self._progress = asyncio.Event()

    @property
    def are_allowed(self) -> bool:
        """Whether reading may pause, because no part of the program waits for the server."""
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
        """Lets ``wait_while`` check again, because a waiting message was taken."""
        self._progress.set()

    async def wait_while(self, is_full: Callable[[], bool]) -> None:
        """Returns when ``is_full`` returns False.

        Checks again each time a message is taken or a caller begins to wait for the server.
        """
        while is_full():
            self._progress.clear()
            await self._progress.wait()
