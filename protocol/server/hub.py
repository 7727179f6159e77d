"""Hub classes: which methods clients may call, under which names, and who may.

A method is callable only when ``hub_method`` marks it. Running methods is the dispatcher's.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from ..aio.signatures import annotation_of
from ..hub_protocol import ArgumentsReader, HubProtocol
from ..values.naming import pascal_case
from .clients import GroupManager, HubCallerClients
from .context import HubCallerContext
from .options import Services

Authorize = bool | Collection[str] | Callable[[HubCallerContext], "bool | Awaitable[bool]"]
Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__hub_method__"


class Hub:
    """Base of all hubs. A new instance serves each call; state belongs elsewhere.

    ``context`` is the calling connection, ``clients`` chooses whom to send to, ``groups`` changes
    memberships. They are set before any method runs.
    """  # S-28

    context: HubCallerContext
    clients: HubCallerClients
    groups: GroupManager

    async def on_connected(self) -> None:
        """Called when a client has connected, before its first call runs.

        An exception refuses the connection.
        """  # L-2, L-3

    async def on_disconnected(self, error: Exception | None) -> None:
        """Called when a client's connection has ended; None means in an orderly way."""  # L-4


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str | None
    authorize: Authorize


@overload
def hub_method(name: Method, /) -> Method: ...
@overload
def hub_method(
    name: str | None = None, /, *, authorize: Authorize = False
) -> Callable[[Method], Method]: ...
def hub_method(name: Any = None, /, *, authorize: Authorize = False) -> Any:
    """Makes a method of a Hub callable by clients.

    It is called by ``name``, by default its own in PascalCase, ignoring case. ``authorize``:
    True asks for any authenticated user, a collection of roles for a user in one of them, a
    function of the HubCallerContext (plain or async) decides itself; a refused call fails in the
    words of .NET. A plain (not async) method runs on the event loop and must not block. Raises
    TypeError when ``authorize`` is none of these, or the name is none.
    """  # S-1, S-9
    if callable(name):
        setattr(name, _MARK, _Mark(None, authorize))
        return name

    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"The name of a hub method is text that is not empty, not {name!r}.")
    if isinstance(authorize, str):
        raise TypeError(f"authorize is a collection of roles, not the text {authorize!r}.")
    if not isinstance(authorize, bool) and not callable(authorize) and not authorize:
        raise TypeError("authorize names no role: nobody could ever call this method.")

    def mark(method: Method) -> Method:
        setattr(method, _MARK, _Mark(name, authorize))
        return method

    return mark


@dataclass(frozen=True, slots=True)
class HubMethod:
    """A callable method: its declared name, its function, and the types of its arguments."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    authorize: Authorize
    annotations: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class BoundHubMethod:
    """A method together with the reader of its arguments for one hub protocol."""

    method: HubMethod
    read_arguments: ArgumentsReader


class HubMethodTable:
    """All callable methods of a hub class.

    ``services`` gives, by type, the values of parameters that no client sends (S-2).
    Raises TypeError for definitions that cannot work: two methods of one name, static methods and
    generators, parameters that are not plain positional ones, types that no message can be read
    into or that nobody knows.
    """

    def __init__(self, hub_class: type[Hub], services: Services) -> None:
        self._services = services
        self._methods: dict[str, HubMethod] = {}
        self._bound: dict[str, dict[str, BoundHubMethod]] = {}
        for attribute in dir(hub_class):
            function = inspect.getattr_static(hub_class, attribute)
            is_wrapper = isinstance(function, staticmethod | classmethod)
            inner = function.__func__ if is_wrapper else function  # which has the mark, or both
            mark = getattr(function, _MARK, getattr(inner, _MARK, None))
            if mark is not None:
                self._add(hub_class, function, cast("_Mark", mark))

    def _add(self, hub_class: type[Hub], function: Callable[..., Any], mark: _Mark) -> None:
        name = mark.name or pascal_case(function.__name__)
        where = f"{hub_class.__name__}.{name}"
        if not name:
            raise TypeError(f"{where}{function.__name__} needs a name that clients can call.")
        if name.lower() in self._methods:
            raise TypeError(
                f"{hub_class.__name__}: duplicate definitions of '{name}'. Overloading is not "
                "supported."
            )
        _require_plain_method(where, function)
        annotations, services = _parameters(where, function, self._services)
        self._methods[name.lower()] = HubMethod(
            name,
            _with_services(function, services) if services else function,
            inspect.iscoroutinefunction(function),
            mark.authorize,
            annotations,
        )

    def for_protocol(self, hub_protocol: HubProtocol) -> Mapping[str, BoundHubMethod]:
        """The methods, ready for payloads of ``hub_protocol``.

        Found by lower-case name; also as declared, which is how most callers write them.
        """
        bound = self._bound.get(hub_protocol.name)
        if bound is None:
            bound = self._bound[hub_protocol.name] = {}
            for key, method in self._methods.items():
                reader = hub_protocol.arguments_reader(method.annotations)
                bound[key] = bound[method.name] = BoundHubMethod(method, reader)
        return bound


def _parameters(
    name: str, function: Callable[..., Any], services: Services
) -> tuple[tuple[Any, ...], dict[int, Callable[[], Any]]]:
    """The types of what clients send, and who gives the other values, by position after self.

    A parameter without an annotation takes anything.
    """
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(
                f"{name}: parameter '{parameter.name}' is not positional; clients send positional "
                "arguments only."
            )
    if not parameters:
        raise TypeError(f"{name} has no parameter for the hub itself, which is called self.")
    annotations = [annotation_of(function, parameter, name) for parameter in parameters[1:]]
    given = {
        position: services[annotation]
        for position, annotation in enumerate(annotations)
        if isinstance(annotation, type) and annotation in services
    }
    return tuple(a for position, a in enumerate(annotations) if position not in given), given


def _require_plain_method(name: str, function: object) -> None:
    if isinstance(function, staticmethod | classmethod):
        raise TypeError(f"{name} is a {type(function).__name__}; clients call methods of a hub.")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{name} is a generator; streams are not supported yet.")


def require_hub_class(hub_class: object, hub_factory: object) -> None:
    """Raises TypeError for what cannot be served: no hub class, or none that makes an instance.

    ``hub_factory`` is None where the class itself makes them, without arguments.
    """
    if not isinstance(hub_class, type) or not issubclass(hub_class, Hub):
        given = (
            hub_class.__name__
            if isinstance(hub_class, type)
            else f"an instance of {type(hub_class).__name__}"
        )
        raise TypeError(f"A hub is a class derived from Hub, unlike {given}.")
    if hub_factory is not None:
        if not callable(hub_factory):
            raise TypeError(f"hub_factory is a function, not {type(hub_factory).__name__}.")
        return
    if inspect.isabstract(hub_class):
        raise TypeError(f"{hub_class.__name__} is abstract: no instance can be made of it.")
    try:
        inspect.signature(hub_class).bind()
    except TypeError as error:
        raise TypeError(
            f"{hub_class.__name__} cannot be made without arguments ({error}); a hub_factory makes "
            "it with them."
        ) from error


def _with_services(
    function: Callable[..., Any], services: Mapping[int, Callable[[], Any]]
) -> Callable[..., Any]:
    """``function`` as called with what clients send alone."""

    def call(hub: Hub, *sent: Any) -> Any:
        arguments = list(sent)
        for position, give in services.items():  # ascending, so that each finds its place
            arguments.insert(position, give())
        return function(hub, *arguments)

    return call
