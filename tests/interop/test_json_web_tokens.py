"""JSON Web Tokens of .NET at our JwtBearer, ours at ASP.NET Core's, and refused ones at both.

The hub is `dotnet/token-hub`, with ASP.NET Core's JwtBearer in its default options.
"""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from protocol import HubConnectionBuilder, HubException
from protocol.jwt_bearer import JwksUrl, JwtBearer, SecretKey
from protocol.server.authentication import AuthenticationFailure
from tests.interop.servers import HubServer, running, token_hub
from tests.jwt_bearer.tokens import (
    SECRET,
    bearer,
    encoded,
    handmade,
    jwk,
    private_key,
    request,
    signed,
    user_of,
)

NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
OURS = {"RS256": "RSA", "PS384": "RSA", "ES256": "secp256r1", "ES384": "secp384r1"}
"""Algorithms of our tokens, and the private keys that sign them."""


class TokenHub:
    """The hub on ASP.NET Core, and its pages."""

    def __init__(self, server: HubServer, session: aiohttp.ClientSession) -> None:
        self.url = server.url
        self._address = server.url.removesuffix("/chathub")
        self._session = session

    @property
    def keys_url(self) -> str:
        return f"{self._address}/keys"

    async def mint(self, algorithm: str, handler: str, **claims: Any) -> str:
        """A token that .NET has made for an hour."""
        async with self._session.post(
            f"{self._address}/mint",
            params={"algorithm": algorithm, "handler": handler},
            json={"exp": int(time.time()) + 3600, **claims},
        ) as response:
            assert response.status == 200
            return await response.text()

    async def user(self, token: str) -> Any:
        """Whom .NET sees in a token, or the challenge with which it refuses it."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.get(f"{self._address}/user", headers=headers) as response:
            if response.status == 401:
                return response.headers["WWW-Authenticate"]
            return await response.json()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hub() -> AsyncIterator[TokenHub]:
    keys = [jwk(kind, kid=kind) for kind in sorted(set(OURS.values()))]
    program = token_hub(
        TOKEN_SECRET=base64.b64encode(SECRET).decode(), TOKEN_KEYS=json.dumps({"keys": keys})
    )
    async with running(program) as server, aiohttp.ClientSession() as session:
        yield TokenHub(server, session)


def now() -> int:
    return int(time.time())


def ours(keys: Any = None) -> JwtBearer:
    return bearer(keys, clock=time.time)


async def challenge_of(token: str) -> str:
    """The challenge with which we refuse a token."""
    carried = request(token)
    authenticator = ours()
    failure = await authenticator.authenticate(carried)
    assert isinstance(failure, AuthenticationFailure)
    return authenticator.challenge(carried, failure).headers["WWW-Authenticate"]


@pytest.mark.parametrize("handler", ["json", "jwt"])
@pytest.mark.parametrize(
    "algorithm",
    ["HS256", "HS512", "RS256", "RS512", "PS256", "PS512", "ES256", "ES384", "ES512"],
)
async def test_a_token_of_dotnet_is_accepted(hub: TokenHub, algorithm: str, handler: str) -> None:
    authenticator = ours([SecretKey(SECRET), JwksUrl(hub.keys_url)])
    token = await hub.mint(algorithm, handler, sub="ann", role=["admin", "staff"])
    user = await user_of(token, authenticator)
    assert (user.user_id, user.roles) == ("ann", frozenset({"admin", "staff"}))
    await authenticator.close()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", *OURS])
async def test_our_token_is_accepted_by_aspnetcore(hub: TokenHub, algorithm: str) -> None:
    kind = OURS.get(algorithm)
    key = SECRET if kind is None else private_key(kind)
    header = {} if kind is None else {"kid": kind}
    token = signed(key, algorithm, header, exp=now() + 3600, role="admin")
    connection = (
        HubConnectionBuilder().with_url(hub.url, access_token_factory=lambda: token).build()
    )
    async with connection:
        assert await connection.invoke("UserIdentifier", result_type=str) == "ann"
        assert await connection.invoke("AdminOnly", result_type=str) == "welcome"


async def test_a_role_that_is_missing(hub: TokenHub) -> None:
    token = signed(exp=now() + 3600)
    connection = (
        HubConnectionBuilder().with_url(hub.url, access_token_factory=lambda: token).build()
    )
    async with connection:
        with pytest.raises(HubException, match="because user is unauthorized"):
            await connection.invoke("AdminOnly")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "ann"},
        {"nameid": "ann"},
        {NAME_IDENTIFIER: "ann"},
        {"sub": "ann", "nameid": "eve"},
        {"nameid": "eve", "sub": "ann"},
        {"sub": 5},
        {"role": "admin"},
        {"roles": ["a", "b c"]},
        {"role": ["a"], "roles": "b"},
        {"http://schemas.microsoft.com/ws/2008/06/identity/claims/role": "a"},
        {"role": [5, True]},
        {"scope": "a b", "groups": ["c"]},
    ],
)
async def test_both_see_the_same_user(hub: TokenHub, claims: Mapping[str, Any]) -> None:
    """A-7."""
    token = handmade({"alg": "HS256"}, {**claims, "aud": "us", "iss": "them", "exp": now() + 60})
    user = await user_of(token, ours())
    seen = await hub.user(token)
    assert seen["id"] == user.user_id
    assert set(seen["roles"]) == user.roles


REFUSED: dict[str, Callable[[], str]] = {
    "garbage": lambda: "garbage",
    "expired": lambda: signed(exp=now() - 400),
    "not valid yet": lambda: signed(nbf=now() + 400, exp=now() + 900),
    "no lifetime": lambda: signed(nbf=now() + 9, exp=now() + 8),
    "no expiry": lambda: signed(exp=None),
    "unsigned": lambda: f"{encoded({'alg': 'none'})}.{encoded({'sub': 'ann'})}.",
    "another secret": lambda: signed(b"?" * 64, exp=now() + 60),
    "an unknown key": lambda: signed(private_key("secp521r1"), "ES512", {"kid": "x"}),
    "a nested token": lambda: handmade({"alg": "HS256", "cty": "JWT"}, signed().encode()),
    "two tokens": lambda: f"{signed()},{signed()}",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_both_refuse_with_the_same_challenge(hub: TokenHub, name: str) -> None:
    """A-1."""
    token = REFUSED[name]()
    assert await challenge_of(token) == await hub.user(token)


@pytest.mark.parametrize(
    ("claim", "what", "shown"), [("aud", "audience", "(null)"), ("iss", "issuer", "others")]
)
async def test_challenges_without_values(hub: TokenHub, claim: str, what: str, shown: str) -> None:
    """ASP.NET Core repeats the issuer of the token. For an audience it shows a placeholder."""
    token = signed(exp=now() + 60, **{claim: "others"})
    text = f'Bearer error="invalid_token", error_description="The {what}'
    assert await hub.user(token) == f"{text} '{shown}' is invalid\""
    assert await challenge_of(token) == f'{text} is invalid"'
