"""The streams that a client sends to one connection's calls, by stream id (section U).

Binds the items, and decides what ends a stream. ``streams`` runs the calls that read the streams.
"""

from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeAlias

from msgspec import UNSET

from ..aio.item_stream import ItemStream
from ..errors import ArgumentBindingError, ConnectionClosed, HubException
from ..hub_protocol import ValueReader
from ..messages import Completion, StreamBindingFailure, StreamItem
from .refusal_log import RefusalLog

Hold: TypeAlias = Callable[[Future[None]], None]
"""Stops the handling of messages until the future is done."""


class StreamLostError(ConnectionClosed):
    """The connection of a client has ended before its stream."""  # U-8

    exception_name: ClassVar[str] = "OperationCanceledException"

    def __init__(self) -> None:
        super().__init__("The underlying connection was closed.")


class Uploads:
    """The open streams. ``capacity`` is the number of items of each stream that may wait.

    While a stream is full, no further message of the connection may be handled: ``hold`` gets a
    future that is done when the stream has room.
    """

    __slots__ = ("_capacity", "_detailed_errors", "_hold", "_log", "_open")

    def __init__(self, capacity: int, detailed_errors: bool, hold: Hold, log: RefusalLog) -> None:
        self._capacity = capacity
        self._detailed_errors = detailed_errors
        self._hold = hold
        self._log = log
        self._open: dict[str, tuple[ItemStream[Any], ValueReader]] = {}

    def open(
        self, stream_ids: Sequence[str], readers: Sequence[ValueReader]
    ) -> list[ItemStream[Any]]:
        """Opens a stream for each id. Raises HubException if one of the ids is in use."""
        for index, stream_id in enumerate(stream_ids):
            if stream_id in self._open or stream_id in stream_ids[:index]:
                raise HubException(f"Stream ID '{stream_id}' is already in use.")  # U-1
        streams: list[ItemStream[Any]] = []
        for stream_id, read in zip(stream_ids, readers, strict=True):
            stream: ItemStream[Any] = ItemStream(self._capacity)
            self._open[stream_id] = stream, read
            streams.append(stream)
        return streams

    def close(self, stream_ids: Iterable[str], streams: Iterable[ItemStream[Any]]) -> None:
        """Closes the streams of a call that has ended. Later items are ignored (U-6)."""
        for stream_id, stream in zip(stream_ids, streams, strict=False):
            if stream_id in self._open and self._open[stream_id][0] is stream:
                del self._open[stream_id]
            stream.close()

    def receive_item(self, message: StreamItem) -> None:
        """Adds an item to its stream. An item that does not fit ends the stream (U-7)."""
        upload = self._open.get(message.invocation_id)
        if upload is None:
            return  # S-25
        stream, read = upload
        try:
            item = read(message.item)
        except ArgumentBindingError as error:
            self._log.misfit_item(error)
            self._fail_binding(message.invocation_id, f"{error.exception_name}: {error}")
            return
        stream.feed(item)
        if stream.is_full:  # U-5
            self._hold(stream.wait_for_room())

    def receive_failure(self, failure: StreamBindingFailure) -> None:
        """Ends a stream because one of its items cannot be read."""
        self._fail_binding(failure.invocation_id, failure.error)

    def _fail_binding(self, stream_id: str, details: str) -> None:
        suffix = f" {details}" if self._detailed_errors else ""
        self._finish(stream_id, HubException(f"Failed to bind Stream message.{suffix}"))

    def receive_completion(self, completion: Completion) -> bool:
        """Ends a stream. Returns False if no stream of this id is open."""
        if completion.invocation_id not in self._open:
            return False
        error = completion.error
        self._finish(
            completion.invocation_id, None if error is UNSET else HubException(error)
        )  # U-4: an empty error is an error too
        return True

    def fail_all(self) -> None:
        """Ends all streams because the connection has ended (U-8)."""
        for stream_id in list(self._open):
            self._finish(stream_id, StreamLostError())

    def _finish(self, stream_id: str, error: Exception | None) -> None:
        upload = self._open.pop(stream_id, None)
        if upload is not None:
            upload[0].finish(error)
