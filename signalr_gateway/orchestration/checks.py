"""`OrchestrationError`, and the checks that hubs and routes share (GW-1 … GW-5).

An error names the hub, the route and the field. `orchestration.orchestrator`, `orchestration.route`
and, for files, `config` decide which values are valid.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class OrchestrationError(ValueError):
    """The orchestration contradicts itself, or has a value that the gateway cannot use.

    `hub` and `route` are the keys of the hub and the route with the error, or None. `field` is the
    name of the wrong field. `problem` says what is wrong with this field.
    """

    def __init__(
        self, problem: str, *, hub: str | None = None, route: str | None = None, field: str
    ) -> None:
        place = [f"{what} {name!r}" for what, name in (("hub", hub), ("route", route)) if name]
        super().__init__(f"{', '.join([*place, shown(field)])}: {problem}")
        self.problem = problem
        self.hub = hub
        self.route = route
        self.field = field


def shown(name: str) -> str:
    """A name as it appears in a one-line error: quoted if it is empty or not printable."""
    return name if name and name.isprintable() else repr(name)


def fold(key: str) -> str:
    """The form in which keys are stored and compared: lower case, whatever the locale (GW-1)."""
    return key.lower()


def checked_key(key: object, *, hub: str | None = None) -> str:
    """The folded key of a hub, or of a route of `hub`. Raises `OrchestrationError`."""
    if not isinstance(key, str) or not key:
        field_name = "api" if hub is None else "key"
        raise OrchestrationError("a key must be non-empty text", hub=hub, field=field_name)
    return fold(key)


def is_name(value: object) -> bool:
    """Whether `value` is non-empty text."""
    return isinstance(value, str) and value != ""


def is_header_name(text: str) -> bool:
    """Whether `text` can be the name of an HTTP header."""
    return _HEADER_NAME.fullmatch(text) is not None


def is_positive(value: object, *allowed: type) -> bool:
    """Whether `value` is a number of an `allowed` type, above 0 and not too large for a float.

    True does not count as a number.
    """
    return (
        isinstance(value, (int, float))
        and isinstance(value, allowed)
        and not isinstance(value, bool)
        and 0 < value <= sys.float_info.max
    )


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether `value` is a sequence; text and bytes do not count as one."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def suggestion(given: str, known: Collection[str]) -> str:
    """A hint for an error text: the known word most like `given`, else all known words."""
    close = get_close_matches(given.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
