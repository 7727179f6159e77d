"""The orchestration: the hubs behind the gateway, and the routes that lead to them (GW-1 … GW-5).

Each hub and route is checked when it is added, so the traceback of an error contains the line with
the mistake. `orchestration.route` decides what is valid in a route, `downstream.hub` connects to
the hubs, and `routing.tables` applies the routes to calls and events.

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
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

from msgspec import structs

from protocol.relaying import normal_origins

from ..http.addresses import DEFAULT_GATEWAY_HUB_PATH, gateway_hub_path
from .checks import (
    OrchestrationError,
    checked_key,
    is_list,
    is_name,
    suggestion,
)
from .hub_option_checks import checked_options
from .hub_options import DownstreamHubOptions, HubOptionArguments
from .policy import Policy, checked_policy, names_problem
from .route import HubRoute, HubRouteInfo, check_shared_receive_method, checked_route

if TYPE_CHECKING:  # a program that only builds an orchestration does not need the client
    from protocol import HubConnection, HubConnectionBuilder

    BuildHubConnection = Callable[[HubConnectionBuilder], HubConnection]

DEFAULT_MAXIMUM_RELAY_SIZE = 1024 * 1024  # a gateway accepts messages of this size by default

_SETTINGS = (
    "start_gateway_hub",
    "gateway_hub_url",
    "allowed_origins",
    "call_policies",
    "receive_policies",
    "relay",
    "build_relay_connection",
)


class DownstreamHub(DownstreamHubOptions, frozen=True, kw_only=True):
    """A checked hub: how to connect to it, its options, and its routes by lower-case key."""

    api: str
    build_hub_connection: BuildHubConnection | None
    """None if the gateway does not connect to the hub, and forwards only relayed events of it."""
    receive_key: str | None
    routes: Mapping[str, HubRoute]

    def __repr__(self) -> str:
        return f"DownstreamHub({self.api!r})"  # the receive key is a secret


class HubBuilder:
    """Adds routes to one hub. `add_hub` continues the chain with the next hub, as in C# (GW-3)."""

    def __init__(
        self, orchestrator: Orchestrator, hub: DownstreamHub, routes: dict[str, HubRoute]
    ) -> None:
        self._hub = hub
        self._routes = routes
        self._policies = orchestrator.policies
        self.add_hub = orchestrator.add_hub

    def add_route(self, key: str, info: HubRouteInfo) -> HubBuilder:
        """Add the route `key`, which must be new in this hub, and return this builder.

        Keys ignore letter case. Raises `OrchestrationError`.
        """
        api = self._hub.api
        route = checked_route(
            api, checked_key(key, hub=api), info, self._hub.invoke_timeout, self._policies
        )
        if route.invoke_method is not None and self._hub.build_hub_connection is None:
            raise OrchestrationError(
                "needs a connection to the hub", hub=api, route=route.key, field="invoke_method"
            )
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
    work. The path of `gateway_hub_url` is where the gateway serves its hub; host and port have an
    effect only with `relay`. `allowed_origins` are the origins of web pages that may use the
    gateway, in addition to its own pages. `call_policies` and `receive_policies` are names of
    policies that apply to all hubs.

    If `relay` is True, the gateway serves no gateway hub. It sends the events to the gateway hub of
    another gateway, whose URL is `gateway_hub_url`. `build_relay_connection` builds the connection
    to this gateway hub, like the function of `add_hub`. If it is None, the gateway builds the
    connection itself.

    Setting an invalid value or an unknown attribute raises `OrchestrationError`.
    """  # GW-4, GW-5, GW-26a, GW-42, GW-57

    def __init__(self) -> None:
        self._hubs: dict[str, DownstreamHub] = {}
        self._gateway_hub_url = DEFAULT_GATEWAY_HUB_PATH
        self._gateway_hub_path = DEFAULT_GATEWAY_HUB_PATH
        self._start_gateway_hub = True
        self._allowed_origins: tuple[str, ...] = ()
        self._policies: dict[str, Policy] = {}
        self._call_policies: tuple[str, ...] = ()
        self._receive_policies: tuple[str, ...] = ()
        self._relay = False
        self._build_relay_connection: BuildHubConnection | None = None

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse unknown names, so that a misspelt setting is not ignored."""
        if not name.startswith("_") and name not in _SETTINGS:
            raise OrchestrationError(f"unknown; {suggestion(name, _SETTINGS)}", field=name)
        super().__setattr__(name, value)

    def add_policy(self, name: str, policy: Policy) -> None:
        """Define a policy, which hubs and routes that are added later may name.

        The letter case of names matters. Raises `OrchestrationError`.
        """  # GW-42
        if not is_name(name):
            raise OrchestrationError("a name must be non-empty text", field="policies")
        if name in self._policies:
            raise OrchestrationError(f"the policy {name!r} is already defined", field="policies")
        self._policies[name] = checked_policy(name, policy)

    def add_hub(
        self,
        api: str,
        build_hub_connection: BuildHubConnection | None,
        receive_key: str | None = None,
        **options: Unpack[HubOptionArguments],
    ) -> HubBuilder:
        """Register the hub `api` and return the builder that takes its routes.

        `build_hub_connection` gets a `HubConnectionBuilder`, on which `redirects` and
        `maximum_message_size` are already set, and returns the built `HubConnection`. It is called
        once for each connection. If `receive_key` is None, clients of the gateway hub need no key
        for this hub. docs/gateway.md has a table of the `options`.

        With ``relayed=True``, `build_hub_connection` may be None: the hub gets no connection, and
        its routes have no `invoke_method`. Raises `OrchestrationError`.
        """  # GW-18, GW-56
        api = checked_key(api)
        if api in self._hubs:
            raise OrchestrationError(
                "a hub with this key is already registered; keys ignore case", hub=api, field="api"
            )
        checked = checked_options(api, options, self._policies)
        _check_hub(api, build_hub_connection, receive_key, is_relayed=checked.relayed)
        routes: dict[str, HubRoute] = {}
        hub = DownstreamHub(
            api=api,
            build_hub_connection=build_hub_connection,
            receive_key=receive_key,
            routes=MappingProxyType(routes),
            **structs.asdict(checked),
        )
        self._hubs[api] = hub
        return HubBuilder(self, hub, routes)

    @property
    def hubs(self) -> Mapping[str, DownstreamHub]:
        """The registered hubs by lower-case key, in the order of registration."""
        return MappingProxyType(self._hubs)

    @property
    def policies(self) -> Mapping[str, Policy]:
        """The policies by name."""
        return MappingProxyType(self._policies)

    @property
    def call_policies(self) -> Sequence[str]:
        """Names of the policies that a caller must meet to call any route."""
        return self._call_policies

    @call_policies.setter
    def call_policies(self, names: Sequence[str]) -> None:
        self._call_policies = self._checked_policies(names, "call_policies")

    @property
    def receive_policies(self) -> Sequence[str]:
        """Names of the policies that a client must meet to receive events of any route."""
        return self._receive_policies

    @receive_policies.setter
    def receive_policies(self, names: Sequence[str]) -> None:
        self._receive_policies = self._checked_policies(names, "receive_policies")

    def _checked_policies(self, names: Sequence[str], field_name: str) -> tuple[str, ...]:
        if problem := names_problem(names, self._policies):
            raise OrchestrationError(problem, field=field_name)
        return tuple(names)

    def require_users(self, *, has_tokens: bool, may_change_user: bool) -> None:
        """Check whether hubs can have a connection for each user.

        `has_tokens` says whether callers can have access tokens, and `may_change_user` whether the
        user of a client can change while it is connected. Raises `OrchestrationError`.
        """  # GW-55
        for hub in self._hubs.values():
            if hub.is_per_user and not has_tokens:
                problem = "per_user needs authentication with tokens"
                raise OrchestrationError(problem, hub=hub.api, field="connection")
            if hub.is_per_user and (hub.relayed or self._relay):
                problem = "per_user cannot be combined with relayed events, which have no user"
                raise OrchestrationError(problem, hub=hub.api, field="connection")
            if hub.is_per_user and may_change_user:
                option = "allow_user_identifier_change_on_authentication_refresh"
                problem = f"per_user cannot be combined with {option} of the gateway hub"
                raise OrchestrationError(problem, hub=hub.api, field="connection")

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

    @property
    def serves_gateway_hub(self) -> bool:
        """Whether this process serves the gateway hub."""
        return self._start_gateway_hub and not self._relay

    @property
    def relay(self) -> bool:
        return self._relay

    @relay.setter
    def relay(self, relay: bool) -> None:
        self._relay = _checked_flag(relay, "relay")

    @property
    def build_relay_connection(self) -> BuildHubConnection | None:
        return self._build_relay_connection

    @build_relay_connection.setter
    def build_relay_connection(self, build: BuildHubConnection | None) -> None:
        _check_function(build, "build_relay_connection")
        self._build_relay_connection = build

    def check_relay(self) -> None:
        """Raise `OrchestrationError` if `relay` contradicts another setting."""
        if not self._relay:
            return
        if not self._start_gateway_hub:
            problem = "has no effect when start_gateway_hub is false: no events are forwarded"
            raise OrchestrationError(problem, field="relay")
        if not urlsplit(self._gateway_hub_url).hostname:
            problem = "must be the URL of the other gateway's hub, because relay is true"
            raise OrchestrationError(problem, field="gateway_hub_url")
        for hub in self._hubs.values():
            if hub.relayed:
                problem = "cannot be combined with relay: this gateway has no gateway hub"
                raise OrchestrationError(problem, hub=hub.api, field="relayed")


def _checked_flag(value: object, field_name: str) -> bool:
    if not isinstance(value, bool):
        problem = f"must be True or False, not {type(value).__name__}"
        raise OrchestrationError(problem, field=field_name)
    return value


def _check_function(value: object, field_name: str) -> None:
    if value is not None and not callable(value):
        problem = "must be a function that takes a HubConnectionBuilder, or None"
        raise OrchestrationError(problem, field=field_name)


def _check_hub(
    api: str,
    build_hub_connection: object,
    receive_key: object,
    *,
    is_relayed: bool,
) -> None:
    def problems() -> Iterator[tuple[str, str]]:
        needs_none = is_relayed and build_hub_connection is None
        if not needs_none and not callable(build_hub_connection):
            yield "build_hub_connection", "must be a function that takes a HubConnectionBuilder"
        if receive_key is not None and not is_name(receive_key):
            yield "receive_key", "must be non-empty text, or None when no key is needed"

    for field_name, problem in problems():
        raise OrchestrationError(problem, hub=api, field=field_name)
