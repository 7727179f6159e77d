"""Runs the call that a received message asks for, with .NET's exact answers (section S).

Binds arguments, checks authorization, runs the method, and sends the completion. ``dispatcher``
decides the order of calls, and how many run at the same time.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..aio.cancellation import is_being_cancelled
from ..errors import ArgumentBindingError, HubException, error_details
from ..hub_protocol import HubProtocol
from ..messages import (
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamInvocation,
)
from .call_slot import CallSlot
from .clients import CallScope
from .connection_context import Ending, HubConnectionContext
from .hub import BoundHubMethod, Hub, HubMethod
from .lifetime import HubLifetimeManager

logger = logging.getLogger(__name__)

Call: TypeAlias = tuple[HubMethod, Sequence[Any], str, tuple[str, ...]]
"""A call that is ready to run: method, arguments, invocation id (empty if no answer is expected),
and the ids of the client's streams."""


class _UnauthorizedError(Exception):
    """The caller may not call this method (S-9)."""


class HubInvoker:
    """Serves the calls of one connection.

    ``activate`` returns a new hub instance for each call, given its scope. ``lifetime`` gets the
    client's answers to calls of the server.
    """

    __slots__ = (
        "_activate",
        "_connection",
        "_detailed_errors",
        "_encode_result",
        "_hub_protocol",
        "_lifetime",
        "_methods",
        "_write",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        hub_protocol: HubProtocol,
        methods: Mapping[str, BoundHubMethod],
        lifetime: HubLifetimeManager,
        activate: Callable[[CallScope | None], Hub],
    ) -> None:
        self._connection = connection
        self._write = connection.write
        self._hub_protocol = hub_protocol
        self._encode_result = hub_protocol.encode_result
        self._methods = methods
        self._lifetime = lifetime
        self._activate = activate
        self._detailed_errors = connection.options.enable_detailed_errors

    def receive(self, message: ReceivedMessage) -> Call | None:
        """Returns the call that ``message`` asks for. Other messages are handled at once.

        Raises RemoteProtocolError for a message that ends the connection.
        """
        if type(message) is Invocation:  # isinstance and match cost as much as decoding
            return self._bind(message)
        match message:
            case StreamInvocation():
                self._refuse_stream(message)
            case InvocationBindingFailure():
                self._refuse_unreadable(message)
            case Completion():
                self._lifetime.set_connection_result(self._connection, message)
            case Close(error=text):
                error = HubException(text) if isinstance(text, str) else None
                self._connection.end(Ending(Close(), error))
            case _:
                pass  # ignored: no stream is open (S-23, S-25, S-27)
        return None

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
            details = error_details(error, self._detailed_errors)
            self._refuse(message.invocation_id, bound.method.name, details)
            return None
        return bound.method, arguments, message.invocation_id, message.stream_ids

    def _refuse_stream(self, message: StreamInvocation) -> None:
        call = self._bind(message)
        if call is not None:  # no hub method returns a stream (S-11)
            self._fail(
                message.invocation_id,
                f"The client attempted to invoke the non-streaming '{call[0].name}' method "
                "with a streaming invocation.",
            )

    def _refuse_unreadable(self, failure: InvocationBindingFailure) -> None:
        bound = self._methods.get(failure.target.lower())
        if bound is None:
            self._refuse_unknown(failure.target, failure.invocation_id)
        else:
            details = f" {failure.error}" if self._detailed_errors else ""
            self._refuse(failure.invocation_id, bound.method.name, details)

    def _refuse_unknown(self, target: str, invocation_id: str) -> None:
        self._refuse(invocation_id, target, " HubException: Method does not exist.")

    def _refuse(self, invocation_id: str, name: str, details: str) -> None:
        self._fail(
            invocation_id, f"Failed to invoke '{name}' due to an error on the server.{details}"
        )

    async def run(self, call: Call, slot: CallSlot) -> None:
        """Runs ``call``, which has ``slot``, and sends its completion.

        Raises only KeyboardInterrupt, SystemExit and GeneratorExit, and CancelledError when the
        current task itself is cancelled.
        """
        method, arguments, invocation_id, stream_ids = call
        try:
            if method.authorize or stream_ids:
                await self._require_permission(method, stream_ids)
            hub = self._activate(slot)
            slot.clients = hub.clients
            if len(arguments) == 1:  # takes half the time of a call with unpacked arguments
                result = method.function(hub, arguments[0])
            else:
                result = method.function(hub, *arguments)
            if method.is_async or inspect.isawaitable(result):
                result = await result
            if invocation_id:
                self._write(self._encode_result(invocation_id, result))
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                self._answer_failure(invocation_id, method.name, error)
                raise
            self._fail_unexpectedly(invocation_id, method.name, error)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except _UnauthorizedError:
            self._fail(
                invocation_id,
                f"Failed to invoke '{method.name}' because user is unauthorized",
            )
        except BaseException as error:  # for example a BaseExceptionGroup of user code
            self._fail_unexpectedly(invocation_id, method.name, error)

    async def _require_permission(self, method: HubMethod, stream_ids: tuple[str, ...]) -> None:
        if method.authorize and not await self._is_authorized(method):
            raise _UnauthorizedError
        if stream_ids:
            raise HubException(f"Client sent {len(stream_ids)} stream(s), Hub method expects 0.")

    def _fail_unexpectedly(self, invocation_id: str, name: str, error: BaseException) -> None:
        if not isinstance(error, HubException):
            logger.error("Hub method '%s' failed.", name, exc_info=error)
        self._answer_failure(invocation_id, name, error)

    def _answer_failure(self, invocation_id: str, name: str, error: BaseException) -> None:
        details = error_details(error, self._detailed_errors)
        self._fail(
            invocation_id,
            f"An unexpected error occurred invoking '{name}' on the server.{details}",
        )

    async def _is_authorized(self, method: HubMethod) -> bool:
        user = self._connection.user
        if callable(method.authorize):
            allowed = method.authorize(self._connection)
            return bool(await allowed if inspect.isawaitable(allowed) else allowed)
        if user is None or isinstance(method.authorize, bool):
            return user is not None
        return not user.roles.isdisjoint(method.authorize)

    def _fail(self, invocation_id: str, text: str) -> None:
        """Sends a completion with an error. A call without an invocation id gets no answer."""
        if invocation_id:
            self._connection.send(Completion(invocation_id=invocation_id, error=text))
