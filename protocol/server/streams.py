"""Runs the calls that stream in either direction, each in a task of its own (P-3).

Such calls take no slot. This module decides how many of them run at the same time, and what ends
them. ``uploads`` has the streams from clients; ``aio.item_sender`` sends the items of streams to
clients.
"""

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..aio.item_sender import send_items
from ..aio.item_stream import ItemStream
from ..errors import HubException
from ..hub_protocol import HubProtocol, ValueReader
from ..messages import Completion, Invocation, StreamInvocation
from .answers import ErrorAnswers, RefusedCall
from .call_checks import check_call
from .connection_context import HubConnectionContext
from .hub import Hub, HubMethod
from .uploads import Uploads

StartTask = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


@dataclass(slots=True, eq=False)
class StreamingCall:
    """A call that streams, from its receipt to its end.

    ``is_streamed`` says whether the caller expects a stream. ``refusal`` is the error of a call
    that cannot run because of its ids.
    """

    method: HubMethod
    arguments: Sequence[Any]
    invocation_id: str
    stream_ids: tuple[str, ...]
    is_streamed: bool
    uploads: list[ItemStream[Any]] = field(default_factory=list)
    refusal: Exception | None = None
    task: "asyncio.Task[None] | None" = None
    has_started: bool = False
    is_sending: bool = False
    is_cancelled: bool = False

    @property
    def is_cancellable(self) -> bool:
        """Whether it ends when its client cancels it or disconnects."""
        return self.is_streamed or self.method.is_cancellable

    def has_caused(self, error: BaseException) -> bool:
        """Whether ``error`` is the cancellation of this call."""
        return self.is_cancelled and isinstance(error, asyncio.CancelledError)

    def cancel(self) -> None:
        """Cancels the task once. A task that has not started starts, and then ends the call."""
        if not self.is_cancelled:
            self.is_cancelled = True
            if self.has_started and self.task is not None:
                self.task.cancel()


class StreamingCalls:
    """The calls of one connection that stream, at most ``maximum`` at the same time.

    ``activate`` returns a new hub instance for each call, and ``start_task`` runs a call.
    """

    __slots__ = (
        "_activate",
        "_answers",
        "_calls",
        "_cancellable",
        "_client_has_left",
        "_connection",
        "_hub_protocol",
        "_maximum",
        "_start_task",
        "_uploads",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        hub_protocol: HubProtocol,
        answers: ErrorAnswers,
        uploads: Uploads,
        *,
        activate: Callable[[], Hub],
        start_task: StartTask,
        maximum: int,
    ) -> None:
        self._connection = connection
        self._hub_protocol = hub_protocol
        self._answers = answers
        self._uploads = uploads
        self._activate = activate
        self._start_task = start_task
        self._maximum = maximum
        self._calls: set[StreamingCall] = set()
        self._client_has_left = False
        self._cancellable: dict[tuple[bool, str], StreamingCall] = {}  # by is_streamed and id

    def start(
        self,
        method: HubMethod,
        arguments: Sequence[Any],
        message: Invocation | StreamInvocation,
        item_readers: Sequence[ValueReader],
    ) -> None:
        """Starts the call of ``message``, or answers that there are too many."""
        call = StreamingCall(
            method,
            arguments,
            message.invocation_id,
            message.stream_ids,
            is_streamed=type(message) is StreamInvocation,
        )
        if len(self._calls) >= self._maximum:
            error = HubException(
                f"The maximum of {self._maximum} streams per connection is reached."
            )
            self._answers.refuse(call.invocation_id, method.name, error)
            return
        self._take_ids(call, item_readers)
        self._calls.add(call)
        call.is_cancelled = self._client_has_left and call.is_cancellable
        call.task = self._start_task(self._run(call))
        call.task.add_done_callback(partial(self._on_task_end, call))

    def _take_ids(self, call: StreamingCall, item_readers: Sequence[ValueReader]) -> None:
        """Opens the uploads, so that the next messages find them, and reserves the id."""
        if len(call.stream_ids) == len(item_readers):  # otherwise ``check_call`` refuses the call
            try:
                call.uploads = self._uploads.open(call.stream_ids, item_readers)
            except HubException as error:
                call.refusal = error
                return
        if not call.is_cancellable:
            return
        key = call.is_streamed, call.invocation_id
        if self._cancellable.setdefault(key, call) is not call and call.is_streamed:
            text = f"Invocation ID '{call.invocation_id}' is already in use."
            call.refusal = RefusedCall(text)  # S-13

    def cancel(self, invocation_id: str) -> None:
        """Cancels a call that is cancellable; an unknown id is ignored (S-27)."""
        for is_streamed in (True, False):
            call = self._cancellable.get((is_streamed, invocation_id))
            if call is not None:
                call.cancel()

    def cancel_all(self) -> None:
        """Cancels all calls that are cancellable, and those that start later, because the client
        has disconnected (U-8).
        """
        self._client_has_left = True
        for call in self._calls:
            if call.is_cancellable:
                call.cancel()

    # ---- one call, in its task

    async def _run(self, call: StreamingCall) -> None:
        call.has_started = True
        method = call.method
        try:
            await self._check(call)
            hub = self._activate()
            if call.uploads:
                result = method.function(hub, *call.arguments, uploads=call.uploads)
            else:
                result = method.function(hub, *call.arguments)
            if method.is_async or inspect.isawaitable(result):
                result = await result
            if call.is_streamed:
                await self._stream(call, result)
            elif call.invocation_id:
                self._connection.write(self._hub_protocol.encode_result(call.invocation_id, result))
        except BaseException as error:
            if call.has_caused(error):
                self._answer_cancellation(call)
            elif not self._answer_failure(call, error):
                raise
        finally:
            self._forget(call)

    async def _check(self, call: StreamingCall) -> None:
        if call.is_cancelled:
            raise asyncio.CancelledError
        await check_call(
            call.method,
            self._connection,
            is_streamed=call.is_streamed,
            streams=len(call.stream_ids),
        )
        if call.refusal is not None:
            raise call.refusal

    async def _stream(self, call: StreamingCall, items: Any) -> None:
        name, invocation_id = call.method.name, call.invocation_id
        if not isinstance(items, AsyncIterable):  # S-14
            self._answers.fail(
                invocation_id,
                f"The value returned by the streaming method '{name}' is not a ChannelReader<> or "
                "IAsyncEnumerable<>.",
            )
            return
        call.is_sending = True
        await send_items(items, partial(self._send_item, invocation_id), self._connection.drain)
        self._complete(call)

    def _send_item(self, invocation_id: str, item: Any) -> bool:
        """Sends an item. Returns False if the client does not read the items before it (TG-8)."""
        connection = self._connection
        if connection.is_congested and connection.ending is None:
            return False
        connection.write(self._hub_protocol.encode_item(invocation_id, item))
        return True

    def _answer_failure(self, call: StreamingCall, error: BaseException) -> bool:
        """See ErrorAnswers.fail_method."""
        answers = self._answers
        fail = answers.fail_stream if call.is_sending else answers.fail_method  # S-15, S-16
        return fail(call.invocation_id, call.method.name, error)

    def _answer_cancellation(self, call: StreamingCall) -> None:
        if not call.is_streamed:
            self._answers.fail_cancelled(call.invocation_id, call.method.name)
        elif not self._connection.connection_aborted.is_set():
            # A client that may still read would take the end of a cut stream for its last item.
            self._complete(call)

    def _complete(self, call: StreamingCall) -> None:
        """Ends the stream to the client without an error (S-19)."""
        self._connection.send(Completion(invocation_id=call.invocation_id))

    def _forget(self, call: StreamingCall) -> None:
        self._calls.discard(call)
        key = call.is_streamed, call.invocation_id
        if self._cancellable.get(key) is call:
            del self._cancellable[key]
        self._uploads.close(call.stream_ids, call.uploads)

    def _on_task_end(self, call: StreamingCall, _task: "asyncio.Task[None]") -> None:
        """Ends a call whose task was cancelled before it started."""
        if not call.has_started:
            if self._connection.ending is None:
                error = asyncio.CancelledError()
                self._answers.fail_method(call.invocation_id, call.method.name, error)
            self._forget(call)
