"""Calls a function that a user has registered, a handler or a callback, and logs its failure."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..aio.cancellation import is_being_cancelled

logger = logging.getLogger(__name__)


async def call_logged(
    function: Callable[..., Any], arguments: Sequence[Any], message: str, *names: object
) -> None:
    """Calls ``function``, which is plain or async, with ``arguments``.

    An exception is logged with ``message``, a format string for ``names``, and is not raised.
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
        logger.error(message, *names, exc_info=error)
