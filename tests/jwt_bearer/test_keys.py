"""Which keys can be configured: of which kind, how strong, in which form."""

import json
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocol.jwt_bearer import PemKey, SecretKey

from .tokens import bearer, jwk, private_key, public_pem, refusal_of, signed, user_of


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM)


class TestSecrets:
    @pytest.mark.parametrize(
        ("size", "algorithms"),
        [(32, ["HS256"]), (47, ["HS256"]), (48, ["HS256", "HS384"]), (63, ["HS256", "HS384"])],
    )
    async def test_short_secrets_serve_fewer_algorithms(
        self, size: int, algorithms: list[str]
    ) -> None:
        secret = b"k" * size
        authenticator = bearer(SecretKey(secret))
        for algorithm in algorithms:
            await user_of(signed(secret, algorithm), authenticator)
        forged = signed(secret * 2, "HS512")
        assert await refusal_of(forged, authenticator) == "The signature key was not found"

    def test_a_weak_secret(self) -> None:
        with pytest.raises(ValueError, match="The secret has 31 bytes; it needs 32 or more"):
            SecretKey(b"k" * 31)

    async def test_text(self) -> None:
        secret = "é" * 16
        await user_of(signed(secret.encode()), bearer(SecretKey(secret)))

    @pytest.mark.parametrize("form", ["pem", "certificate", "jwk", "empty"])
    def test_what_is_no_secret(self, form: str) -> None:
        text = {
            "pem": public_pem(private_key("RSA")),
            "certificate": certificate(private_key("RSA")),
            "jwk": json.dumps(jwk("RSA")).encode(),
            "empty": b"",
        }[form]
        with pytest.raises(ValueError, match="use PemKey for a public key"):
            SecretKey(text)


class TestPem:
    async def test_a_certificate(self) -> None:
        key = private_key("secp256r1")
        authenticator = bearer(PemKey(certificate(key).decode()))
        await user_of(signed(key, "ES256", {"kid": "a thumbprint"}), authenticator)

    def test_a_weak_key(self) -> None:
        key = rsa.generate_private_key(65537, 1024)
        with pytest.raises(ValueError, match="The RSA key has 1024 bits; it needs 2048"):
            PemKey(public_pem(key))

    def test_kinds_without_an_algorithm(self) -> None:
        other = ec.generate_private_key(ec.SECP256K1())
        with pytest.raises(ValueError, match="curve secp256k1 are not supported"):
            PemKey(public_pem(other))
        with pytest.raises(ValueError, match="not supported: DSAPublicKey"):
            PemKey(public_pem(dsa.generate_private_key(1024)))

    def test_a_private_key(self) -> None:
        pem = private_key("secp256r1").private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        with pytest.raises(ValueError, match="contains a private key"):
            PemKey(pem)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "exactly one"),
            ("secret-value", "exactly one"),
            ("-----BEGIN PUBLIC KEY-----\nsecret-value\n-----END PUBLIC KEY-----\n", "is not a"),
            ("-----BEGIN CERTIFICATE-----\nsecret-value\n-----END CERTIFICATE-----\n", "is not a"),
        ],
    )
    def test_what_is_no_key(self, text: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason) as caught:
            PemKey(text)
        assert "secret-value" not in "".join(traceback.format_exception(caught.value))

    def test_two_keys(self) -> None:
        with pytest.raises(ValueError, match="exactly one public key or certificate"):
            PemKey(public_pem(private_key("RSA")) + public_pem(private_key("secp256r1")))


@pytest.mark.parametrize("kind", [SecretKey, PemKey])
def test_wrong_types(kind: Any) -> None:
    with pytest.raises(TypeError, match="are bytes or a str, not int"):
        kind(5)
    valid = {SecretKey: b"k" * 32, PemKey: public_pem(private_key("RSA"))}[kind]
    with pytest.raises(TypeError, match="kid is a str or None, not int"):
        kind(valid, kid=5)


def test_no_secret_is_shown() -> None:
    secret = SecretKey(b"planted-secret-planted-secret-planted")
    for shown in (secret, secret.verification_key, bearer(secret)):
        assert "planted" not in repr(shown)


@pytest.mark.parametrize(("kind", "name"), [(SecretKey, "secret"), (PemKey, "pem")])
def test_a_text_that_is_not_valid_unicode(kind: Any, name: str) -> None:
    """The error of a codec would contain the whole text."""
    with pytest.raises(ValueError, match=f"{name} is not valid Unicode") as caught:
        kind("5f2c\udc00" * 10)
    assert not isinstance(caught.value, UnicodeError)
    assert caught.value.__cause__ is None
    assert "5f2c" not in repr(caught.value)
