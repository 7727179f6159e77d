"""``HubConnectionBuilder``: puts a client connection together."""

import dataclasses
import ssl as ssl_module
from collections.abc import Mapping, Sequence
from typing import Any

from ...client.hub_connection import HubConnection
from ...client.options import HubConnectionOptions
from ...client.retry import DEFAULT_RETRY_DELAYS, RetryPolicy, retry_delays
from ...errors import LocalProtocolError
from ...http_transport_type import HttpTransportType
from ...hub_protocol import HubProtocol
from ...json.protocol import JsonHubProtocol
from .connector import HttpConnector
from .options import AccessTokenFactory, HttpConnectionOptions


class HubConnectionBuilder:
    """Each ``with_…`` returns the builder; ``build`` gives the connection, not yet started."""

    def __init__(self) -> None:
        self._http: HttpConnectionOptions | None = None
        self._retry_policy: RetryPolicy | None = None
        self._options = HubConnectionOptions()
        self._hub_protocol: HubProtocol = JsonHubProtocol()

    def with_url(
        self,
        url: str,
        *,
        transports: HttpTransportType = HttpTransportType.ALL,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        access_token_factory: AccessTokenFactory | None = None,
        skip_negotiation: bool = False,
        ssl: "ssl_module.SSLContext | bool" = True,
        close_timeout: float = 5.0,
    ) -> "HubConnectionBuilder":
        """Where the hub is; http, https, ws or wss. Its query goes along on every request.

        Of ``transports`` the first that the server lists and that works is taken.
        ``headers`` and ``cookies`` go on every request, the WebSocket's too; cookies that the
        server sets are kept for as long as the connection lives, through reconnects.

        ``access_token_factory``, plain or async, is asked for each negotiate, again for a
        WebSocket, and when a token is refused with 401 later. ``skip_negotiation`` opens the
        WebSocket at once, which has to be the only transport; there is no connection id then.
        ``ssl`` is a context with the CA to trust, or False to trust anybody.
        ``close_timeout``: seconds that what is queued may take to leave when the connection ends.

        Raises ValueError for a URL that is none, for options that exclude each other and for
        headers that no request can carry, TypeError for what is of another type.
        """  # N-24, A-5, N-26
        self._http = HttpConnectionOptions(
            url=url,
            transports=transports,
            headers={} if headers is None else headers,
            cookies={} if cookies is None else cookies,
            access_token_factory=access_token_factory,
            skip_negotiation=skip_negotiation,
            ssl=ssl,
            close_timeout=close_timeout,
        )
        return self

    def with_automatic_reconnect(
        self, retry: "RetryPolicy | Sequence[float]" = DEFAULT_RETRY_DELAYS
    ) -> "HubConnectionBuilder":
        """Connects again after a loss: delays in seconds, or a policy."""
        self._retry_policy = retry if callable(retry) else retry_delays(retry)
        return self

    def with_hub_protocol(self, hub_protocol: HubProtocol) -> "HubConnectionBuilder":
        """What to speak with the hub: ``JsonHubProtocol()`` unless told otherwise."""
        if not isinstance(hub_protocol, HubProtocol):
            raise TypeError(f"A hub protocol is a HubProtocol, not {type(hub_protocol).__name__}.")
        self._hub_protocol = hub_protocol
        return self

    def with_server_timeout(self, seconds: float) -> "HubConnectionBuilder":
        """How long the server may be silent; at least twice its ping interval."""  # K-2
        return self._with(server_timeout=seconds)

    def with_keep_alive_interval(self, seconds: float) -> "HubConnectionBuilder":
        """How long we may be silent before a Ping is sent."""  # K-4
        return self._with(keep_alive_interval=seconds)

    def with_handshake_timeout(self, seconds: float) -> "HubConnectionBuilder":
        """How long the server may take to answer the handshake."""  # H-12
        return self._with(handshake_timeout=seconds)

    def with_maximum_send_message_size(self, size: int | None) -> "HubConnectionBuilder":
        """Refuses larger invocations with MessageTooLargeError; None: no limit."""
        return self._with(maximum_send_message_size=size)

    def with_maximum_receive_message_size(self, size: int | None) -> "HubConnectionBuilder":
        """Ends a connection that brings a larger message; None: no limit."""
        return self._with(maximum_receive_message_size=size)

    def with_maximum_waiting_events_size(self, size: int) -> "HubConnectionBuilder":
        """Bytes of events that may wait for their handlers while ``invoke`` waits for its answer.

        The answer comes behind them, so they have to be read; the connection ends beyond that size,
        as by any loss. While no call waits, reading pauses at 1 MiB of events.
        """
        return self._with(maximum_waiting_events_size=size)

    def _with(self, **changes: Any) -> "HubConnectionBuilder":
        self._options = dataclasses.replace(self._options, **changes)
        return self

    def build(self) -> HubConnection:
        """Raises LocalProtocolError when there was no ``with_url``."""
        if self._http is None:
            raise LocalProtocolError("A hub connection needs a URL: call with_url first.")
        hub_protocol = self._hub_protocol
        connector = HttpConnector(
            self._http, hub_protocol, self._options.maximum_receive_message_size
        )
        return HubConnection(
            connector, hub_protocol, self._options, self._retry_policy, self._http.transports
        )
