"""The objects that a cell needs: the driver of its client, the wire, and the target behind it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.interop.drivers import ClientDriver, DrivenConnection
from tests.interop.journal import REPEATEDLY
from tests.interop.matrix.cells import Cell
from tests.interop.matrix.wire import Wire
from tests.interop.servers import GatewayServer, HubServer


@dataclass(frozen=True)
class Target:
    """A server to which cells connect at `url`, for WebSockets at `web_socket_url`."""

    url: str
    web_socket_url: str
    hub: HubServer
    """The chat hub: the target itself, or the one behind the gateway."""
    gateway: GatewayServer | None = None


@dataclass(frozen=True)
class Scene:
    cell: Cell
    target: Target
    driver: ClientDriver
    wire: Wire
    token: str = field(default_factory=lambda: uuid4().hex)
    """A text in all messages of this cell, and in no others."""

    async def connection(self, path: str = "/chathub") -> DrivenConnection:
        """A connection over the cell's transport, in its protocol, not started yet.

        To a hub server, ``path`` is that of the hub.
        """
        options = dict[str, object](self.cell.build_options)
        if self.cell.reconnects:
            options["reconnect"] = REPEATEDLY
        url = self.wire.url.replace("/chathub", path)
        return await self.driver.connect(url, **options)

    def require_way(self) -> None:
        """Checks that only the transport and the hub protocol of the cell were used."""
        assert self.wire.transports == {self.cell.transport}
        is_binary = self.cell.hub_protocol == "messagepack"
        assert self.wire.hub_protocols == {"messagepack" if is_binary else "json"}

    async def lose(self, *connections: DrivenConnection) -> None:
        """Cuts the wire and waits until the connections are back over the same transport."""
        self.wire.lose()
        for connection in connections:
            await self._back(connection, 1)
        self.require_way()

    async def exceed(self, connection: DrivenConnection, target: str, argument: Any) -> None:
        """Sends more than the server takes, which ends the connection; waits until it is back.

        Its user gets the reason. Over POSTs the server may have gone before it has read all of the
        message: then the refusal of the POST is an answer too, and which of the two comes first
        depends on the load of the machine.
        """
        told = "Connection closed with an error."
        gone = told if self.cell.transport == "WebSockets" else "404"
        [refusal] = await asyncio.gather(connection.send(target, argument), return_exceptions=True)
        assert refusal is None or gone in str(refusal)
        end = await self._back(connection, 2)
        assert told in end or gone in end

    async def _back(self, connection: DrivenConnection, times: int) -> str:
        """Waits until it has ended and come back for that many times; why it ended the last time.

        A client that cannot reconnect is started again by its user.
        """
        if self.cell.reconnects:
            error = (await connection.event("reconnecting", times))["error"]
            await connection.event("reconnected", times)
        else:
            error = (await connection.event("closed", times))["error"]
            await connection.start()
        return error["message"] if error else ""
