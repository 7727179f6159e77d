"""The hubs of the connection scenarios: few methods, many endpoints with different options."""

import asyncio
from collections.abc import AsyncIterator

from protocol import Hub, Int32, hub_method

from .journal import Journal, LaterSender
from .values import InvalidOperationException, describe


class ConnectionHub(Hub):
    """The methods that each of these endpoints offers."""

    def __init__(self, journal: Journal, later: LaterSender) -> None:
        self._journal = journal
        self._later = later

    @property
    def tag(self) -> str:
        """The tag of the connection's entries in the journal."""
        tag: str = self.context.items["tag"]
        return tag

    async def on_connected(self) -> None:
        """Records the connection."""
        self.context.items["tag"] = self.context.http_request.query("tag") or ""
        self._journal.add(self.tag, "connected")

    async def on_disconnected(self, error: Exception | None) -> None:
        """Records the end, with the error if there is one."""
        description = describe(error)
        self._journal.add(
            self.tag, "disconnected" if description is None else f"disconnected: {description}"
        )

    # ---- plain calls

    @hub_method
    def echo(self, text: str) -> str:
        return text

    @hub_method
    def nothing(self) -> None:
        pass

    @hub_method
    def mark(self, text: str) -> str:
        """Records the call, to show whether a message was dispatched twice."""
        self._journal.add(self.tag, f"mark {text}")
        return text

    @hub_method
    async def slow(self, milliseconds: Int32, text: str) -> str:
        await asyncio.sleep(milliseconds / 1000)
        self._journal.add(self.tag, f"slow {text}")
        return text

    @hub_method
    def fail(self, text: str) -> None:
        raise InvalidOperationException(text)

    @hub_method
    def abort(self) -> None:
        self.context.abort()

    # ---- server to client

    @hub_method
    async def count(self, up_to: Int32) -> AsyncIterator[int]:
        for number in range(1, up_to + 1):
            yield number

    @hub_method
    async def send_self(self, text: str) -> None:
        await self.clients.caller.send("message", text)

    @hub_method
    async def send_all(self, text: str) -> None:
        await self.clients.all.send("message", text)

    @hub_method
    def send_later(self, milliseconds: Int32, texts: list[str]) -> None:
        """Returns at once; the messages come later, from outside of any invocation."""
        self._later.send(self.context.connection_id, milliseconds, texts)

    @hub_method
    def flood(self, count: Int32, size: Int32) -> None:
        """Sends ``count`` messages with a payload of ``size`` characters."""
        self._later.flood(self.context.connection_id, self.tag, count, size)

    # ---- what the hub can see of the connection

    @hub_method
    def connection_id(self) -> str:
        return self.context.connection_id

    @hub_method
    def user_identifier(self) -> str | None:
        return self.context.user_identifier

    @hub_method
    def user_name(self) -> str | None:
        user = self.context.user
        return user.claims.get("unique_name") if user else None

    @hub_method
    def http_user(self) -> str | None:
        return self.user_name()

    @hub_method
    def is_authenticated(self) -> bool:
        return self.context.user is not None

    @hub_method(authorize={"admin"})
    def admin_only(self) -> str:
        return "welcome"

    @hub_method
    def query(self, name: str) -> str:
        return self.context.http_request.query(name) or ""

    @hub_method
    def header(self, name: str) -> str:
        return self.context.http_request.headers.get(name, "")

    @hub_method
    def request(self) -> str:
        return f"{self.context.http_request.method} {self.context.http_request.path}"


class DetailedConnectionHub(ConnectionHub):
    """With detailed errors."""


class ShortHandshakeHub(ConnectionHub):
    """With one second for the handshake."""


class KeepAliveHub(ConnectionHub):
    """With a Ping every two seconds."""


class StatefulHub(ConnectionHub):
    """With stateful reconnect and detailed errors."""


class SmallStatefulHub(ConnectionHub):
    """With stateful reconnect, a buffer of 500 bytes, and a Ping every two seconds."""


class ClientTimeoutHub(ConnectionHub):
    """With a client timeout of two seconds and detailed errors."""


class SmallMessageHub(ConnectionHub):
    """With messages of at most 64 bytes."""


class FailingHub(Hub):
    """Fails while connecting."""

    async def on_connected(self) -> None:
        """Fails."""
        raise InvalidOperationException("not today")


class SlowStartHub(Hub):
    """Takes 1.5 seconds to connect."""

    async def on_connected(self) -> None:
        """Takes its time."""
        await asyncio.sleep(1.5)

    @hub_method
    def echo(self, text: str) -> str:
        return text


class SlowEndHub(ConnectionHub):
    """Takes 1.5 seconds to disconnect."""

    async def on_disconnected(self, error: Exception | None) -> None:
        """Takes its time."""
        await asyncio.sleep(1.5)
        await super().on_disconnected(error)
