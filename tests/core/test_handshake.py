"""The handshake of both sides, step by step; its single records are in ``spec-fixtures``."""

import json
from contextlib import suppress
from typing import ClassVar, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import HandshakeError, RemoteProtocolError
from protocol.handshake import (
    HANDSHAKE_CANCELED,
    ClientHandshake,
    HandshakeRequest,
    ServerHandshake,
    read_request,
    read_response,
    write_request,
    write_response,
)
from protocol.hub_protocol import TransferFormat
from protocol.json.protocol import JsonHubProtocol
from tests.support.strategies import damaged, near_records, slices

PROTOCOL: Final = JsonHubProtocol()
REQUEST: Final = b'{"protocol":"json","version":1}\x1e'
HOSTILE: Final = st.one_of(
    st.binary(max_size=40),
    near_records(),
    damaged(st.just(REQUEST[:-1])),
    damaged(st.just(b'{"error":"no way","type":null}')),
)


def server(
    maximum_size: int | None = None,
    *,
    detailed_errors: bool = False,
    transfer_formats: frozenset[TransferFormat] = frozenset(TransferFormat),
) -> ServerHandshake:
    return ServerHandshake(
        {"json": PROTOCOL},
        maximum_size=maximum_size,
        detailed_errors=detailed_errors,
        transfer_formats=transfer_formats,
    )


def test_both_sides_agree() -> None:
    client = ClientHandshake(PROTOCOL)
    assert client.request() == REQUEST  # version 1: the one that every server takes (H-5)
    assert server().receive(client.request()) == (PROTOCOL, b"")
    assert client.receive(write_response()) == (PROTOCOL, b"")


@given(st.data(), st.binary(max_size=20))
def test_bytes_after_the_handshake_belong_to_the_hub_protocol(
    data: st.DataObject, rest_sent: bytes
) -> None:
    """H-3: messages may follow in the same read, in part or whole."""
    for side, record in ((server(), REQUEST), (ClientHandshake(PROTOCOL), b"{}\x1e")):
        agreed = None
        rest = b""
        for chunk in data.draw(slices(record + rest_sent)):
            if agreed is None:
                agreed = side.receive(chunk)
                rest = b"" if agreed is None else agreed[1]
            else:
                rest += chunk
        assert agreed is not None
        assert agreed[0] is PROTOCOL
        assert rest == rest_sent


@given(HOSTILE)
def test_any_bytes_are_a_request_or_an_error(record: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert isinstance(read_request(record), HandshakeRequest)


@given(HOSTILE)
def test_any_bytes_are_a_response_or_a_failed_handshake(record: bytes) -> None:
    with suppress(HandshakeError):
        read_response(record)
        assert isinstance(json.loads(record.decode("utf-8", "replace")), dict)


@given(st.text(), st.integers(-(2**31), 2**31 - 1))
def test_requests_read_back_equal(protocol: str, version: int) -> None:
    request = HandshakeRequest(protocol, version)
    assert read_request(write_request(request)[:-1]) == request


@given(st.text(min_size=1))
def test_refusals_read_back(text: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        read_response(write_response(text)[:-1])
    assert str(caught.value) == (
        f"Unable to complete handshake with the server due to an error: {text}"
    )


class TestServer:
    def test_a_request_that_never_ends_is_canceled_at_the_limit(self) -> None:
        """H-9: the bytes count, complete or not."""
        handshake = server(maximum_size=len(REQUEST))
        assert handshake.receive(b" " * len(REQUEST)) is None
        with pytest.raises(HandshakeError) as caught:
            handshake.receive(b" ")
        assert str(caught.value) == HANDSHAKE_CANCELED

    def test_bytes_after_the_request_are_not_limited(self) -> None:
        rest_sent = b'{"type":6}\x1e' * 100
        assert server(maximum_size=len(REQUEST)).receive(REQUEST + rest_sent) == (
            PROTOCOL,
            rest_sent,
        )

    def test_without_detailed_errors_the_reason_is_not_shown(self) -> None:
        """H-10."""
        with pytest.raises(HandshakeError) as caught:
            server().receive(b'{"version":1}\x1e')
        assert str(caught.value) == "An unexpected error occurred during connection handshake."

    def test_a_message_instead_of_a_request(self) -> None:
        """H-10: the answer shows the message of a client that skips the handshake."""
        with pytest.raises(HandshakeError) as caught:
            server(detailed_errors=True).receive(b'{"type":6}\x1e')
        assert str(caught.value) == (
            "An unexpected error occurred during connection handshake. InvalidDataException: "
            "Missing required property 'protocol'. Message content: {\"type\":6}"
        )

    def test_a_transport_for_binary_data_alone_refuses_text(self) -> None:
        """H-7, with the transfer formats exchanged."""
        with pytest.raises(HandshakeError, match="does not support 'Text' transfer format"):
            server(transfer_formats=frozenset({TransferFormat.BINARY})).receive(REQUEST)

    def test_the_version_of_the_protocol_decides(self) -> None:
        """H-8. The error has the name as the hub protocol declares it, not as it was sent."""

        class Older(JsonHubProtocol):
            version: ClassVar[int] = 1

        handshake = ServerHandshake({"json": Older()})
        with pytest.raises(HandshakeError) as caught:
            handshake.receive(b'{"protocol":"JSON","version":2}\x1e')
        assert str(caught.value) == "The server does not support version 2 of the 'json' protocol."


class TestClient:
    def test_a_hub_message_is_no_response(self) -> None:
        """H-12: a server must not send messages before its response."""
        client = ClientHandshake(PROTOCOL)
        with pytest.raises(HandshakeError) as caught:
            client.receive(b'{"type":6}\x1e{}\x1e')
        assert str(caught.value) == "Expected a handshake response from the server."

    def test_an_endless_response_is_refused(self) -> None:
        client = ClientHandshake(PROTOCOL)
        assert client.receive(b" " * ClientHandshake.MAXIMUM_RESPONSE_SIZE) is None
        with pytest.raises(HandshakeError):
            client.receive(b" ")
