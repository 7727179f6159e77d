"""Negotiate beyond single answers: ids, the choice of a transport, hostile bodies (section N).

Examples of versions, answers and URLs are in ``spec-fixtures/negotiate``.
"""

import json
import re
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import NegotiationError
from protocol.http_transport_type import HttpTransportType
from protocol.hub_protocol import TransferFormat
from protocol.negotiate import (
    MAXIMUM_REDIRECTS,
    AvailableTransport,
    NegotiateResponse,
    available_transports,
    choose_version,
    new_id,
    no_transport,
    read_response,
    usable_transport,
    write_error,
    write_offer,
)
from tests.support.strategies import damaged

OFFER: Final = write_offer(1, "pub", "sec", available_transports(HttpTransportType.ALL))
REDIRECT: Final = b'{"url":"https://h.example/hub","accessToken":"t"}'


def test_ids_are_sixteen_random_bytes_in_base64url() -> None:
    """N-13."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", it) for it in ids)


def test_the_limit_of_redirects_is_dotnets() -> None:
    """N-19."""
    assert MAXIMUM_REDIRECTS == 100


def test_transports_have_dotnets_numbers() -> None:
    """LA-4."""
    numbers = {it.name: it.value for it in HttpTransportType}
    assert numbers == {"WEB_SOCKETS": 1, "SERVER_SENT_EVENTS": 2, "LONG_POLLING": 4}


def test_what_is_allowed_is_offered_in_one_order() -> None:
    """N-11, N-14."""
    assert available_transports(HttpTransportType.NONE) == ()
    assert available_transports(HttpTransportType.ALL) == (
        AvailableTransport("WebSockets", ("Text", "Binary")),
        AvailableTransport("ServerSentEvents", ("Text",)),
        AvailableTransport("LongPolling", ("Text", "Binary")),
    )
    two = HttpTransportType.LONG_POLLING | HttpTransportType.WEB_SOCKETS
    assert [it.transport for it in available_transports(two)] == ["WebSockets", "LongPolling"]


@given(
    st.sampled_from([0, 1]),
    st.text(min_size=1).filter(str.strip),
    st.text(min_size=1).filter(str.strip),
    st.lists(
        st.builds(AvailableTransport, st.text(), st.lists(st.text(), max_size=3).map(tuple)),
        max_size=3,
    ),
)
def test_what_a_server_offers_a_client_reads(
    version: int, connection_id: str, token: str, transports: list[AvailableTransport]
) -> None:
    response = read_response(write_offer(version, connection_id, token, transports))
    assert response.connection_id == connection_id
    assert response.token == (token if version else connection_id)
    assert response.available_transports == tuple(transports)


@given(st.text(min_size=1))
def test_an_error_has_the_servers_text(text: str) -> None:
    """N-9."""
    with pytest.raises(NegotiationError) as caught:
        read_response(write_error(text))
    assert str(caught.value) == text


@given(st.binary(max_size=40) | damaged(st.sampled_from([OFFER, REDIRECT])))
def test_any_body_is_an_answer_or_a_failed_negotiation(body: bytes) -> None:
    with suppress(NegotiationError):
        assert isinstance(read_response(body), NegotiateResponse)


@given(st.lists(st.text(max_size=40), max_size=2), st.integers(0, 2))
def test_any_query_is_a_version_or_an_error(values: list[str], minimum: int) -> None:
    with suppress(NegotiationError):
        assert choose_version(values, minimum) in (0, 1)


def test_a_deeply_nested_answer_does_not_exhaust_the_stack() -> None:
    with pytest.raises(NegotiationError):
        read_response(b'{"connectionId":' + b"[" * 200_000)


def test_both_ids_are_secrets_of_their_own() -> None:
    """N-12, N-13: in version 1 the public id is not the token; version 0 has only one id."""
    assert read_response(OFFER).token == "sec"
    assert b"sec" not in write_offer(0, "pub", "sec", [])


def test_a_repr_shows_no_token() -> None:
    offered = {"connectionId": "pub", "connectionToken": "s3cret", "availableTransports": []}
    moved = {"url": "http://host/hub?access_token=s3cret", "accessToken": "s3cret"}
    for fields in ({**offered, "negotiateVersion": 1}, moved):
        assert "s3cret" not in repr(read_response(json.dumps(fields).encode()))


class TestUsableTransport:
    """N-24, N-25."""

    def refusal(
        self,
        listed: AvailableTransport,
        allowed: HttpTransportType = HttpTransportType.ALL,
        transfer_format: TransferFormat = TransferFormat.TEXT,
    ) -> str:
        with pytest.raises(NegotiationError) as caught:
            usable_transport(listed, allowed, transfer_format)
        return str(caught.value)

    @pytest.mark.parametrize("transport", list(HttpTransportType))
    def test_each_by_its_name(self, transport: HttpTransportType) -> None:
        [listed] = available_transports(transport)
        assert usable_transport(listed, HttpTransportType.ALL, TransferFormat.TEXT) is transport
        assert usable_transport(listed, transport, TransferFormat.TEXT) is transport
        assert self.refusal(listed, HttpTransportType.ALL & ~transport) == (
            "The transport is disabled by the client."
        )

    @pytest.mark.parametrize("name", ["Pigeon", "websockets", ""])
    def test_unknown_names(self, name: str) -> None:
        """N-16: the letter case counts."""
        listed = AvailableTransport(name, ("Text",))
        assert self.refusal(listed) == "The transport is not supported by the client."

    def test_formats(self) -> None:
        """N-16: unknown ones are ignored."""
        listed = AvailableTransport("WebSockets", ("Morse", "Binary"))
        assert usable_transport(listed, HttpTransportType.ALL, TransferFormat.BINARY)
        assert self.refusal(listed) == (
            "The transport does not support the 'Text' transfer format."
        )

    def test_events_are_text_although_the_server_lists_binary(self) -> None:
        """TS_-1."""
        listed = AvailableTransport("ServerSentEvents", ("Text", "Binary"))
        assert self.refusal(listed, transfer_format=TransferFormat.BINARY) == (
            "The 'Binary' transfer format is not supported by this transport."
        )


def test_the_error_of_a_start_without_success() -> None:
    """N-25."""
    assert str(no_transport([], None)) == (
        "None of the transports supported by the client are supported by the server."
    )
    quoting = NegotiationError("No: hush", summary="No.", public_summary="No")
    error = no_transport([("WebSockets", quoting), ("hush", NegotiationError("Neither."))], 403)
    assert error.status == 403
    assert str(error) == (
        "Unable to connect to the server with any of the available transports. "
        "(WebSockets failed: No: hush) (hush failed: Neither.)"
    )
    assert error.summary == (
        "Unable to connect to the server with any of the available transports. "
        "(WebSockets failed: No.) (another transport failed: Neither.)"
    )
    assert error.public_summary == (
        "Unable to connect to the server with any of the available transports. "
        "(WebSockets failed: No) (another transport failed: Neither.)"
    )
