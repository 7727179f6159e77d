"""The handshake that starts a connection: it agrees on a hub protocol and a version (section H).

The handshake is one JSON record in each direction, for every hub protocol. This module decides
which requests and responses are acceptable, and the exact texts of refusals. Timeouts and closing
are left to ``client.connection`` and ``server.connection``.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from .errors import HandshakeError, RemoteProtocolError, error_details
from .framing import RECORD_SEPARATOR, RecordFramer
from .hub_protocol import HubProtocol, TransferFormat
from .json.record import missing_property, read_integer, read_object, read_string
from .json.scanner import JsonSyntaxError, scan_token, scan_value

HANDSHAKE_CANCELED: Final = "Handshake was canceled."
SUCCESS_RESPONSE: Final = b"{}" + RECORD_SEPARATOR

STATEFUL_VERSION: Final = 2
"""From this version on a hub protocol has Ack and Sequence, for stateful reconnect."""


class HandshakeRequest(Struct, frozen=True):
    """The hub protocol that a client asks for, by name. ``version`` is any Int32 (H-5)."""

    protocol: str
    version: int


_NO_RESPONSE: Final = "Expected a handshake response from the server."
_encode: Final = msgspec.json.Encoder().encode


def write_request(request: HandshakeRequest) -> bytes:
    """The request as a record, separator included."""
    return _encode(request) + RECORD_SEPARATOR


def read_request(record: bytes) -> HandshakeRequest:
    """The request in ``record`` (H-1).

    Raises RemoteProtocolError for the fault that .NET finds first (H-10).
    """
    protocol: str | None = None
    version: int | None = None

    def read_member(name: str, position: int) -> int:
        nonlocal protocol, version
        if name not in ("protocol", "version"):
            return scan_value(record, position, depth=1)
        end = scan_token(record, position)
        token = record[position:end]
        if name == "protocol":
            protocol = read_string(name, token)
        else:
            version = None if token == b"null" else read_integer(name, token, 32)
        return end

    try:
        read_object(record, read_member)
    except JsonSyntaxError as error:
        raise RemoteProtocolError(
            f"{error}.", "JsonReaderException", summary="The handshake request is not JSON."
        ) from error
    for name, value in (("protocol", protocol), ("version", version)):
        if value is None:
            content = record.decode("utf-8", "replace")
            missing = str(missing_property(name))
            raise RemoteProtocolError(f"{missing} Message content: {content}", summary=missing)
    assert protocol is not None
    assert version is not None
    return HandshakeRequest(protocol, version)


def write_response(error: str | None = None) -> bytes:
    """The response as a record, separator included; without an ``error`` it is ``{}`` (H-2)."""
    return SUCCESS_RESPONSE if error is None else _encode({"error": error}) + RECORD_SEPARATOR


def read_response(record: bytes) -> None:
    """Checks that the server accepted the request.

    Raises HandshakeError with the server's error text if the server refused, and HandshakeError if
    ``record`` is not a response (H-12).
    """
    refusal: str | None = None

    def read_member(name: str, position: int) -> int:
        nonlocal refusal
        if name == "type":
            raise HandshakeError(_NO_RESPONSE)
        if name != "error":
            return scan_value(record, position, depth=1)
        end = scan_token(record, position)
        refusal = read_string(name, record[position:end])
        return end

    try:
        read_object(record, read_member)
    except JsonSyntaxError as error:
        raise HandshakeError(_NO_RESPONSE) from error
    except RemoteProtocolError as error:
        raise HandshakeError(str(error), summary=_NO_RESPONSE) from error
    if refusal is not None:
        raise HandshakeError(
            f"Unable to complete handshake with the server due to an error: {refusal}",
            summary="The server refused the handshake.",
        )


class ServerHandshake:
    """The server's half of the handshake: reads the request and decides on it.

    ``protocols`` maps lower-case names to the hub protocols that the server speaks. The transport
    carries ``transfer_formats``. ``maximum_size`` is the limit of a message in bytes; the handshake
    record has the same limit (H-9).
    """

    __slots__ = ("_detailed_errors", "_framer", "_protocols", "_transfer_formats", "version")

    def __init__(
        self,
        protocols: Mapping[str, HubProtocol],
        *,
        transfer_formats: frozenset[TransferFormat] = frozenset(TransferFormat),
        maximum_size: int | None = None,
        detailed_errors: bool = False,
    ) -> None:
        self._protocols = protocols
        self._transfer_formats = transfer_formats
        self._framer = RecordFramer(maximum_size)
        self._detailed_errors = detailed_errors
        self.version = 0
        """The version that the client asks for, once the request is accepted."""

    def receive(self, data: bytes) -> tuple[HubProtocol, bytes] | None:
        """The hub protocol agreed on and the bytes after the request (H-3).

        Returns None while the request is incomplete. Raises HandshakeError if the request is
        refused; its text is the error of the response (H-6…H-10).
        """
        try:
            taken = self._framer.take_record(data)
        except RemoteProtocolError as error:
            raise HandshakeError(HANDSHAKE_CANCELED, summary=error.summary) from error
        if taken is None:
            return None
        record, rest = taken
        try:
            request = read_request(record)
        except RemoteProtocolError as error:
            details = error_details(error, self._detailed_errors)
            raise HandshakeError(
                f"An unexpected error occurred during connection handshake.{details}",
                summary=error.summary,
            ) from error
        return self._agree(request), rest

    def _agree(self, request: HandshakeRequest) -> HubProtocol:
        """Checks name, version and transfer format, in this order (H-8)."""
        protocol = self._protocols.get(request.protocol.lower())
        if protocol is None:
            raise HandshakeError(
                f"The protocol '{request.protocol}' is not supported.",
                summary="The client asks for a hub protocol other than "
                f"{' and '.join(self._protocols)}.",
            )
        if request.version > protocol.version:
            raise HandshakeError(
                f"The server does not support version {request.version} of the "
                f"'{protocol.name}' protocol."
            )
        if protocol.transfer_format not in self._transfer_formats:
            raise HandshakeError(
                f"Cannot use the '{protocol.name}' protocol on the current transport. The transport"
                f" does not support '{protocol.transfer_format.value}' transfer format."
            )
        self.version = request.version
        return protocol


class ClientHandshake:
    """The client's half of the handshake: makes the request and reads the response.

    Every server accepts version 1. ``STATEFUL_VERSION`` is for servers that have granted stateful
    reconnect (H-5).
    """

    # A response is `{}` or an error text. A peer that sends a longer one is not a SignalR server.
    MAXIMUM_RESPONSE_SIZE: Final = 64 * 1024

    def __init__(self, protocol: HubProtocol, version: int = 1) -> None:
        self._protocol = protocol
        self._framer = RecordFramer(self.MAXIMUM_RESPONSE_SIZE)
        self.version: Final = version

    def request(self) -> bytes:
        """The record of the request, the first bytes to send."""
        return write_request(HandshakeRequest(self._protocol.name, self.version))

    def receive(self, data: bytes) -> tuple[HubProtocol, bytes] | None:
        """The hub protocol and the bytes after the response (H-3).

        Returns None while the response is incomplete. Raises HandshakeError if the server
        refuses, or if its answer is not a handshake response.
        """
        try:
            taken = self._framer.take_record(data)
        except RemoteProtocolError as error:
            raise HandshakeError(_NO_RESPONSE) from error
        if taken is None:
            return None
        record, rest = taken
        read_response(record)
        return self._protocol, rest
