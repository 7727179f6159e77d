"""The options of the table `[other_gateway]`, defined like those of `config.schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from ..orchestration.option_types import Bytes, PemFile, Text, Unlimited, option
from ..orchestration.orchestrator import DEFAULT_MAXIMUM_RELAY_SIZE


class OtherGatewayTable(Struct, frozen=True, kw_only=True):
    """[other_gateway]: how to connect to the gateway that gets the relayed events."""

    key_file: Annotated[
        Path | None,
        option(
            "File that contains a key of the other gateway with the scope `relay`; read again for"
            " each request."
        ),
    ] = None
    key_env: Annotated[Text | None, option("Environment variable that contains this key.")] = None
    ca_file: Annotated[
        PemFile | None,
        option("PEM file with the authorities to trust instead of the system's."),
    ] = None
    maximum_message_size: Annotated[
        Bytes | Unlimited,
        option(
            "Largest message that the other gateway accepts; a larger event is not relayed. A C#"
            " gateway accepts 32768 bytes."
        ),
    ] = DEFAULT_MAXIMUM_RELAY_SIZE
