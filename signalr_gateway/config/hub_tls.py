"""TLS of connections to a hub: the trusted authorities, and the gateway's client certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..serving.certificate_chain import EncryptedKey, load_chain
from .reading import Place
from .schema import HubTable


def hub_tls(table: HubTable, place: Place) -> ssl.SSLContext | bool:
    """The argument ``ssl`` of `HubConnectionBuilder.with_url`. Raises `OrchestrationError`."""
    if table.ca_file is not None and not table.verify_tls:
        raise place.at("ca_file").error("has no effect when verify_tls is false")
    if table.ca_file is None and table.client_certificate is None and table.client_key is None:
        return table.verify_tls
    context = trusting(table.ca_file, place.at("ca_file"))
    if not table.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if table.client_certificate is not None or table.client_key is not None:
        _load_client_certificate(context, table.client_certificate, table.client_key, place)
    return context


def trusting(authorities: Path | None, place: Place) -> ssl.SSLContext:
    """The TLS context of a client that trusts these authorities. Raises `OrchestrationError`."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as exc:
        raise place.error("contains no certificate in PEM format") from exc
    except OSError as exc:
        raise place.error(f"cannot be read: {exc.strerror}") from exc


def _load_client_certificate(
    context: ssl.SSLContext, certificate: Path | None, key: Path | None, place: Place
) -> None:
    if certificate is None:
        raise place.at("client_key").error("needs client_certificate as well")
    if key is None:
        raise place.at("client_certificate").error("needs client_key as well")
    for name, path in (("client_certificate", certificate), ("client_key", key)):
        try:
            with path.open("rb"):
                pass
        except OSError as exc:
            raise place.at(name).error(f"cannot be read: {exc.strerror}") from exc
    try:
        load_chain(context, certificate, key)
    except EncryptedKey as exc:
        problem = "is encrypted; expected a private key without a password"
        raise place.at("client_key").error(problem) from exc
    except ssl.SSLError as exc:
        problem = "must be a certificate in PEM format, and client_key its private key"
        raise place.at("client_certificate").error(problem) from exc
