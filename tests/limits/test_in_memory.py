"""Each limit that is played in memory, at its value and at one more."""

from __future__ import annotations

import pytest

from protocol.testing import LoopClock
from tests.support.client_harness import ClientHarness
from tests.support.loop_fixtures import clock, harness, serve  # noqa: F401 - fixtures
from tests.support.server_harness import MakeServer

from .in_memory import Play, Scene, plays
from .players import expected
from .table import Row


@pytest.mark.parametrize(("row", "excess", "play"), plays.cases())
async def test_a_limit(
    row: Row,
    excess: int,
    play: Play,
    serve: MakeServer,  # noqa: F811
    harness: ClientHarness,  # noqa: F811
    clock: LoopClock,  # noqa: F811
) -> None:
    answer = await play(Scene(serve, harness, clock), row.limit, row.limit + excess)
    assert answer == expected(row, excess)
