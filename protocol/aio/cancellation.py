"""Which task was cancelled: the current one, or one that a user's code waited for."""

import asyncio


def is_being_cancelled() -> bool:
    """Whether the current task itself is being cancelled.

    If not, a CancelledError comes from inside, as when a method awaits a task that was cancelled,
    and is a failure like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
