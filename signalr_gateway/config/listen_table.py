"""The options of the table `[listen]`, defined like those of `config.schema`."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct, field

from ..orchestration.option_types import PemFile, Port, Text, option
from ..serving.local_sockets import SYSTEMD, UNIX, inherited_hosts

_MODE = re.compile("0?[0-7]{3}")


class Listen(Struct, frozen=True, kw_only=True):
    """[listen]: where the gateway serves, and with which certificate."""

    host: Annotated[
        Annotated[list[Text], Meta(min_length=1)] | Text,
        option("Address to listen on, or several: `::` serves IPv4 and IPv6.", "--host"),
    ] = "127.0.0.1"
    port: Annotated[Port, option("Port to listen on; 0 takes a free one.", "--port")] = 8080
    sockets: Annotated[
        list[Text],
        option(
            "Sockets to listen on in place of `host` and `port`: `unix:PATH` for a Unix socket,"
            " `systemd` for those that systemd passes.",
            "--listen",
        ),
    ] = field(default_factory=list)
    unix_mode: Annotated[
        Text, option("Permissions of Unix sockets, as for `chmod`.", "--unix-mode")
    ] = "660"
    allowed_hosts: Annotated[
        list[Text],
        option(
            "Host names that requests may use, without port: `*.app.example` for all names below"
            " `app.example`, `*` for all names. `localhost`, `127.0.0.1` and `[::1]` are always"
            " valid. If not set, a gateway that listens only on loopback addresses accepts no other"
            " names, and any other gateway accepts all names.",
            "--allowed-host",
        ),
    ] = field(default_factory=list)
    certificate: Annotated[
        PemFile | None,
        option("PEM file with the certificate for https; needs the key as well.", "--certificate"),
    ] = None
    key: Annotated[
        PemFile | None, option("PEM file with the private key of the certificate.", "--key")
    ] = None

    @property
    def hosts(self) -> list[str]:
        """The addresses to listen on. A Unix socket has none."""
        if self.sockets:
            return inherited_hosts() if SYSTEMD in self.sockets else []
        return [self.host] if isinstance(self.host, str) else self.host

    @property
    def permissions(self) -> int:
        """`unix_mode` as a number. Raises ValueError if it is not a mode."""
        if not _MODE.fullmatch(self.unix_mode):
            raise ValueError("must be three octal digits, such as 660")
        return int(self.unix_mode, 8)

    def check_sockets(self) -> None:
        """Raise ValueError if one of the `sockets` is not valid."""
        for each in self.sockets:
            path = each.removeprefix(UNIX)
            if each != SYSTEMD and (path == each or not path.startswith("/")):
                raise ValueError("must be 'systemd', or 'unix:' and an absolute path")
