"""The connection to a hub with stateful reconnect."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from aiohttp import web

from protocol import EndpointOptions, Hub, hub_method, map_hub
from protocol.testing import TcpLink
from signalr_gateway.config.file import load_config
from signalr_gateway.serving.app import create_app
from signalr_gateway.serving.listener import serving

CONFIG = """
[hubs.sample]
url = "{url}"
stateful_reconnect = true
routes.add = {{ invoke_method = "Add" }}
"""


async def test_a_call_goes_on_when_the_connection_to_its_hub_is_cut(tmp_path: Path) -> None:
    """SR-11, SR-13: the call runs once, and its caller gets the answer."""
    links: list[TcpLink] = []
    calls = []

    class CuttingHub(Hub):
        @hub_method
        async def add(self, a: int, b: int) -> int:
            calls.append((a, b))
            links[0].cut()
            return a + b

    hub = web.Application()
    map_hub(
        hub, "/hub", CuttingHub, endpoint_options=EndpointOptions(allow_stateful_reconnects=True)
    )
    path = tmp_path / "gateway.toml"
    async with serving(hub, "127.0.0.1", 0) as hub_url, TcpLink(f"{hub_url}/hub") as link:
        links.append(link)
        path.write_text(CONFIG.format(url=link.url), encoding="utf-8")
        app = create_app(load_config(path).orchestrator)
        async with serving(app, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
            route = f"{url}/api/Gateway/hub/sample/add"
            async with session.post(route, json=[1, 2]) as response:
                assert (response.status, await response.text()) == (200, "3")
    assert calls == [(1, 2)]
