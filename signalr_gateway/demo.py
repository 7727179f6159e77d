"""The documentation's own example: its ChatHub, and the orchestration that leads there."""

from __future__ import annotations

import msgspec
from aiohttp import web

from protocol import Hub, HubConnection, HubConnectionBuilder, hub_method, map_hub

from .orchestration.orchestrator import Orchestrator
from .orchestration.route import HubRouteInfo

CHAT_HUB_PATH = "/chathub"


class Request(msgspec.Struct):
    """What a caller of the chat posts: ``{"name":"John","message":"Hello!"}``."""

    name: str | None = None
    message: str | None = None


class ChatHub(Hub):
    """Tells everybody what one says."""

    @hub_method
    async def send_message(self, request: Request) -> None:
        await self.clients.all.send("ReceiveMessage", request.name, request.message)


def create_chat_app() -> web.Application:
    """An application that serves the ChatHub at `CHAT_HUB_PATH`."""
    app = web.Application()
    map_hub(app, CHAT_HUB_PATH, ChatHub)
    return app


def orchestrate(orchestrator: Orchestrator, chat_hub_url: str) -> None:
    """Put the ChatHub at `chat_hub_url` behind the gateway, as the documentation does."""

    def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(chat_hub_url).build()

    orchestrator.add_hub("chatservice", build_hub_connection).add_route(
        "room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=[str, str],
            summary="Say something to everybody",
            examples=[[{"name": "John", "message": "Hello!"}]],
        ),
    )
