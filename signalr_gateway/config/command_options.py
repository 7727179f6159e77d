"""The options that only the command line has, defined like those of `config.schema`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from msgspec import Struct

from ..orchestration.option_types import Port, option


class LogLevel(Enum):
    """The levels of Python's `logging` that the command line knows."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class EveryCommand(Struct, frozen=True, kw_only=True):
    """Options of all commands."""

    uvloop: Annotated[
        bool,
        option(
            "Fail if uvloop is not installed; without this option, uvloop is used if it is.",
            "--uvloop",
        ),
    ] = False
    no_uvloop: Annotated[
        bool, option("Run on asyncio's own event loop, even if uvloop is installed.", "--no-uvloop")
    ] = False
    log_level: Annotated[
        LogLevel, option("Least severe level that is logged to standard error.", "--log-level")
    ] = LogLevel.INFO


class DemoCommand(Struct, frozen=True, kw_only=True):
    """Options of ``demo``."""

    hub_port: Annotated[Port, option("Port of the demo's chat hub.", "--hub-port")] = 8081
    https: Annotated[
        bool, option("Serve https with a certificate that `openssl` generates.", "--https")
    ] = False


class CheckCommand(Struct, frozen=True, kw_only=True):
    """Options of ``check``."""

    connect: Annotated[
        bool,
        option(
            "Connect to each hub, and to the gateway of a relay; exit code 1 if one cannot be"
            " reached.",
            "--connect",
        ),
    ] = False
