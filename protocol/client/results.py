"""Finds the answer of a client when the server asks its handlers for a result (CR-2 to CR-4).

``event_queue`` runs the handlers. ``calls`` sends the answer.
"""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Any, Final

from ..aio.cancellation import is_being_cancelled
from ..aio.log_thinning import LogThinning, shown_name
from ..errors import HubException
from .handlers import NO_RESULT, HandlerCall

logger = logging.getLogger(__name__)

_MULTIPLE_RESULTS: Final = "Client provided multiple results."
LONGEST_ERROR_TEXT: Final = 4096
"""Characters of an exception's text that the server gets.

A longer text may exceed the message limit of the server.
"""


async def result_of(calls: Sequence[HandlerCall], target: str, thinning: LogThinning) -> Any:
    """Calls the handlers one after another, and returns the value that counts.

    If a handler is declared to return a value, only its value counts. Otherwise the value of a
    handler without a declared return type counts, unless it is None. Failures of handlers are
    logged.

    Raises HubException if no value or several values count. Its text is the error for the server:
    the text of the first failure, if a handler has failed and no value counts.
    """
    is_declared = any(returns for _, _, returns in calls)
    values: list[Any] = []
    failures: list[str] = []
    for handler, arguments, returns in calls:
        counts = bool(returns) if is_declared else returns is None
        try:
            value = handler(*arguments)
            if inspect.isawaitable(value):
                value = await value
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            name = shown_name(target)
            thinning.log_failure(logger, error, "A handler of '%s' failed.", name)
            if counts:
                failures.append(error_text(error))
        else:
            if counts and (is_declared or value is not None):
                values.append(value)
    if len(values) == 1:
        return values[0]
    if values:
        raise HubException(_MULTIPLE_RESULTS)
    raise HubException(failures[0] if failures else NO_RESULT)


def outcome_of(task: "asyncio.Task[Any]") -> tuple[Any, str | None]:
    """Returns the result and the error text of a finished task of ``result_of``.

    The error text is None if the task has returned a result, which may be None.
    """
    if task.cancelled():
        return None, error_text(asyncio.CancelledError())
    error = task.exception()
    return (task.result(), None) if error is None else (None, error_text(error))


def error_text(error: BaseException) -> str:
    """The text of ``error`` for the server. Not empty, because an empty error means no error."""
    return str(error)[:LONGEST_ERROR_TEXT] or type(error).__name__
