"""Runs the gateway's application, and stops it in a fixed order (GW-9, GW-10).

First new requests are refused (`serving.draining`), clients of the gateway hub are disconnected,
and requests under way get time to end. Then `serving.listener` closes the address. Last, remaining
connections and tasks are ended.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from .app import GATEWAY
from .server_log import ServerLog

SHUTDOWN_TIMEOUT = 10.0
"""Seconds that requests under way get to end when the gateway stops."""
KEEP_ALIVE_TIMEOUT = 75.0
"""Seconds that a connection may wait for its next request."""
_CUT_OFF_TIMEOUT = 0.1
"""Seconds that requests get to handle their cancellation, after the shutdown timeout."""


class GatewayRunner(web.AppRunner):
    """An aiohttp runner with the settings that an application of `create_app` needs.

    A call is cancelled when its caller disconnects. There is no access log, because it would show
    tokens in URLs. `shutdown_timeout` is the time in seconds that requests under way get to end.
    """  # GW-10

    def __init__(self, app: web.Application, *, shutdown_timeout: float = SHUTDOWN_TIMEOUT) -> None:
        super().__init__(
            app,
            handler_cancellation=True,
            auto_decompress=False,  # an encoded body is refused, never decoded (GW-9)
            access_log=None,
            logger=ServerLog(),
            shutdown_timeout=_CUT_OFF_TIMEOUT,
            keepalive_timeout=KEEP_ALIVE_TIMEOUT,
        )
        self._drain_timeout = shutdown_timeout
        self._is_shut_down = False

    async def drain(self) -> None:
        """Shut down, and wait until the requests under way end or the timeout has passed.

        Meanwhile new requests still get answers, most of them 503.
        """
        deadline = asyncio.get_running_loop().time() + self._drain_timeout
        await self.shutdown()
        gateway = self.app.get(GATEWAY)
        if gateway is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await gateway.gate.wait_until_empty()

    async def shutdown(self) -> None:
        """Make the application refuse new calls and disconnect its clients; only once."""
        if self.server is not None and not self._is_shut_down:  # no server: not started
            self._is_shut_down = True
            await super().shutdown()

    async def cleanup(self) -> None:
        """Stop the application: `drain`, then end what is left."""
        await self.drain()
        await super().cleanup()
