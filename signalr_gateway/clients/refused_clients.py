"""Keeps the counts of clients right if a filter of a Python program refuses a client (GW-46)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from protocol import Hub, HubFilter

from .services import GatewayServices


class RefusedClients(HubFilter):
    """The outermost filter of the gateway hub.

    `GatewayHub.on_connected` counts a client. If a filter then refuses the client,
    `on_disconnected` does not run, so this filter undoes the count.
    """

    def __init__(self, services: GatewayServices) -> None:
        self._services = services

    async def on_connected(self, hub: Hub, call_next: Callable[[Hub], Awaitable[None]]) -> None:
        try:
            await call_next(hub)
        except BaseException:
            self._services.forget_client(hub.context)
            raise
