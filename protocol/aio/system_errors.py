"""Texts for errors of the operating system, without addresses and secrets."""

import errno
import os
import re
import socket
import ssl
from typing import Final

_TLS_REASON: Final = re.compile(r"[A-Z0-9_]{1,64}")  # as OpenSSL names its errors
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


def system_reason(error: OSError) -> str:
    """Returns the operating system's text for the errno of ``error``, or the name of its type.

    Unresolved host names, untrusted certificates and other errors of TLS have texts of their own.
    The text of ``error`` itself is not used, because another library may have put an address or a
    secret into it.
    """
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    number = error.errno
    if not isinstance(number, int):  # a user's function may raise an OSError with any object in it
        return type(error).__name__
    return os.strerror(number) if number in errno.errorcode else type(error).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    reason: object = error.reason
    if not isinstance(reason, str) or not _TLS_REASON.fullmatch(reason):
        return "TLS failed"
    hint = ": is it an https server?" if reason in _NOT_TLS else ""
    return f"TLS failed ({reason}){hint}"
