"""The options of the table `[authentication]`, defined like those of `config.schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Struct, field

from ..orchestration.option_types import PemFile, Seconds, Text, option


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


class JwtTable(Struct, frozen=True, kw_only=True):
    """[authentication.jwt]: JSON Web Tokens, and the keys that verify them."""

    audience: Annotated[
        list[Text] | Text, option("Accepted values of `aud`. Required in this table.")
    ] = field(default_factory=list)
    issuer: Annotated[
        list[Text] | Text, option("Accepted values of `iss`. Required in this table.")
    ] = field(default_factory=list)
    algorithms: Annotated[
        list[Text], option("Accepted algorithms; all that fit the keys if not set.")
    ] = field(default_factory=list)
    jwks_url: Annotated[
        Text | None, option("https address of the JSON Web Key Set of an identity provider.")
    ] = None
    jwks_file: Annotated[Path | None, option("File that contains a JSON Web Key Set.")] = None
    public_keys: Annotated[
        list[PemFile], option("PEM files that contain public keys or certificates.")
    ] = field(default_factory=list)
    secret_file: Annotated[
        Path | None, option("File that contains a secret for HS256, HS384 and HS512.")
    ] = None
    secret_env: Annotated[
        Text | None, option("Environment variable that contains such a secret.")
    ] = None
    clock_skew: Annotated[Seconds, option("Time by which the clock of the issuer may differ.")] = (
        300.0
    )
    required_claims: Annotated[
        list[Text], option("Names of claims that a token needs in addition to `exp`.")
    ] = field(default_factory=list)


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
    jwt: Annotated[
        JwtTable | None, option("Which JSON Web Tokens are accepted; none if not set.")
    ] = None
    api_keys: Annotated[dict[str, ApiKeyTable], option("The API keys, by name.")] = field(
        default_factory=dict
    )

    @property
    def has_credentials(self) -> bool:
        """Whether there are credentials that callers can have."""
        return bool(self.api_keys) or self.has_tokens

    @property
    def has_tokens(self) -> bool:
        """Whether callers can have access tokens that the hubs may accept as well."""
        return self.jwt is not None
