"""Runs the call that a received message asks for, with .NET's exact answers (section S).

Binds arguments, runs the method, and sends the completion. ``dispatcher`` decides the order of
calls, and how many run at the same time. ``call_checks`` decides which calls may run. ``answers``
has the texts of errors. ``streams`` runs the calls that stream.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..errors import ArgumentBindingError, HubException
from ..hub_protocol import HubProtocol
from ..messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamBindingFailure,
    StreamInvocation,
    StreamItem,
)
from .answers import ErrorAnswers, RefusedCall
from .call_checks import check_call, require_kind
from .call_slot import CallSlot
from .cancellation import CancellableCall, CancellableCalls
from .clients import CallScope
from .connection_context import Ending, HubConnectionContext
from .hub import BoundHubMethod, Hub, HubMethod
from .lifetime import HubLifetimeManager
from .streams import StartTask, StreamingCalls
from .uploads import Hold, Uploads

Call: TypeAlias = tuple[HubMethod, Sequence[Any], str]
"""A call that is ready to run in a slot: method, arguments, and invocation id (empty if no answer
is expected)."""


class EventCall:
    """A call of an event of the hub, which takes a slot like a call of the client (AR-6)."""

    __slots__ = ("call", "is_taken")

    def __init__(self, event: HubMethod) -> None:
        self.call: Call = (event, (), "")
        self.is_taken = False


class HubInvoker:
    """Serves the calls of one connection.

    ``activate`` takes the scope of a call and returns a new hub instance. ``lifetime`` gets the
    client's answers to calls of the server. ``start_task`` starts a task for a call that takes no
    slot. ``hold`` takes a future, and stops the handling of messages until the future is done.
    """

    __slots__ = (
        "_activate",
        "_answers",
        "_cancellable",
        "_connection",
        "_encode_result",
        "_hub_protocol",
        "_lifetime",
        "_methods",
        "_streams",
        "_uploads",
        "_write",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        hub_protocol: HubProtocol,
        methods: Mapping[str, BoundHubMethod],
        lifetime: HubLifetimeManager,
        activate: Callable[[CallScope], Hub],
        *,
        start_task: StartTask,
        hold: Hold,
    ) -> None:
        options = connection.options
        self._connection = connection
        self._write = connection.write
        self._hub_protocol = hub_protocol
        self._encode_result = hub_protocol.encode_result
        self._methods = methods
        self._lifetime = lifetime
        self._activate = activate
        self._answers = ErrorAnswers(connection, options.enable_detailed_errors)
        self._cancellable = CancellableCalls()
        self._uploads = Uploads(
            options.stream_buffer_capacity, options.enable_detailed_errors, hold, connection.log
        )
        self._streams = StreamingCalls(
            connection,
            hub_protocol,
            self._answers,
            self._uploads,
            self._cancellable,
            activate=partial(activate, CallScope(lifetime, connection.connection_id)),
            start_task=start_task,
            maximum=options.maximum_streams_per_connection,
        )

    def receive(self, message: ReceivedMessage | EventCall) -> Call | None:
        """Returns the call that ``message`` asks for. Other messages are handled at once.

        Calls that stream start at once. Raises RemoteProtocolError for a message that ends the
        connection.
        """
        if type(message) is Invocation:  # isinstance and match cost as much as decoding
            call = self._bind(message)
            if call is None or not message.stream_ids:
                return call
            self._start_stream(message, call)
        elif type(message) is StreamItem:
            self._uploads.receive_item(message)
        elif isinstance(message, EventCall):
            message.is_taken = True
            return message.call
        else:
            self._receive_control(message)
        return None

    def _receive_control(self, message: ReceivedMessage) -> None:
        match message:
            case StreamInvocation():
                call = self._bind(message)
                if call is not None:
                    self._start_stream(message, call)
            case Completion():
                if not self._uploads.receive_completion(message):
                    self._lifetime.set_connection_result(self._connection, message)
            case CancelInvocation(invocation_id=invocation_id):
                self._cancellable.cancel(invocation_id)
            case StreamBindingFailure():
                self._uploads.receive_failure(message)
            case InvocationBindingFailure():
                self._refuse_unreadable(message)
            case Close(error=text):
                error = HubException(text) if isinstance(text, str) else None
                self._connection.end(Ending(Close(), error))
            case Ack():
                if self._connection.counted is not None:
                    self._connection.counted.release()
            case _:
                pass  # S-23

    def client_has_left(self) -> None:
        """Cancels the streams to the client, and the calls that are cancellable."""
        self._cancellable.cancel_all()

    def stop(self) -> None:
        """Ends all uploads because the connection has ended, then acts as ``client_has_left``."""
        self._uploads.fail_all()  # U-8
        self.client_has_left()

    def _bind(self, message: Invocation | StreamInvocation) -> Call | None:
        """Returns the call that ``message`` asks for, or None if it was refused.

        An unknown method, or arguments that do not bind, are refused without waiting for a slot
        (P-2).
        """
        target = message.target
        bound = self._methods.get(target) or self._methods.get(target.lower())
        if bound is None:
            self._hub_protocol.require_arguments(message.arguments)
            self._refuse_unknown(target, message.invocation_id)
            return None
        try:
            arguments = bound.read_arguments(message.arguments)
        except ArgumentBindingError as error:
            name = bound.method.name
            self._connection.log.misfit(name, bound.method.signature.parameters, error)
            self._answers.refuse(message.invocation_id, bound.method.name, error)
            return None
        return bound.method, arguments, message.invocation_id

    def _start_stream(self, message: Invocation | StreamInvocation, call: Call) -> None:
        method, arguments, invocation_id = call
        if not method.is_guarded and type(message) is StreamInvocation:
            try:
                require_kind(method, is_streamed=True)
            except RefusedCall as error:  # refused without a task, because clients can send many
                self._answers.fail(invocation_id, str(error))
                return
        self._streams.start(method, arguments, message, self._methods[method.name].item_readers)

    def _refuse_unreadable(self, failure: InvocationBindingFailure) -> None:
        bound = self._methods.get(failure.target.lower())
        if bound is None:
            self._refuse_unknown(failure.target, failure.invocation_id)
        else:
            name = bound.method.name
            self._connection.log.refused_call(name, "its arguments cannot be read")
            self._answers.refuse_unreadable(failure.invocation_id, name, failure.error)

    def _refuse_unknown(self, target: str, invocation_id: str) -> None:
        self._connection.log.unknown_method(target, self._methods)
        self._answers.refuse(invocation_id, target, HubException("Method does not exist."))  # S-4

    async def run(self, call: Call, slot: CallSlot) -> None:
        """Runs ``call``, which has ``slot``, and sends its completion.

        Raises only KeyboardInterrupt, SystemExit and GeneratorExit, and CancelledError when the
        current task itself is cancelled.
        """
        method, arguments, invocation_id = call
        cancellable: CancellableCall | None = None
        try:
            if method.is_guarded:
                if method.is_cancellable:
                    cancellable = CancellableCall(invocation_id=invocation_id)
                    self._cancellable.add(cancellable)
                    cancellable.begin()
                    await asyncio.sleep(0)  # lets a CancelInvocation right behind the call arrive
                await check_call(method, self._connection, is_streamed=False, streams=0)
            hub = self._activate(slot)
            slot.hub = hub
            if len(arguments) == 1:  # half the time of a call with unpacked arguments
                result = method.function(hub, arguments[0])
            else:
                result = method.function(hub, *arguments)
            if method.is_async or inspect.isawaitable(result):
                result = await result
            if invocation_id:
                self._write(self._encode_result(invocation_id, result))
        except BaseException as error:  # for example a BaseExceptionGroup of user code
            if cancellable is not None and cancellable.has_caused(error):
                self._answers.fail_cancelled(invocation_id, method.name)
            elif not self._answers.fail_method(invocation_id, method.name, error):
                raise
        finally:
            if cancellable is not None:
                self._cancellable.remove(cancellable)
