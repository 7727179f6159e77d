"""Texts for errors of the operating system, without addresses and secrets."""

import errno
import os
import socket
import ssl


def system_reason(error: OSError) -> str:
    """Returns the operating system's text for the errno of ``error``, or the name of its type.

    Unresolved host names and untrusted certificates have texts of their own.
    The text of ``error`` itself is not used, because another library may have written it.
    """
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the certificate is not trusted"
    number = error.errno
    # A user's function may raise an OSError with any object as its errno.
    if isinstance(error, ssl.SSLError) or not isinstance(number, int):
        return type(error).__name__
    return os.strerror(number) if number in errno.errorcode else type(error).__name__
