"""Clients of the gateway hub, over a given transport, which record the events they receive."""

from __future__ import annotations

import asyncio

from protocol import (
    HttpTransportType,
    HubConnection,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from protocol.hub_protocol import HubProtocol

COMBINATIONS: list[tuple[HttpTransportType, HubProtocol]] = [
    (HttpTransportType.WEB_SOCKETS, JsonHubProtocol()),
    (HttpTransportType.WEB_SOCKETS, MessagePackHubProtocol()),
    (HttpTransportType.SERVER_SENT_EVENTS, JsonHubProtocol()),
    (HttpTransportType.LONG_POLLING, JsonHubProtocol()),
    (HttpTransportType.LONG_POLLING, MessagePackHubProtocol()),
]
"""Each transport with each hub protocol that it carries."""


class Inbox:
    """Collects what a client receives; `take` waits for it."""

    def __init__(self, connection: HubConnection) -> None:
        self._received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        connection.on_any(lambda target, arguments: self._put(target, bytes(arguments)))

    def _put(self, target: str, arguments: bytes) -> None:
        self._received.put_nowait((target, arguments))

    async def take(self) -> tuple[str, bytes]:
        return await self._received.get()

    @property
    def empty(self) -> bool:
        return self._received.empty()
