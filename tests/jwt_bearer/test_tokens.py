"""Which tokens ``JwtBearer`` accepts, where it finds them, which user they describe (A-1, A-4)."""

import logging
import math
from typing import Any

import pytest

from protocol.jwt_bearer import JwtBearer, PemKey, SecretKey
from protocol.server.authentication import AuthenticationFailure, Principal

from .tokens import (
    NOW,
    SECRET,
    bearer,
    handmade,
    private_key,
    public_pem,
    refusal_of,
    request,
    rsa_key,
    signed,
    user_of,
)

NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class TestAlgorithms:
    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_secrets(self, algorithm: str) -> None:
        assert (await user_of(signed(SECRET, algorithm))).user_id == "ann"

    @pytest.mark.parametrize(
        ("kind", "algorithm"),
        [
            *(("RSA", f"{family}{size}") for family in ("RS", "PS") for size in (256, 384, 512)),
            ("secp256r1", "ES256"),
            ("secp384r1", "ES384"),
            ("secp521r1", "ES512"),
            ("Ed25519", "EdDSA"),
            ("Ed448", "EdDSA"),
        ],
    )
    async def test_public_keys(self, kind: str, algorithm: str) -> None:
        key = private_key(kind)
        authenticator = bearer(PemKey(public_pem(key)))
        assert (await user_of(signed(key, algorithm), authenticator)).user_id == "ann"

    async def test_only_those_that_are_chosen(self) -> None:
        authenticator = bearer([SecretKey(SECRET), rsa_key()], algorithms=["RS256"])
        await user_of(signed(private_key("RSA"), "RS256"), authenticator)
        assert await refusal_of(signed(), authenticator) == "The signature is invalid"

    async def test_one_of_several_keys(self) -> None:
        other = SecretKey(b"?" * 64)
        await user_of(signed(), bearer([other, SecretKey(SECRET)]))

    async def test_the_key_that_the_token_names(self) -> None:
        authenticator = bearer([SecretKey(SECRET, kid="a"), SecretKey(b"?" * 64, kid="b")])
        await user_of(signed(header={"kid": "a"}), authenticator)
        await user_of(signed(), authenticator)  # names none: each of them is tried
        assert await refusal_of(signed(header={"kid": "b"}), authenticator) == (
            "The signature is invalid"
        )


class TestPlaces:
    """A-4."""

    async def test_no_token(self) -> None:
        for each in (
            request(),
            request(Authorization="Basic YTpi"),
            request(Authorization="Bearer"),
            request(Authorization="Bearer  "),
            request(query="access_token="),
        ):
            assert await bearer().authenticate(each) is None

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    async def test_the_header(self, scheme: str) -> None:
        found = await bearer().authenticate(request(authorization=f"{scheme} {signed()}"))
        assert isinstance(found, Principal)

    @pytest.mark.parametrize("key", ["access_token", "ACCESS_TOKEN"])
    async def test_the_query(self, key: str) -> None:
        found = await bearer().authenticate(request(query=f"id=1&{key}={signed()}"))
        assert isinstance(found, Principal)

    async def test_the_header_comes_first(self) -> None:
        found = await bearer().authenticate(request("garbage", f"access_token={signed()}"))
        assert isinstance(found, AuthenticationFailure)

    async def test_a_header_of_another_scheme(self) -> None:
        """A proxy with Basic authentication does not hide the token in the query."""
        query = f"access_token={signed()}"
        found = await bearer().authenticate(request(query=query, Authorization="Basic YTpi"))
        assert isinstance(found, Principal)

    async def test_two_tokens_are_none(self) -> None:
        query = f"access_token={signed()}&access_token={signed()}"
        assert isinstance(await bearer().authenticate(request(query=query)), AuthenticationFailure)
        twice = request(Authorization=f"Bearer {signed()}, Bearer {signed()}")
        assert isinstance(await bearer().authenticate(twice), AuthenticationFailure)

    async def test_the_query_can_be_left_out(self) -> None:
        authenticator = bearer(token_from_query=False)
        assert await authenticator.authenticate(request(query=f"access_token={signed()}")) is None


class TestClaims:
    @pytest.mark.parametrize("audience", ["us", ["others", "us"]])
    async def test_the_audience(self, audience: Any) -> None:
        await user_of(signed(aud=audience))
        await user_of(signed(aud=audience), bearer(audience=["us", "we"]))

    @pytest.mark.parametrize("audience", [None, "others", "US", ["others"], [], [["us"]], 5])
    async def test_another_audience(self, audience: Any) -> None:
        """A-11: the challenge shows no value."""
        assert await refusal_of(signed(aud=audience)) == "The audience is invalid"
        await user_of(signed(aud=audience), bearer(audience=None))

    async def test_the_issuer(self) -> None:
        await user_of(signed(), bearer(issuer={"them", "these"}))

    @pytest.mark.parametrize("payload", ['"others"', '["them"]', "5", "null"])
    async def test_another_issuer(self, payload: str) -> None:
        claims = f'{{"sub":"ann","aud":"us","exp":{NOW + 60},"iss":{payload}}}'.encode()
        token = handmade({"alg": "HS256"}, claims)
        assert await refusal_of(token) == "The issuer is invalid"
        await user_of(token, bearer(issuer=None))

    @pytest.mark.parametrize("value", [None, "", []])
    async def test_a_required_claim(self, value: Any) -> None:
        authenticator = bearer(required_claims=["tenant"])
        assert await refusal_of(signed(tenant=value), authenticator) == (
            "A required claim is missing"
        )
        await user_of(signed(tenant="a"), authenticator)


class TestLifetime:
    """The texts are those of ASP.NET Core (A-1)."""

    async def test_expired(self) -> None:
        expected = "The token expired at '01/15/2027 07:55:00'"
        assert await refusal_of(signed(exp=NOW - 300)) == expected
        await user_of(signed(exp=NOW - 299))

    async def test_not_yet_valid(self) -> None:
        expected = "The token is not valid before '01/15/2027 08:05:01'"
        assert await refusal_of(signed(nbf=NOW + 301, exp=NOW + 900)) == expected
        await user_of(signed(nbf=NOW + 300, exp=NOW + 900))

    async def test_no_skew(self) -> None:
        exact = bearer(clock_skew=0)
        assert await refusal_of(signed(exp=NOW), exact) == (
            "The token expired at '01/15/2027 08:00:00'"
        )
        await user_of(signed(exp=NOW + 1, nbf=NOW), exact)

    async def test_no_expiry(self) -> None:
        assert await refusal_of(signed(exp=None)) == "The token has no expiration"

    async def test_an_expiry_before_the_start(self) -> None:
        assert await refusal_of(signed(nbf=NOW + 2, exp=NOW + 1)) == (
            "The token lifetime is invalid; NotBefore: '01/15/2027 08:00:02', "
            "Expires: '01/15/2027 08:00:01'"
        )

    @pytest.mark.parametrize("value", ["1900000000", True, [1], {}])
    async def test_a_time_that_is_no_number(self, value: Any) -> None:
        assert await refusal_of(signed(exp=value)) == ""

    async def test_times_out_of_range(self) -> None:
        assert (await user_of(signed(exp=10**30))).expires_at == 253_402_300_799
        assert (await user_of(signed(exp=10**400))).expires_at == 253_402_300_799
        assert await refusal_of(signed(nbf=10**400, exp=10**400)) == (
            "The token is not valid before '12/31/9999 23:59:59'"
        )
        assert (await user_of(signed(exp=1e308))).expires_at == 253_402_300_799
        assert await refusal_of(signed(exp=-(10**30))) == (
            "The token expired at '01/01/1970 00:00:00'"
        )


class TestUser:
    async def test_all_claims(self) -> None:
        user = await user_of(signed(role="admin", exp=NOW + 9, city="Ulm"))
        assert user.user_id == "ann"
        assert user.roles == {"admin"}
        assert user.expires_at == NOW + 9
        assert user.claims["city"] == "Ulm"
        assert "Ulm" not in repr(user)

    @pytest.mark.parametrize("name", ["sub", "nameid", NAME_IDENTIFIER])
    async def test_the_user_id(self, name: str) -> None:
        """A-7: these are what .NET reads as the name identifier."""
        user = await user_of(signed(**{"sub": None, name: "ann"}))
        assert user.user_id == "ann"

    async def test_the_first_claim_of_the_token_counts(self) -> None:
        assert (await user_of(signed(nameid="eve"))).user_id == "ann"
        assert (await user_of(signed(sub=None, nameid="ann", jti="1"))).user_id == "ann"

    @pytest.mark.parametrize(("value", "expected"), [(5, "5"), ("", None), ({}, None)])
    async def test_other_user_ids(self, value: Any, expected: str | None) -> None:
        payload = {"sub": value, "aud": "us", "iss": "them", "exp": NOW + 60}
        assert (await user_of(handmade({"alg": "HS256"}, payload))).user_id == expected

    async def test_a_user_id_of_another_claim(self) -> None:
        user = await user_of(signed(oid="0-1"), bearer(user_id_claims=["oid"]))
        assert user.user_id == "0-1"

    @pytest.mark.parametrize("name", ["role", "roles", ROLE])
    async def test_roles(self, name: str) -> None:
        assert (await user_of(signed(**{name: "admin"}))).roles == {"admin"}
        assert (await user_of(signed(**{name: ["a", "b c", 5, True, None, {}]}))).roles == {
            "a",
            "b c",
            "5",
            "true",
        }

    async def test_roles_of_several_claims(self) -> None:
        assert (await user_of(signed(role="a", roles=["b"]))).roles == {"a", "b"}
        other = bearer(role_claims=["groups"])
        assert (await user_of(signed(role="a", groups=["b"]), other)).roles == {"b"}

    async def test_text_that_is_not_unicode(self) -> None:
        assert await refusal_of(signed(sub="\ud800")) == ""
        assert await refusal_of(signed(role=["\udfff"])) == ""


class TestLog:
    async def test_a_refusal_is_logged_without_values(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="protocol")
        authenticator = bearer()
        token = signed(aud="secret-audience")
        await refusal_of(token, authenticator)
        await refusal_of(token, authenticator)
        await refusal_of("garbage", authenticator)
        lines = [(each.levelname, each.getMessage()) for each in caplog.records]
        assert lines == [
            ("INFO", "A token is refused: The audience is invalid."),
            ("DEBUG", "A token is refused: The audience is invalid."),
            ("INFO", "A token is refused: it does not have three parts."),
        ]


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"keys": []}, "keys are empty"),
            ({"audience": ""}, "audience is empty; None accepts all tokens"),
            ({"audience": []}, "audience is empty"),
            ({"issuer": [""]}, "issuer is empty"),
            ({"algorithms": ["none"]}, "algorithms are one or more of ES256, "),
            ({"algorithms": []}, "algorithms are one or more of"),
            ({"clock_skew": -1}, "clock_skew is negative"),
            ({"clock_skew": math.nan}, "clock_skew is a day at most"),
            ({"clock_skew": math.inf}, "clock_skew is a day at most"),
            ({"clock_skew": 10**400}, "clock_skew is a day at most"),
            ({"maximum_token_size": 0}, "maximum_token_size is not above 0"),
        ],
    )
    def test_wrong_values(self, options: dict[str, Any], text: str) -> None:
        valid = {"audience": "us", "issuer": "them", "keys": SecretKey(SECRET)}
        with pytest.raises(ValueError, match=text):
            JwtBearer(**{**valid, **options})

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"keys": "secret"}, "not str"),
            ({"keys": [b"secret"]}, "keys are SecretKey, PemKey, JwksFile and JwksUrl objects"),
            ({"keys": SecretKey}, "not the class SecretKey"),
            ({"audience": [5]}, "audience"),
            ({"algorithms": "HS256"}, "algorithms are a list"),
            ({"role_claims": "role"}, "role_claims are a list"),
            ({"clock": 5}, "clock is a function"),
            ({"clock_skew": "5"}, "clock_skew is a number of seconds, not str"),
            ({"clock_skew": True}, "clock_skew is a number of seconds, not bool"),
            ({"maximum_token_size": math.nan}, "maximum_token_size is a whole number, not float"),
            ({"maximum_token_size": True}, "maximum_token_size is a whole number, not bool"),
            ({"token_from_query": "no"}, "token_from_query is a bool, not str"),
        ],
    )
    def test_wrong_types(self, options: dict[str, Any], text: str) -> None:
        valid = {"audience": "us", "issuer": "them", "keys": SecretKey(SECRET)}
        with pytest.raises(TypeError, match=text):
            JwtBearer(**{**valid, **options})
