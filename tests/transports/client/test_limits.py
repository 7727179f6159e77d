"""The limit of received messages, which the user sets (F-4)."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from protocol import ConnectionClosed, Hub, HubConnectionBuilder, HubOptions, hub_method, map_hub
from protocol.client.calls import UPLOAD_HIGH_WATER
from protocol.transports.client import sender, web_socket

MIB = 1024 * 1024
DEFAULT_LIMIT = 64 * MIB


class LargeHub(Hub):
    @hub_method
    def large(self, size: int) -> str:
        return "x" * size


async def _receive(size: int, builder: HubConnectionBuilder) -> int:
    app = web.Application()
    map_hub(app, "/hub", LargeHub, hub_options=HubOptions(maximum_outbound_buffer_size=128 * MIB))
    async with TestServer(app) as server:
        async with builder.with_url(str(server.make_url("/hub"))).build() as connection:
            return len(await connection.invoke("Large", size, result_type=str))


@pytest.mark.parametrize("limit", [None, 2**32, 2**62])
async def test_more_than_by_default(limit: int | None) -> None:
    """None means no limit, also in the transport."""
    builder = HubConnectionBuilder().with_maximum_receive_message_size(limit)
    assert await _receive(DEFAULT_LIMIT + 1, builder) == DEFAULT_LIMIT + 1


@pytest.mark.parametrize(("limit", "size"), [(1000, 2000), (DEFAULT_LIMIT, DEFAULT_LIMIT + 1)])
async def test_more_than_the_limit(limit: int, size: int) -> None:
    """The connection ends."""
    builder = HubConnectionBuilder().with_maximum_receive_message_size(limit)
    with pytest.raises(ConnectionClosed, match="size"):
        await _receive(size, builder)


@pytest.mark.parametrize("water", [web_socket._LIMITS.transport_max_buffer_size, sender._LOW_WATER])
def test_uploads_wait_where_transports_wait(water: int) -> None:
    """U-5: below this number of waiting bytes ``drain`` returns at once, and a wait would spin."""
    assert UPLOAD_HIGH_WATER >= water
