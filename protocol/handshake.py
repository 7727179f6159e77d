"""The handshake that starts a connection: which hub protocol, which version (section H).

Always one JSON record each way, whatever the hub protocol. Decides what is acceptable and the exact
texts of refusals; timing and closing are left to the connection.
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


class HandshakeRequest(Struct, frozen=True):
    """What a client asks for. ``version`` is any Int32 (H-5)."""

    protocol: str
    version: int


_NO_RESPONSE: Final = "Expected a handshake response from the server."
_encode: Final = msgspec.json.Encoder().encode


def write_request(request: HandshakeRequest) -> bytes:
    """The request's record."""
    return _encode(request) + RECORD_SEPARATOR


def read_request(record: bytes) -> HandshakeRequest:
    """The request in ``record`` (H-1).

    Raises RemoteProtocolError with what .NET finds wrong first (H-10).
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
        raise RemoteProtocolError(f"{error}.", "JsonReaderException") from error
    for name, value in (("protocol", protocol), ("version", version)):
        if value is None:
            content = record.decode("utf-8", "replace")
            raise RemoteProtocolError(f"{missing_property(name)} Message content: {content}")
    assert protocol is not None
    assert version is not None
    return HandshakeRequest(protocol, version)


def write_response(error: str | None = None) -> bytes:
    """The response's record; ``error`` None means success: ``{}``, nothing else (H-2)."""
    return SUCCESS_RESPONSE if error is None else _encode({"error": error}) + RECORD_SEPARATOR


def read_response(record: bytes) -> None:
    """Accepts a success. Raises HandshakeError with the server's or our own reason (H-12)."""
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
    """Waits for the request and answers it.

    ``protocols`` maps lower-case names to the hub protocols on offer. ``maximum_size`` is that of
    any message (H-9).
    """

    __slots__ = ("_detailed_errors", "_framer", "_protocols", "_transfer_formats")

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

    def receive(self, data: bytes) -> tuple[HubProtocol, bytes] | None:
        """The hub protocol agreed on and the bytes behind the request (H-3), or None: go on.

        Raises HandshakeError whose text is the error to answer with (H-6…H-10).
        """
        try:
            taken = self._framer.take_record(data)
        except RemoteProtocolError as error:
            raise HandshakeError(HANDSHAKE_CANCELED) from error
        if taken is None:
            return None
        record, rest = taken
        try:
            request = read_request(record)
        except RemoteProtocolError as error:
            details = error_details(error, self._detailed_errors)
            raise HandshakeError(
                f"An unexpected error occurred during connection handshake.{details}"
            ) from error
        return self._agree(request), rest

    def _agree(self, request: HandshakeRequest) -> HubProtocol:
        """Name, version, transfer format, in this order (H-8)."""
        protocol = self._protocols.get(request.protocol.lower())
        if protocol is None:
            raise HandshakeError(f"The protocol '{request.protocol}' is not supported.")
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
        return protocol


class ClientHandshake:
    """Sends the request and waits for the response. Version 1, the one every server takes (H-5)."""

    # A response is `{}` or an error text; a server that sends more is none of SignalR's.
    MAXIMUM_RESPONSE_SIZE: Final = 64 * 1024

    def __init__(self, protocol: HubProtocol) -> None:
        self._protocol = protocol
        self._framer = RecordFramer(self.MAXIMUM_RESPONSE_SIZE)

    def request(self) -> bytes:
        """The first bytes to send."""
        return write_request(HandshakeRequest(self._protocol.name, 1))

    def receive(self, data: bytes) -> tuple[HubProtocol, bytes] | None:
        """The hub protocol and the bytes behind the response (H-3), or None: go on.

        Raises HandshakeError when the server refuses or answers something else.
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
