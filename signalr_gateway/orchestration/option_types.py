"""The types of option values, with unit and bounds, and `option`, which describes an option.

An option is a field of a msgspec Struct::

    class Listen(Struct, frozen=True, kw_only=True):
        port: Annotated[Port, option("Port to listen on; 0 takes a free one.", "--port")] = 8080

Everything else follows from that one field. `config.options` describes the option, `config.reading`
reads it from a file, `cli.flags` reads it from the command line, and the tables of the
documentation are generated from it. This module imports none of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=1, extra={"unit": "bytes"})]
Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
Delay = Annotated[float, Meta(ge=0, extra={"unit": "seconds"})]
Origin = Annotated[str, Meta(extra={"metavar": "ORIGIN"})]
PemFile = Annotated[Path, Meta(extra={"metavar": "PEM"})]

UNLIMITED: Final = "unlimited"
Unlimited = Literal["unlimited"]
"""A word that stands for no limit, since TOML has no null: ``Bytes | Unlimited``."""


def option(sentence: str, flag: str | None = None, *, in_file: object = None) -> Meta:
    """Describe an option, for `typing.Annotated`.

    `sentence` is its documentation. `flag` is its name on the command line; without a flag the
    option can be set in the file only. `in_file` is the type of its value in a file, if files and
    Python use different types.
    """
    extra: dict[str, Any] = {}
    if flag is not None:
        extra["flag"] = flag
    if in_file is not None:
        extra["in_file"] = in_file
    return Meta(description=sentence, extra=extra)


def no_limit(value: Any) -> Any:
    """The value for an option of the library: None if `value` is `UNLIMITED`, else `value`."""
    return None if value == UNLIMITED else value
