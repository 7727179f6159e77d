"""A client's handlers: which function gets which invocation, with which types.

Names match exactly, as in .NET (G-1). When handlers run is decided by ``event_queue``.
"""

import inspect
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw

from ..aio.signatures import annotation_of
from ..errors import ArgumentBindingError
from ..hub_protocol import ArgumentsReader, HubProtocol
from ..messages import Invocation

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]
AnyHandler = Callable[[str, Raw], Any]
HandlerCall = tuple[Handler, Sequence[Any]]

_NO_RESULT: Final = "Client didn't provide a result."
_UNREADABLE: Final = "Client failed to parse argument(s)."
_SHOWN: Final = 64  # characters of a name that the peer has chosen


@dataclass(frozen=True, slots=True)
class _Registration:
    handler: Handler
    read_arguments: ArgumentsReader


class HandlerRegistry:
    """The handlers of one ``HubConnection``. They stay registered when it reconnects."""

    def __init__(self, hub_protocol: HubProtocol) -> None:
        self._hub_protocol = hub_protocol
        self._registrations: dict[str, list[_Registration]] = {}
        self._any: AnyHandler | None = None

    def add(self, target: str, handler: Handler) -> None:
        """Registers a handler. Raises TypeError if a parameter has a type that cannot be read."""
        reader = _arguments_reader(self._hub_protocol, handler)
        self._registrations.setdefault(target, []).append(_Registration(handler, reader))

    def remove(self, target: str, handler: Handler | None) -> None:
        """Removes one handler, or all of them if it is None. Unknown handlers are ignored."""
        kept = [
            registration
            for registration in self._registrations.pop(target, [])
            if handler is not None and registration.handler != handler
        ]
        if kept:
            self._registrations[target] = kept

    def set_any(self, handler: AnyHandler | None) -> None:
        """Sets or removes the catch-all, which is called after the handlers of the target."""
        self._any = handler

    def refusal(self, invocation: Invocation) -> str:
        """The error to answer a server that asks for a result; no handler gives one (CR-3)."""
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

    def calls(self, target: str, arguments: Raw) -> Sequence[HandlerCall]:
        """Returns each handler with its arguments; the catch-all is last and gets them undecoded.

        If the arguments do not fit the first handler of the target, none of them is called (C-14).
        """
        registrations = self._registrations.get(target)
        if registrations is None:
            if self._any is None:
                logger.debug("No handler for '%s'.", shown(target))
                return ()
            return ((self._any, (target, arguments)),)
        calls = _bound(registrations, target, arguments)
        if self._any is not None:
            calls.append((self._any, (target, arguments)))
        return calls


def shown(target: str) -> str:
    """The first characters of a name that the peer has chosen, for a log."""
    return target[:_SHOWN]


def _bound(registrations: Iterable[_Registration], target: str, payload: Raw) -> list[HandlerCall]:
    calls: list[HandlerCall] = []
    for registration in registrations:
        try:
            arguments = registration.read_arguments(payload)
        except ArgumentBindingError as error:
            logger.warning("An invocation of '%s' was not handled: %s", shown(target), error)
            if not calls:
                break
            continue
        calls.append((registration.handler, arguments))
    return calls


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
