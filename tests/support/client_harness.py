"""Client connections without sockets: the test acts as the servers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from protocol import HubConnection, NegotiationError, RetryPolicy
from protocol.client.authentication import Refresh
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.hub_protocol import HubProtocol
from protocol.json.protocol import JsonHubProtocol
from protocol.testing import LoopClock, MemoryTransport, memory_pair
from tests.support.hub_messages import HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

Answer = Callable[[MemoryPeer], None]
"""A function that acts as a server does when a client has connected."""


def accept(server: MemoryPeer) -> None:
    """Answers the handshake before its request arrives, which the client cannot notice."""
    server.send({})


def be_silent(_: MemoryPeer) -> None:
    """Accepts the transport, and sends nothing."""


class ClientHarness:
    """Connects connections under test, each attempt to a new MemoryPeer, or refuses the attempt."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.servers: list[MemoryPeer] = []
        self.near_ends: list[MemoryTransport] = []
        self.attempts: list[float] = []
        """The times at which attempts began."""
        self.answers: deque[Answer | BaseException] = deque()
        """The answers to the next attempts. When there is none, the handshake is accepted."""
        self.has_inherent_keep_alive = False
        """The value for transports of later attempts; it is true for long polling."""
        self.refresh: Refresh | None = None
        """How connections refresh their authentication, and how long their tokens are valid."""
        self.token_lifetime: float | None = None
        self.is_stateful = False
        """Whether later connections may continue on another transport (stateful reconnect)."""
        self.reopened: list[float] = []
        """The times at which connections opened another transport. ``answers`` counts here too."""
        self.before_connecting: Callable[[], Awaitable[object]] | None = None
        self._connections: list[HubConnection] = []

    @property
    def server(self) -> MemoryPeer:
        """The server of the newest connection."""
        return self.servers[-1]

    async def connect(self) -> Connected:
        """The connector of the connections."""
        self.attempts.append(self.clock.time())
        near = await self._open(accept)
        reopen = self._reopen if self.is_stateful else None
        name = f"id-{len(self.servers)}"
        return Connected(near, name, self.refresh, self.token_lifetime, reopen=reopen)

    async def _reopen(self) -> MemoryTransport:
        self.reopened.append(self.clock.time())
        self.near_ends[-1].abort()  # a real connector frees the lost socket, too
        return await self._open(be_silent)

    async def _open(self, default: Answer) -> MemoryTransport:
        if self.before_connecting is not None:
            await self.before_connecting()
        await asyncio.sleep(0)  # a real connector has to wait, too
        answer = self.answers.popleft() if self.answers else default
        if isinstance(answer, BaseException):
            raise answer
        near, far = memory_pair()
        near.has_inherent_keep_alive = self.has_inherent_keep_alive
        self.near_ends.append(near)
        self.servers.append(MemoryPeer(self.clock, far))
        answer(self.server)
        return near

    def connection(
        self,
        retry: RetryPolicy | None = None,
        hub_protocol: HubProtocol | None = None,
        **options: Any,
    ) -> HubConnection:
        """A connection that is not started; its hub protocol is JSON by default."""
        connection = HubConnection(
            self.connect, hub_protocol or JsonHubProtocol(), HubConnectionOptions(**options), retry
        )
        self._connections.append(connection)
        return connection

    async def started(self, retry: RetryPolicy | None = None, **options: Any) -> HubConnection:
        """A connection whose handshake and first Ping are done (H-13)."""
        connection = self.connection(retry, **options)
        await connection.start()
        handshake = {**HANDSHAKE, "version": 2} if self.is_stateful else HANDSHAKE
        assert await self.server.take() == [handshake, PING]
        return connection

    async def close(self) -> None:
        """Stops all connections."""
        for connection in self._connections:
            stopping = asyncio.create_task(connection.stop())
            await self.clock.advance(5)
            await stopping


def refusal(text: str = "refused") -> NegotiationError:
    """The error of an attempt that is refused in negotiation."""
    return NegotiationError(text)
