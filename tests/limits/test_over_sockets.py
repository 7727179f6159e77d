"""Each limit that is played over sockets, at its value and at one more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from . import over_sockets, through_the_gateway
from .players import expected
from .table import Row

CASES = [*over_sockets.plays.cases(), *through_the_gateway.plays.cases()]


@pytest.mark.parametrize(("row", "excess", "play"), CASES)
async def test_a_limit(row: Row, excess: int, play: Callable[[int, int], Awaitable[str]]) -> None:
    assert await play(row.limit, row.limit + excess) == expected(row, excess)
