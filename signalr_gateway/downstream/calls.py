"""Calls and streams on one connection to a hub, with their time limits (GW-8, GW-10, GW-32).

A call or stream raises NotConnectedError if the hub is not connected. `downstream.hub` then waits
for the connection and calls again. Results and items stay in the hub protocol of the hub. This
module also detects that the hub does not answer on this connection (GW-34).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from msgspec import Raw, Struct

from protocol import HubConnection, HubStream, MessageTooLargeError, Payload

from .call_errors import CallCutOff, HubTimeout, StreamIdle
from .clock import Clock
from .deadlines import Deadlines, TimeLimit, timeouts

T = TypeVar("T")

_END: Final = Raw(b"")  # no item is empty


class CallHeaders(Struct, frozen=True):
    """The headers of an invocation.

    `trace` is left out if the call is too large with it (GW-38). `identity` is always sent, because
    without it a hub could take one caller for another (GW-54).
    """

    trace: Mapping[str, str] | None
    identity: Mapping[str, str] | None = None

    @property
    def all(self) -> Mapping[str, str] | None:
        """The headers to send; None if there are none."""
        if self.trace is None or self.identity is None:
            return self.trace or self.identity
        return {**self.trace, **self.identity}

    @property
    def may_shrink(self) -> bool:
        """Whether there are headers that may be left out."""
        return self.trace is not None

    def shrunk(self) -> CallHeaders:
        """The headers that may not be left out."""
        return CallHeaders(None, self.identity)


class HubCalls:
    """The calls of the hub `api` that are under way on `connection`.

    A connection is stuck while a call has no answer after its timeout. At the timeout, the caller
    gets an error and the call is cancelled, but the hub method may continue. A hub that runs one
    call of a connection at a time answers no other call until this method ends.
    """

    def __init__(self, api: str, connection: HubConnection, clock: Clock) -> None:
        self._api = api
        self._connection = connection
        self._protocol_name = connection.hub_protocol.name
        self._clock = clock
        self._is_cut_off = False
        self._overdue_at: float | None = None  # the earliest end of a cancelled call's timeout
        self._open_streams = 0
        self._deadlines: dict[float, Deadlines[TimeLimit]] = {}  # by timeout in seconds

    async def invoke(
        self,
        method: str,
        arguments: Sequence[Payload],
        headers: CallHeaders,
        timeout: float,
    ) -> Payload | None:
        """See `Downstream.invoke`."""
        call = self._connection.invoke(method, *arguments, result_type=Raw, headers=headers.all)
        try:
            result = await self._within(timeout, call, HubTimeout)
        except MessageTooLargeError:
            if not headers.may_shrink:
                raise
            return await self.invoke(method, arguments, headers.shrunk(), timeout)
        except HubTimeout:
            self._note_cancelled(0.0)
            raise
        except asyncio.CancelledError:
            self._note_cancelled(timeout)
            raise
        return Payload({self._protocol_name: result}) if bytes(result) else None

    async def stream(
        self,
        method: str,
        arguments: Sequence[Payload],
        headers: CallHeaders,
        timeout: float,
        idle_timeout: float,
    ) -> HubItems:
        """See `Downstream.stream`."""
        stream = self._connection.stream(method, *arguments, item_type=Raw, headers=headers.all)
        try:
            first = await self._within(timeout, anext(stream, _END), HubTimeout)
        except MessageTooLargeError:
            if not headers.may_shrink:
                raise
            return await self.stream(method, arguments, headers.shrunk(), timeout, idle_timeout)
        following = partial(self._within, idle_timeout, error=StreamIdle)
        self._open_streams += 1
        items = HubItems(stream, first, self._protocol_name, following)
        items.on_close(self._stream_ended)
        return items

    async def _within(
        self, seconds: float, waiting: Awaitable[T], error: Callable[[str, float], Exception]
    ) -> T:
        """Return the result of `waiting`. After `seconds`, cancel `waiting` and raise `error`.

        Raises `CallCutOff` if `cut_off` is called first.
        """
        limit = TimeLimit(self._deadlines_of(seconds))
        try:
            with limit:
                return await waiting
        except TimeoutError as exc:
            if not limit.has_expired:
                raise
            if self._is_cut_off:
                raise CallCutOff(self._api) from exc
            raise error(self._api, seconds) from exc

    @property
    def stuck_since(self) -> float | None:
        """The time of the clock at which the connection got stuck; None if it is not stuck."""
        if self._overdue_at is None:
            return None
        if self._connection.cancelled_calls == 0:
            self._overdue_at = None
            return None
        return self._overdue_at if self._overdue_at <= self._clock.time() else None

    @property
    def is_idle(self) -> bool:
        """Whether no call or stream is under way, except for cancelled calls."""
        return not self._open_streams and not any(self._deadlines.values())

    def _note_cancelled(self, remaining: float) -> None:
        """Record a cancelled call, whose timeout would end in at most `remaining` seconds."""
        overdue_at = self._clock.time() + remaining
        if self._overdue_at is None or self._connection.cancelled_calls <= 1:
            self._overdue_at = overdue_at
        else:
            self._overdue_at = min(self._overdue_at, overdue_at)

    def _stream_ended(self) -> None:
        self._open_streams -= 1

    def _deadlines_of(self, seconds: float) -> Deadlines[TimeLimit]:
        """Return the deadlines of all calls that have this timeout."""
        deadlines = self._deadlines.get(seconds)
        if deadlines is None:
            deadlines = self._deadlines[seconds] = timeouts(seconds, self._clock)
        return deadlines

    def cut_off(self) -> None:
        """End the calls and streams that are not completed, and cancel them at the hub."""
        self._is_cut_off = True
        for deadlines in self._deadlines.values():
            deadlines.expire_all()

    def close(self) -> None:
        """Stop all deadlines."""
        for deadlines in self._deadlines.values():
            deadlines.close()


class HubItems:
    """An async iterator over the items of a stream whose first item has arrived.

    Always call `aclose` at the end. It cancels a stream that has not ended.
    """

    def __init__(
        self,
        stream: HubStream[Raw],
        first: Raw,
        protocol_name: str,
        wait: Callable[[Awaitable[Raw]], Awaitable[Raw]],
    ) -> None:
        self._stream = stream
        self._first: Raw | None = first
        self._protocol_name = protocol_name
        self._wait = wait
        self._on_close: list[Callable[[], None]] = []

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, in `aclose`."""
        self._on_close.append(callback)

    def __aiter__(self) -> HubItems:
        return self

    async def __anext__(self) -> Payload:
        """The next item.

        Raises `StreamIdle`, `CallCutOff`, `HubException` for the hub's error, `ConnectionClosed`,
        or `StreamOverflowError` when the caller does not iterate and too many items wait.
        """
        item, self._first = self._first, None
        if item is None:
            item = await self._wait(anext(self._stream, _END))
        if item is _END:
            raise StopAsyncIteration
        return Payload({self._protocol_name: item})

    async def aclose(self) -> None:
        """Cancel the stream, unless it has ended."""
        while self._on_close:
            self._on_close.pop()()
        await self._stream.aclose()
