"""One table of an orchestration file, read strictly: every key known, every value of its kind.

A mistake is an `OrchestrationError` that names hub, route and field, never a value, which may be a
secret. Which keys there are and what they mean is `config`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .orchestration.checks import OrchestrationError, is_positive, suggestion

T = TypeVar("T")

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),  # before int, of which Python takes it for a kind
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a table"),
)


class Table:
    """The values of one table, and where they stand.

    `folder` is where relative paths begin. `prefix` goes before a field's name in errors, for
    tables that belong neither to a hub nor to a route.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        known: Collection[str],
        folder: Path,
        *,
        hub: str | None = None,
        route: str | None = None,
        prefix: str = "",
    ) -> None:
        """Raises `OrchestrationError` when there is a key that is not among those `known`."""
        self._values = values
        self._folder = folder
        self._hub = hub
        self._route = route
        self._prefix = prefix
        for key in values:
            if key not in known:
                raise self.error(key, f"unknown; {suggestion(key, known)}")

    def error(self, field: str, problem: str) -> OrchestrationError:
        """An error at this field, ready to be raised."""
        return OrchestrationError(
            problem, hub=self._hub, route=self._route, field=self._prefix + field
        )

    def raw(self, field: str) -> object:
        """The value of whatever kind; None when it is absent."""
        return self._values.get(field)

    def text(self, field: str) -> str | None:
        value: str | None = self._value(field, str, "text")
        if value == "":
            raise self.error(field, "must not be empty")
        return value

    def flag(self, field: str, default: bool) -> bool:
        value: bool | None = self._value(field, bool, "true or false")
        return default if value is None else value

    def whole_number(self, field: str, *, lowest: int = 1, highest: int = 2**62) -> int | None:
        value: int | None = self._value(field, int, "a whole number")
        if value is not None and not lowest <= value <= highest:
            limit = f"at least {lowest}" if value < lowest else f"at most {highest}"
            raise self.error(field, f"must be {limit}")
        return value

    def seconds(self, field: str) -> float | None:
        value: float | None = self._value(field, (int, float), "a number of seconds")
        if value is not None and not is_positive(value, int, float):
            raise self.error(field, "must be a number of seconds above 0")
        return value

    def texts(self, field: str) -> list[str] | None:
        values: list[object] | None = self._value(field, list, "a list of texts")
        if values is None:
            return None
        for value in values:
            if not isinstance(value, str):
                raise self.error(field, f"must be a list of texts, but holds {kind(value)}")
        return [value for value in values if isinstance(value, str)]

    def choice(self, field: str, known: Mapping[str, T], default: str) -> T:
        """What a word stands for, of those `known` in lower case; letter case does not matter."""
        name = self.text(field) or default
        try:
            return known[name.lower()]
        except KeyError:
            raise self.error(field, f"unknown; {suggestion(name, tuple(known))}") from None

    def tables(self, field: str) -> dict[str, dict[str, Any]]:
        """The tables of a table by their keys; none when it is absent."""
        tables: dict[str, Any] = self.table(field)
        for key, value in tables.items():
            if not isinstance(value, dict):
                raise self.error(f"{field}.{key}", f"must be a table, not {kind(value)}")
        return tables

    def table(self, field: str) -> dict[str, Any]:
        """The values of a table; none when it is absent."""
        return self._value(field, dict, "a table") or {}

    def path(self, field: str) -> Path | None:
        """A path; one that is not absolute begins in the file's own folder."""
        text = self.text(field)
        return None if text is None else self._folder / text

    def _value(self, field: str, kinds: type | tuple[type, ...], name: str) -> Any:
        value = self._values.get(field)
        if value is None or (
            isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
        ):
            return value
        raise self.error(field, f"must be {name}, not {kind(value)}")


def kind(value: object) -> str:
    """What kind of TOML value it is, in words."""
    return next((name for each, name in _KINDS if isinstance(value, each)), "a date or a time")
