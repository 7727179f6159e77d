"""Certificates for https: the pair that the gateway serves with, and one that the demo makes.

What is wrong with a pair is found here, before anything listens, and said in one line. Which
certificates the gateway itself trusts, towards hubs on https, is an option of each hub.
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

_OPENSSL_SECONDS = 60


class UnusableCertificate(Exception):
    """There is no serving with this pair; `str()` is one line that says which file and why."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """Two PEM files: the certificate, with those that lead to its authority, and its key."""

    certificate: Path
    key: Path


def server_context(pair: CertificatePair) -> ssl.SSLContext:
    """What a server needs to offer https with `pair`. Raises `UnusableCertificate`."""
    _require_readable("certificate", pair.certificate)
    _require_readable("key", pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    _require_certificate(pair.certificate)
    try:
        context.load_cert_chain(pair.certificate, pair.key, password=_no_password)
    except ssl.SSLError as exc:
        problem = (
            "does not belong to the certificate"
            if exc.reason == "KEY_VALUES_MISMATCH"
            else "is no private key in PEM form"
        )
        raise UnusableCertificate(f"the key {str(pair.key)!r} {problem}") from exc
    except _Encrypted as exc:
        raise UnusableCertificate(
            f"the key {str(pair.key)!r} is protected by a password; the gateway needs it without"
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
            f"the certificate {str(path)!r} is no certificate in PEM form"
        ) from exc


class _Encrypted(Exception):
    pass


def _no_password() -> str:
    # Without it OpenSSL asks at the terminal, which a service does not have.
    raise _Encrypted


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
    """A pair for localhost and 127.0.0.1, made by the program ``openssl`` in a folder of its own.

    The folder is private and goes when the context ends. Raises `UnusableCertificate`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise UnusableCertificate(
            "a self-signed certificate is made by the program openssl, which is not on PATH;"
            " install it, or name a pair of your own with --certificate and --key"
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
        raise UnusableCertificate(f"openssl could not make a certificate: {reason}")
