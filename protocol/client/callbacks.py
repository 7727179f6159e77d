"""Calls a function that a user has registered, a handler or a callback, and logs its failure."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..aio.cancellation import is_being_cancelled
from ..aio.log_thinning import LogThinning

logger = logging.getLogger(__name__)


async def call_logged(
    thinning: LogThinning,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    message: str,
    *names: object,
) -> None:
    """Calls ``function``, which is plain or async, with ``arguments``.

    An exception is logged with ``message``, a format string for ``names``, and is not raised.
    ``thinning`` decides how often, because the server decides how often the function is called.
    KeyboardInterrupt, SystemExit and GeneratorExit are raised, and so is CancelledError if the
    current task is being cancelled.
    """
    try:
        result = function(*arguments)
        if inspect.isawaitable(result):
            await result
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        thinning.log_failure(logger, error, message, *names)
