"""A fake client connection: the test decides how attempts, calls and the connection end."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from protocol import (
    HubConnection,
    HubConnectionState,
    JsonHubProtocol,
    NotConnectedError,
    RetryPolicy,
)
from protocol.hub_protocol import HubProtocol

from .payloads import json_text


class FakeConnection(HubConnection):
    """Stands in for the library's client; calls of `start` wait for `accept` or `refuse`."""

    def __init__(self) -> None:  # on purpose without the parts of a real connection
        self.current = HubConnectionState.DISCONNECTED
        self.starts = 0
        self.started_at: list[float] = []
        self.stopped = False
        self.calls: list[tuple[str, list[bytes]]] = []
        self.headers: list[Mapping[str, str]] = []  # of each call
        self.unanswered = 0  # cancelled calls that a test answers by setting it to 0
        self.answer: Callable[[], Any] = lambda: msgspec.Raw(b"")
        self.any_handler: Callable[[str, msgspec.Raw], Any] | None = None
        self.time: Callable[[], float] = lambda: 0.0
        self.refuse_at_once: BaseException | None = None
        self._attempt: asyncio.Future[None] | None = None
        self._on_closed: Callable[[Exception | None], Any] | None = None
        self._on_reconnecting: Callable[[Exception | None], Any] | None = None
        self._on_reconnected: Callable[[str | None], Any] | None = None

    # --- the interface that the gateway uses

    @property
    def hub_protocol(self) -> HubProtocol:
        return JsonHubProtocol()

    @property
    def maximum_send_message_size(self) -> int | None:
        return None

    @property
    def state(self) -> HubConnectionState:
        return self.current

    @property
    def cancelled_calls(self) -> int:
        return self.unanswered

    async def start(self, *, retry: RetryPolicy | Sequence[float] | None = None) -> None:
        assert retry is None
        assert self.current is HubConnectionState.DISCONNECTED
        assert self._attempt is None, "two attempts at once"
        self.starts += 1
        self.started_at.append(self.time())
        if self.refuse_at_once is not None:
            raise self.refuse_at_once
        self._attempt = asyncio.get_running_loop().create_future()
        self.current = HubConnectionState.CONNECTING
        try:
            await self._attempt
        except BaseException:
            self.current = HubConnectionState.DISCONNECTED
            raise
        finally:
            self._attempt = None
        self.current = HubConnectionState.CONNECTED

    async def stop(self) -> None:
        self.stopped = True
        was_connected = self.current is HubConnectionState.CONNECTED
        self.current = HubConnectionState.DISCONNECTED
        if was_connected and self._on_closed is not None:
            self._on_closed(None)

    async def invoke(
        self,
        target: str,
        *arguments: Any,
        result_type: Any = Any,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        if self.current is not HubConnectionState.CONNECTED:
            raise NotConnectedError("not connected")
        assert result_type is msgspec.Raw
        self.calls.append((target, [json_text(argument) for argument in arguments]))
        self.headers.append(headers or {})
        answer = self.answer()
        try:
            return await answer if isinstance(answer, asyncio.Future) else answer
        except asyncio.CancelledError:
            self.unanswered += 1
            raise

    def set_no_result_error(self, error: str) -> None:
        assert self.starts == 0, "set too late"

    def on_any(self, handler: Any) -> Any:
        assert self.starts == 0, "registered too late"
        self.any_handler = handler
        return handler

    def on_closed(self, callback: Any) -> Any:
        self._on_closed = callback
        return callback

    def on_reconnecting(self, callback: Any) -> Any:
        self._on_reconnecting = callback
        return callback

    def on_reconnected(self, callback: Any) -> Any:
        self._on_reconnected = callback
        return callback

    # --- actions of a test

    @property
    def attempting(self) -> bool:
        return self._attempt is not None

    def accept(self) -> None:
        assert self._attempt is not None, "no attempt is under way"
        self._attempt.set_result(None)

    def refuse(self, error: Exception | None = None) -> None:
        assert self._attempt is not None, "no attempt is under way"
        self._attempt.set_exception(error or ConnectionRefusedError(errno.ECONNREFUSED, "hush"))

    def lose(self, error: Exception | None = None) -> None:
        """The connection ends for good."""
        self.current = HubConnectionState.DISCONNECTED
        assert self._on_closed is not None
        self._on_closed(error)

    def lose_and_retry(self, error: Exception | None = None) -> None:
        """Lose the connection, and begin to reconnect with the retry policy of the user."""
        self.current = HubConnectionState.RECONNECTING
        assert self._on_reconnecting is not None
        self._on_reconnecting(error)

    def come_back(self) -> None:
        """Reconnect by the retry policy of the user."""
        self.current = HubConnectionState.CONNECTED
        assert self._on_reconnected is not None
        self._on_reconnected("new-id")
