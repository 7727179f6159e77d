"""``HubConnectionBuilder``: builds a client connection from its options."""

import dataclasses
import ssl as ssl_module
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...client.hub_connection import HubConnection
from ...client.options import HubConnectionOptions
from ...client.retry import DEFAULT_RETRY_DELAYS, RetryPolicy, retry_policy
from ...errors import LocalProtocolError
from ...http_transport_type import HttpTransportType
from ...hub_protocol import HubProtocol
from ...json.protocol import JsonHubProtocol
from ...option_checks import described, names_of
from ...origins import normal_servers
from .alternatives import AlternativeConnector
from .connector import HttpConnector
from .options import AccessTokenFactory, HttpConnectionOptions


class HubConnectionBuilder:
    """Collects the options of a client connection.

    Each ``with_…`` method returns the builder, and raises TypeError or ValueError for an invalid
    value. ``build`` returns the connection, which is not started.
    """

    def __init__(self) -> None:
        self._addresses: tuple[HttpConnectionOptions, ...] = ()  # of the same hub
        self._redirects: tuple[str, ...] | None = None
        self._retry_policy: RetryPolicy | None = None
        self._uses_stateful_reconnect = False
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
        alternatives: Collection[str] = (),
    ) -> "HubConnectionBuilder":
        """Sets the URL of the hub, and how it is reached. Required.

        ``url`` is absolute, with the scheme http, https, ws or wss. Its query is sent with every
        request. ``transports`` are the allowed transports. The client uses the first one in the
        server's order that is allowed and can be opened. ``headers`` and ``cookies`` are sent with
        every request, the WebSocket's included. Cookies that the server sets are kept across
        reconnects.

        ``access_token_factory``, plain or async, returns a token or None. It is called for each
        negotiate request, for each WebSocket, and when a later request is answered with 401. Its
        tokens and the headers ``Authorization`` and ``Cookie`` are sent only to the origin of
        ``url`` and to the origins of ``with_redirects``.

        ``skip_negotiation`` opens a WebSocket without a negotiate request. ``transports`` then has
        to be ``WEB_SOCKETS``, and there is no connection id. ``ssl`` is a context with the
        certificates to trust, or False to accept any certificate. ``close_timeout`` is the number
        of seconds that sending the queued bytes may take when the connection ends.

        ``alternatives`` are URLs of the same hub at other servers. Each attempt to connect begins
        with the URL that has worked last, and tries the next URL after a failure. If a handshake
        fails, or an attempt is cancelled, the next attempt begins with the next URL. An answer 400,
        401 or 403 ends the attempt, because the other servers would refuse the client too.

        Raises ValueError for an invalid URL, for headers and cookies that no request can carry, and
        for options that exclude each other. Raises TypeError for a value of a wrong type.
        """  # N-24, A-5, N-26
        first = HttpConnectionOptions(
            url=url,
            transports=transports,
            headers={} if headers is None else headers,
            cookies={} if cookies is None else cookies,
            access_token_factory=access_token_factory,
            skip_negotiation=skip_negotiation,
            ssl=ssl,
            close_timeout=close_timeout,
        )
        others = names_of(alternatives, "alternatives")
        self._addresses = (first, *(dataclasses.replace(first, url=each) for each in others))
        return self

    def with_redirects(self, origins: Collection[str] | None) -> "HubConnectionBuilder":
        """Follows only redirects to the hub's own origin and to ``origins``.

        An origin is written like ``https://hub.example:8443``. Access tokens and the headers of
        ``with_url`` are also sent to these origins. None, the default, follows redirects to any
        server, as the .NET client does. A server of another origin then gets neither access tokens
        nor the headers ``Authorization`` and ``Cookie``, but all other headers.
        """  # N-18, N-21
        try:
            self._redirects = (
                None if origins is None else normal_servers(names_of(origins, "origins"))
            )
        except ValueError as error:
            raise ValueError(f"with_redirects: {error}.") from None
        return self

    def with_automatic_reconnect(
        self, retry: "RetryPolicy | Sequence[float]" = DEFAULT_RETRY_DELAYS
    ) -> "HubConnectionBuilder":
        """Reconnects when the connection is lost. ``retry`` is a list of delays or a policy.

        Delays are in seconds, one before each attempt. A policy is called with a RetryContext and
        returns the next delay, or None to give up. Without this method there is no reconnect.
        """
        self._retry_policy = retry_policy(retry)
        return self

    def with_stateful_reconnect(self, *, buffer_size: int = 100_000) -> "HubConnectionBuilder":
        """Continues the connection on another WebSocket if its WebSocket is lost.

        Waiting calls and streams continue, and no callback is called. No message is lost: each end
        sends the messages again that the other end has not received. If the connection cannot be
        continued, it is lost, and ``with_automatic_reconnect`` applies.

        ``buffer_size`` is the number of bytes that may be sent and not yet acknowledged by the
        server. With more bytes, ``invoke``, ``send`` and uploads wait. If no Ack makes room for 10
        seconds, the connection is lost.

        This method has no effect over other transports than WebSockets, with ``skip_negotiation``,
        and with a server that does not allow it.
        """  # SR-1, SR-8, SR-11
        self._uses_stateful_reconnect = True
        return self._with(stateful_reconnect_buffer_size=buffer_size)

    def with_hub_protocol(self, hub_protocol: HubProtocol) -> "HubConnectionBuilder":
        """Sets the hub protocol. The default is ``JsonHubProtocol()``."""
        if not isinstance(hub_protocol, HubProtocol):
            raise TypeError(f"A hub protocol is a HubProtocol, not {described(hub_protocol)}.")
        self._hub_protocol = hub_protocol
        return self

    def with_server_timeout(self, seconds: float) -> "HubConnectionBuilder":
        """Ends the connection when nothing was received for this long. The default is 30 seconds.

        The time should be at least twice the server's keep-alive interval.
        """  # K-2
        return self._with(server_timeout=seconds)

    def with_keep_alive_interval(self, seconds: float) -> "HubConnectionBuilder":
        """Sends a Ping when nothing was sent for this long. The default is 15 seconds."""  # K-4
        return self._with(keep_alive_interval=seconds)

    def with_handshake_timeout(self, seconds: float) -> "HubConnectionBuilder":
        """Sets the time limit of the handshake in seconds. The default is 15."""  # H-12
        return self._with(handshake_timeout=seconds)

    def with_maximum_send_message_size(self, size: int | None) -> "HubConnectionBuilder":
        """Sets the size in bytes above which an invocation raises MessageTooLargeError.

        None, the default, means no limit.
        """
        return self._with(maximum_send_message_size=size)

    def with_maximum_receive_message_size(self, size: int | None) -> "HubConnectionBuilder":
        """Sets the size in bytes of a received message above which the connection ends.

        None means no limit. The default is 64 MiB.
        """
        return self._with(maximum_receive_message_size=size)

    def with_maximum_waiting_events_size(self, size: int) -> "HubConnectionBuilder":
        """Sets how many bytes of events may wait for their handlers during an ``invoke``.

        The answer arrives behind the events, so the client has to read the events and keep them. If
        more bytes wait, the connection ends, and reconnects if it is configured to. The same limit
        applies to the items of streams. If more bytes of items wait, the fullest stream fails. The
        default is 64 MiB. While no call and no loop over a stream waits, reading pauses at 1 MiB of
        events or items.
        """
        return self._with(maximum_waiting_events_size=size)

    def with_authentication_refresh(self, seconds: float | None) -> "HubConnectionBuilder":
        """Sets how long before the expiry of its access token the client sends a new one.

        The default is 300 seconds. A token that is valid for less than twice this time is replaced
        after half of its lifetime. The client sends a new token only if the server announces the
        expiry. ``access_token_factory`` returns the token, and the connection stays open. With None
        only ``refresh_authentication`` sends a new token.
        """  # AR-7
        return self._with(authentication_refresh=seconds)

    def with_maximum_item_wait(self, seconds: float | None) -> "HubConnectionBuilder":
        """Limits how long items of a stream may wait while reading is paused because of them.

        Other messages of the connection wait behind these items. A stream is slow if an item has
        waited longer than this. If more than 512 KiB wait in slow streams, all slow streams are
        cancelled and raise StreamOverflowError. None, the default, means no limit.
        """
        return self._with(maximum_item_wait=seconds)

    def _with(self, **changes: Any) -> "HubConnectionBuilder":
        self._options = dataclasses.replace(self._options, **changes)
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs given to ``with_url``, which may contain secrets. Empty before ``with_url``."""
        return tuple(address.url for address in self._addresses)

    def build(self) -> HubConnection:
        """Returns the connection. Raises LocalProtocolError if ``with_url`` was not called."""
        if not self._addresses:
            raise LocalProtocolError("A hub connection needs a URL: call with_url first.")
        hub_protocol = self._hub_protocol
        connectors = [
            HttpConnector(
                dataclasses.replace(address, redirects=self._redirects),
                hub_protocol,
                self._options.maximum_receive_message_size,
                use_stateful_reconnect=self._uses_stateful_reconnect,
            )
            for address in self._addresses
        ]
        connector = connectors[0] if len(connectors) == 1 else AlternativeConnector(connectors)
        transports = self._addresses[0].transports
        return HubConnection(connector, hub_protocol, self._options, self._retry_policy, transports)
