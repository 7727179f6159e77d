"""A client's handlers: which function gets which invocation, with which types.

Names match exactly, as in .NET (G-1). Calls are made one after another in order of arrival
(CR-8): at once as long as handlers are plain functions, from a queue as soon as one is async.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw, structs

from ..errors import ArgumentBindingError
from ..hub_protocol import ArgumentsReader, HubProtocol
from ..messages import Invocation
from .cancellation import is_being_cancelled
from .signatures import annotation_of

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]
AnyHandler = Callable[[str, Raw], Any]
_HandlerCall = tuple[Handler, Sequence[Any]]

_NO_RESULT: Final = "Client didn't provide a result."
_UNREADABLE: Final = "Client failed to parse argument(s)."
MAXIMUM_QUEUED_BYTES: Final = 1024 * 1024
"""Of memory for what waits for async handlers; beyond it nothing more is read (C-21)."""
_INVOCATION: Final = 256  # bytes that one takes beside its payload and its texts
_TEXT: Final = 64  # bytes that one takes beside its characters


@dataclass(frozen=True, slots=True)
class _Registration:
    handler: Handler
    read_arguments: ArgumentsReader


class HandlerTable:
    """Registered handlers, and the queue in front of them."""

    def __init__(self, hub_protocol: HubProtocol) -> None:
        self._hub_protocol = hub_protocol
        self._registrations: dict[str, list[_Registration]] = {}
        self._any: AnyHandler | None = None
        self._queue: deque[Invocation] = deque()
        self._queued_bytes = 0
        self._worker: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def add(self, target: str, handler: Handler) -> None:
        """Raises TypeError for a parameter that no message can be read into."""
        reader = _arguments_reader(self._hub_protocol, handler)
        self._registrations.setdefault(target, []).append(_Registration(handler, reader))

    def remove(self, target: str, handler: Handler | None) -> None:
        """Forgets one handler, or all of them; what is not there is no error."""
        kept = [
            registration
            for registration in self._registrations.pop(target, [])
            if handler is not None and registration.handler != handler
        ]
        if kept:
            self._registrations[target] = kept

    def set_any(self, handler: AnyHandler | None) -> None:
        """The one handler for all targets, after those of a target's own."""
        self._any = handler

    def dispatch(self, invocation: Invocation) -> None:
        """Calls the handlers of ``invocation``, now or in its turn. Their errors are logged.

        Raises RemoteProtocolError when its arguments are no array.
        """
        self._hub_protocol.require_arguments(invocation.arguments)
        if self._worker is not None:
            # A copy, for the payload is a view of all the bytes that came with it.
            payload = invocation.arguments.copy()
            self._queue.append(structs.replace(invocation, arguments=payload))
            self._queued_bytes += _weight(invocation)
            return
        target = invocation.target
        calls = iter(self._calls(invocation))
        for handler, arguments in calls:
            result = _call(handler, arguments, target)
            if inspect.isawaitable(result):  # it, and all that follows, takes its time
                work = self._work(result, calls, target)
                self._worker = asyncio.get_running_loop().create_task(work)
                return

    def refusal(self, invocation: Invocation) -> str:
        """What to answer a server that asks for a result, which no handler gives (CR-3)."""
        registrations = self._registrations.get(invocation.target)
        if registrations is not None:
            read_arguments = registrations[0].read_arguments
        elif self._any is None:
            read_arguments = self._hub_protocol.arguments_reader(())
        else:
            return _NO_RESULT
        try:
            read_arguments(invocation.arguments)
        except ArgumentBindingError:
            return _UNREADABLE
        return _NO_RESULT

    @property
    def is_full(self) -> bool:
        """Whether no more should be dispatched before ``wait_for_room``."""
        return self._queued_bytes > MAXIMUM_QUEUED_BYTES

    async def wait_for_room(self) -> None:
        """Returns once the queue is short enough to read on."""
        while self.is_full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def _work(self, begun: Awaitable[Any], rest: Iterator[_HandlerCall], target: str) -> None:
        """Ends what ``dispatch`` began, then serves the queue until it is empty."""
        await _finish(begun, target)
        await _call_all(rest, target)
        while self._queue:
            invocation = self._queue.popleft()
            self._queued_bytes -= _weight(invocation)
            await _call_all(self._calls(invocation), invocation.target)
            if self._room is not None and not self._room.done():
                self._room.set_result(None)
        self._worker = None

    def _calls(self, invocation: Invocation) -> Sequence[_HandlerCall]:
        """Each handler with its arguments, the catch-all last and undecoded.

        None of the target's own when the arguments do not fit the first of them (C-14).
        """
        registrations = self._registrations.get(invocation.target)
        if registrations is None:
            if self._any is None:
                logger.debug("No handler for '%s'.", invocation.target)
                return ()
            return ((self._any, (invocation.target, invocation.arguments)),)
        calls = _bound(registrations, invocation)
        if self._any is not None:
            calls.append((self._any, (invocation.target, invocation.arguments)))
        return calls


def _weight(invocation: Invocation) -> int:
    """About the bytes of memory that a waiting invocation takes, however little it carries."""
    headers = invocation.headers
    texts = (invocation.target, invocation.invocation_id, *invocation.stream_ids)
    sizes = map(len, (*texts, *headers, *headers.values()))
    return _INVOCATION + memoryview(invocation.arguments).nbytes + sum(_TEXT + s for s in sizes)


def _bound(registrations: Iterable[_Registration], invocation: Invocation) -> list[_HandlerCall]:
    calls: list[_HandlerCall] = []
    for registration in registrations:
        try:
            arguments = registration.read_arguments(invocation.arguments)
        except ArgumentBindingError as error:
            logger.warning("An invocation of '%s' was not handled: %s", invocation.target, error)
            if not calls:
                break
            continue
        calls.append((registration.handler, arguments))
    return calls


async def _call_all(calls: Iterable[_HandlerCall], target: str) -> None:
    for handler, arguments in calls:
        result = _call(handler, arguments, target)
        if inspect.isawaitable(result):
            await _finish(result, target)


def _call(handler: Handler, arguments: Sequence[Any], target: str) -> Any:
    try:
        return handler(*arguments)
    except (Exception, asyncio.CancelledError) as error:
        _log_failure(target, error)
        return None


async def _finish(begun: Awaitable[Any], target: str) -> None:
    try:
        await begun
    except (Exception, asyncio.CancelledError) as error:
        if is_being_cancelled():
            raise
        _log_failure(target, error)


def _log_failure(target: str, error: BaseException) -> None:
    logger.error("A handler of '%s' failed.", target, exc_info=error)


def _arguments_reader(hub_protocol: HubProtocol, handler: Handler) -> ArgumentsReader:
    """By the handler's annotations; a parameter without one takes anything, ``*args`` the rest."""
    annotations: list[Any] = []
    for parameter in inspect.signature(handler).parameters.values():
        annotation = annotation_of(handler, parameter, "A handler")
        if parameter.kind is parameter.VAR_POSITIONAL:
            if annotations:
                raise TypeError("A handler takes either named parameters or *args, not both.")
            return hub_protocol.value_reader(list[annotation])  # type: ignore[valid-type]
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            annotations.append(annotation)
        elif parameter.default is parameter.empty:
            raise TypeError(f"Parameter '{parameter.name}' of a handler is not positional.")
    return hub_protocol.arguments_reader(annotations)
