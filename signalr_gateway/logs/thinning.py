"""How often a repeated event is logged (GW-28).

Clients can cause some events as often as they like. Such an event is counted. It is logged at its
own level when the count is 1, 10, 100 …, and at DEBUG otherwise, so that it cannot fill the log.
"""

from __future__ import annotations

import logging


def thinned(level: int, count: int) -> int:
    """`level` if `count` is 1, 10, 100 …, else DEBUG."""
    return level if str(count).strip("0") == "1" else logging.DEBUG
