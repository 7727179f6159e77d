"""Keys that verify signatures. Each key knows the algorithms that it may be used with.

The algorithm that a token names is only compared with those of a key. A public key is therefore
never used as a secret, and an unsigned token has no key (A-11).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWS
from jwt.exceptions import InvalidKeyError

from ..option_checks import described
from .compact_token import CompactToken

_SIZES_OF_SECRETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # bytes (RFC 7518, 3.2)
_SMALLEST_RSA_KEY: Final = 2048  # bits (RFC 7518, 3.3)
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS_OF_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

ALGORITHMS: Final = frozenset(
    (*_SIZES_OF_SECRETS, *_RSA_ALGORITHMS, *_ALGORITHMS_OF_CURVES.values(), "EdDSA")
)
"""All algorithms that a token may be signed with."""

# Not the functions of the module `jwt`: other code may register algorithms there.
_IMPLEMENTATIONS: Final = {name: PyJWS().get_algorithm_by_name(name) for name in sorted(ALGORITHMS)}


class VerificationKey:
    """A key with its algorithms. ``key_id`` is its id in the headers of tokens, or None.

    ``material`` are the bytes of a secret or a public key of cryptography. Raises ValueError for a
    key that is too weak or of a kind that no algorithm uses.
    """

    __slots__ = ("_material", "algorithms", "key_id")

    def __init__(self, material: Any, key_id: str | None) -> None:
        self.algorithms = frozenset(_algorithms_of(material))
        self.key_id = key_id
        self._material = material

    @property
    def is_secret(self) -> bool:
        """Whether the key is a secret, which signs as well."""
        return isinstance(self._material, bytes)

    def restrict(self, algorithms: Iterable[str]) -> None:
        """Leaves only those algorithms that ``algorithms`` contains."""
        self.algorithms &= frozenset(algorithms)

    def verifies(self, token: CompactToken) -> bool:
        """Whether the signature of the token was made with this key."""
        if token.algorithm not in self.algorithms:
            return False
        implementation = _IMPLEMENTATIONS[token.algorithm]
        return implementation.verify(token.signing_input, self._material, token.signature)


class SecretKey:
    """A secret that the issuer of the tokens and this server share: HS256, HS384, HS512.

    ``secret`` are its bytes; a str is encoded as UTF-8. A secret verifies HS256 if it has at least
    32 bytes, HS384 from 48 bytes on, and HS512 from 64 bytes on. ``kid`` is its id in the headers
    of tokens. Raises ValueError for a shorter secret, and for a public key or a certificate that is
    given as a secret.
    """

    def __init__(self, secret: bytes | str, *, kid: str | None = None) -> None:
        if not isinstance(secret, bytes | str):
            raise TypeError(f"secret are bytes or a str, not {described(secret)}.")
        material = _bytes_of(secret, "secret")
        try:
            _IMPLEMENTATIONS["HS256"].prepare_key(material)
        except InvalidKeyError:
            raise ValueError(
                "The secret of a SecretKey is empty, or it is a key in another format: use PemKey "
                "for a public key or a certificate, JwksFile for a JSON Web Key."
            ) from None
        self.verification_key: Final = VerificationKey(material, _checked_key_id(kid))


class PemKey:
    """A public key, or the certificate of one, in the format PEM.

    An RSA key verifies RS256 to RS512 and PS256 to PS512 and needs 2048 bits. A key on the curve
    secp256r1, secp384r1 or secp521r1 verifies ES256, ES384 or ES512. A key of Ed25519 or Ed448
    verifies EdDSA. ``kid`` is its id in the headers of tokens. The dates and the issuer of a
    certificate are not checked. Raises ValueError for anything else, also for a private key.
    """

    def __init__(self, pem: bytes | str, *, kid: str | None = None) -> None:
        if not isinstance(pem, bytes | str):
            raise TypeError(f"pem are bytes or a str, not {described(pem)}.")
        key = _public_key(_bytes_of(pem, "pem"))
        self.verification_key: Final = VerificationKey(key, _checked_key_id(kid))


def candidates(
    keys: Sequence[VerificationKey], token: CompactToken
) -> tuple[list[VerificationKey], bool]:
    """Returns the keys that may have signed the token, and whether one of them has its key id.

    If the token names a known key id, returns the keys with this id. If it names an unknown id,
    returns the keys without an id. If it names no id, returns all keys.
    """
    named = [key for key in keys if key.key_id == token.key_id is not None]
    if named:
        return named, True
    if token.key_id is None:
        return list(keys), False
    return [key for key in keys if key.key_id is None], False


def _algorithms_of(material: Any) -> Sequence[str]:
    """The algorithms for a secret or a public key; raises ValueError if there is none."""
    if isinstance(material, bytes):
        fitting = [name for name, size in _SIZES_OF_SECRETS.items() if len(material) >= size]
        if not fitting:
            raise ValueError(f"The secret has {len(material)} bytes; it needs 32 or more.")
        return fitting
    if isinstance(material, RSAPublicKey):
        if material.key_size < _SMALLEST_RSA_KEY:
            raise ValueError(f"The RSA key has {material.key_size} bits; it needs 2048.")
        return _RSA_ALGORITHMS
    if isinstance(material, EllipticCurvePublicKey):
        if material.curve.name not in _ALGORITHMS_OF_CURVES:
            raise ValueError(f"Keys on the curve {material.curve.name} are not supported.")
        return (_ALGORITHMS_OF_CURVES[material.curve.name],)
    if isinstance(material, Ed25519PublicKey | Ed448PublicKey):
        return ("EdDSA",)
    raise ValueError(f"Keys of this kind are not supported: {type(material).__name__}.")


def _public_key(pem: bytes) -> Any:
    """The public key in ``pem``. Errors do not contain it."""
    if b"PRIVATE KEY-----" in pem:
        raise ValueError("The PEM text contains a private key; PemKey needs the public key.")
    if pem.count(b"-----BEGIN ") != 1:
        raise ValueError("The PEM text needs exactly one public key or certificate.")
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            return x509.load_pem_x509_certificate(pem).public_key()
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("The PEM text is not a public key or certificate.") from None


def _bytes_of(text: bytes | str, what: str) -> bytes:
    """``text`` as bytes. The error of the codec would contain the text."""
    try:
        return text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise ValueError(f"{what} is not valid Unicode.") from None


def _checked_key_id(kid: str | None) -> str | None:
    if not isinstance(kid, str | None):
        raise TypeError(f"kid is a str or None, not {described(kid)}.")
    return kid
