"""A hub can redirect the gateway only to servers in its `redirects` (GW-29)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol import HubConnection, HubConnectionBuilder, NegotiationError
from signalr_gateway.config.file import load_config
from signalr_gateway.downstream.building import build_connections
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.transports.raw_server import RawServer

NOT_LISTED = "the server redirects to another origin, which redirects does not list: "


def in_python(url: str, folder: Path, redirects: list[str]) -> Orchestrator:
    def build(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(url).build()

    orchestrator = Orchestrator()
    orchestrator.add_hub("chat", build, redirects=redirects)
    return orchestrator


def in_toml(url: str, folder: Path, redirects: list[str]) -> Orchestrator:
    file = folder / "gateway.toml"
    file.write_text(f"[hubs.chat]\nurl = '{url}'\nredirects = {redirects}\n")
    return load_config(file).orchestrator


@pytest.mark.parametrize("orchestration", [in_python, in_toml])
async def test_redirects_to_another_server(orchestration: Any, tmp_path: Path) -> None:
    """GW-29: only to a listed one."""
    async with RawServer() as hub, RawServer() as other:
        origin = other.url.removesuffix("/hub")
        for redirects in ([], [origin]):
            hub.reply(url=other.url)
            connection = build_connections(orchestration(hub.url, tmp_path, redirects).hubs)["chat"]
            if redirects:
                await connection.start()
                await connection.stop()
            else:
                with pytest.raises(NegotiationError, match=NOT_LISTED + origin):
                    await connection.start()
                assert other.requests == []


@pytest.mark.parametrize(
    ("redirects", "text"),
    [
        (["https://a", "https://b/hub"], "hub 'chat', redirects: item 2, 'https://b/hub', goes on"),
        ("https://a", "hub 'chat', redirects: must be a list of texts"),
    ],
)
def test_what_is_no_list_of_origins(redirects: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(OrchestrationError, match=text):
        in_python("http://127.0.0.1:9/hub", tmp_path, redirects)
