"""The orchestration: the hubs behind the gateway, and the routes that lead to them (GW-1 … GW-5).

Each hub and route is checked when it is added, so the traceback of an error contains the line with
the mistake. `orchestration.route` decides what is valid in a route, `downstream.hub` connects to
the hubs, and `routing.relay` applies the routes to calls and events.

The Python code is almost the same as the C# code of the original::

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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocol.relaying import normal_origins, normal_servers

from ..http.addresses import DEFAULT_GATEWAY_HUB_PATH, gateway_hub_path
from .checks import (
    OrchestrationError,
    checked_key,
    is_list,
    is_name,
    is_positive,
    suggestion,
)
from .route import HubRoute, HubRouteInfo, check_shared_receive_method, checked_route

if TYPE_CHECKING:  # a program that only builds an orchestration does not need the client
    from protocol import HubConnection, HubConnectionBuilder

    BuildHubConnection = Callable[[HubConnectionBuilder], HubConnection]

DEFAULT_MAXIMUM_MESSAGE_SIZE = 32 * 1024  # what an ASP.NET Core hub accepts by default
DEFAULT_INVOKE_TIMEOUT = 30.0
DEFAULT_MAXIMUM_ITEM_WAIT = 5.0
DEFAULT_MAXIMUM_EVENT_SIZE = 1024 * 1024
DEFAULT_SPARE_CONNECTIONS = 4
DEFAULT_MAXIMUM_CALLS = 1000
DEFAULT_BUSY_TIMEOUT = 5.0
DEFAULT_CIRCUIT_TIMEOUTS = 5
DEFAULT_CIRCUIT_PAUSE = 30.0

_SETTINGS = ("start_gateway_hub", "gateway_hub_url", "allowed_origins")


@dataclass(frozen=True, slots=True)
class DownstreamHub:
    """A checked hub: how to connect to it, its limits, and its routes by lower-case key."""

    api: str
    build_hub_connection: BuildHubConnection
    receive_key: str | None = field(repr=False)  # a secret, which logs must not show
    maximum_message_size: int | None
    """Bytes. The gateway refuses a larger invocation, because the hub would close the connection,
    which all callers share (GW-9)."""
    invoke_timeout: float
    """Seconds that a call waits for the hub's completion (GW-9)."""
    redirects: Sequence[str] = ()
    """Origins of other servers to which the hub may redirect the gateway and its access token."""
    maximum_event_size: int | None = DEFAULT_MAXIMUM_EVENT_SIZE
    """Bytes of the arguments of an event. A larger event is not forwarded (GW-24)."""
    spare_connections: int = DEFAULT_SPARE_CONNECTIONS
    """How many further connections may be opened while the hub does not answer (GW-34)."""
    maximum_calls: int | None = DEFAULT_MAXIMUM_CALLS
    """How many calls of the hub may be under way at a time (GW-35)."""
    busy_timeout: float = DEFAULT_BUSY_TIMEOUT
    """Seconds that a call waits while the hub, or the route, has its maximum of calls."""
    circuit_timeouts: int | None = DEFAULT_CIRCUIT_TIMEOUTS
    """After this number of timeouts in a row, calls of a route are refused for a while (GW-36)."""
    circuit_pause: float = DEFAULT_CIRCUIT_PAUSE
    """Seconds for which these calls are refused."""
    routes: Mapping[str, HubRoute] = field(default_factory=dict)


class HubBuilder:
    """Adds routes to one hub. `add_hub` continues the chain with the next hub, as in C# (GW-3)."""

    def __init__(
        self, orchestrator: Orchestrator, hub: DownstreamHub, routes: dict[str, HubRoute]
    ) -> None:
        self._hub = hub
        self._routes = routes
        self.add_hub = orchestrator.add_hub

    def add_route(self, key: str, info: HubRouteInfo) -> HubBuilder:
        """Add the route `key`, which must be new in this hub, and return this builder.

        Keys ignore letter case. Raises `OrchestrationError`.
        """
        api = self._hub.api
        route = checked_route(api, checked_key(key, hub=api), info, self._hub.invoke_timeout)
        if route.key in self._routes:
            raise OrchestrationError(
                "this hub already has a route with this key; keys ignore case",
                hub=route.api,
                route=route.key,
                field="key",
            )
        for other in self._routes.values():
            check_shared_receive_method(route, other)
        self._routes[route.key] = route
        return self


class Orchestrator:
    """The hubs behind the gateway with their routes, and the settings of the gateway hub.

    If `start_gateway_hub` is False, there is no gateway hub and no event is forwarded; POSTs still
    work. The path of `gateway_hub_url` is where the gateway serves its hub; host and port have no
    effect. `allowed_origins` are the origins of web pages that may use the gateway, in addition to
    its own pages. Setting an invalid value or an unknown attribute raises `OrchestrationError`.
    """  # GW-4, GW-5, GW-26a

    def __init__(self) -> None:
        self._hubs: dict[str, DownstreamHub] = {}
        self._gateway_hub_url = DEFAULT_GATEWAY_HUB_PATH
        self._gateway_hub_path = DEFAULT_GATEWAY_HUB_PATH
        self._start_gateway_hub = True
        self._allowed_origins: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse unknown names, so that a misspelt setting is not ignored."""
        if not name.startswith("_") and name not in _SETTINGS:
            raise OrchestrationError(f"unknown; {suggestion(name, _SETTINGS)}", field=name)
        super().__setattr__(name, value)

    def add_hub(
        self,
        api: str,
        build_hub_connection: BuildHubConnection,
        receive_key: str | None = None,
        maximum_message_size: int | None = DEFAULT_MAXIMUM_MESSAGE_SIZE,
        invoke_timeout: float = DEFAULT_INVOKE_TIMEOUT,
        redirects: Sequence[str] = (),
        maximum_event_size: int | None = DEFAULT_MAXIMUM_EVENT_SIZE,
        spare_connections: int = DEFAULT_SPARE_CONNECTIONS,
        maximum_calls: int | None = DEFAULT_MAXIMUM_CALLS,
        busy_timeout: float = DEFAULT_BUSY_TIMEOUT,
        circuit_timeouts: int | None = DEFAULT_CIRCUIT_TIMEOUTS,
        circuit_pause: float = DEFAULT_CIRCUIT_PAUSE,
    ) -> HubBuilder:
        """Register the hub `api` and return the builder that takes its routes.

        `build_hub_connection` gets a `HubConnectionBuilder`, on which `redirects` and
        `maximum_message_size` are already set, and returns the built `HubConnection`. If
        `receive_key` is None, clients of the gateway hub need no key for this hub.
        `maximum_message_size` limits a call and `maximum_event_size` the arguments of an event.
        Both are in bytes, None for no limit. `invoke_timeout` is in seconds. `redirects` are the
        origins of other servers, such as ``https://hub2.example``, to which the hub may redirect.

        While the hub does not answer on its connection, up to `spare_connections` more connections
        are built and opened for calls. At most `maximum_calls` calls are under way at a time. A
        further call waits up to `busy_timeout` seconds. After `circuit_timeouts` timeouts in a row,
        the calls of a route are refused for `circuit_pause` seconds. None means no limit. Raises
        `OrchestrationError`.
        """  # GW-18, GW-34 to GW-36
        api = checked_key(api)
        if api in self._hubs:
            raise OrchestrationError(
                "a hub with this key is already registered; keys ignore case", hub=api, field="api"
            )
        _check_hub(api, build_hub_connection, receive_key)
        for name, number, unit in (
            ("maximum_message_size", maximum_message_size, "bytes"),
            ("maximum_event_size", maximum_event_size, "bytes"),
            ("maximum_calls", maximum_calls, "calls"),
            ("circuit_timeouts", circuit_timeouts, "timeouts"),
        ):
            if number is not None and not is_positive(number, int):
                problem = f"must be a positive number of {unit}, or None"
                raise OrchestrationError(problem, hub=api, field=name)
        for name, seconds in (
            ("invoke_timeout", invoke_timeout),
            ("busy_timeout", busy_timeout),
            ("circuit_pause", circuit_pause),
        ):
            if not is_positive(seconds, int, float):
                problem = "must be a positive number of seconds"
                raise OrchestrationError(problem, hub=api, field=name)
        if spare_connections != 0 and not is_positive(spare_connections, int):
            problem = "must be a number of connections, 0 for none"
            raise OrchestrationError(problem, hub=api, field="spare_connections")
        routes: dict[str, HubRoute] = {}
        hub = DownstreamHub(
            api=api,
            build_hub_connection=build_hub_connection,
            receive_key=receive_key,
            maximum_message_size=maximum_message_size,
            invoke_timeout=invoke_timeout,
            redirects=_checked_redirects(api, redirects),
            maximum_event_size=maximum_event_size,
            spare_connections=spare_connections,
            maximum_calls=maximum_calls,
            busy_timeout=busy_timeout,
            circuit_timeouts=circuit_timeouts,
            circuit_pause=circuit_pause,
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
        """The origins as browsers send them."""
        return self._allowed_origins

    @allowed_origins.setter
    def allowed_origins(self, origins: Sequence[str]) -> None:
        if not is_list(origins):
            raise OrchestrationError("must be a list of origins", field="allowed_origins")
        try:
            self._allowed_origins = normal_origins(origins)
        except ValueError as exc:
            raise OrchestrationError(str(exc), field="allowed_origins") from exc

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


def _checked_flag(value: object, field_name: str) -> bool:
    if not isinstance(value, bool):
        problem = f"must be True or False, not {type(value).__name__}"
        raise OrchestrationError(problem, field=field_name)
    return value


def _checked_redirects(api: str, origins: object) -> Sequence[str]:
    if not is_list(origins):
        raise OrchestrationError("must be a list of origins", hub=api, field="redirects")
    try:
        return normal_servers(origins)
    except ValueError as exc:
        raise OrchestrationError(str(exc), hub=api, field="redirects") from exc


def _check_hub(
    api: str,
    build_hub_connection: object,
    receive_key: object,
) -> None:
    def problems() -> Iterator[tuple[str, str]]:
        if not callable(build_hub_connection):
            yield "build_hub_connection", "must be a function that takes a HubConnectionBuilder"
        if receive_key is not None and not is_name(receive_key):
            yield "receive_key", "must be non-empty text, or None when no key is needed"

    for field_name, problem in problems():
        raise OrchestrationError(problem, hub=api, field=field_name)
