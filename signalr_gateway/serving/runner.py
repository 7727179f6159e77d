"""Runs the gateway's application, and stops it in a fixed order (GW-9, GW-10).

First the application shuts down (`serving.stopping`): new requests are refused, clients of the
gateway hub are disconnected, and requests under way may end until a deadline. Then
`serving.listener` closes the address. Last, remaining connections and tasks are ended.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from protocol.relaying import harden_server

from .request_heads import MAXIMUM_FIELDS, MAXIMUM_HEAD_SIZE
from .server_log import ServerLog
from .stopping import ANSWER_TIMEOUT, STOP_TIMEOUT, stopping_until

KEEP_ALIVE_TIMEOUT = 75.0
"""Seconds that a connection may wait for its next request."""


class GatewayRunner(web.AppRunner):
    """An aiohttp runner with the settings that an application of `create_app` needs.

    A call is cancelled when its caller disconnects. There is no access log, because it would show
    tokens in URLs. `shutdown_timeout` is the time in seconds in which requests under way may end.
    """  # GW-10

    def __init__(self, app: web.Application, *, shutdown_timeout: float = STOP_TIMEOUT) -> None:
        super().__init__(
            app,
            handler_cancellation=True,
            auto_decompress=False,  # an encoded body is refused, never decoded (GW-9)
            access_log=None,
            max_line_size=MAXIMUM_HEAD_SIZE,
            max_field_size=MAXIMUM_HEAD_SIZE,
            max_headers=MAXIMUM_FIELDS,
            logger=ServerLog(),
            shutdown_timeout=ANSWER_TIMEOUT,
            keepalive_timeout=KEEP_ALIVE_TIMEOUT,
        )
        self._stop_timeout = shutdown_timeout
        self._is_shut_down = False

    async def setup(self) -> None:
        """Start the application."""
        await super().setup()
        if self.server is not None:
            harden_server(self.server)

    async def shutdown(self) -> None:
        """Refuse new calls, disconnect clients, and wait until the requests under way have ended.

        Requests that have not ended at the deadline are answered with a problem. Meanwhile new
        requests still get answers, most of them 503. A second call does nothing.
        """
        if self.server is None or self._is_shut_down:  # no server: not started
            return
        self._is_shut_down = True
        deadline = asyncio.get_running_loop().time() + self._stop_timeout
        with stopping_until(deadline), suppress(TimeoutError):
            async with asyncio.timeout_at(deadline + 2 * ANSWER_TIMEOUT):
                await super().shutdown()
