"""Keys, tokens and requests that carry them, for the tests of this folder."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from multidict import CIMultiDict

from protocol import HttpRequestData
from protocol.jwt_bearer import JwtBearer, PemKey, SecretKey
from protocol.server.authentication import AuthenticationFailure, Principal

NOW: Final = 1_800_000_000.0
"""The time of the tests, in seconds since the epoch: 01/15/2027 08:00:00."""

SECRET: Final = bytes(range(64))
CLAIMS: Final[Mapping[str, Any]] = {"sub": "ann", "aud": "us", "iss": "them", "exp": NOW + 60}


@cache
def private_key(kind: str) -> Any:
    """A private key: the name of an algorithm's family, or of a curve."""
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    curves = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def jwk(kind: str, **more: str) -> dict[str, Any]:
    """The public key of ``private_key(kind)`` as a JSON Web Key."""
    names = {"RSA": "RS256", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
    algorithm = jwt.get_algorithm_by_name(names.get(kind, "ES256"))
    members = algorithm.to_jwk(private_key(kind).public_key(), as_dict=True)
    return {**{name: it for name, it in members.items() if name != "key_ops"}, **more}


def signed(
    key: Any = SECRET,
    algorithm: str = "HS256",
    /,
    header: Any = None,
    **claims: Any,
) -> str:
    """A token with ``CLAIMS``, changed by ``claims``; those that are None are left out."""
    payload = {name: it for name, it in {**CLAIMS, **claims}.items() if it is not None}
    return jwt.encode(payload, key, algorithm, dict(header or {}))


def encoded(data: bytes | Mapping[str, Any]) -> str:
    """A part of a token: bytes, or JSON."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def handmade(header: bytes | Mapping[str, Any], payload: bytes | Mapping[str, Any] = CLAIMS) -> str:
    """A token with any header and payload, and a correct signature with ``SECRET`` (HS256)."""
    head = f"{encoded(header)}.{encoded(payload)}"
    signature = jwt.get_algorithm_by_name("HS256").sign(head.encode(), SECRET)
    return f"{head}.{encoded(signature)}"


def rsa_signature(head: str) -> bytes:
    signature: bytes = private_key("RSA").sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
    return signature


def request(token: str | None = None, query: str = "", **headers: str) -> HttpRequestData:
    """A request with a token in its header, or with other headers."""
    bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
    return HttpRequestData("POST", "/hub", query, CIMultiDict({**bearer, **headers}), None)


def bearer(keys: Any = None, **options: Any) -> JwtBearer:
    """A JwtBearer that accepts ``CLAIMS``, by default with ``SECRET``; its time is ``NOW``."""
    chosen = {"audience": "us", "issuer": "them", "clock": lambda: NOW, **options}
    return JwtBearer(keys=keys or SecretKey(SECRET), **chosen)


def rsa_key(**options: str) -> PemKey:
    return PemKey(public_pem(private_key("RSA")), **options)


async def user_of(token: str, authenticator: JwtBearer | None = None) -> Principal:
    """The user of an accepted token."""
    user = await (authenticator or bearer()).authenticate(request(token))
    assert isinstance(user, Principal)
    return user


async def refusal_of(token: str, authenticator: JwtBearer | None = None) -> str:
    """The description of the failure of a token that is refused."""
    failure = await (authenticator or bearer()).authenticate(request(token))
    assert isinstance(failure, AuthenticationFailure)
    assert failure.error == "invalid_token"
    return failure.description
