"""Filters: application code around hub methods, ``on_connected`` and ``on_disconnected`` (S-29).

This module joins the filters of a hub class to one function per method or event. Filters that do
not override a method of HubFilter are left out, so that a hub without filters pays nothing.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .context import HubCallerContext

if TYPE_CHECKING:
    from .hub import Hub


@dataclass(frozen=True, slots=True)
class HubInvocation:
    """A call of a hub method, as the filters see it.

    ``hub`` is the instance that runs the call, ``method_name`` the name that clients call.
    ``arguments`` are the client's arguments, converted to the declared types. ``uploads`` are the
    streams that the client sends, in the order of the method's parameters.
    """

    hub: "Hub"
    method_name: str
    arguments: Sequence[Any]
    uploads: Sequence[Any] = ()

    @property
    def context(self) -> HubCallerContext:
        """The connection that calls."""
        return self.hub.context


InvokeNext: TypeAlias = Callable[[HubInvocation], Awaitable[Any]]
ConnectNext: TypeAlias = Callable[["Hub"], Awaitable[None]]
DisconnectNext: TypeAlias = Callable[["Hub", Exception | None], Awaitable[None]]


class HubFilter:
    """Code that runs around the methods and events of a hub. Pass it to ``HubOptions(filters=…)``.

    Override the methods that are needed. Each method awaits ``call_next``, which calls the next
    filter, or the hub after the last filter. The first filter in the options is the outermost. An
    exception of a filter is treated like an exception of the hub.
    """  # S-29

    async def invoke_method(self, invocation: HubInvocation, call_next: InvokeNext) -> Any:
        """Runs around a call, after the call's arguments and authorization were checked.

        Returns the result of the call. For a method that streams, the result is the async iterable.
        Its items are sent after this method has returned. To replace arguments, pass
        ``dataclasses.replace(invocation, arguments=…)`` to ``call_next``. To refuse the call, raise
        an exception, for example HubException.
        """
        return await call_next(invocation)

    async def on_connected(self, hub: "Hub", call_next: ConnectNext) -> None:
        """Runs around ``on_connected`` of the hub. An exception ends the connection."""
        await call_next(hub)

    async def on_disconnected(
        self, hub: "Hub", error: Exception | None, call_next: DisconnectNext
    ) -> None:
        """Runs around ``on_disconnected`` of the hub. ``error`` is None at an orderly end."""
        await call_next(hub, error)


def filter_method(
    name: str, function: Callable[..., Any], filters: Sequence[HubFilter]
) -> Callable[..., Any]:
    """Wraps ``function``, the hub method ``name``, in the filters.

    The result is ``function`` itself if no filter overrides ``invoke_method``, otherwise a
    coroutine function.
    """

    async def call_method(invocation: HubInvocation) -> Any:
        uploads = {"uploads": invocation.uploads} if invocation.uploads else {}
        return await _done(function(invocation.hub, *invocation.arguments, **uploads))

    chain = _chain("invoke_method", filters, call_method)
    if chain is call_method:
        return function

    async def call(hub: "Hub", *arguments: Any, uploads: Sequence[Any] = ()) -> Any:
        return await chain(HubInvocation(hub, name, arguments, uploads))

    return call


def filter_event(name: str, filters: Sequence[HubFilter]) -> Callable[..., Any] | None:
    """A function that takes a hub instance and calls its event ``name`` through the filters.

    None if no filter overrides the event.
    """

    async def call_event(hub: "Hub", *arguments: Any) -> None:
        await _done(getattr(hub, name)(*arguments))

    chain = _chain(name, filters, call_event)
    return None if chain is call_event else chain


def _chain(
    name: str, filters: Sequence[HubFilter], innermost: Callable[..., Any]
) -> Callable[..., Any]:
    """Wraps ``innermost`` in the method ``name`` of each filter; the first filter is outermost.

    Each of these methods gets the next one as its last argument.
    """

    def around(outer: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: outer(*arguments, inner)

    chain = innermost
    for each in reversed(filters):
        if getattr(type(each), name) is not getattr(HubFilter, name):
            chain = around(getattr(each, name), chain)
    return chain


async def _done(result: Any) -> Any:
    """The result of a plain or async function of the hub."""
    return await result if inspect.isawaitable(result) else result
