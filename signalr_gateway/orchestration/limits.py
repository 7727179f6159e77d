"""`Limits`: the limits of requests and clients, as one object for all parts of the gateway."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Struct, field

from protocol import HubOptions

from .option_checks import wrong_options
from .option_types import Bytes, Count, Seconds, Text, option

MAXIMUM_ARGUMENTS: Final = 10
"""The most arguments that one call may have (GW-7)."""

_HUB = HubOptions()


class Limits(Struct, frozen=True, kw_only=True):
    """[limits]: the limits of requests and clients.

    Raises ValueError for a value of the wrong type, or a number that is not positive.
    """

    maximum_body_size: Annotated[
        Bytes,
        option(
            "Largest body of a POST; a route may have a limit of its own.", "--maximum-body-size"
        ),
    ] = 1024 * 1024
    maximum_depth: Annotated[
        Count,
        option("How many levels deep arrays and objects in the arguments of a call may be nested."),
    ] = 32
    body_timeout: Annotated[Seconds, option("Time in which the body of a POST must arrive.")] = 30.0
    headers_timeout: Annotated[
        Seconds,
        option(
            "Time in which the head of a request must arrive; after it the connection is closed."
            " The time of the first request begins when the connection is accepted, that of a later"
            " request with its first byte. A TLS handshake may take the same time."
        ),
    ] = 30.0
    send_timeout: Annotated[
        Seconds,
        option(
            "Time over which a caller must read at least 240 bytes a second of an answer; a slower"
            " caller is disconnected."
        ),
    ] = 30.0
    maximum_memory: Annotated[
        Bytes | None,
        option(
            "Resident memory of the process above which new connections and calls are refused. If"
            " not set: 80 % of the memory that the container or the machine has."
        ),
    ] = None
    maximum_kept_answers: Annotated[
        Count,
        option(
            "How many answers of calls with an `Idempotency-Key` are kept, and how many of these"
            " calls may be under way."
        ),
    ] = 10_000
    maximum_kept_answers_size: Annotated[
        Bytes,
        option(
            "Memory that all kept answers together may take; beyond it, the oldest are dropped."
            " Also the limit for the bodies of all calls under way with an `Idempotency-Key`."
        ),
    ] = 64 * 1024 * 1024
    maximum_connections: Annotated[
        Count,
        option("Clients of the gateway hub at a time; further ones are answered with 503."),
    ] = 20_000
    maximum_connections_per_address: Annotated[
        Count | None,
        option("Clients of the gateway hub at a time from one address; further ones are closed."),
    ] = None
    maximum_connections_per_user: Annotated[
        Count | None,
        option("Clients of the gateway hub at a time of one user; further ones are closed."),
    ] = None
    maximum_connections_per_key: Annotated[
        Count | None,
        option("Clients of the gateway hub at a time with one API key; further ones are closed."),
    ] = None
    connects_per_second: Annotated[
        Count | None,
        option("How often one address may connect to the gateway hub, per second."),
    ] = None
    calls_per_second: Annotated[
        Count | None,
        option("How many calls one address may make per second, by POST and over the hub."),
    ] = None
    calls_per_second_per_user: Annotated[
        Count | None,
        option("How many calls one user may make per second, by POST and over the hub."),
    ] = None
    calls_per_second_per_key: Annotated[
        Count | None,
        option("How many calls may be made with one API key per second, by POST and over the hub."),
    ] = None
    maximum_subscriptions_per_connection: Annotated[
        Count,
        option(
            "Subscriptions to groups and to routes that one client of the gateway hub may have."
        ),
    ] = 1000
    maximum_posts: Annotated[
        Count | None, option("POSTs under way at a time; further ones are answered with 503.")
    ] = None
    dry_run: Annotated[
        bool,
        option(
            "`true`: the limits of addresses, users and keys, and `maximum_posts`, only log what"
            " they would refuse."
        ),
    ] = False
    trusted_proxies: Annotated[
        list[Text],
        option(
            "Addresses or networks of proxies whose `X-Forwarded-For` or `Forwarded` header says"
            " which address has sent a request; `unix` for proxies that use a Unix socket."
        ),
    ] = field(default_factory=list)
    maximum_refused_call_size: Annotated[
        Bytes,
        option(
            "Size up to which a call of a client that is larger than `maximum_receive_message_size`"
            " is answered with an error; a larger message ends the connection."
        ),
    ] = 1024 * 1024
    maximum_outbound_buffer_size: Annotated[
        Bytes, option("Size of the send queue of one client of the gateway hub.")
    ] = _HUB.maximum_outbound_buffer_size

    def __post_init__(self) -> None:
        for name, expected in wrong_options(self):
            raise ValueError(f"{name} must be {expected}")


DEFAULT_LIMITS: Final = Limits()
