"""The order in which tasks were made."""

import asyncio
from typing import Any


def age(task: asyncio.Task[Any]) -> int:
    """The number in the default name of a task, which is higher for a later task."""
    return int(task.get_name().rpartition("-")[2])
