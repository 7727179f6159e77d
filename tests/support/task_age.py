"""The order in which tasks were made."""

import asyncio
from typing import Any


def age(task: asyncio.Task[Any]) -> int:
    """Tasks in this order were made one after the other: by default they are numbered."""
    return int(task.get_name().rpartition("-")[2])
