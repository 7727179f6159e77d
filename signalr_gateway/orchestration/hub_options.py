"""`DownstreamHubOptions`: the options of a hub that files and Python programs share.

Each option is one field here, and one member of `HubOptionArguments`, which gives its type to
type checkers. A test checks that the two agree. `config.schema` adds the options that only files
have, and `orchestration.orchestrator` the arguments that only Python programs have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypedDict

from msgspec import Meta, Struct, field

from .option_types import Bytes, Count, Origin, Seconds, Text, Unlimited, option
from .policy import CallPolicies, ReceivePolicies

DEFAULT_INVOKE_TIMEOUT: Final = 30.0
DEFAULT_MAXIMUM_ITEM_WAIT: Final = 5.0


class DownstreamHubOptions(Struct, frozen=True, kw_only=True):
    """The options of one hub. None means no limit; a file has the word ``unlimited`` for it."""

    redirects: Annotated[
        Sequence[Origin],
        option(
            "Origins of other servers to which the hub may redirect the gateway. They get the "
            "access token and the headers, too.",
            in_file=list[Origin],
        ),
    ] = ()
    maximum_message_size: Annotated[
        Bytes | None,
        option("Largest invocation that the hub accepts.", in_file=Bytes | Unlimited),
    ] = 32 * 1024  # what an ASP.NET Core hub accepts by default
    maximum_event_size: Annotated[
        Bytes | None,
        option(
            "Largest size of an event's arguments; a larger event is not forwarded.",
            in_file=Bytes | Unlimited,
        ),
    ] = 1024 * 1024
    invoke_timeout: Annotated[Seconds, option("How long a call waits for the hub.")] = (
        DEFAULT_INVOKE_TIMEOUT
    )
    spare_connections: Annotated[
        Annotated[int, Meta(ge=0)],
        option("Further connections for calls while the hub does not answer on the first."),
    ] = 4
    maximum_calls: Annotated[
        Count | None,
        option("Calls of the hub that may be under way at a time.", in_file=Count | Unlimited),
    ] = 1000
    busy_timeout: Annotated[
        Seconds,
        option("How long a call beyond `maximum_calls` waits before it is answered with 503."),
    ] = 5.0
    circuit_timeouts: Annotated[
        Count | None,
        option(
            "Timeouts in a row after which calls of a route are answered with 503.",
            in_file=Count | Unlimited,
        ),
    ] = 5
    circuit_pause: Annotated[
        Seconds,
        option(
            "How long calls are refused after `circuit_timeouts`; then one call is made to check"
            " whether the hub answers."
        ),
    ] = 30.0
    call_policies: CallPolicies = ()
    receive_policies: ReceivePolicies = ()
    forwarded_headers: Annotated[
        Sequence[Text],
        option(
            "Headers of the caller's request that the hub gets as headers of the invocation.",
            in_file=list[Text],
        ),
    ] = ()
    forwarded_claims: Annotated[
        Mapping[str, Text],
        option(
            "Claims of the caller that the hub gets as headers of the invocation: the name of the"
            " header for each claim.",
            in_file=dict[str, Text],
        ),
    ] = field(default_factory=dict)
    forwarded_user_id: Annotated[
        Text | None,
        option("Name of the header of the invocation that contains the caller's user id."),
    ] = None
    relayed: Annotated[
        bool,
        option("Forward events that another gateway relays, instead of those of the connection."),
    ] = False

    connection: Annotated[
        Literal["shared", "per_user"],
        option(
            "`shared`: all callers use the connection of the gateway. `per_user`: each user has a"
            " connection with the user's own access token."
        ),
    ] = "shared"
    maximum_user_connections: Annotated[
        Count,
        option("Users that may have a connection at a time; others are answered with 503."),
    ] = 1000
    user_connection_idle_timeout: Annotated[
        Seconds,
        option("How long the connection of a user stays open without calls and clients."),
    ] = 300.0

    @property
    def is_per_user(self) -> bool:
        """Whether each user has a connection."""
        return self.connection == "per_user"

    @property
    def needs_identity(self) -> bool:
        """Whether the hub learns something about its callers."""
        return self.is_per_user or bool(
            self.forwarded_headers or self.forwarded_claims or self.forwarded_user_id
        )


class HubOptionArguments(TypedDict, total=False):
    """The options of a hub as keyword arguments of `Orchestrator.add_hub`."""

    redirects: Sequence[str]
    maximum_message_size: int | None
    maximum_event_size: int | None
    invoke_timeout: float
    spare_connections: int
    maximum_calls: int | None
    busy_timeout: float
    circuit_timeouts: int | None
    circuit_pause: float
    call_policies: Sequence[str]
    receive_policies: Sequence[str]
    forwarded_headers: Sequence[str]
    forwarded_claims: Mapping[str, str]
    forwarded_user_id: str | None
    relayed: bool
    connection: Literal["shared", "per_user"]
    maximum_user_connections: int
    user_connection_idle_timeout: float
