"""Calls the functions of an orchestration that build connections and checks the results (GW-3).

`downstream.hub` starts the connections to hubs. `clients.other_gateway` starts the connection to
another gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from protocol import HubConnection, HubConnectionBuilder, RetryContext, RetryPolicy
from protocol.relaying import DEFAULT_RETRY_DELAYS, retry_policy

from ..logs.redaction import describe_failure
from ..orchestration.checks import OrchestrationError
from ..orchestration.hub_options import DEFAULT_MAXIMUM_ITEM_WAIT
from ..orchestration.orchestrator import (
    DEFAULT_MAXIMUM_RELAY_SIZE,
    DownstreamHub,
    Orchestrator,
)
from .connection import is_refusal

AccessToken = Callable[[], str | None]


def build_connections(
    hubs: Mapping[str, DownstreamHub], urls: dict[str, tuple[str, ...]] | None = None
) -> dict[str, HubConnection]:
    """Call the `build_hub_connection` function of each hub, and return the connections by api.

    Hubs without such a function get no connection. The connections are not started. `urls`, if
    given, receives one entry for each api: the URLs of the hub, which are empty if the function
    sets none. Raises `OrchestrationError` if a function fails. Also raises it if two functions
    return the same connection, because events on this connection would belong to no single hub.
    """
    connections: dict[str, HubConnection] = {}
    for api, hub in hubs.items():
        if hub.build_hub_connection is None:
            continue
        builder = _builder(hub)
        connection = _built(hub, builder)
        if urls is not None:
            urls[api] = builder.urls
        for other, taken in connections.items():
            if taken is connection:
                problem = f"returned the same connection as hub {other!r}; each hub needs its own"
                raise OrchestrationError(problem, hub=api, field="build_hub_connection")
        connections[api] = connection
    return connections


def build_connection(hub: DownstreamHub, access_token: AccessToken | None = None) -> HubConnection:
    """Build one more connection to `hub`, not started. Raises `OrchestrationError`.

    `access_token` returns the token of the user whose connection it is.
    """
    return _built(hub, _builder(hub, access_token))


def build_relay_connection(orchestrator: Orchestrator) -> HubConnection:
    """Build the connection to the other gateway, not started. Raises `OrchestrationError`."""
    builder = HubConnectionBuilder().with_maximum_send_message_size(DEFAULT_MAXIMUM_RELAY_SIZE)
    builder.with_redirects([])
    url = orchestrator.gateway_hub_url
    build = orchestrator.build_relay_connection or (lambda builder: builder.with_url(url).build())
    return _build(build, builder, None, "build_relay_connection")


def _built(hub: DownstreamHub, builder: HubConnectionBuilder) -> HubConnection:
    assert hub.build_hub_connection is not None
    field = "build_hub_connection"
    connection = _build(hub.build_hub_connection, builder, hub.api, field)
    if hub.is_per_user and not builder.urls:
        problem = "must use the builder that it gets, because this has the token of the user"
        raise OrchestrationError(problem, hub=hub.api, field=field)
    return connection


class _UserConnectionBuilder(HubConnectionBuilder):
    """Builds a connection with the access token of a user, and without other credentials."""

    def __init__(self, access_token: AccessToken) -> None:
        super().__init__()
        self._access_token = access_token

    def with_url(self, url: str, **options: Any) -> HubConnectionBuilder:
        """See `HubConnectionBuilder`. Raises ValueError for credentials of the gateway."""
        if options.pop("access_token_factory", None) is not None:
            raise ValueError("a connection per user has the user's token, and no other one")
        if any(name.lower() == "authorization" for name in options.get("headers") or ()):
            raise ValueError("a connection per user has the user's token, and no Authorization")
        return super().with_url(url, access_token_factory=self._access_token, **options)

    def with_automatic_reconnect(
        self, retry: RetryPolicy | Sequence[float] = DEFAULT_RETRY_DELAYS
    ) -> HubConnectionBuilder:
        """See `HubConnectionBuilder`. If the hub refuses the user's token, `retry` is not used.

        The connection is then closed, and `downstream.connection` opens it with another token.
        """
        policy = retry_policy(retry)

        def until_refused(context: RetryContext) -> float | None:
            reason = context.retry_reason
            return None if reason is not None and is_refusal(reason) else policy(context)

        return super().with_automatic_reconnect(until_refused)


def _builder(hub: DownstreamHub, access_token: AccessToken | None = None) -> HubConnectionBuilder:
    builder = HubConnectionBuilder()
    if hub.is_per_user:
        builder = _UserConnectionBuilder(access_token or (lambda: None))
    builder.with_maximum_send_message_size(hub.maximum_message_size)
    builder.with_redirects(hub.redirects)  # (GW-29)
    return builder.with_maximum_item_wait(DEFAULT_MAXIMUM_ITEM_WAIT)  # (GW-32)


def _build(
    build: Callable[[HubConnectionBuilder], HubConnection],
    builder: HubConnectionBuilder,
    api: str | None,
    field: str,
) -> HubConnection:
    """Call `build` and check its result. Errors name the hub `api`, if any, and the `field`."""
    try:
        connection = build(builder)
    except Exception as exc:
        raise OrchestrationError(f"failed: {describe_failure(exc)}", hub=api, field=field) from exc
    if not isinstance(connection, HubConnection):
        raise OrchestrationError(
            f"must return the built HubConnection, not {type(connection).__name__};"
            " the last call of the chain is .build()",
            hub=api,
            field=field,
        )
    return connection
