"""The orchestration: which hubs lie behind the gateway and which routes lead to them (GW-1 … GW-5).

Pure data, checked as it is written, so that a mistake is reported at the line that makes it and
names the hub, the route and the field. Connecting to the hubs is `downstream`'s business, the
meaning of a route for a call or an event `relay`'s.

It reads almost word for word like the C# original::

    orchestrator.add_hub("chatservice", build_hub_connection, receive_key="2f85…").add_route(
        "room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=[str, str],
        ),
    )
    orchestrator.start_gateway_hub = True
    orchestrator.gateway_hub_url = "https://localhost:44360/GatewayHub"
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from protocol import normal_origin

from .arguments import MAXIMUM_ARGUMENTS
from .hub_path import DEFAULT_GATEWAY_HUB_PATH, gateway_hub_path
from .receive_types import ReceiveType, UnknownReceiveType, receive_type

if TYPE_CHECKING:  # the orchestration itself needs neither client nor event loop
    from protocol import HubConnection, HubConnectionBuilder

    BuildHubConnection = Callable[[HubConnectionBuilder], HubConnection]

DEFAULT_MAXIMUM_MESSAGE_SIZE = 32 * 1024  # what an ASP.NET Core hub accepts unless told otherwise
DEFAULT_INVOKE_TIMEOUT = 30.0


class BroadcastType(Enum):
    """Who gets a route's events (GW-15); the values are .NET's names, as GW-11 shows them."""

    ALL = "All"
    GROUP = "Group"
    INDIVIDUAL = "Individual"


class OrchestrationError(ValueError):
    """The orchestration contradicts itself or a rule of GW-1 … GW-5.

    `hub`, `route` and `field` say where (None where they do not apply), `problem` says what.
    """

    def __init__(
        self, problem: str, *, hub: str | None = None, route: str | None = None, field: str
    ) -> None:
        place = [f"{what} {name!r}" for what, name in (("hub", hub), ("route", route)) if name]
        super().__init__(f"{', '.join([*place, field])}: {problem}")
        self.problem = problem
        self.hub = hub
        self.route = route
        self.field = field


@dataclass(frozen=True, kw_only=True, slots=True)
class HubRouteInfo:
    """What a route does, as its author writes it (GW-2).

    Either method may be left out: a route without `receive_method` only sends, one without
    `invoke_method` only receives.
    """

    invoke_method: str | None = None
    """The method of the downstream hub that a call through this route invokes."""
    receive_method: str | None = None
    """The event of the downstream hub that this route passes on, and its name for the clients."""
    receive_parameter_types: Sequence[object] | None = None
    """When given, events that do not fit are not passed on (GW-6); see `receive_types`."""
    broadcast_type: BroadcastType = BroadcastType.ALL
    receive_group: str | None = None
    """The group that gets the events of a `BroadcastType.GROUP` route; case matters."""
    spread: bool = False
    """Clients get the downstream arguments as they came instead of the envelope of GW-14."""
    invoke_timeout: float | None = None
    """Seconds that a call waits for the hub's completion (GW-9); None: as the hub says."""
    maximum_body_size: int | None = None
    """Bytes of a call's arguments (GW-9); None: as the whole gateway has it."""
    summary: str | None = None
    """One line about the call for its readers in the OpenAPI document (GW-12)."""
    examples: Sequence[Sequence[object]] | None = None
    """Bodies that a caller may try (GW-12), each the list of a call's arguments."""


@dataclass(frozen=True, slots=True)
class HubRoute:
    """A checked route. `api` and `key` are in lower case: both ignore case (GW-1)."""

    api: str
    key: str
    invoke_method: str | None
    receive_method: str | None
    receive_parameters: tuple[ReceiveType, ...] | None
    broadcast_type: BroadcastType
    receive_group: str | None
    spread: bool
    invoke_timeout: float
    """Seconds: the route's own, else its hub's."""
    maximum_body_size: int | None
    summary: str | None
    examples: tuple[msgspec.Raw, ...]
    """JSON arrays."""

    @property
    def receive_parameter_names(self) -> list[str] | None:
        """The declared types by their .NET names (GW-11); None when none were declared."""
        if self.receive_parameters is None:
            return None
        return [parameter.name for parameter in self.receive_parameters]


@dataclass(frozen=True, slots=True)
class DownstreamHub:
    """A checked hub: how to connect to it, what it accepts, and its routes by lower-case key."""

    api: str
    build_hub_connection: BuildHubConnection
    receive_key: str | None = field(repr=False)  # a secret: it must not reach a log by accident
    maximum_message_size: int | None
    """Bytes; a larger invocation is refused here (GW-9), the hub would close the connection."""
    invoke_timeout: float
    """Seconds that a call waits for the hub's completion (GW-9)."""
    routes: Mapping[str, HubRoute] = field(default_factory=dict)


class HubBuilder:
    """Adds routes to one hub; `add_hub` goes on with the next one, as the C# chain does (GW-3)."""

    def __init__(
        self, orchestrator: Orchestrator, hub: DownstreamHub, routes: dict[str, HubRoute]
    ) -> None:
        self._hub = hub
        self._routes = routes
        self.add_hub = orchestrator.add_hub  # the very method, so that the chain can go on

    def add_route(self, key: str, info: HubRouteInfo) -> HubBuilder:
        """Add the route `key`, unique in this hub ignoring case. Raises `OrchestrationError`."""
        route = _checked_route(self._hub, _checked_key(key, hub=self._hub.api), info)
        if route.key in self._routes:
            raise OrchestrationError(
                "this hub has a route of that key already; keys ignore case",
                hub=route.api,
                route=route.key,
                field="key",
            )
        for other in self._routes.values():
            _check_shared_receive_method(route, other)
        self._routes[route.key] = route
        return self


class Orchestrator:
    """Collects the hubs; what it holds is valid at any time.

    `start_gateway_hub` switches the hub endpoint for clients and all fan-out off when False; calls
    still work (GW-4). Of `gateway_hub_url` the path counts: where this process serves that hub
    (GW-5). `allowed_origins` are those of web pages that may use the gateway, beside its own pages
    (GW-26a).
    """

    def __init__(self) -> None:
        self._hubs: dict[str, DownstreamHub] = {}
        self._gateway_hub_url = DEFAULT_GATEWAY_HUB_PATH
        self._gateway_hub_path = DEFAULT_GATEWAY_HUB_PATH
        self._start_gateway_hub = True
        self._allowed_origins: tuple[str, ...] = ()

    def add_hub(
        self,
        api: str,
        build_hub_connection: BuildHubConnection,
        receive_key: str | None = None,
        maximum_message_size: int | None = DEFAULT_MAXIMUM_MESSAGE_SIZE,
        invoke_timeout: float = DEFAULT_INVOKE_TIMEOUT,
    ) -> HubBuilder:
        """Register the hub `api` and return the builder that takes its routes.

        `build_hub_connection` gets a `HubConnectionBuilder` and returns the built `HubConnection`.
        Without a `receive_key` nobody needs one (GW-18). `maximum_message_size` is in bytes, None
        for no limit; `invoke_timeout` in seconds. Raises `OrchestrationError`.
        """
        api = _checked_key(api)
        if api in self._hubs:
            raise OrchestrationError(
                "a hub of that key is registered already; keys ignore case", hub=api, field="api"
            )
        _check_hub(api, build_hub_connection, receive_key, maximum_message_size, invoke_timeout)
        routes: dict[str, HubRoute] = {}
        hub = DownstreamHub(
            api=api,
            build_hub_connection=build_hub_connection,
            receive_key=receive_key,
            maximum_message_size=maximum_message_size,
            invoke_timeout=invoke_timeout,
            routes=MappingProxyType(routes),
        )
        self._hubs[api] = hub
        return HubBuilder(self, hub, routes)

    @property
    def hubs(self) -> Mapping[str, DownstreamHub]:
        """The registered hubs by lower-case key, in the order of registration."""
        return MappingProxyType(self._hubs)

    @property
    def start_gateway_hub(self) -> bool:
        return self._start_gateway_hub

    @start_gateway_hub.setter
    def start_gateway_hub(self, start: bool) -> None:
        self._start_gateway_hub = _checked_flag(start, "start_gateway_hub")

    @property
    def allowed_origins(self) -> Sequence[str]:
        """In the form in which browsers send them."""
        return self._allowed_origins

    @allowed_origins.setter
    def allowed_origins(self, origins: Sequence[str]) -> None:
        if not _is_list(origins):
            raise OrchestrationError("must be a list of origins", field="allowed_origins")
        try:
            self._allowed_origins = tuple(map(normal_origin, origins))
        except ValueError as exc:
            raise OrchestrationError(f"each origin {exc}", field="allowed_origins") from exc

    @property
    def gateway_hub_url(self) -> str:
        return self._gateway_hub_url

    @gateway_hub_url.setter
    def gateway_hub_url(self, url: str) -> None:
        try:
            self._gateway_hub_path = gateway_hub_path(url)
        except ValueError as exc:
            raise OrchestrationError(str(exc), field="gateway_hub_url") from exc
        self._gateway_hub_url = url

    @property
    def gateway_hub_path(self) -> str:
        """The path at which this process serves the gateway hub, without a trailing slash."""
        return self._gateway_hub_path


def fold(key: str) -> str:
    """The form in which keys are stored and compared: lower case, of no culture (GW-1)."""
    return key.lower()


def _checked_flag(value: object, field_name: str) -> bool:
    if not isinstance(value, bool):
        problem = f"must be True or False, not {type(value).__name__}"
        raise OrchestrationError(problem, field=field_name)
    return value


def _checked_key(key: object, *, hub: str | None = None) -> str:
    if not isinstance(key, str) or not key:
        field_name = "api" if hub is None else "key"
        raise OrchestrationError("a key must be non-empty text", hub=hub, field=field_name)
    return fold(key)


def _check_hub(
    api: str,
    build_hub_connection: object,
    receive_key: object,
    maximum_message_size: object,
    invoke_timeout: object,
) -> None:
    def problems() -> Iterator[tuple[str, str]]:
        if not callable(build_hub_connection):
            yield "build_hub_connection", "must be a function that takes a HubConnectionBuilder"
        if receive_key is not None and not _is_name(receive_key):
            yield "receive_key", "must be non-empty text, or None when no key is needed"
        if maximum_message_size is not None and not is_positive(maximum_message_size, int):
            yield "maximum_message_size", "must be a positive number of bytes, or None"
        if not is_positive(invoke_timeout, int, float):
            yield "invoke_timeout", "must be a positive number of seconds"

    for field_name, problem in problems():
        raise OrchestrationError(problem, hub=api, field=field_name)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def is_positive(value: object, *allowed: type) -> bool:
    """Whether `value` is a finite number above 0 of one of these types; True is none."""
    return (
        isinstance(value, (int, float))
        and isinstance(value, allowed)
        and not isinstance(value, bool)
        and 0 < value < math.inf
    )


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_body(value: object) -> bool:
    return _is_list(value) and len(value) <= MAXIMUM_ARGUMENTS


def _checked_route(hub: DownstreamHub, key: str, info: HubRouteInfo) -> HubRoute:
    def error(field_name: str, problem: str) -> OrchestrationError:
        return OrchestrationError(problem, hub=hub.api, route=key, field=field_name)

    if not isinstance(info, HubRouteInfo):
        raise error("info", f"must be a HubRouteInfo, not {type(info).__name__}")
    for field_name, problem in _route_problems(info):
        raise error(field_name, problem)
    return HubRoute(
        api=hub.api,
        key=key,
        invoke_method=info.invoke_method,
        receive_method=info.receive_method,
        receive_parameters=_receive_parameters(info.receive_parameter_types, error),
        broadcast_type=info.broadcast_type,
        receive_group=info.receive_group,
        spread=info.spread,
        invoke_timeout=hub.invoke_timeout if info.invoke_timeout is None else info.invoke_timeout,
        maximum_body_size=info.maximum_body_size,
        summary=info.summary,
        examples=_examples(info.examples, error),
    )


def _route_problems(info: HubRouteInfo) -> Iterator[tuple[str, str]]:
    """What is wrong with a route by itself, as (field, problem)."""
    for name in ("invoke_method", "receive_method", "receive_group", "summary"):
        value = getattr(info, name)
        if value is not None and not _is_name(value):
            yield name, "must be non-empty text, or left out"
    for name, expected in (("broadcast_type", BroadcastType), ("spread", bool)):
        if not isinstance(getattr(info, name), expected):
            yield name, f"must be a {expected.__name__}"
    if info.invoke_method is None and info.receive_method is None:
        yield "invoke_method", "a route needs an invoke_method, a receive_method or both"
    if info.broadcast_type is BroadcastType.GROUP and info.receive_group is None:
        yield "receive_group", "a group route needs one"
    if info.broadcast_type is not BroadcastType.GROUP and info.receive_group is not None:
        yield "receive_group", "belongs to a route whose broadcast_type is GROUP only"
    if info.receive_method is None:
        for name, unset in (
            ("receive_parameter_types", info.receive_parameter_types is None),
            ("broadcast_type", info.broadcast_type is BroadcastType.ALL),
            ("spread", not info.spread),
        ):
            if not unset:
                yield name, "has no meaning without a receive_method"
    if info.invoke_method is None:
        for name in ("invoke_timeout", "maximum_body_size", "summary", "examples"):
            if getattr(info, name) is not None:
                yield name, "has no meaning without an invoke_method"
    yield from _call_limit_problems(info)


def _call_limit_problems(info: HubRouteInfo) -> Iterator[tuple[str, str]]:
    for name, allowed, unit in (
        ("invoke_timeout", (int, float), "seconds"),
        ("maximum_body_size", (int,), "bytes"),
    ):
        value = getattr(info, name)
        if value is not None and not is_positive(value, *allowed):
            yield name, f"must be a positive number of {unit}"


def _receive_parameters(
    declared: object, error: Callable[[str, str], OrchestrationError]
) -> tuple[ReceiveType, ...] | None:
    if declared is None:
        return None
    if not _is_list(declared):
        raise error("receive_parameter_types", "must be a list of types")
    try:
        return tuple(receive_type(each) for each in declared)
    except UnknownReceiveType as exc:
        raise error("receive_parameter_types", str(exc)) from exc


def _examples(
    bodies: object, error: Callable[[str, str], OrchestrationError]
) -> tuple[msgspec.Raw, ...]:
    """The bodies as JSON, so that what their author changes later cannot change them."""
    if bodies is None:
        return ()
    if not _is_list(bodies) or not all(map(_is_body, bodies)):
        problem = f"must be a list of bodies, each a list of at most {MAXIMUM_ARGUMENTS} arguments"
        raise error("examples", problem)
    try:
        return tuple(msgspec.Raw(msgspec.json.encode(list(body))) for body in bodies)
    except (TypeError, ValueError, RecursionError) as exc:
        raise error("examples", "must be of values that can be written as JSON") from exc


def _check_shared_receive_method(route: HubRoute, other: HubRoute) -> None:
    """GW-2: an event goes out once, so the routes that share it must agree in its shape."""
    if route.receive_method is None or route.receive_method != other.receive_method:
        return
    for field_name, agree in (
        ("receive_parameter_types", route.receive_parameters == other.receive_parameters),
        ("spread", route.spread == other.spread),
    ):
        if not agree:
            raise OrchestrationError(
                f"must be the same as in route {other.key!r},"
                f" which shares the receive_method {route.receive_method!r}",
                hub=route.api,
                route=route.key,
                field=field_name,
            )
