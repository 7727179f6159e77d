"""When a client may stop reading from the server: backpressure without deadlocks.

Reading may pause while received messages wait for the program: events wait for their handlers,
items for the loop over their stream. Reading does not pause while a part of the program waits for
an answer of the server. The answer arrives behind the waiting messages. If reading paused, a
program that takes no message before it has the answer would wait for ever. ``event_queue`` and
``downloads`` count and limit the waiting messages.
"""

import asyncio
from collections.abc import Callable
from typing import Final


class _Forbidden:
    """See ``ReadPauses.forbidden``."""

    def __init__(self, pauses: "ReadPauses") -> None:
        self._pauses = pauses

    def __enter__(self) -> None:
        self._pauses.callers += 1
        self._pauses.note_room()

    def __exit__(self, *_: object) -> None:
        self._pauses.callers -= 1


class ReadPauses:
    """Counts the parts of a program that wait for the server. Belongs to one event loop."""

    def __init__(self) -> None:
        self.callers = 0
        self._progress = asyncio.Event()
        self.forbidden: Final = _Forbidden(self)
        """A context in which a caller waits for the server, so that reading does not pause."""

    @property
    def are_allowed(self) -> bool:
        """Whether reading may pause, because no part of the program waits for the server."""
        return not self.callers

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
