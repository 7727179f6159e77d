"""The functions that play the rows of the table, by the names of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import pytest

from .table import ROWS, Row

Play = TypeVar("Play", bound=Callable[..., Any])


class Players(Generic[Play]):
    """The functions of one module. Each gets the limit to set and the count to send."""

    def __init__(self) -> None:
        self.plays: dict[str, Play] = {}

    def __call__(self, *names: str) -> Callable[[Play], Play]:
        """Decorate the function that plays the rows of these names."""

        def add(play: Play) -> Play:
            for name in names:
                assert name not in self.plays
                self.plays[name] = play
            return play

        return add

    def cases(self) -> Sequence[Any]:
        """Each row twice: at its limit, and at one more."""
        return [
            pytest.param(row, excess, self.plays[row.name], id=f"{row.name}+{excess}")
            for row in ROWS
            if row.name in self.plays
            for excess in (0, 1)
        ]


def expected(row: Row, excess: int) -> str:
    """The answer of the table."""
    return row.over if excess else row.at
