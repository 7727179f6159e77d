"""What two costs are to each other, on a machine whose speed changes while they are measured.

Each is measured in many short rounds, one of this beside one of that. Two rounds of a pair find the
machine in the same state; two rounds far apart need not: on a virtual machine the same work takes
half the time, or twice, depending on its neighbours. So the ratio is the median of the pairs', not
the ratio of two medians, each of which may be of another state.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Final, TypeAlias

WARM_UP: Final = 1
"""Pairs that do not count."""

Measure: TypeAlias = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Costs:
    """Medians: of ours, of the others', and of the ratios of each pair."""

    ours: float
    theirs: float
    ratio: float


def costs(pairs: list[tuple[float, float]]) -> Costs:
    """Of (ours, theirs), measured side by side."""
    ours, theirs = zip(*pairs, strict=True)
    return Costs(median(ours), median(theirs), median(mine / other for mine, other in pairs))


async def measured(ours: Measure, theirs: Measure, count: int) -> Costs:
    """``count`` pairs, now ours first and now theirs, behind those that do not count."""
    pairs = []
    for number in range(WARM_UP + count):
        if number % 2:
            mine = await ours()
            other = await theirs()
        else:
            other = await theirs()
            mine = await ours()
        pairs.append((mine, other))
    return costs(pairs[WARM_UP:])
