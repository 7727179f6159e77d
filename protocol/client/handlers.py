"""A client's handlers, and the conversion of an invocation's arguments to their types.

Names match exactly, as in .NET (G-1). ``event_queue`` decides when handlers run.
"""

import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw

from ..aio.log_thinning import LogThinning, shown_name
from ..aio.signatures import annotation_of, arguments_reader, misfit_text, returns_value
from ..errors import ArgumentBindingError, LocalProtocolError
from ..hub_protocol import ArgumentsReader, HubProtocol
from ..messages import Invocation

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]
AnyHandler = Callable[[str, Raw], Any]
HandlerCall = tuple[Handler, Sequence[Any], bool | None]
"""A handler, its arguments, and whether it is declared to return a value. The third item is None
for a handler without a return annotation."""

NO_RESULT: Final = "Client didn't provide a result."
UNREADABLE: Final = "Client failed to parse argument(s)."


@dataclass(frozen=True, slots=True)
class _Registration:
    handler: Handler
    parameters: Collection[str]
    read_arguments: ArgumentsReader
    returns: bool | None


class HandlerRegistry:
    """The handlers of one ``HubConnection``. They stay registered when it reconnects."""

    def __init__(self, hub_protocol: HubProtocol) -> None:
        self._hub_protocol = hub_protocol
        self._registrations: dict[str, list[_Registration]] = {}
        self._any: AnyHandler | None = None
        self._by_lower_name: dict[str, str] = {}  # targets for which ``_log_other_case`` may log
        self.thinning = LogThinning()
        self.no_result = NO_RESULT
        """The error of the answer when the server asks for a result and no handler returns one."""

    def add(self, target: str, handler: Handler) -> None:
        """Registers a handler.

        Raises TypeError for a parameter of a type that cannot be read. Raises LocalProtocolError
        for a second handler of ``target`` that is declared to return a value.
        """
        name = f"The handler of '{target}'"
        parameters, reader = _arguments_reader(self._hub_protocol, handler, name)
        returns = returns_value(handler)
        registrations = self._registrations.setdefault(target, [])
        if returns and any(registration.returns for registration in registrations):
            raise LocalProtocolError(  # CR-4
                f"'{target}' already has a value returning handler. Multiple return values are not "
                "supported."
            )
        if not registrations:
            self._by_lower_name[target.lower()] = target
        registrations.append(_Registration(handler, parameters, reader, returns))

    def remove(self, target: str, handler: Handler | None) -> None:
        """Removes ``handler``, or all handlers of ``target`` if ``handler`` is None.

        A handler that is not registered is ignored.
        """
        kept = [
            registration
            for registration in self._registrations.pop(target, [])
            if handler is not None and registration.handler != handler
        ]
        if kept:
            self._registrations[target] = kept

    def set_any(self, handler: AnyHandler | None) -> None:
        """Sets or removes the catch-all handler, which is called after the target's handlers."""
        self._any = handler

    def refusal(self, invocation: Invocation) -> str | None:
        """Returns the error that answers ``invocation`` if no handler can return its result.

        Returns None if a handler may return the result (CR-3).
        """
        target = invocation.target
        registrations = self._registrations.get(target, ())
        if registrations:
            read_arguments = registrations[0].read_arguments
        elif self._any is None:
            read_arguments = self._hub_protocol.arguments_reader(())
        else:
            return self.no_result
        try:
            read_arguments(invocation.arguments)
        except ArgumentBindingError:
            return UNREADABLE
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a user's type may raise anything
            name = shown_name(target)
            self.thinning.log_failure(logger, error, "The arguments of '%s' were not read.", name)
            return UNREADABLE
        if all(registration.returns is False for registration in registrations):
            return self.no_result
        return None

    def calls(self, target: str, arguments: Raw) -> Sequence[HandlerCall]:
        """Returns the handlers to call, each with its arguments.

        The catch-all handler is last and gets the arguments undecoded. If the arguments do not fit
        the first handler of the target, no other handler of this target is called (C-14).
        """
        registrations = self._registrations.get(target)
        if registrations is None:
            if self._by_lower_name:
                self._log_other_case(target)
            if self._any is None:
                logger.debug("No handler for '%s'.", shown_name(target))
                return ()
            return ((self._any, (target, arguments), False),)
        calls = self._bind(registrations, target, arguments)
        if self._any is not None:
            calls.append((self._any, (target, arguments), False))
        return calls

    def _bind(
        self, registrations: Iterable[_Registration], target: str, payload: Raw
    ) -> list[HandlerCall]:
        calls: list[HandlerCall] = []
        for registration in registrations:
            try:
                arguments = registration.read_arguments(payload)
            except ArgumentBindingError as error:
                self._log_misfit(target, misfit_text(error, registration.parameters))
                if not calls:
                    break
                continue
            calls.append((registration.handler, arguments, registration.returns))
        return calls

    def _log_misfit(self, target: str, reason: str) -> None:
        level = self.thinning.level(target)
        name = shown_name(target)
        logger.log(level, "An invocation of '%s' was not handled: %s", name, reason)

    def _log_other_case(self, target: str) -> None:
        """Logs once if ``target`` differs only in case from a name that has a handler."""
        registered = self._by_lower_name.pop(target.lower(), None)
        if registered is not None and registered in self._registrations:
            logger.info(
                "There is no handler for '%s', but one for '%s': names are case-sensitive.",
                shown_name(target),
                registered,
            )


def _arguments_reader(
    hub_protocol: HubProtocol, handler: Handler, name: str
) -> tuple[Collection[str], ArgumentsReader]:
    """Returns the names of the handler's parameters, and a reader of arguments for their types.

    A parameter without an annotation takes any value. An argument whose parameter has a default
    value may be missing. A handler with ``*args`` takes any number of arguments, and so does a
    callable without a signature, such as some built-in functions.
    """
    annotations: dict[str, Any] = {}
    required = 0
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:
        return (), hub_protocol.value_reader(list[Any])
    for parameter in parameters:
        annotation = annotation_of(handler, parameter, name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            if annotations:
                raise TypeError(f"{name} takes either named parameters or *args, not both.")
            return (), hub_protocol.value_reader(list[annotation])  # type: ignore[valid-type]
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            annotations[parameter.name] = annotation
            required += parameter.default is parameter.empty
        elif parameter.default is parameter.empty:
            raise TypeError(f"{name}: parameter '{parameter.name}' is not positional.")
    return annotations, arguments_reader(hub_protocol, annotations, required, name)
