"""Tokens that an attacker makes without the key, or for another purpose, are refused."""

import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.jwt_bearer import PemKey, SecretKey
from protocol.server.authentication import AuthenticationFailure, Principal

from .tokens import (
    CLAIMS,
    NOW,
    SECRET,
    bearer,
    encoded,
    handmade,
    jwk,
    private_key,
    public_pem,
    refusal_of,
    request,
    rsa_key,
    signed,
    user_of,
)

INVALID = "The signature is invalid"
NOT_FOUND = "The signature key was not found"


class TestUnsigned:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
    async def test_no_algorithm(self, name: str) -> None:
        head = f"{encoded({'alg': name})}.{encoded(CLAIMS)}"
        assert await refusal_of(f"{head}.") == INVALID
        signature = signed().rpartition(".")[2]
        assert await refusal_of(f"{head}.{signature}") == INVALID

    async def test_no_signature(self) -> None:
        assert await refusal_of(signed().rpartition(".")[0] + ".") == NOT_FOUND

    @pytest.mark.parametrize("value", [None, 5, ["HS256"], {}])
    async def test_an_algorithm_that_is_no_text(self, value: Any) -> None:
        assert await refusal_of(handmade({"alg": value})) == ""

    async def test_no_algorithm_at_all(self) -> None:
        assert await refusal_of(handmade({"typ": "JWT"})) == ""

    async def test_claims_that_were_changed(self) -> None:
        header, _, signature = signed().split(".")
        changed = encoded({**CLAIMS, "sub": "root"})
        assert await refusal_of(f"{header}.{changed}.{signature}") == NOT_FOUND


class TestAlgorithmConfusion:
    """A public key is known to everyone, so it must never serve as a secret."""

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_a_public_key_as_secret(self, algorithm: str) -> None:
        pem = public_pem(private_key("RSA"))
        head = f"{encoded({'alg': algorithm})}.{encoded(CLAIMS)}"
        for secret in (pem, pem.strip(), jwk("RSA")["n"].encode()):
            signature = jwt.get_algorithm_by_name(algorithm).sign(head.encode(), secret)
            assert await refusal_of(f"{head}.{encoded(signature)}", bearer(rsa_key())) == NOT_FOUND

    async def test_a_key_of_another_kind(self) -> None:
        """The token names a key, with an algorithm that is not that key's."""
        authenticator = bearer([SecretKey(SECRET, kid="a"), rsa_key(kid="b")])
        token = signed(private_key("RSA"), "RS256", {"kid": "a"})
        assert await refusal_of(token, authenticator) == INVALID
        assert await refusal_of(signed(header={"kid": "b"}), authenticator) == INVALID

    @pytest.mark.parametrize("name", ["ES521", "ES256K", "HS1", "RS1", "hs256", "HS256 "])
    async def test_algorithms_that_are_not_known(self, name: str) -> None:
        assert await refusal_of(handmade({"alg": name})) == INVALID

    @pytest.mark.parametrize("size", [64, 96, 132])
    async def test_a_signature_of_zeros(self, size: int) -> None:
        """ECDSA accepts it for every content if r and s are not checked."""
        authenticator = bearer(PemKey(public_pem(private_key("secp256r1"))))
        head = f"{encoded({'alg': 'ES256'})}.{encoded(CLAIMS)}"
        assert await refusal_of(f"{head}.{encoded(bytes(size))}", authenticator) == NOT_FOUND


class TestHeaders:
    @pytest.mark.parametrize(
        "kid",
        ["../../../../dev/null", "' UNION SELECT 'x", "a\0", "", "*", "A", "a ", "x" * 10_000],
    )
    async def test_key_ids_are_only_compared(self, kid: str) -> None:
        """A-11."""
        authenticator = bearer(SecretKey(SECRET, kid="a"))
        assert await refusal_of(handmade({"alg": "HS256", "kid": kid}), authenticator) == NOT_FOUND

    @pytest.mark.parametrize("kid", [5, ["a"], {"a": 1}, True])
    async def test_key_ids_that_are_no_text(self, kid: Any) -> None:
        assert await refusal_of(handmade({"alg": "HS256", "kid": kid})) == ""

    async def test_keys_that_the_token_brings_along(self) -> None:
        """``jwk``, ``jku``, ``x5u`` and ``x5c`` do not add keys, and nothing is requested."""
        forged = {
            "jwk": jwk("RSA"),
            "jku": "http://127.0.0.1:1/",
            "x5u": "http://127.0.0.1:1/",
            "x5c": ["MIIB"],
        }
        token = signed(private_key("RSA"), "RS256", forged)
        assert await refusal_of(token) == NOT_FOUND

    @pytest.mark.parametrize(
        "header",
        [
            {"crit": ["exp"], "exp": 1},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
            {"zip": "DEF"},
            {"enc": "A256GCM"},
            {"cty": "JWT"},
        ],
    )
    async def test_extensions_and_nested_tokens(self, header: dict[str, Any]) -> None:
        assert await refusal_of(handmade({"alg": "HS256", **header})) == ""

    @pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
    async def test_types_of_access_tokens(self, kind: str) -> None:
        await user_of(handmade({"alg": "HS256", "typ": kind}))

    @pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "JOSE", "", None, 5])
    async def test_tokens_of_another_type(self, kind: Any) -> None:
        """A-11."""
        token = handmade({"alg": "HS256", "typ": kind})
        assert await refusal_of(token) == ""
        if isinstance(kind, str):
            await user_of(token, bearer(types=["Logout+JWT", "dpop+jwt", "JOSE", ""]))


class TestForm:
    @pytest.mark.parametrize(
        "text",
        ["garbage", ".", "..", "a.b.c", "a.b.c.d.e", "é.é.é", "null.null.null", "\ud800.a.b"],
    )
    async def test_no_token(self, text: str) -> None:
        assert await refusal_of(text) == ""

    async def test_an_encrypted_token(self) -> None:
        assert await refusal_of(f"{encoded({'alg': 'dir', 'enc': 'A256GCM'})}..a.b.c") == ""

    async def test_a_nested_token(self) -> None:
        assert await refusal_of(handmade({"alg": "HS256"}, signed().encode())) == ""
        assert await refusal_of(handmade({"alg": "HS256"}, json.dumps(signed()).encode())) == ""

    async def test_a_large_token(self) -> None:
        assert await refusal_of(signed(filler="x" * 12_400)) == ""
        await user_of(signed(filler="x" * 12_000))
        assert await refusal_of(signed(), bearer(maximum_token_size=len(signed()) - 1)) == ""
        await user_of(signed(), bearer(maximum_token_size=len(signed())))

    @pytest.mark.parametrize("depth", [1000, 5000])
    async def test_deep_claims(self, depth: int) -> None:
        payload = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        assert await refusal_of(handmade({"alg": "HS256"}, payload), bearer()) in (
            "",
            "The token has no expiration",
        )

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"[]",
            b"null",
            b"{",
            b"{}{}",
            b"\xff{}",
            b"\xef\xbb\xbf{}",
            b'{"exp":NaN}',
            b'{"exp":Infinity}',
            b'{"sub":"ann","sub":"root"}',
            b'{"a":{"b":1,"b":2}}',
            b'{"exp":' + b"9" * 5000 + b"}",
        ],
    )
    async def test_claims_that_are_read_in_two_ways(self, payload: bytes) -> None:
        assert await refusal_of(handmade({"alg": "HS256"}, payload)) == ""

    async def test_a_header_with_two_algorithms(self) -> None:
        assert await refusal_of(handmade(b'{"alg":"none","alg":"HS256"}')) == ""

    async def test_other_base64(self) -> None:
        """One token has one text: no padding, no other alphabet, no unused bits."""
        token = signed(filler="\u00ff\u00fe?>")
        header, payload, signature = token.split(".")
        last = signature[-1]
        assert len(signature) % 4 == 3  # so the last character has unused bits
        sibling = chr(ord(last) + 1)
        for other in (
            f"{header}.{payload}.{signature}=",
            f"{header}.{payload}.{signature}\n",
            f"{header}.{payload}.{signature[:-1]}{sibling}",
            f"{header}.{payload}.{signature[:-1]}!{last}",
            f"{header}=.{payload}.{signature}",
        ):
            found = await bearer().authenticate(request(query=f"access_token={other}"))
            assert isinstance(found, AuthenticationFailure)
            assert found.description == ""
        await user_of(token)


@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "cty", "x5t"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("HS256"),
    ),
    payload=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(["aud", "iss", "exp", "nbf", "sub", "role"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=4,
        ),
    ).map(lambda it: json.dumps(it).encode()),
    signature=st.sampled_from(["", "AA"]) | st.none(),
)
async def test_any_token_is_accepted_or_refused(
    header: dict[str, Any], payload: bytes, signature: str | None
) -> None:
    """No token causes an exception, and none without the required claims is accepted."""
    token = handmade(header, payload)
    if signature is not None:
        token = f"{token.rpartition('.')[0]}.{signature}"
    found = await bearer([SecretKey(SECRET), rsa_key()]).authenticate(request(token))
    if isinstance(found, Principal):
        assert signature is None
        assert header["alg"] == "HS256"
        assert found.claims["iss"] == "them"
        assert found.claims["exp"] > NOW - 300
    else:
        assert isinstance(found, AuthenticationFailure)


@given(text=st.text(max_size=60) | st.from_regex(r"[\w=-]{0,9}\.[\w-]{0,9}\.[\w-]{0,9}"))
async def test_any_text_is_refused(text: str) -> None:
    query = "access_token=" + "".join(f"%{byte:02x}" for byte in text.encode())
    for each in (request(text), request(query=query)):
        found = await bearer().authenticate(each)
        assert found is None or isinstance(found, AuthenticationFailure)
