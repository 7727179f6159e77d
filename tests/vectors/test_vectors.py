"""The vectors of handshake, negotiate and framing, and a check that every vector has a test.

A vector contains bytes on the wire and their meaning. This module decides which function of the
library must agree with it. A valid vector is read, written or both, as its direction says.
``test_message_vectors`` has the vectors of hub messages and values.
"""

from collections.abc import Iterable, Sequence, Sized
from typing import Any, Final

import pytest
from msgspec import UNSET, Struct

from protocol import HttpRequestData, handshake, negotiate
from protocol.errors import HandshakeError, NegotiationError, RemoteProtocolError
from protocol.framing import RECORD_SEPARATOR, Framer, RecordFramer
from protocol.hub_protocol import TransferFormat
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.framing import LengthPrefixFramer
from protocol.messagepack.protocol import MessagePackHubProtocol

from .parameters import (
    BINARY_STREAMS,
    JSON,
    LOADED,
    MESSAGEPACK,
    MESSAGEPACK_VALUES,
    OFFERS,
    QUERIES,
    REQUESTS,
    RESPONSES,
    STREAMS,
    URLS,
    VALUES,
    VERSIONS,
    directed,
    each,
)
from .schema import (
    FIXTURES,
    RECORDED,
    BinaryFramingVector,
    FramingVector,
    HandshakeRequestVector,
    HandshakeResponseVector,
    HttpQueryVector,
    NegotiateResponseVector,
    NegotiateUrlVector,
    NegotiateVersionVector,
    raw_bytes,
)

PROTOCOL: Final = JsonHubProtocol()
UNEXPECTED: Final = "An unexpected error occurred during connection handshake."


def test_every_file_is_played() -> None:
    """A file or vector that no test below picks up would be a promise that nobody keeps."""
    files = {path.relative_to(FIXTURES).as_posix() for path in FIXTURES.rglob("*.json")}
    files -= {path for path in files if path.startswith(RECORDED)}
    played: list[Sized] = [JSON, MESSAGEPACK, REQUESTS, RESPONSES, VERSIONS, OFFERS, URLS]
    played += [STREAMS, BINARY_STREAMS, VALUES, MESSAGEPACK_VALUES, QUERIES]
    assert {fixture.path for fixture in LOADED} == files
    assert sum(map(len, played)) == sum(len(fixture.content.vectors) for fixture in LOADED)
    either_way: list[dict[str, Any]] = [JSON, MESSAGEPACK, MESSAGEPACK_VALUES]
    for vectors in either_way:
        assert set(vectors) == set(directed(vectors, "read")) | set(directed(vectors, "write"))
    for vectors in (REQUESTS, RESPONSES, OFFERS):
        assert set(vectors) == set(directed(vectors, "read"))


# ---- handshake


def answer_to(vector: HandshakeRequestVector, *, detailed_errors: bool = False) -> bytes:
    """The record that a server sends back, as text without the separator."""
    server = handshake.ServerHandshake(
        {"json": PROTOCOL, "messagepack": MessagePackHubProtocol()},
        transfer_formats=frozenset(map(TransferFormat, vector.transfer_formats)),
        maximum_size=vector.maximum_size,
        detailed_errors=detailed_errors,
    )
    behind = b"behind\x1e"
    try:
        agreed = server.receive(raw_bytes(vector.bytes) + RECORD_SEPARATOR + behind)
    except HandshakeError as error:
        return handshake.write_response(str(error)).removesuffix(RECORD_SEPARATOR)
    assert agreed is not None
    assert agreed[1] == behind  # left for the hub protocol (H-3)
    return handshake.write_response().removesuffix(RECORD_SEPARATOR)


@each(REQUESTS)
def test_handshake_request_read(vector: HandshakeRequestVector) -> None:
    record = raw_bytes(vector.bytes)
    if vector.message is not UNSET:
        request = handshake.read_request(record)
        assert (request.protocol, request.version) == (
            vector.message.protocol,
            vector.message.version,
        )
        return
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.read_request(record)
    assert caught.value.exception_name == vector.exception
    assert vector.error is None or str(caught.value) == vector.error


@each(directed(REQUESTS, "both"))
def test_handshake_request_write(vector: HandshakeRequestVector) -> None:
    assert vector.message is not UNSET
    request = handshake.HandshakeRequest(vector.message.protocol, vector.message.version)
    assert handshake.write_request(request) == raw_bytes(vector.bytes) + RECORD_SEPARATOR


@each(REQUESTS)
def test_handshake_answer(vector: HandshakeRequestVector) -> None:
    if vector.message is not UNSET:
        assert vector.answer is not UNSET, "a request that can be read has an answer"
        assert answer_to(vector).decode() == vector.answer
        assert answer_to(vector, detailed_errors=True).decode() == vector.answer
        return
    assert answer_to(vector) == _refusal(UNEXPECTED)
    detailed = answer_to(vector, detailed_errors=True)
    if vector.error is None:
        assert detailed.startswith(_refusal(f"{UNEXPECTED} {vector.exception}: ")[:-2])
    else:
        assert detailed == _refusal(f"{UNEXPECTED} {vector.exception}: {vector.error}")


def _refusal(text: str) -> bytes:
    return handshake.write_response(text).removesuffix(RECORD_SEPARATOR)


@each(RESPONSES)
def test_handshake_response_read(vector: HandshakeResponseVector) -> None:
    client = handshake.ClientHandshake(PROTOCOL)
    data = raw_bytes(vector.bytes) + RECORD_SEPARATOR + b"behind"
    if vector.accepted is not UNSET:
        assert client.receive(data) == (PROTOCOL, b"behind")  # left for the hub protocol (H-3)
        return
    with pytest.raises(HandshakeError) as caught:
        client.receive(data)
    assert vector.error is None or str(caught.value) == vector.error


@each(directed(RESPONSES, "both"))
def test_handshake_response_write(vector: HandshakeResponseVector) -> None:
    text = None if vector.accepted is not UNSET else vector.refusal
    assert text is not UNSET
    assert handshake.write_response(text) == raw_bytes(vector.bytes) + RECORD_SEPARATOR


# ---- negotiate


@each(QUERIES)
def test_http_query(vector: HttpQueryVector) -> None:
    request = HttpRequestData("GET", "/hub", vector.query, {}, None)
    assert request.query_values(vector.key) == list(vector.values)
    assert request.query(vector.key) == (vector.values[0] if vector.values else None)


@each(VERSIONS)
def test_negotiate_version(vector: NegotiateVersionVector) -> None:
    if vector.version is not UNSET:
        assert negotiate.choose_version(vector.values, vector.minimum) == vector.version
        return
    with pytest.raises(NegotiationError) as caught:
        negotiate.choose_version(vector.values, vector.minimum)
    assert str(caught.value) == vector.error


def fields_of(response: Struct, names: Iterable[str]) -> dict[str, Any]:
    """The fields by name, transports as pairs, an absent or null version as absent."""
    fields = {name: getattr(response, name) for name in names}
    if fields["negotiate_version"] is None:
        fields["negotiate_version"] = UNSET
    if fields["available_transports"] is not UNSET:
        fields["available_transports"] = [
            (available.transport, tuple(available.transfer_formats))
            for available in fields["available_transports"]
        ]
    return fields


@each(OFFERS)
def test_negotiate_response_read(vector: NegotiateResponseVector) -> None:
    body = raw_bytes(vector.bytes)
    if vector.message is not UNSET:
        response = negotiate.read_response(body)
        names: Sequence[str] = vector.message.__struct_fields__
        assert fields_of(response, names) == fields_of(vector.message, names)
        assert vector.token is UNSET or response.token == vector.token
        return
    with pytest.raises(NegotiationError) as caught:
        negotiate.read_response(body)
    assert vector.error is None or str(caught.value) == vector.error


@each(directed(OFFERS, "both"))
def test_negotiate_response_write(vector: NegotiateResponseVector) -> None:
    if vector.message is UNSET:
        assert isinstance(vector.error, str)
        written = negotiate.write_error(vector.error)
    else:
        offer = vector.message
        version, transports = offer.negotiate_version, offer.available_transports
        assert version is not UNSET
        assert transports is not UNSET
        written = negotiate.write_offer(
            version,
            str(offer.connection_id),
            str(offer.connection_token),
            [negotiate.AvailableTransport(it.transport, it.transfer_formats) for it in transports],
        )
    assert written == raw_bytes(vector.bytes)


@each(URLS)
def test_negotiate_url(vector: NegotiateUrlVector) -> None:
    assert negotiate.negotiate_url(vector.url) == vector.negotiate
    assert negotiate.web_socket_url(vector.url, vector.token) == vector.web_socket


# ---- framing


@pytest.mark.parametrize("cut", ["whole", "bytewise", "halves"])
@each(STREAMS)
def test_framing(vector: FramingVector, cut: str) -> None:
    for way in ways_to_cut(raw_bytes(vector.bytes), cut):
        records: list[bytes] = []
        framer = RecordFramer(vector.maximum_size)
        if vector.error is UNSET:
            receive(framer, way, records)
            assert framer.has_partial is vector.partial
        else:
            with pytest.raises(RemoteProtocolError) as caught:
                receive(framer, way, records)
            assert str(caught.value) == vector.error
        assert records == [raw_bytes(record) for record in vector.records]


@pytest.mark.parametrize("cut", ["whole", "bytewise", "halves"])
@each(BINARY_STREAMS)
def test_binary_framing(vector: BinaryFramingVector, cut: str) -> None:
    for way in ways_to_cut(bytes.fromhex(vector.bytes), cut):
        records: list[bytes] = []
        framer = LengthPrefixFramer(vector.maximum_size)
        if vector.error is UNSET:
            receive(framer, way, records)
            assert framer.has_partial is vector.partial
        else:
            with pytest.raises(RemoteProtocolError) as caught:
                receive(framer, way, records)
            assert (caught.value.exception_name, str(caught.value)) == (
                vector.exception,
                vector.error,
            )
        assert records == [bytes.fromhex(record) for record in vector.records]


def ways_to_cut(stream: bytes, cut: str) -> Iterable[list[bytes]]:
    match cut:
        case "whole":
            yield [stream]
        case "bytewise":
            yield [stream[at : at + 1] for at in range(len(stream))]
        case _:
            for at in range(len(stream) + 1):
                yield [stream[:at], stream[at:]]


def receive(framer: Framer, chunks: list[bytes], records: list[bytes]) -> None:
    """Appends as it goes: the records before an error count (S-20)."""
    for chunk in chunks:
        for record in framer.feed(chunk):
            records.append(record)  # noqa: PERF402
