"""Types that .NET tells apart and Python does not, for the annotations of hub methods and handlers.

``Char`` is .NET's ``char``, ``DateTimeOffset`` is itself; plain ``str`` and ``datetime`` are .NET's
``string`` and ``DateTime``. In JSON the difference is small, in MessagePack each has a form of its
own (M-15). Numbers have ``number_types``.
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

_LAST_UNIT: Final = "\uffff"
_ZERO: Final = timezone(timedelta(0), "+00:00")  # other than UTC, it is written as a number


class Char(str):
    """One UTF-16 unit. Raises ValueError for any other text."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Char":
        if len(text) != 1 or text > _LAST_UNIT:
            raise ValueError("not a single UTF-16 unit")
        return super().__new__(cls, text)


class DateTimeOffset(datetime):
    """A moment together with its offset from UTC, of whole minutes and 14 hours at most.

    Raises ValueError for any other, and without ``tzinfo``.
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
        """The same moment; without an offset it is taken for local time, as .NET does."""
        if moment.tzinfo is None:
            moment = moment.astimezone()
        zone = _ZERO if moment.tzinfo is UTC else moment.tzinfo
        return cls(*moment.timetuple()[:6], moment.microsecond, tzinfo=zone, fold=moment.fold)
