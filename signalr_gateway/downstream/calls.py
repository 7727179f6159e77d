"""Calls and streams on the connection of one hub, with their time limits (GW-8, GW-10, GW-32).

Each raises NotConnectedError if there is no connection; `downstream.connection` then waits for one
and calls again. Results and items keep the form in which the hub has written them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from msgspec import Raw

from protocol import HubConnection, HubStream, Payload

from .call_errors import CallCutOff, HubTimeout, StreamIdle
from .clock import Clock
from .deadlines import Deadlines, timeouts

T = TypeVar("T")

_END: Final = Raw(b"")  # no item is empty


class HubCalls:
    """The calls of the hub `api` that are under way on `connection`."""

    def __init__(self, api: str, connection: HubConnection, clock: Clock) -> None:
        self._api = api
        self._connection = connection
        self._protocol_name = connection.hub_protocol.name
        self._clock = clock
        self._is_cut_off = False
        self._deadlines: dict[float, Deadlines[asyncio.Timeout]] = {}  # by their seconds

    async def invoke(
        self, method: str, arguments: Sequence[Payload], timeout: float
    ) -> Payload | None:
        """See `Downstream.invoke`."""
        call = self._connection.invoke(method, *arguments, result_type=Raw)
        result = await self.within(timeout, call, HubTimeout)
        return Payload({self._protocol_name: result}) if bytes(result) else None

    async def stream(
        self, method: str, arguments: Sequence[Payload], timeout: float, idle_timeout: float
    ) -> HubItems:
        """See `Downstream.stream`."""
        stream = self._connection.stream(method, *arguments, item_type=Raw)
        first = await self.within(timeout, anext(stream, _END), HubTimeout)
        following = partial(self.within, idle_timeout, error=StreamIdle)
        return HubItems(stream, first, self._protocol_name, following)

    async def within(
        self, seconds: float, waiting: Awaitable[T], error: Callable[[str, float], Exception]
    ) -> T:
        """Return what `waiting` returns. After `seconds`, cancel it and raise `error`.

        Raises `CallCutOff` if the gateway cuts it off.
        """
        limit = asyncio.timeout(None)
        deadlines = self._deadlines_of(seconds)
        try:
            async with limit:
                deadlines.start(limit)
                try:
                    return await waiting
                finally:
                    deadlines.stop(limit)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            if self._is_cut_off:
                raise CallCutOff(self._api) from exc
            raise error(self._api, seconds) from exc

    def _deadlines_of(self, seconds: float) -> Deadlines[asyncio.Timeout]:
        """Return the deadlines of all calls that have this timeout."""
        deadlines = self._deadlines.get(seconds)
        if deadlines is None:
            deadlines = self._deadlines[seconds] = timeouts(seconds, self._clock)
        return deadlines

    def cut_off(self) -> None:
        """End the calls and streams that are not completed; the hub gets cancellations."""
        self._is_cut_off = True
        for deadlines in self._deadlines.values():
            deadlines.expire_all()

    def close(self) -> None:
        """Stop all deadlines."""
        for deadlines in self._deadlines.values():
            deadlines.close()


class HubItems:
    """An async iterator over the items of a stream whose first item has arrived.

    Call `aclose` if you leave the iteration before its end: it cancels the stream.
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

    def __aiter__(self) -> HubItems:
        return self

    async def __anext__(self) -> Payload:
        """The next item.

        Raises `StreamIdle`, `CallCutOff`, `HubException` for the hub's error, `ConnectionClosed`,
        or `StreamOverflowError` when too many items wait because the caller does not take them.
        """
        item, self._first = self._first, None
        if item is None:
            item = await self._wait(anext(self._stream, _END))
        if item is _END:
            raise StopAsyncIteration
        return Payload({self._protocol_name: item})

    async def aclose(self) -> None:
        """Cancel the stream, unless it has ended."""
        await self._stream.aclose()
