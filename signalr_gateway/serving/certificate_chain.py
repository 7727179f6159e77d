"""Loads a certificate and its private key into an `SSLContext`, without asking for a password."""

from __future__ import annotations

import ssl
from pathlib import Path


class EncryptedKey(Exception):
    """The private key needs a password."""


def load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load the pair. Raises `EncryptedKey`, or `ssl.SSLError` if the two files are no pair."""
    context.load_cert_chain(certificate, key, password=_no_password)


def _no_password() -> str:
    # Without this function OpenSSL asks for the password at the terminal.
    raise EncryptedKey
