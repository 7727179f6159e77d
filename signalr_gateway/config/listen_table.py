"""The options of the table `[listen]`, defined like those of `config.schema`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from ..orchestration.option_types import PemFile, Port, Text, option


class Listen(Struct, frozen=True, kw_only=True):
    """[listen]: where the gateway serves, and with which certificate."""

    host: Annotated[
        Annotated[list[Text], Meta(min_length=1)] | Text,
        option("Address to listen on, or several: `::` serves IPv4 and IPv6.", "--host"),
    ] = "127.0.0.1"
    port: Annotated[Port, option("Port to listen on; 0 takes a free one.", "--port")] = 8080
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
        """The addresses to listen on."""
        return [self.host] if isinstance(self.host, str) else self.host
