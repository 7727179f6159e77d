"""The streams that a client sends: async iterables among the arguments of a call (U-1 to U-3).

One task for each iterable sends its items and the end of its stream. The tasks end with the call
that they belong to. ``aio.item_sender`` decides about backpressure; ``calls`` sends the messages.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Collection, Sequence
from typing import Any, Final, Protocol

from msgspec import UNSET, UnsetType

from ..aio.cancellation import is_being_cancelled
from ..aio.item_sender import send_items
from ..aio.log_thinning import shown_name
from .results import LONGEST_ERROR_TEXT

logger = logging.getLogger(__name__)

_STOP_TIMEOUT: Final = 5.0  # seconds to wait for iterables that are cancelled
_CANCELLED: Final = "Stream canceled by client."


class UploadSender(Protocol):
    """Sends the messages of upload streams."""

    def send_item(self, stream_id: str, item: Any) -> bool:
        """Sends an item and returns True, or returns False if there is no room for it.

        Raises LocalProtocolError if the item cannot be written.
        """

    def end_upload(self, stream_id: str, error: str | UnsetType) -> None:
        """Sends the end of a stream, unless the connection has ended."""

    async def wait_for_upload_room(self) -> None:
        """Returns when the server has read enough of the sent bytes."""


def split_arguments(
    arguments: Sequence[Any],
) -> tuple[Sequence[Any], Sequence[AsyncIterable[Any]]]:
    """Returns the arguments that are values, and those that are uploaded as streams."""
    for argument in arguments:
        if hasattr(type(argument), "__aiter__"):
            break
    else:
        return arguments, ()
    values: list[Any] = []
    sources: list[AsyncIterable[Any]] = []
    for argument in arguments:
        (sources if hasattr(type(argument), "__aiter__") else values).append(argument)
    return values, sources


class Uploads:
    """The upload streams of one call to ``target``, given as pairs of a stream id and its items."""

    def __init__(
        self,
        sender: UploadSender,
        target: str,
        streams: Sequence[tuple[str, AsyncIterable[Any]]],
    ) -> None:
        self._sender = sender
        self._target = target
        self.tasks: Final = frozenset(self._start(*stream) for stream in streams)
        """The tasks that send the streams, one for each."""

    def cancel(self) -> None:
        """Ends the streams, because their call has ended. The iterables are closed soon."""
        for task in self.tasks:
            task.cancel()

    def _start(self, stream_id: str, items: AsyncIterable[Any]) -> "asyncio.Task[str | UnsetType]":
        def end(task: "asyncio.Task[str | UnsetType]") -> None:
            # A callback, because a task that is cancelled before its first step runs no code.
            self._sender.end_upload(stream_id, _CANCELLED if task.cancelled() else task.result())

        task = asyncio.get_running_loop().create_task(self._send(stream_id, items))
        task.add_done_callback(end)
        return task

    async def _send(self, stream_id: str, items: AsyncIterable[Any]) -> str | UnsetType:
        """Sends the items, and returns the error that the stream has to end with, if any."""
        try:
            await send_items(
                items,
                lambda item: self._sender.send_item(stream_id, item),
                self._sender.wait_for_upload_room,
            )
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as failure:
            if isinstance(failure, asyncio.CancelledError):
                if is_being_cancelled():
                    raise
                return _CANCELLED
            logger.error(
                "A stream that is sent to '%s' failed.", shown_name(self._target), exc_info=failure
            )
            text = str(failure)[:LONGEST_ERROR_TEXT]
            return f"Stream errored by client: '{type(failure).__name__}: {text}'"
        return UNSET


async def wait_for_uploads(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Waits until cancelled uploads have closed their iterables, for a limited time."""
    others = {task for task in tasks if task is not asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=_STOP_TIMEOUT)
