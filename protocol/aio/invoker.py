"""What a received message asks of a hub, and the exact answers (section S).

Binds arguments, checks who may call, runs the method, completes the call. In which order and how
many at a time is left to ``dispatcher``.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

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
from .cancellation import is_being_cancelled
from .connection import Ending, HubConnectionContext
from .hub import BoundHubMethod, Hub, HubMethod

logger = logging.getLogger(__name__)

# Answers that can wait for the others of a burst: encoding them cannot fail, nobody can change them
# meanwhile, and they take little room, also in what a client may leave unread (TG-8).
_SHORT: Final = 256
_MANY: Final = 32
_MAXIMUM_INTEGER: Final = (1 << 63) - 1

Call: TypeAlias = tuple[HubMethod, Sequence[Any], str, tuple[str, ...]]
"""A method with its arguments, ready to run; the invocation id, empty where nobody waits for an
answer; and the ids of the streams that come with it."""


class _UnauthorizedError(Exception):
    """The caller may not call this method (S-9)."""


class HubInvoker:
    """Serves one connection's calls. ``activate`` gives a new hub instance for each."""

    def __init__(
        self,
        connection: HubConnectionContext,
        hub_protocol: HubProtocol,
        methods: Mapping[str, BoundHubMethod],
        activate: Callable[[], Hub],
        detailed_errors: bool,
    ) -> None:
        self._connection = connection
        self._hub_protocol = hub_protocol
        self._encode_result = hub_protocol.encode_result
        self._answers: list[tuple[str, Any]] = []  # to be encoded together: a third of the cost
        self._methods = methods
        self._activate = activate
        self._detailed_errors = detailed_errors

    def accept(self, message: ReceivedMessage) -> None:
        """Deals here and now with ``message``, which is no invocation to ``bind``.

        Raises RemoteProtocolError when it ends the connection.
        """
        match message:
            case StreamInvocation():
                self._refuse_stream(message)
            case InvocationBindingFailure():
                self._refuse_unreadable(message)
            case Close(error=text):
                error = HubException(text) if isinstance(text, str) else None
                self._connection.end(Ending(Close(), error))
            case _:
                pass  # no stream is open and nothing was asked: ignored (S-23, S-25, S-27)

    def bind(self, message: Invocation | StreamInvocation) -> Call | None:
        """The call that ``message`` asks for.

        Unknown methods and arguments that do not bind are answered without waiting for a slot
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
        call = self.bind(message)
        if call is not None:  # S-11: no method of ours streams
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

    async def run(self, calls: Iterable[Call | None]) -> None:
        """Runs ``calls`` one by one, up to a None, and answers each before it asks for the next.

        Never raises but for the task's own cancellation.
        """
        connection, activate = self._connection, self._activate
        encode_result, write, answers = self._encode_result, connection.write, self._answers
        defers = connection.limits.transport_max_buffer_size >= _MANY * _SHORT
        for call in calls:
            if call is None:
                break
            method, arguments, invocation_id, stream_ids = call
            try:
                if method.authorize or stream_ids:
                    await self._require_permission(method, stream_ids)
                hub = activate()
                if len(arguments) == 1:  # half the time of a call with a star
                    result = method.function(hub, arguments[0])
                else:
                    result = method.function(hub, *arguments)
                if method.is_async or inspect.isawaitable(result):
                    result = await result
                if invocation_id:
                    kind = type(result)
                    if defers and (
                        result is None
                        or (kind is str and len(result) < _SHORT and result.isascii())
                        or (kind is int and -_MAXIMUM_INTEGER <= result <= _MAXIMUM_INTEGER)
                        or kind is bool
                    ):
                        answers.append((invocation_id, result))
                        if len(answers) == 1:
                            connection.pending = self._write_answers
                        elif len(answers) == _MANY:
                            connection.write_pending()
                    else:
                        write(encode_result(invocation_id, result))
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
            except BaseException as error:  # a group of them, say: whatever it is, it is an answer
                self._fail_unexpectedly(invocation_id, method.name, error)

        connection.write_pending()

    def _write_answers(self) -> None:
        data = self._hub_protocol.encode_plain_results(self._answers)
        self._answers.clear()
        self._connection.write(data)

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
        """Without an id nothing is ever sent back, whatever happened."""
        if invocation_id:
            self._connection.send(Completion(invocation_id=invocation_id, error=text))
