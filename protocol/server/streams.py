"""Runs the calls that stream in either direction, each in a task of its own (P-3).

Such calls take no slot. This module decides how many of these calls run at the same time, and
answers each call. ``cancellation`` cancels calls. ``uploads`` has the streams from clients.
``aio.item_sender`` sends the items of streams to clients.
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
from .cancellation import CancellableCall, CancellableCalls
from .connection_context import HubConnectionContext
from .hub import Hub, HubMethod
from .uploads import Uploads

StartTask = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


@dataclass(slots=True, eq=False)
class StreamingCall(CancellableCall):
    """A call that streams.

    ``is_streamed`` says whether the caller expects a stream. ``refusal`` is the error of a call
    whose invocation id or stream ids are in use.
    """

    method: HubMethod
    arguments: Sequence[Any]
    stream_ids: tuple[str, ...]
    is_streamed: bool
    uploads: list[ItemStream[Any]] = field(default_factory=list)
    refusal: Exception | None = None
    is_sending: bool = False

    @property
    def is_cancellable(self) -> bool:
        """Whether the call ends when its client cancels it or disconnects."""
        return self.is_streamed or self.method.is_cancellable


class StreamingCalls:
    """The calls of one connection that stream, at most ``maximum`` at the same time.

    ``activate`` returns a new hub instance for each call, and ``start_task`` runs a call. The calls
    that can be cancelled are in ``cancellable`` until they end.
    """

    __slots__ = (
        "_activate",
        "_answers",
        "_calls",
        "_cancellable",
        "_connection",
        "_hub_protocol",
        "_maximum",
        "_start_task",
        "_streamed",
        "_uploads",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        hub_protocol: HubProtocol,
        answers: ErrorAnswers,
        uploads: Uploads,
        cancellable: CancellableCalls,
        *,
        activate: Callable[[], Hub],
        start_task: StartTask,
        maximum: int,
    ) -> None:
        self._connection = connection
        self._hub_protocol = hub_protocol
        self._answers = answers
        self._uploads = uploads
        self._cancellable = cancellable
        self._activate = activate
        self._start_task = start_task
        self._maximum = maximum
        self._calls: set[StreamingCall] = set()
        self._streamed: dict[str, StreamingCall] = {}  # by invocation id

    def start(
        self,
        method: HubMethod,
        arguments: Sequence[Any],
        message: Invocation | StreamInvocation,
        item_readers: Sequence[ValueReader],
    ) -> None:
        """Starts the call of ``message``, or refuses it if too many calls run."""
        call = StreamingCall(
            method,
            arguments,
            message.stream_ids,
            is_streamed=type(message) is StreamInvocation,
            invocation_id=message.invocation_id,
        )
        if len(self._calls) >= self._maximum:
            error = HubException(
                f"The maximum of {self._maximum} streams per connection is reached."
            )
            self._answers.refuse(call.invocation_id, method.name, error)
            return
        self._take_ids(call, item_readers)
        self._calls.add(call)
        if call.is_cancellable:
            self._cancellable.add(call)
        task = self._start_task(self._run(call))
        task.add_done_callback(partial(self._on_task_end, call))

    def _take_ids(self, call: StreamingCall, item_readers: Sequence[ValueReader]) -> None:
        """Opens the uploads, so that the next messages find them, and reserves the id."""
        if len(call.stream_ids) == len(item_readers):  # otherwise ``check_call`` refuses the call
            try:
                call.uploads = self._uploads.open(call.stream_ids, item_readers)
            except HubException as error:
                call.refusal = error
                return
        if call.is_streamed and self._streamed.setdefault(call.invocation_id, call) is not call:
            text = f"Invocation ID '{call.invocation_id}' is already in use."
            call.refusal = RefusedCall(text)  # S-13

    # ---- one call, in its task

    async def _run(self, call: StreamingCall) -> None:
        method = call.method
        try:
            call.begin()
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
            # After a disconnect no completion is sent: a client that has only closed its sending
            # side would take the cut stream for a complete one.
            self._complete(call)

    def _complete(self, call: StreamingCall) -> None:
        """Ends the stream to the client without an error (S-19)."""
        self._connection.send(Completion(invocation_id=call.invocation_id))

    def _forget(self, call: StreamingCall) -> None:
        self._calls.discard(call)
        if call.is_cancellable:
            self._cancellable.remove(call)
        if self._streamed.get(call.invocation_id) is call:
            del self._streamed[call.invocation_id]
        self._uploads.close(call.stream_ids, call.uploads)

    def _on_task_end(self, call: StreamingCall, _task: "asyncio.Task[None]") -> None:
        """Ends a call whose task was cancelled before it started."""
        if not call.has_begun:
            if self._connection.ending is None:
                error = asyncio.CancelledError()
                self._answers.fail_method(call.invocation_id, call.method.name, error)
            self._forget(call)
