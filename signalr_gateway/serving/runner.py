"""Runs the gateway's application, and ends it in good order (GW-9, GW-10).

The order: whoever comes anew is refused (`draining`) and clients are told, while what is under way
gets time to end; then the address is given up; and only then connections and tasks are cut off.
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
"""Seconds that those get to notice which have not ended by then."""


class GatewayRunner(web.AppRunner):
    """A runner with what the gateway needs: a caller that goes away cancels its call.

    No access log: a line per request costs more than the request, and addresses may hold tokens.
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
        self._patience = shutdown_timeout
        self._told = False

    async def drain(self) -> None:
        """End what is under way, while those who come anew still get an answer."""
        deadline = asyncio.get_running_loop().time() + self._patience
        await self.shutdown()
        gateway = self.app.get(GATEWAY)
        if gateway is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await gateway.gate.wait_until_empty()

    async def shutdown(self) -> None:
        """Tell the application, once; it tells its clients."""
        if self.server is not None and not self._told:  # the former once it has started
            self._told = True
            await super().shutdown()

    async def cleanup(self) -> None:
        """End everything: `drain`, and then what is left."""
        await self.drain()
        await super().cleanup()
