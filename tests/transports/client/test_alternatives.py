"""A client that knows several addresses of a hub: which failures lead to the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protocol import HandshakeError, HubConnectionBuilder, NegotiationError
from protocol.client.hub_connection import Connected
from protocol.testing import memory_pair
from protocol.transports.client.alternatives import AlternativeConnector
from tests.transports.raw_server import RawServer

from .builders import builder, refused


class Addresses:
    """Connectors that fail as long as `failures` has an error for them."""

    def __init__(self, number: int) -> None:
        self.failures: dict[int, BaseException] = {}
        self.tried: list[int] = []
        self.connect = AlternativeConnector([self._connector(each) for each in range(number)])

    def _connector(self, index: int) -> Any:
        async def connect() -> Connected:
            self.tried.append(index)
            if index in self.failures:
                raise self.failures[index]
            return Connected(memory_pair()[0], str(index))

        return connect

    async def attempt(self, *, accepted: bool = True) -> str | None:
        """The address that was connected to; ``accepted``: the hub accepts the handshake."""
        connected = await self.connect()
        assert connected.on_accepted is not None
        if accepted:
            connected.on_accepted()
        return connected.connection_id


async def test_the_first_address_is_used_while_it_works() -> None:
    addresses = Addresses(2)
    for _ in range(2):
        assert await addresses.attempt() == "0"
    assert addresses.tried == [0, 0]


@pytest.mark.parametrize("status", [None, 404, 405, 408, 429, 500, 503])
async def test_after_a_failure_the_next_address_is_used_and_kept(status: int | None) -> None:
    addresses = Addresses(3)
    addresses.failures[0] = NegotiationError("away", status)
    assert await addresses.attempt() == "1"
    addresses.failures.clear()
    assert await addresses.attempt() == "1"
    assert addresses.tried == [0, 1, 1]
    addresses.failures[1] = addresses.failures[2] = NegotiationError("away")
    assert await addresses.attempt() == "0"
    assert addresses.tried[3:] == [1, 2, 0]


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_of_the_client_ends_the_attempt(status: int) -> None:
    addresses = Addresses(2)
    addresses.failures[0] = NegotiationError("refused", status)
    with pytest.raises(NegotiationError, match="refused"):
        await addresses.connect()
    assert addresses.tried == [0]


async def test_after_a_failed_handshake_the_next_attempt_begins_with_the_next_address() -> None:
    addresses = Addresses(2)
    assert await addresses.attempt(accepted=False) == "0"
    assert await addresses.attempt(accepted=False) == "1"
    assert await addresses.attempt() == "0"
    assert await addresses.attempt() == "0"


async def test_after_an_attempt_without_answer_the_next_one_begins_with_the_next_address() -> None:
    """Such as one that the gateway cancels because a server accepts and does not answer."""
    addresses = Addresses(2)
    addresses.failures[0] = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await addresses.connect()
    assert await addresses.attempt() == "1"
    assert addresses.tried == [0, 1]


async def test_an_error_of_the_token_factory_ends_the_attempt() -> None:
    addresses = Addresses(2)
    addresses.failures[0] = LookupError("no token")
    with pytest.raises(LookupError):
        await addresses.connect()
    assert addresses.tried == [0]


async def test_the_error_names_all_failures() -> None:
    """The summary has no text of a server, the public summary no address either."""
    addresses = Addresses(2)
    addresses.failures[0] = NegotiationError("first", summary="1", public_summary="one")
    addresses.failures[1] = NegotiationError("second", 503, summary="2")
    with pytest.raises(NegotiationError) as caught:
        await addresses.connect()
    assert str(caught.value) == "None of the 2 addresses of the hub can be used: first; second"
    assert caught.value.summary == "None of the 2 addresses of the hub can be used: 1; 2"
    assert caught.value.public_summary == "None of the 2 addresses of the hub can be used: one; 2"
    assert caught.value.status == 503


async def test_a_server_that_is_away(raw_server: RawServer, unused_tcp_port: int) -> None:
    dead = f"http://127.0.0.1:{unused_tcp_port}/hub"
    async with builder(dead, alternatives=[raw_server.url]).build():
        pass
    error = await refused(builder(dead, alternatives=[dead]).build())
    assert str(error).count("Connection refused") == 2


async def test_a_server_whose_hub_does_not_answer(raw_server: RawServer) -> None:
    """Its handshake fails; the next start uses the other server."""
    raw_server.shakes_hands = False
    async with RawServer() as other:
        to_both = builder(raw_server.url, alternatives=[other.url])
        connection = to_both.with_handshake_timeout(0.01).build()
        with pytest.raises(HandshakeError):
            await connection.start()
        async with connection:
            pass


@pytest.mark.parametrize("wrong", ["http://h/hub", ["h/hub"], [5]])
def test_wrong_alternatives(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        HubConnectionBuilder().with_url("http://h/hub", alternatives=wrong)
