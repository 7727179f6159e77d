"""Distinguishes a cancellation of the current task from one inside the code that the task runs."""

import asyncio


def is_being_cancelled() -> bool:
    """Whether the current task itself is being cancelled.

    If the result is False, a CancelledError comes from the code that the task runs, for example
    because a hub method awaited another task that was cancelled. Such an error is a failure like
    any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
