"""How often a repeated event is logged (GW-28).

An event that anybody can cause at will is counted, and logged at 1, 10, 100 … so that it cannot
fill the log.
"""

from __future__ import annotations

import logging


def thinned(level: int, count: int) -> int:
    """`level` for the 1st, 10th, 100th … of a kind, DEBUG for those between."""
    return level if str(count).strip("0") == "1" else logging.DEBUG
