"""Whose cancellation it is: that of our own task, or of something a user's code waited for."""

import asyncio


def is_being_cancelled() -> bool:
    """Whether the current task itself was asked to end.

    If not, a CancelledError comes from inside, as when a method awaits a task that somebody has
    cancelled, and is a failure like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
