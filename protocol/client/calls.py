"""Sends a program's calls, uploads and answers over one physical connection, and cancels calls.

``connection`` passes received completions to the ledger of the peer, which ends the calls. ``call``
and ``downloads`` turn a completion into a result or an error.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from msgspec import UnsetType

from ..aio.log_thinning import LogThinning
from ..errors import ConnectionClosed, LocalProtocolError, NotConnectedError
from ..hub_protocol import HubProtocol
from ..messages import (
    NO_HEADERS,
    CancelInvocation,
    Completion,
    HubMessage,
    Invocation,
    StreamInvocation,
    StreamItem,
)
from ..peer import HubPeer
from .call import ClientCall
from .downloads import Download, DownloadCounts
from .results import error_text
from .streams import HubStream
from .uploads import Uploads, split_arguments, wait_for_uploads

logger = logging.getLogger(__name__)

SEND_HIGH_WATER: Final = 1024 * 1024
"""Bytes that may wait to be sent. With more bytes, callers wait."""  # C-21

UPLOAD_HIGH_WATER: Final = 128 * 1024
"""Bytes that may wait to be sent. With more bytes, uploads wait.

It is lower than SEND_HIGH_WATER, so that calls do not wait long behind uploads. If it were lower
than the buffer of a transport, ``drain`` would return although there is no room for an item."""


class SendRoom(Protocol):
    """How many bytes wait to be sent. A full buffer of stateful reconnect is above every limit."""

    @property
    def buffered(self) -> int:
        """The number of bytes that wait, or a number above every limit if none may be sent."""

    async def drain(self) -> None:
        """Returns when there is room again, or the connection is dead."""


class ClientCalls:
    """Sends calls and their uploads until the connection ends. An ``UploadSender``."""

    def __init__(
        self,
        peer: HubPeer,
        room: SendRoom,
        hub_protocol: HubProtocol,
        counts: DownloadCounts,
        send: Callable[[HubMessage], None],
        thinning: LogThinning,
    ) -> None:
        """``thinning`` decides how often answers that cannot be written are logged."""
        self._thinning = thinning
        self._ledger = peer.calls
        self._room = room
        self._hub_protocol = hub_protocol
        self._counts = counts
        self._pauses = counts.pauses
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._end: ConnectionClosed | None = None
        self._uploading: set[asyncio.Task[Any]] = set()

    def end(self, end: ConnectionClosed) -> None:
        """Stops sending, because the connection has ended."""
        self._end = end
        for task in self._uploading:
            task.cancel()

    async def wait_for_uploads(self) -> None:
        """Waits for the uploads that ``end`` has cancelled, for a limited time."""
        await wait_for_uploads(self._uploading)

    # ---- calls

    @property
    def cancelled(self) -> int:
        """See HubConnection.cancelled_calls."""
        return self._ledger.cancelled

    async def invoke(
        self,
        target: str,
        arguments: Sequence[Any],
        result_type: Any,
        headers: Mapping[str, str] | None,
    ) -> Any:
        """See HubConnection.invoke."""
        call = ClientCall(self._hub_protocol, result_type, self._loop)
        with self._pauses.forbidden:
            await self._wait_for_room()
            invocation_id, uploads = self._send_call(Invocation, target, arguments, headers)
            self._ledger.open(invocation_id, call)
            try:
                return await call.answer
            except asyncio.CancelledError:
                self._cancel(invocation_id)
                raise
            finally:
                if uploads is not None:
                    uploads.cancel()
                    await wait_for_uploads(uploads.tasks)

    async def send(self, target: str, arguments: Sequence[Any]) -> None:
        """See HubConnection.send."""
        with self._pauses.forbidden:
            await self._wait_for_room()
        self._send_call(None, target, arguments, None)

    def stream(
        self,
        target: str,
        arguments: Sequence[Any],
        item_type: Any,
        headers: Mapping[str, str] | None,
    ) -> HubStream[Any]:
        """See HubConnection.stream."""
        download = Download(
            self._hub_protocol,
            item_type,
            self._counts,
            lambda download: self._cancel(download.invocation_id),
        )
        call = partial(self._open, download, target, arguments, headers)
        return HubStream(download, call, self._loop)

    async def _open(
        self,
        download: Download,
        target: str,
        arguments: Sequence[Any],
        headers: Mapping[str, str] | None,
    ) -> None:
        with self._pauses.forbidden:
            await self._wait_for_room()
        if not download.is_closed:  # the stream may have been closed meanwhile
            download.invocation_id, download.uploads = self._send_call(
                StreamInvocation, target, arguments, headers
            )
            self._ledger.open_stream(download.invocation_id, download)

    async def _wait_for_room(self) -> None:
        if self._room.buffered > SEND_HIGH_WATER:
            await self._room.drain()
        if self._end is not None:
            raise NotConnectedError("The connection is not active.") from self._end

    def _send_call(
        self,
        kind: type[Invocation | StreamInvocation] | None,
        target: str,
        arguments: Sequence[Any],
        headers: Mapping[str, str] | None,
    ) -> tuple[str, Uploads | None]:
        """Sends a call and starts its uploads. If ``kind`` is None, the call asks for no answer."""
        values, sources = split_arguments(arguments)
        encoded = self._hub_protocol.encode_arguments(values)
        # As in .NET, the ids of the streams precede that of their call (U-2).
        stream_ids = tuple(self._ledger.next_id() for _ in sources)
        invocation_id = "" if kind is None else self._ledger.next_id()
        self._send(
            (kind or Invocation)(
                invocation_id=invocation_id,
                target=target,
                arguments=encoded,
                headers=dict(headers) if headers else NO_HEADERS,
                stream_ids=stream_ids,
            )
        )
        if not sources:
            return invocation_id, None
        uploads = Uploads(self, target, tuple(zip(stream_ids, sources, strict=True)))
        for task in uploads.tasks:
            self._uploading.add(task)
            task.add_done_callback(self._uploading.discard)
        return invocation_id, uploads

    def _cancel(self, invocation_id: str) -> None:
        if self._ledger.cancel(invocation_id) and self._end is None:
            # The caller no longer waits, so the hub may stop the method (C-8, S-27).
            self._send(CancelInvocation(invocation_id=invocation_id))

    # ---- answers

    def answer(self, invocation_id: str, result: Any, error: str | None) -> None:
        """Answers a server that asked for a result, unless the connection has ended.

        A result that cannot be written is answered with an error.
        """
        if self._end is not None:
            return
        if error is None:
            try:
                encoded = self._hub_protocol.encode_value(result)
                self._send(Completion(invocation_id=invocation_id, result=encoded))
            except LocalProtocolError as failure:
                text = "A result cannot be sent to the server."
                self._thinning.log_failure(logger, failure, text)
                error = error_text(failure)
        if error is not None:
            self._send(Completion(invocation_id=invocation_id, error=error))

    # ---- uploads

    def send_item(self, stream_id: str, item: Any) -> bool:
        """See UploadSender."""
        if self._room.buffered > UPLOAD_HIGH_WATER:
            return False
        encoded = self._hub_protocol.encode_value(item)
        self._send(StreamItem(invocation_id=stream_id, item=encoded))
        return True

    async def wait_for_upload_room(self) -> None:
        """See UploadSender."""
        await self._room.drain()

    def end_upload(self, stream_id: str, error: str | UnsetType) -> None:
        """See UploadSender."""
        if self._end is None:
            self._send(Completion(invocation_id=stream_id, error=error))
