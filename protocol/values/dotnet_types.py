"""Types that .NET distinguishes and Python does not, for annotations of hub methods and handlers.

``Char`` is .NET's ``char``, as ``str`` is .NET's ``string``. ``DateTimeOffset`` is .NET's type of
that name, as ``datetime`` is .NET's ``DateTime``. In JSON the two types of each pair differ little.
In MessagePack each type has a form of its own (M-15). Numbers are in ``number_types``. The form on
the wire is left to ``json.scalars`` and ``messagepack.scalars``.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

_LAST_CODE_UNIT: Final = "\uffff"
_ZERO: Final = timezone(timedelta(0), "+00:00")  # written as "+00:00"; UTC is written as "Z"


class Char(str):
    """A str of one UTF-16 code unit. Raises ValueError for any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Char":
        if len(text) != 1 or text > _LAST_CODE_UNIT:
            raise ValueError("not a single UTF-16 unit")
        return super().__new__(cls, text)


class DateTimeOffset(datetime):
    """A datetime with an offset from UTC. The offset has whole minutes, and at most 14 hours.

    Raises ValueError for any other offset, and if there is no offset.
    """

    def __new__(cls, *arguments: Any, **more: Any) -> "DateTimeOffset":
        moment = super().__new__(cls, *arguments, **more)
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError("a DateTimeOffset has an offset: tzinfo is missing")
        if abs(offset) > timedelta(hours=14) or offset % timedelta(minutes=1):
            raise ValueError("an offset has whole minutes, and 14 hours at most")
        return moment

    @classmethod
    def of(cls, moment: datetime) -> "DateTimeOffset":
        """The same moment. A ``moment`` without an offset is local time, as in .NET."""
        if moment.tzinfo is None:
            moment = moment.astimezone()
        zone = _ZERO if moment.tzinfo is UTC else moment.tzinfo
        return cls(*moment.timetuple()[:6], moment.microsecond, tzinfo=zone, fold=moment.fold)
