"""From received bytes to running hub methods, for one connection (sections S and P).

Two stages. ``feed`` takes what the transport brought and handles at once, in order, all that needs
no waiting; an invocation takes a slot, and without a free one everything behind it waits (P-2).
Methods run in at most as many tasks as there are slots, each started when first needed and kept:
a call costs no task of its own.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentBindingError, HubException, RemoteProtocolError
from ..messages import (
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamInvocation,
)
from ..peer import HubPeer
from .connection import Ending, HubConnectionContext
from .hub import BoundHubMethod, Hub, HubMethod
from .options import HubOptions

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Call:
    method: HubMethod
    arguments: Any
    invocation_id: str
    stream_count: int


class HubDispatcher:
    """Serves the messages of one connection.

    ``activate`` gives a new hub instance for each call, ``protocol_error`` is told what ends the
    connection.
    """

    def __init__(
        self,
        connection: HubConnectionContext,
        peer: HubPeer,
        options: HubOptions,
        activate: Callable[[HubConnectionContext], Hub],
        protocol_error: Callable[[RemoteProtocolError], None],
    ) -> None:
        self._connection = connection
        self._peer = peer
        self._options = options
        self._activate = activate
        self._protocol_error = protocol_error
        self._methods: Mapping[str, BoundHubMethod] = {}
        self._started = False
        self._stopped = False
        self._inbox: deque[bytes] = deque()
        self._inbox_size = 0
        self._messages: Iterator[ReceivedMessage] | None = None
        self._waiting: _Call | None = None  # for a slot; all that follows waits behind it
        self._ready: deque[_Call] = deque()
        self._running = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._progressed: asyncio.Future[None] | None = None

    # ---- the reader's side

    def start(self, methods: Mapping[str, BoundHubMethod]) -> None:
        """From now on messages are served; what was fed before comes first (L-2)."""
        self._methods = methods
        self._started = True
        self._pump()

    def feed(self, data: bytes) -> None:
        """Takes received bytes; handles what can be handled at once."""
        self._inbox.append(data)
        self._inbox_size += len(data)
        self._pump()

    @property
    def is_stalled(self) -> bool:
        """Whether messages wait for a slot: the client's clock stands still meanwhile (K-3)."""
        return self._waiting is not None

    async def wait_for_room(self) -> None:
        """Returns once the reader may go on (TG-8)."""
        while self._inbox_size > self._options.maximum_inbound_buffer_size:
            await self._progress()

    async def wait_until_served(self) -> None:
        """Returns once all that was fed has been handed to its method."""
        while self._inbox or self._waiting is not None:
            await self._progress()

    async def _progress(self) -> None:
        self._progressed = asyncio.get_running_loop().create_future()
        try:
            await self._progressed
        finally:
            self._progressed = None

    def _pump(self) -> None:
        """Serves messages until there is none, or one that has to wait."""
        while self._started and self._waiting is None and self._connection.ending is None:
            message = self._next_message()
            if message is None:
                break
            call = self._accept(message)
            if call is None:
                continue
            if self._running < self._options.maximum_parallel_invocations_per_client:
                self._hand_over(call)
            else:
                self._waiting = call
        if self._progressed is not None and not self._progressed.done():
            self._progressed.set_result(None)

    def _next_message(self) -> ReceivedMessage | None:
        while True:
            if self._messages is None:
                if not self._inbox:
                    return None
                now = asyncio.get_running_loop().time()
                self._messages = iter(self._peer.receive_data(self._inbox[0], now))
            try:
                return next(self._messages)
            except StopIteration:
                self._messages = None
                self._inbox_size -= len(self._inbox.popleft())
            except RemoteProtocolError as error:
                self._protocol_error(error)
                return None

    def _accept(self, message: ReceivedMessage) -> _Call | None:
        """The call that ``message`` asks for; anything else is dealt with here.

        Unknown methods and arguments that do not bind are answered without a slot (P-2).
        """
        match message:
            case Invocation() | StreamInvocation():
                return self._bind(message)
            case InvocationBindingFailure():
                bound = self._methods.get(message.target.lower())
                details = f" {message.error}" if self._options.enable_detailed_errors else ""
                if bound is None:
                    self._refuse_unknown(message.target, message.invocation_id)
                else:
                    self._fail(
                        message.invocation_id,
                        f"Failed to invoke '{bound.method.name}' due to an error on the server."
                        f"{details}",
                    )
            case Close(error=text):
                error = HubException(text) if isinstance(text, str) else None
                self._connection.end(Ending(Close(), error))
            case _:
                pass  # no stream is open and nothing was asked: ignored (S-23, S-25, S-27)
        return None

    def _bind(self, message: Invocation | StreamInvocation) -> _Call | None:
        bound = self._methods.get(message.target) or self._methods.get(message.target.lower())
        try:
            if bound is None:
                self._peer.hub_protocol.require_arguments(message.arguments)
                self._refuse_unknown(message.target, message.invocation_id)
                return None
            arguments = bound.read_arguments(message.arguments)
        except ArgumentBindingError as error:
            assert bound is not None
            self._fail(
                message.invocation_id,
                f"Failed to invoke '{bound.method.name}' due to an error on the server."
                + self._details(error),
            )
            return None
        except RemoteProtocolError as error:
            self._protocol_error(error)
            return None
        if isinstance(message, StreamInvocation):
            self._fail(
                message.invocation_id,
                f"The client attempted to invoke the non-streaming '{bound.method.name}' method "
                "with a streaming invocation.",
            )
            return None
        return _Call(bound.method, arguments, message.invocation_id, len(message.stream_ids))

    def _refuse_unknown(self, target: str, invocation_id: str) -> None:
        self._fail(
            invocation_id,
            f"Failed to invoke '{target}' due to an error on the server. HubException: Method does "
            "not exist.",
        )

    # ---- the workers' side

    def _hand_over(self, call: _Call) -> None:
        self._running += 1
        self._ready.append(call)
        while self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return
        if len(self._workers) < self._running:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while True:
            while not self._ready:
                if self._stopped:
                    return
                sleeper = asyncio.get_running_loop().create_future()
                self._sleepers.append(sleeper)
                await sleeper
            await self._run(self._ready.popleft())
            self._running -= 1
            if self._waiting is not None:
                call, self._waiting = self._waiting, None
                self._hand_over(call)
            self._pump()
            if self._connection.ending is None:
                await self._connection.drain()  # who does not read his answers gets no more calls

    def stop(self) -> None:
        """Serves no more messages; the workers end, each after the call it has.

        A method is not interrupted by its caller's departure; it may watch
        ``context.connection_aborted``.
        """
        self._stopped = True
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def _run(self, call: _Call) -> None:
        """Runs one call and answers it; never raises but for the task's own cancellation."""
        name = call.method.name
        try:
            if call.method.authorize and not await self._is_authorized(call.method):
                self._fail(
                    call.invocation_id, f"Failed to invoke '{name}' because user is unauthorized"
                )
                return
            if call.stream_count:
                raise HubException(
                    f"Client sent {call.stream_count} stream(s), Hub method expects 0."
                )
            result = call.method.function(self._activate(self._connection), *call.arguments)
            if inspect.isawaitable(result):
                result = await result
            if call.invocation_id:
                payload = self._peer.hub_protocol.encode_value(result)
                self._answer(Completion(invocation_id=call.invocation_id, result=payload))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._fail_unexpectedly(call, error)  # the method's own affair, not ours
        except Exception as error:
            self._fail_unexpectedly(call, error)

    def _fail_unexpectedly(self, call: _Call, error: BaseException) -> None:
        name = call.method.name
        if not isinstance(error, HubException):
            logger.error("Hub method '%s' failed.", name, exc_info=error)
        self._fail(
            call.invocation_id,
            f"An unexpected error occurred invoking '{name}' on the server.{self._details(error)}",
        )

    async def _is_authorized(self, method: HubMethod) -> bool:
        user = self._connection.user
        if callable(method.authorize):
            allowed = method.authorize(self._connection)
            return bool(await allowed if inspect.isawaitable(allowed) else allowed)
        if user is None or method.authorize is True:
            return user is not None
        assert not isinstance(method.authorize, bool)
        return not user.roles.isdisjoint(method.authorize)

    # ---- answers

    def _details(self, error: BaseException) -> str:
        return error_details(error, self._options.enable_detailed_errors)

    def _fail(self, invocation_id: str, text: str) -> None:
        self._answer(Completion(invocation_id=invocation_id, error=text))

    def _answer(self, completion: Completion) -> None:
        """Without an id nothing is ever sent back."""
        if completion.invocation_id:
            self._connection.send(completion)


def error_details(error: BaseException, detailed: bool) -> str:
    """What clients learn of an exception: everything of a HubException, else only if detailed."""
    if not detailed and not isinstance(error, HubException):
        return ""
    name = getattr(error, "exception_name", type(error).__name__)
    return f" {name}: {error}"
