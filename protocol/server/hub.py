"""Hub classes: the methods that clients can call, their names, and the clients that may call them.

Clients can call only the methods that ``hub_method`` marks. ``dispatcher`` and ``invoker`` run
these methods.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, overload

from ..aio.signatures import arguments_reader, value_readers
from ..hub_protocol import ArgumentsReader, HubProtocol, ValueReader
from ..option_checks import require_function
from ..values.naming import pascal_case
from .authorization import Authorize, require_authorize
from .clients import CallScope, GroupManager, HubCallerClients
from .context import HubCallerContext
from .filters import HubFilter, filter_method
from .method_signature import MethodSignature, parameter_advice, read_signature
from .options import Services

Method = TypeVar("Method", bound=Callable[..., Any])

_MARK: Final = "__hub_method__"
_WRAPPERS: Final = (
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partialmethod,
)
_SET_BY_SERVER: Final = frozenset({"context", "clients", "groups"})


class _CallerClients:
    """Makes ``clients`` of a hub instance on first use, and stores it in the instance."""

    def __get__(self, hub: object, owner: type) -> Any:
        if hub is None:
            return self
        attributes = vars(hub)
        scope: CallScope | None = attributes.get("__call_scope__")
        if scope is None:  # Hub.__getattr__ describes the error
            raise AttributeError("clients")
        clients = attributes["clients"] = scope.make_clients(hub)
        return clients


class Hub:
    """The base class of all hubs. Each call gets a new instance, so state has to be kept elsewhere.

    ``context`` is the calling connection. ``clients`` selects the clients to send to. ``groups``
    changes group memberships. The server sets all three before a method runs.

    ``class AdminHub(Hub, authorize={"admin"})`` restricts the clients that may connect, on every
    path of the class: see ``EndpointOptions.authorize``. Clients have to meet the requirements of
    the path, of the class and of its base classes.
    """  # S-28, A-1

    context: HubCallerContext
    clients: HubCallerClients
    groups: GroupManager
    __call_scope__: CallScope  # makes ``clients``
    __authorize__: ClassVar[Authorize]  # of this class alone, without its base classes

    def __init_subclass__(cls, *, authorize: Authorize = False, **others: Any) -> None:
        super().__init_subclass__(**others)
        require_authorize(authorize)
        cls.__authorize__ = authorize

    async def on_connected(self) -> None:
        """Called when a client has connected, before its first call runs.

        An exception ends the connection, and the client gets a Close message with an error.
        """  # L-2, L-3

    async def on_disconnected(self, error: Exception | None) -> None:
        """Called when a connection has ended. ``error`` is None if the end was orderly."""  # L-4

    async def on_authentication_refreshed(self) -> None:
        """Called when a client has replaced its access token; ``context.user`` is its new user.

        It counts as a call of the client for ``maximum_parallel_invocations_per_client``. Its
        exceptions are logged. Several refreshes in short succession may cause only one call.
        """  # AR-6

    if not TYPE_CHECKING:  # a type checker would accept every attribute
        clients = _CallerClients()

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            if name not in _SET_BY_SERVER:
                raise AttributeError(f"{kind!r} object has no attribute {name!r}")
            raise AttributeError(
                f"{kind}.{name} is set by the server, after __init__ and before a method runs. To "
                "send from outside of a hub method, use the HubContext that map_hub returns; a "
                f"test may set {name} itself."
            )


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str | None = None
    authorize: Authorize = False
    cancellable: bool = False


@overload
def hub_method(name: Method, /) -> Method: ...
@overload
def hub_method(
    name: str | None = None, /, *, authorize: Authorize = False, cancellable: bool = False
) -> Callable[[Method], Method]: ...
def hub_method(
    name: Any = None, /, *, authorize: Authorize = False, cancellable: bool = False
) -> Any:
    """Makes a method of a Hub callable by clients.

    Clients call it by ``name``, by default the name of the function in PascalCase. Case is ignored.

    ``authorize`` restricts the callers. True allows any authenticated user. A collection of roles
    allows users with at least one of these roles. A function of the HubCallerContext, plain or
    async, returns whether the call is allowed. A refused call fails with .NET's error text.

    A method that is an async generator, or is declared to return an async iterable, answers with a
    stream. A parameter that is annotated as an AsyncIterator or AsyncIterable is a stream from the
    client.

    ``cancellable`` cancels the method when the client cancels the call or disconnects.
    Otherwise the method runs to its end. A stream to the client is always cancelled.

    A plain (not async) method runs on the event loop and must not block. Raises TypeError when
    ``name`` is not a non-empty str, when ``authorize`` is an empty collection or of another type,
    or when ``cancellable`` is not a bool.
    """  # S-1, S-3, S-9, S-27, U-1
    if callable(name):
        setattr(name, _MARK, _Mark())
        return name

    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"The name of a hub method is a non-empty str, not {name!r}.")
    require_authorize(authorize)
    if not isinstance(cancellable, bool):
        raise TypeError(f"cancellable is a bool, not {cancellable!r}.")

    def mark(method: Method) -> Method:
        setattr(method, _MARK, _Mark(name, authorize, cancellable))
        return method

    return mark


@dataclass(frozen=True, slots=True)
class HubMethod:
    """A method that clients can call. ``signature`` describes its arguments and streams.

    ``is_guarded`` says whether a call needs further steps before it runs: the checks of
    ``call_checks``, or the registration of a call that ``is_cancellable``.
    """

    name: str
    function: Callable[..., Any]
    is_async: bool
    authorize: Authorize
    is_guarded: bool
    is_cancellable: bool
    signature: MethodSignature


@dataclass(frozen=True, slots=True)
class BoundHubMethod:
    """A method together with the readers of its arguments and uploads for one hub protocol."""

    method: HubMethod
    read_arguments: ArgumentsReader
    item_readers: Sequence[ValueReader]


def authorizations(hub_class: type[Hub]) -> list[Authorize]:
    """The requirements of a hub class and its base classes for clients that connect (A-1)."""
    found = (vars(each).get("__authorize__", False) for each in hub_class.__mro__)
    return [each for each in found if each is not False]


class HubMethodTable:
    """All methods of a hub class that clients can call.

    ``services`` maps types to functions. Clients do not send an argument for a parameter of such a
    type: the function returns its value (S-2). ``filters`` run around the methods (S-29).

    Raises TypeError for two methods with one name, for static methods and class methods, and for
    signatures that ``read_signature`` refuses. Raises TypeError for a hub method that is overridden
    without ``hub_method``, and for ``hub_method`` on a method that the server calls.
    ``for_protocol`` raises TypeError for a type that no argument can be read into.
    """

    def __init__(
        self, hub_class: type[Hub], services: Services, filters: Sequence[HubFilter] = ()
    ) -> None:
        self._hub_name = hub_class.__name__
        self._services = services
        self._filters = filters
        self._methods: dict[str, HubMethod] = {}
        self._bound: dict[str, dict[str, BoundHubMethod]] = {}
        for attribute in dir(hub_class):
            function = inspect.getattr_static(hub_class, attribute)
            mark = _mark_of(function)
            if mark is None:
                _require_no_lost_mark(hub_class, attribute, function)
            elif hasattr(Hub, attribute):
                raise TypeError(
                    f"{hub_class.__name__}.{attribute} is called by the server: @hub_method would "
                    "let clients call it, too. Remove @hub_method."
                )
            else:
                self._add(hub_class, attribute, function, mark)

    def _add(
        self, hub_class: type[Hub], attribute: str, function: Callable[..., Any], mark: _Mark
    ) -> None:
        python_name = getattr(function, "__name__", attribute)
        name = mark.name or pascal_case(python_name)
        where = f"{hub_class.__name__}.{name}"
        if not name:
            raise TypeError(f"{where}{python_name} needs a name that clients can call.")
        if name.lower() in self._methods:
            raise TypeError(
                f"{hub_class.__name__}: duplicate definitions of '{name}'. Overloading is not "
                "supported."
            )
        _require_method(where, function)
        signature = read_signature(where, function, self._services)
        called = filter_method(name, signature.function, self._filters)
        self._methods[name.lower()] = HubMethod(
            name,
            called,
            called is not signature.function or inspect.iscoroutinefunction(function),
            mark.authorize,
            bool(mark.authorize or mark.cancellable or signature.uploads or signature.is_streaming),
            mark.cancellable,
            signature,
        )

    def for_protocol(self, hub_protocol: HubProtocol) -> Mapping[str, BoundHubMethod]:
        """The methods with readers for payloads of ``hub_protocol``.

        The keys are lower-case names, and also the declared names, which most clients use.
        """
        bound = self._bound.get(hub_protocol.name)
        if bound is None:
            bound = self._bound[hub_protocol.name] = {}
            for key, method in self._methods.items():
                bound[key] = bound[method.name] = self._bind(method, hub_protocol)
        return bound

    def _bind(self, method: HubMethod, hub_protocol: HubProtocol) -> BoundHubMethod:
        where, signature = f"{self._hub_name}.{method.name}", method.signature
        return BoundHubMethod(
            method,
            arguments_reader(
                hub_protocol, signature.parameters, signature.required, where, parameter_advice
            ),
            value_readers(hub_protocol, signature.uploads, where),
        )


def refresh_event(hub_class: type[Hub]) -> HubMethod | None:
    """``on_authentication_refreshed`` as a method to call; None if the class does not define it."""
    name = Hub.on_authentication_refreshed.__name__
    function = getattr(hub_class, name)
    if function is Hub.on_authentication_refreshed:
        return None
    signature = read_signature(f"{hub_class.__name__}.{name}", function, {})
    return HubMethod(name, function, False, False, False, False, signature)


def _mark_of(attribute: object) -> _Mark | None:
    """The mark that ``hub_method`` set on a function, also on one inside a property or wrapper."""
    inside: list[object] = []
    if isinstance(attribute, _WRAPPERS):
        inside = [getattr(attribute, name, None) for name in ("__func__", "fget", "func")]
    marks = (getattr(each, _MARK, None) for each in (attribute, *inside))
    return next((mark for mark in marks if isinstance(mark, _Mark)), None)


def _require_no_lost_mark(hub_class: type[Hub], attribute: str, function: object) -> None:
    """Raises TypeError if a method without ``hub_method`` overrides a hub method.

    A class may set the attribute to None to remove an inherited hub method.
    """
    definitions = [each for each in hub_class.__mro__ if attribute in vars(each)]
    if function is None or len(definitions) < 2:
        return
    overriding, overridden = definitions[:2]
    if _mark_of(vars(overridden)[attribute]) is not None:
        raise TypeError(
            f"{overriding.__name__}.{attribute} overrides the hub method "
            f"{overridden.__name__}.{attribute} without @hub_method, so that clients could not "
            f"call it. Add @hub_method, or write {attribute} = None to remove the method."
        )


def _require_method(name: str, function: object) -> None:
    if isinstance(function, _WRAPPERS):
        raise TypeError(f"{name} is a {type(function).__name__}; clients call methods of a hub.")


def require_hub_class(hub_class: object, hub_factory: object) -> None:
    """Raises TypeError if ``hub_class`` is not a hub class, or cannot be instantiated.

    ``hub_factory`` is None if instances are made by calling the class without arguments.
    """
    if not isinstance(hub_class, type) or not issubclass(hub_class, Hub):
        given = (
            hub_class.__name__
            if isinstance(hub_class, type)
            else f"an instance of {type(hub_class).__name__}"
        )
        raise TypeError(f"A hub is a class derived from Hub, not {given}.")
    _require_event(hub_class, "on_connected", "self")
    _require_event(hub_class, "on_disconnected", "self, error")
    _require_event(hub_class, "on_authentication_refreshed", "self")
    if hub_factory is not None:
        require_function(hub_factory, "hub_factory")
        return
    if inspect.isabstract(hub_class):
        raise TypeError(f"{hub_class.__name__} is abstract: it cannot be instantiated.")
    try:
        inspect.signature(hub_class).bind()
    except TypeError as error:
        raise TypeError(
            f"{hub_class.__name__} cannot be instantiated without arguments ({error}); pass a "
            "hub_factory that does it."
        ) from error


def _require_event(hub_class: type[Hub], name: str, parameters: str) -> None:
    """Raises TypeError if an event of the hub cannot be called with ``parameters``."""
    function = inspect.getattr_static(hub_class, name)
    where = f"{hub_class.__name__}.{name}"
    _require_method(where, function)
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{where} is a generator; an event of a hub cannot stream.")
    try:
        inspect.signature(function).bind(*parameters.split(","))
    except TypeError as error:
        raise TypeError(f"{where} has to take ({parameters}): {error}") from error
