"""Certificates for https: loads the pair of the gateway, and generates a pair for the demo.

A pair is checked before the gateway listens, and an error is one line. `config.hubs` decides which
certificates of hubs the gateway trusts.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .certificate_chain import EncryptedKey, load_chain

_OPENSSL_SECONDS = 60


class UnusableCertificate(Exception):
    """The pair cannot be used; `str()` is one line that names the file and the reason."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """Two PEM files: the certificate with its intermediate certificates, and the private key."""

    certificate: Path
    key: Path


def server_context(pair: CertificatePair) -> ssl.SSLContext:
    """The `SSLContext` of a server that serves https. Raises `UnusableCertificate`."""
    _require_readable("certificate", pair.certificate)
    _require_readable("key", pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    _require_certificate(pair.certificate)
    try:
        load_chain(context, pair.certificate, pair.key)
    except ssl.SSLError as exc:
        problem = (
            "does not belong to the certificate"
            if exc.reason == "KEY_VALUES_MISMATCH"
            else "is not a private key in PEM format"
        )
        raise UnusableCertificate(f"the key {str(pair.key)!r} {problem}") from exc
    except EncryptedKey as exc:
        raise UnusableCertificate(
            f"the key {str(pair.key)!r} is encrypted; the gateway needs one without a password"
        ) from exc
    return context


def _require_readable(what: str, path: Path) -> None:
    # OpenSSL's own errors do not say which of the two files they mean.
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise UnusableCertificate(f"cannot read the {what} {str(path)!r}: {exc.strerror}") from exc


def _require_certificate(path: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as exc:
        raise UnusableCertificate(
            f"the certificate {str(path)!r} is not a certificate in PEM format"
        ) from exc


_OPENSSL_CONFIG = """\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions

[name]
CN = localhost

[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@contextmanager
def self_signed_pair() -> Iterator[CertificatePair]:
    """Generate a pair for localhost and 127.0.0.1 with the program ``openssl``.

    The files are in a private folder, which is deleted at the end of the context. Raises
    `UnusableCertificate`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise UnusableCertificate(
            "generating a self-signed certificate needs the program openssl, which is not on PATH;"
            " install it, or use a pair of your own with --certificate and --key"
        )
    with tempfile.TemporaryDirectory(prefix="signalr-gateway-") as name:
        folder = Path(name)
        pair = CertificatePair(folder / "certificate.pem", folder / "key.pem")
        config = folder / "openssl.cnf"
        config.write_text(_OPENSSL_CONFIG, encoding="ascii")
        _run_openssl(
            *(openssl, "req", "-x509", "-config", str(config), "-days", "30"),
            *("-newkey", "rsa:2048", "-nodes", "-sha256"),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        )
        yield pair


def _run_openssl(*command: str) -> None:
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_OPENSSL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise UnusableCertificate(f"openssl cannot be run: {exc}") from exc
    if result.returncode:
        lines = result.stderr.decode(errors="replace").split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
        raise UnusableCertificate(f"openssl could not generate a certificate: {reason}")
