"""What is wrong with an orchestration, and the checks that its parts share (GW-1 … GW-5).

An error names the hub, the route and the field; which values may stand there is decided by
`route` and `orchestrator`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard


class OrchestrationError(ValueError):
    """The orchestration contradicts itself, or asks for what no gateway can do.

    `hub`, `route` and `field` say where (None where they do not apply), `problem` says what.
    """

    def __init__(
        self, problem: str, *, hub: str | None = None, route: str | None = None, field: str
    ) -> None:
        place = [f"{what} {name!r}" for what, name in (("hub", hub), ("route", route)) if name]
        super().__init__(f"{', '.join([*place, field])}: {problem}")
        self.problem = problem
        self.hub = hub
        self.route = route
        self.field = field


def fold(key: str) -> str:
    """The form in which keys are stored and compared: lower case, of no culture (GW-1)."""
    return key.lower()


def checked_key(key: object, *, hub: str | None = None) -> str:
    """The folded key of a hub, or of a route of `hub`. Raises `OrchestrationError`."""
    if not isinstance(key, str) or not key:
        field_name = "api" if hub is None else "key"
        raise OrchestrationError("a key must be non-empty text", hub=hub, field=field_name)
    return fold(key)


def is_name(value: object) -> bool:
    """Whether it is non-empty text."""
    return isinstance(value, str) and value != ""


def is_positive(value: object, *allowed: type) -> bool:
    """Whether `value` is a number above 0 of one of these types, none too large for a float.

    True is no number.
    """
    return (
        isinstance(value, (int, float))
        and isinstance(value, allowed)
        and not isinstance(value, bool)
        and 0 < value <= sys.float_info.max
    )


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list of things; text is none."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def suggestion(given: str, known: Collection[str]) -> str:
    """The word that was meant, or all that there are."""
    close = get_close_matches(given.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
