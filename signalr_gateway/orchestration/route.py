"""`HubRouteInfo`, a route of a hub as its author writes it, and `HubRoute`, a checked one (GW-2).

`orchestration.orchestrator` checks that a key is new, and `routing.tables` applies the routes to
calls and events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import msgspec

from protocol.relaying import DECODING_FAILURES, QueuePolicy

from .checks import OrchestrationError, is_list, is_name, is_positive
from .limits import MAXIMUM_ARGUMENTS
from .option_types import Bytes, Count, Seconds, Text, option
from .policy import CallPolicies, ReceivePolicies, names_problem
from .receive_types import ReceiveType, UnknownReceiveType, receive_type
from .return_types import (
    NOTHING,
    UNKNOWN_RETURN_TYPE,
    ReturnType,
    UnknownReturnType,
    return_type,
)

DEFAULT_STREAM_IDLE_TIMEOUT = 60.0
"""Seconds between two items of a stream."""


class BroadcastType(Enum):
    """Which clients receive a route's events."""  # GW-15, GW-44

    ALL = "All"
    AUTHENTICATED = "Authenticated"
    GROUP = "Group"
    INDIVIDUAL = "Individual"
    SUBSCRIBED = "Subscribed"

    @property
    def listed_name(self) -> str:
        """The name in lists of routes, which have only the values of the original."""  # GW-11
        same = {"Authenticated": "All", "Subscribed": "Individual"}
        return same.get(self.value, str(self.value))

    @property
    def needs_subscription(self) -> bool:
        """Whether clients have to subscribe to receive the events."""
        return self not in (BroadcastType.ALL, BroadcastType.AUTHENTICATED)


class HubRouteInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a route does, as its author writes it.

    Either method may be left out: a route without `receive_method` only sends, one without
    `invoke_method` only receives.
    """  # GW-2

    invoke_method: Annotated[
        Text | None,
        option("Hub method that a call invokes; without it the route only receives."),
    ] = None
    receive_method: Annotated[
        Text | None,
        option(
            "Event that the route forwards, by its exact name; without it the route only sends."
        ),
    ] = None
    receive_parameter_types: Annotated[
        Sequence[object] | None,
        option(
            "Types of an event's arguments; an event with other arguments is not forwarded. If not"
            " set, all arguments are forwarded.",
            in_file=list[str],
        ),
    ] = None
    broadcast_type: Annotated[
        BroadcastType,
        option(
            "Connections that receive the events. `all`: every connection. `authenticated`: those"
            " with an authenticated user. `group`: those that subscribed to `receive_group`."
            " `individual`: those that subscribed to this route with a `UserId`. `subscribed`:"
            " those that subscribed to this route, with or without a `UserId`."
        ),
    ] = BroadcastType.ALL
    receive_group: Annotated[
        Text | None, option("Group of a `group` route; letter case matters.")
    ] = None
    spread: Annotated[
        bool,
        option(
            "Forward the arguments of an event unchanged. If not set, clients get two arguments: an"
            " array of the hub's arguments, and an empty object."
        ),
    ] = False
    queue_policy: Annotated[
        QueuePolicy,
        option(
            "What happens when the send queue of a client is full: `close` disconnects the client,"
            " `drop_oldest` drops the oldest waiting events of this route. With `latest` only the"
            " newest event of this route waits."
        ),
    ] = QueuePolicy.CLOSE
    invoke_timeout: Annotated[
        Seconds | None,
        option("How long a call waits for the hub; `invoke_timeout` of the hub if not set."),
    ] = None
    streams: Annotated[
        bool,
        option("Whether the hub method streams; a call is answered with its items as they arrive."),
    ] = False
    stream_idle_timeout: Annotated[
        Seconds | None,
        option(
            "How long the gateway waits for the next item of a stream, and for the caller to take"
            " items; 60 if not set."
        ),
    ] = None
    maximum_body_size: Annotated[
        Bytes | None,
        option("Largest size of arguments; if not set, `limits.maximum_body_size` limits a POST."),
    ] = None
    maximum_calls: Annotated[
        Count | None,
        option("Calls of the route that may be under way at a time; see `maximum_calls` of hubs."),
    ] = None
    summary: Annotated[
        Text | None, option("One line about the call, for the OpenAPI document.")
    ] = None
    returns: Annotated[
        object | None,
        option(
            "What the call returns, for the OpenAPI document: `nothing`, or a type. If the route"
            " streams, it is the type of the items.",
            in_file=Text,
        ),
    ] = None
    examples: Annotated[
        Sequence[Sequence[Any]] | None,
        option("Bodies to try, each a list of at most 10 arguments, for the OpenAPI document."),
    ] = None
    call_policies: CallPolicies = ()
    receive_policies: ReceivePolicies = ()


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
    queue_policy: QueuePolicy
    invoke_timeout: float
    """Seconds; the hub's timeout if the route has none of its own."""
    streams: bool
    stream_idle_timeout: float
    """Seconds between two items of a stream."""
    maximum_body_size: int | None
    maximum_calls: int | None
    """How many calls of the route may be under way at a time; None for no limit of its own."""
    summary: str | None
    returns: ReturnType = field(compare=False)
    examples: tuple[msgspec.Raw, ...]
    """Bodies to try, each a JSON array."""
    call_policies: tuple[str, ...] = ()
    """Names of policies, in addition to those of the hub (GW-42)."""
    receive_policies: tuple[str, ...] = ()

    @property
    def receive_parameter_names(self) -> list[str] | None:
        """The .NET names of the declared types (GW-11); None if no types are declared."""
        if self.receive_parameters is None:
            return None
        return [parameter.name for parameter in self.receive_parameters]


def _is_body(value: object) -> bool:
    return is_list(value) and len(value) <= MAXIMUM_ARGUMENTS


def checked_route(
    api: str, key: str, info: HubRouteInfo, invoke_timeout: float, policies: Collection[str] = ()
) -> HubRoute:
    """Check a route and return it. Raises `OrchestrationError`.

    `invoke_timeout` is the timeout of the hub, in seconds. A route without its own uses it.
    `policies` are the names of the defined policies.
    """

    def error(field_name: str, problem: str) -> OrchestrationError:
        return OrchestrationError(problem, hub=api, route=key, field=field_name)

    if not isinstance(info, HubRouteInfo):
        raise error("info", f"must be a HubRouteInfo, not {type(info).__name__}")
    for field_name, problem in _route_problems(info):
        raise error(field_name, problem)
    for field_name in ("call_policies", "receive_policies"):
        if unknown := names_problem(getattr(info, field_name), policies):
            raise error(field_name, unknown)
    return HubRoute(
        api=api,
        key=key,
        invoke_method=info.invoke_method,
        receive_method=info.receive_method,
        receive_parameters=_receive_parameters(info.receive_parameter_types, error),
        broadcast_type=info.broadcast_type,
        receive_group=info.receive_group,
        spread=info.spread,
        queue_policy=info.queue_policy,
        invoke_timeout=invoke_timeout if info.invoke_timeout is None else info.invoke_timeout,
        streams=info.streams,
        stream_idle_timeout=DEFAULT_STREAM_IDLE_TIMEOUT
        if info.stream_idle_timeout is None
        else info.stream_idle_timeout,
        maximum_body_size=info.maximum_body_size,
        maximum_calls=info.maximum_calls,
        summary=info.summary,
        returns=_returns(info.returns, error),
        examples=_examples(info.examples, error),
        call_policies=tuple(info.call_policies),
        receive_policies=tuple(info.receive_policies),
    )


def _route_problems(info: HubRouteInfo) -> Iterator[tuple[str, str]]:
    """Yield the mistakes in a route as (field, problem), without regard to other routes."""
    for name in ("invoke_method", "receive_method", "receive_group", "summary"):
        value = getattr(info, name)
        if value is not None and not is_name(value):
            yield name, "must be non-empty text, or left out"
    for name, expected in (
        ("broadcast_type", BroadcastType),
        ("spread", bool),
        ("queue_policy", QueuePolicy),
        ("streams", bool),
    ):
        if not isinstance(getattr(info, name), expected):
            yield name, f"must be a {expected.__name__}"
    if info.invoke_method is None and info.receive_method is None:
        yield "invoke_method", "a route needs an invoke_method, a receive_method or both"
    if info.broadcast_type is BroadcastType.GROUP and info.receive_group is None:
        yield "receive_group", "required in a group route"
    if info.broadcast_type is not BroadcastType.GROUP and info.receive_group is not None:
        yield "receive_group", "allowed only in a route whose broadcast_type is GROUP"
    if info.receive_method is None:
        for name, unset in (
            ("receive_parameter_types", info.receive_parameter_types is None),
            ("broadcast_type", info.broadcast_type is BroadcastType.ALL),
            ("spread", not info.spread),
            ("queue_policy", info.queue_policy is QueuePolicy.CLOSE),
            ("receive_policies", not info.receive_policies),
        ):
            if not unset:
                yield name, "has no meaning without a receive_method"
    if info.invoke_method is None:
        for name in (
            "invoke_timeout",
            "maximum_body_size",
            "maximum_calls",
            "summary",
            "returns",
            "examples",
        ):
            if getattr(info, name) is not None:
                yield name, "has no meaning without an invoke_method"
        for name in ("streams", "call_policies"):
            if getattr(info, name):
                yield name, "has no meaning without an invoke_method"
    if info.streams and info.returns == NOTHING:
        yield "returns", "must be the type of the items of the stream"
    if info.stream_idle_timeout is not None and not info.streams:
        yield "stream_idle_timeout", "has no meaning without streams"
    yield from _call_limit_problems(info)


def _call_limit_problems(info: HubRouteInfo) -> Iterator[tuple[str, str]]:
    for name, allowed, unit in (
        ("invoke_timeout", (int, float), "seconds"),
        ("stream_idle_timeout", (int, float), "seconds"),
        ("maximum_body_size", (int,), "bytes"),
        ("maximum_calls", (int,), "calls"),
    ):
        value = getattr(info, name)
        if value is not None and not is_positive(value, *allowed):
            yield name, f"must be a positive number of {unit}"


def _receive_parameters(
    declared: object, error: Callable[[str, str], OrchestrationError]
) -> tuple[ReceiveType, ...] | None:
    if declared is None:
        return None
    if not is_list(declared):
        raise error("receive_parameter_types", "must be a list of types")
    try:
        return tuple(receive_type(each) for each in declared)
    except UnknownReceiveType as exc:
        raise error("receive_parameter_types", str(exc)) from exc


def _returns(declared: object, error: Callable[[str, str], OrchestrationError]) -> ReturnType:
    if declared is None:
        return UNKNOWN_RETURN_TYPE
    try:
        return return_type(declared)
    except UnknownReturnType as exc:
        raise error("returns", str(exc)) from exc


def _examples(
    bodies: object, error: Callable[[str, str], OrchestrationError]
) -> tuple[msgspec.Raw, ...]:
    """The bodies as JSON text, so that later changes to the author's lists have no effect."""
    if bodies is None:
        return ()
    if not is_list(bodies) or not all(map(_is_body, bodies)):
        problem = f"must be a list of bodies, each a list of at most {MAXIMUM_ARGUMENTS} arguments"
        raise error("examples", problem)
    try:
        return tuple(msgspec.Raw(msgspec.json.encode(list(body))) for body in bodies)
    except (TypeError, OverflowError, *DECODING_FAILURES) as exc:
        raise error("examples", "must contain only values that can be written as JSON") from exc


def check_shared_receive_method(route: HubRoute, other: HubRoute) -> None:
    """Check that two routes with the same receive method forward its events in the same form.

    Each event is sent only once, for all its routes (GW-2). Raises `OrchestrationError`.
    """
    if route.receive_method is None or route.receive_method != other.receive_method:
        return
    for field_name, agree in (
        ("receive_parameter_types", route.receive_parameters == other.receive_parameters),
        ("spread", route.spread == other.spread),
        ("queue_policy", route.queue_policy is other.queue_policy),
    ):
        if not agree:
            raise OrchestrationError(
                f"must be the same as in route {other.key!r},"
                f" which shares the receive_method {route.receive_method!r}",
                hub=route.api,
                route=route.key,
                field=field_name,
            )
