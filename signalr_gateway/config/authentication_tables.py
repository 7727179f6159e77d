"""The options of the table `[authentication]`, defined like those of `config.schema`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct, field

from ..orchestration.option_types import Text, option


class ApiKeyTable(Struct, frozen=True, kw_only=True):
    """[authentication.api_keys.KEY]: an API key, as `signalr-gateway key new` prints it."""

    hash: Annotated[Text, option("What is stored of the key: `sha256:` and 64 hexadecimal digits.")]
    user: Annotated[
        Text | None,
        option(
            "Id of the owner; the name of the table if not set. An owner may have several keys."
        ),
    ] = None
    scopes: Annotated[list[Text], option("Scopes of the key.")] = field(default_factory=list)
    roles: Annotated[list[Text], option("Roles of the owner.")] = field(default_factory=list)
    expires: Annotated[
        Text | None,
        option("When the key expires, with the offset from UTC: `2027-01-31T00:00:00Z`."),
    ] = None

    def __repr__(self) -> str:
        return "ApiKeyTable(...)"


class AuthenticationTable(Struct, frozen=True, kw_only=True):
    """[authentication]: which credentials callers and clients need."""

    allow_anonymous: Annotated[
        bool,
        option(
            "Whether callers without credentials may use the gateway. Required to listen on other"
            " than loopback addresses without authentication.",
            "--allow-anonymous",
        ),
    ] = False
    api_keys: Annotated[dict[str, ApiKeyTable], option("The API keys, by name.")] = field(
        default_factory=dict
    )
