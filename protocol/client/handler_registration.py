"""The methods of a HubConnection that register handlers.

``handlers`` decides how a handler is called; this module checks what a program passes.
"""

from collections.abc import Callable
from typing import Any, Final, overload

from msgspec import Raw

from ..hub_protocol import HubProtocol
from ..option_checks import require_function, require_target
from .callbacks import AnyCallback
from .handlers import Handler, HandlerRegistry

_MISSING: Final[Any] = object()  # not None: None in place of a handler is an error


class HandlerRegistration:
    """Registers handlers of events and of calls that ask for a result."""

    def __init__(self, hub_protocol: HubProtocol) -> None:
        self._handlers = HandlerRegistry(hub_protocol)

    @overload
    def on(self, target: str, handler: AnyCallback) -> AnyCallback: ...
    @overload
    def on(self, target: str) -> Callable[[AnyCallback], AnyCallback]: ...
    def on(self, target: str, handler: Handler = _MISSING) -> Any:
        """Registers a handler, plain or async, for ``target``.

        Without ``handler``, returns a decorator that registers the decorated function.

        Arguments are converted to the handler's annotations. A call whose arguments do not fit in
        number or type is logged and dropped. Handlers run one after another in order of arrival.

        If the hub asks for a result, the handlers of ``target`` run at once, beside other handlers.
        The handler that is annotated to return a value gives the answer: its value, or the text of
        its exception. If no handler has such an annotation, a handler without any return annotation
        gives the answer, unless its value is None.

        Raises TypeError for a target that is not a str, a handler that is not a function, and an
        annotation that no argument can be read into. Raises ValueError for an empty target. Raises
        LocalProtocolError for a second handler of ``target`` that is annotated to return a value.
        """  # C-14, CR-3, CR-4, CR-8
        is_decorator = handler is _MISSING
        require_target(
            target, '@on("ReceiveMessage")' if is_decorator else 'on("ReceiveMessage", handler)'
        )
        if is_decorator:
            return lambda function: self.on(target, function)
        require_function(handler, "A handler")
        self._handlers.add(target, handler)
        return handler

    def off(self, target: str, handler: Handler | None = None) -> None:
        """Removes one handler of ``target``, or all of them if ``handler`` is None.

        A handler that is not registered is ignored. Raises TypeError for a target that is not a
        str, and ValueError for an empty target.
        """
        require_target(target, 'off("ReceiveMessage")')
        self._handlers.remove(target, handler)

    def set_no_result_error(self, error: str) -> None:
        """Sets the error of the answer if the hub asks for a result and no handler returns one."""
        self._handlers.no_result = error

    @overload
    def on_any(self, handler: AnyCallback) -> AnyCallback: ...
    @overload
    def on_any(self, handler: None) -> None: ...
    def on_any(self, handler: Callable[[str, Raw], Any] | None) -> Any:
        """Sets the catch-all handler, plain or async; None removes it. Usable as a decorator.

        ``handler(target, arguments)`` is called for every call from the hub, after the handlers of
        ``target``, even if the arguments do not fit these handlers. ``arguments`` is the undecoded
        array of arguments: a copy that the handler may keep.
        """
        if handler is not None:
            require_function(handler, "A handler")
        self._handlers.set_any(handler)
        return handler
