"""Answers failed calls with .NET's exact error texts (S-4…S-17).

``invoker`` and ``streams`` run the calls. ``call_checks`` decides which calls may run.
"""

import asyncio
import logging

from ..aio.cancellation import is_being_cancelled
from ..errors import ConnectionClosed, HubException, error_details
from ..messages import Completion
from .connection_context import HubConnectionContext

logger = logging.getLogger(__name__)


class RefusedCall(Exception):
    """The call is not run. ``str()`` is the whole error text of the answer."""


class OperationCanceledError(Exception):
    """The client has cancelled the call."""

    exception_name = "OperationCanceledException"

    def __init__(self) -> None:
        super().__init__("The operation was canceled.")


class ErrorAnswers:
    """Answers the failed calls of one connection. A call without an id gets no answer."""

    __slots__ = ("_connection", "_detailed_errors")

    def __init__(self, connection: HubConnectionContext, detailed_errors: bool) -> None:
        self._connection = connection
        self._detailed_errors = detailed_errors

    def fail(self, invocation_id: str, text: str) -> None:
        """Sends a completion with the error ``text``."""
        if invocation_id:
            self._connection.send(Completion(invocation_id=invocation_id, error=text))

    def refuse(self, invocation_id: str, name: str, error: Exception) -> None:
        """Answers a call that is not run because of ``error``."""
        self._fail_with_details(invocation_id, _refused(name), error)

    def refuse_unreadable(self, invocation_id: str, name: str, details: str) -> None:
        """Answers a call whose arguments cannot be read.

        ``details`` is the name of an exception, a colon and its text.
        """
        suffix = f" {details}" if self._detailed_errors else ""
        self.fail(invocation_id, _refused(name) + suffix)

    def fail_method(self, invocation_id: str, name: str, error: BaseException) -> bool:
        """Answers a call whose method has raised ``error``, and logs an unexpected error.

        Returns False if the caller has to raise ``error`` again, because it ends the process or
        cancels the task that runs the call.
        """
        if isinstance(error, RefusedCall):
            self.fail(invocation_id, str(error))
            return True
        return self._fail_unexpectedly(invocation_id, name, _failed(name), error)

    def fail_cancelled(self, invocation_id: str, name: str) -> None:
        """Answers a call that its client has cancelled (S-27)."""
        self._fail_with_details(invocation_id, _failed(name), OperationCanceledError())

    def fail_stream(self, invocation_id: str, name: str, error: BaseException) -> bool:
        """Answers a call whose stream has raised ``error``. Returns as ``fail_method`` does."""
        return self._fail_unexpectedly(
            invocation_id, name, "An error occurred on the server while streaming results.", error
        )

    def _fail_unexpectedly(
        self, invocation_id: str, name: str, text: str, error: BaseException
    ) -> bool:
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            return False
        is_cancellation = isinstance(error, asyncio.CancelledError) and is_being_cancelled()
        if isinstance(error, ConnectionClosed):  # clients can cause this error at will (CR-5)
            self._connection.log.refused_call(name, "failed: a connection that it uses has ended")
        elif not is_cancellation and not isinstance(error, HubException):
            self._connection.log.failed_method(logger, error, name)
        self._fail_with_details(invocation_id, text, error)
        return not is_cancellation

    def _fail_with_details(self, invocation_id: str, text: str, error: BaseException) -> None:
        self.fail(invocation_id, text + error_details(error, self._detailed_errors))


def _failed(name: str) -> str:
    return f"An unexpected error occurred invoking '{name}' on the server."


def _refused(name: str) -> str:
    return f"Failed to invoke '{name}' due to an error on the server."
