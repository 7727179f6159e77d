"""Options of a hub and of an endpoint, with ASP.NET Core's defaults (section D).

Hub options apply to a hub class on all paths that it is mapped at, endpoint options to one path.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from ..aio.transport import TransportLimits
from ..hosts import normal_hosts
from ..http_transport_type import HttpTransportType
from ..hub_protocol import HubProtocol
from ..json.protocol import JsonHubProtocol
from ..messagepack.protocol import MessagePackHubProtocol
from ..option_checks import check_options, described, require_function
from ..origins import normal_origins
from .authentication import Authenticate, Authenticator, Principal
from .authorization import Authorize, needs_user, require_authorize
from .filters import HubFilter
from .refresh_context import AcceptRefresh

Services = Mapping[type[Any], Callable[[], Any]]

_LIMITS: Final = TransportLimits()


class SlowClientPolicy(Enum):
    """What happens to a client that reads so slowly that its outbound buffer is full."""

    CLOSE = "close"
    """Its connection is cut."""

    DROP = "drop"
    """Messages to all, to groups and to users are dropped for this client until it has read enough.
    Messages to this client alone, such as answers, are never dropped: if one does not fit, the
    connection is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Limits and behaviour of one hub class. Times are in seconds, sizes in bytes."""

    handshake_timeout: float = 15.0
    """A connection whose handshake takes longer is refused."""  # H-9

    keep_alive_interval: float = 15.0
    """The time between two pings of the server."""  # K-1

    client_timeout_interval: float = 30.0
    """A client that has sent a ping and then nothing for this long is disconnected."""  # K-3

    maximum_receive_message_size: int | None = 32 * 1024
    """The largest hub message, terminator included. A larger message ends the connection. None: no
    limit."""  # F-4

    maximum_parallel_invocations_per_client: int = 1
    """The number of hub methods that run at the same time for one connection."""  # P-2

    maximum_client_results_per_connection: int = 100
    """The number of calls of one connection that have asked a client for a result and still run.
    These calls do not count for ``maximum_parallel_invocations_per_client``. A further call that
    asks a client for a result gets HubException."""  # P-4

    maximum_streams_per_connection: int = 100
    """The number of calls with streams, in either direction, that run at the same time for one
    connection. A further one fails."""  # P-3

    stream_buffer_capacity: int = 10
    """The number of items of each stream from a client that may wait for the hub method. While more
    items wait, reading from the connection pauses."""  # U-5

    enable_detailed_errors: bool = False
    """Whether clients get the texts of exceptions other than HubException."""

    maximum_outbound_buffer_size: int = 1024 * 1024
    """How many bytes may wait to be sent to one client. A full buffer affects no other client."""

    slow_client_policy: SlowClientPolicy = SlowClientPolicy.CLOSE
    """What happens to a client whose outbound buffer is full."""

    maximum_groups_per_connection: int = 1000
    """The number of groups that a connection may be in. A further group raises GroupLimitError."""

    maximum_group_name_length: int = 1024
    """The number of characters of a group name. A longer name raises GroupLimitError."""

    stateful_reconnect_buffer_size: int = 100_000
    """With stateful reconnect, the size of the sent messages that a client has not acknowledged.
    Above it, further messages wait for an Ack. If no Ack makes room for them within
    ``EndpointOptions.transport_send_timeout``, the connection ends."""  # SR-8

    supported_protocols: Sequence[HubProtocol] = (JsonHubProtocol(), MessagePackHubProtocol())
    """The hub protocols that clients may choose from in the handshake."""  # H-6

    filters: Sequence[HubFilter] = ()
    """Code that runs around hub methods and events. The first filter is the outermost."""  # S-29

    services: Services = field(default_factory=dict)
    """Functions by type. Clients send no argument for a parameter of such a type: its value is the
    result of the function, which runs once for each call. The annotation ``Clock | None`` counts as
    ``Clock``. Injected parameters of .NET work in the same way."""  # S-2

    user_id: Callable[[Principal], str | None] | None = None
    """Returns the id of a user, which ``clients.user`` matches. By default the id is the
    ``user_id`` of the principal, or else its claim NameIdentifier, or else its claim ``sub``. After
    an exception, and for a result that is not a str or None, the request is answered with 500."""
    #

    allow_user_identifier_change_on_authentication_refresh: bool = False
    """Whether a refresh may change the user id of a connection. Otherwise such a refresh ends the
    connection."""  # AR-6

    def __post_init__(self) -> None:
        check_options(self)
        for each in self.supported_protocols:
            if not isinstance(each, HubProtocol):
                raise TypeError(
                    "HubOptions.supported_protocols contains an item of another type: "
                    f"{described(each)}."
                )
        for item in self.filters:
            if not isinstance(item, HubFilter):
                raise TypeError(
                    f"HubOptions.filters contains an item of another type: {described(item)}."
                )
        if not all(isinstance(key, type) and callable(it) for key, it in self.services.items()):
            raise TypeError("HubOptions.services maps types to functions, and nothing else.")
        names = [hub_protocol.name.lower() for hub_protocol in self.supported_protocols]
        if not names or len(set(names)) != len(names):
            raise ValueError(
                "HubOptions.supported_protocols needs at least one hub protocol, and no two with "
                "the same name."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """What one path accepts, and from which clients. Times are in seconds, sizes in bytes."""

    authenticate: Authenticator | Authenticate | None = field(default=None, repr=False)
    """Determines the user of each request. It is an Authenticator, or a function, plain or async,
    that returns the Principal of a request, None for an anonymous user, or an
    AuthenticationFailure. The user of a connection is the user of the request that opens the
    transport. If a later request for a user's connection has credentials that are not valid, it is
    answered with the authenticator's challenge. After an exception the request is answered with
    500."""

    authorize: Authorize = False
    """The requirement for users of the path. False allows everyone. True allows any user. A
    collection of roles allows users in at least one of these roles. A policy is a function of an
    object with ``user`` and ``http_request``, plain or async. It allows users for which it returns
    True. A refused request without a user is answered with the authenticator's challenge, any other
    refused request with 403."""

    close_on_authentication_expiration: bool = False
    """Whether a connection ends when the authentication of its user expires, as ``expires_at`` of
    its Principal says. The client may reconnect."""

    enable_authentication_refresh: bool = False
    """Whether clients may replace their access token while they are connected, as .NET clients from
    version 11 on do. If they may, negotiate announces when the present token expires. After a
    replacement ``context.user`` is the Principal of the new token."""  # AR-1

    on_authentication_refresh: AcceptRefresh | None = None
    """Returns whether a new access token is accepted; plain or async. It gets an
    AuthenticationRefreshContext, with the present and the new Principal. If the result is False,
    the request is answered with 403, and a poll also ends its connection."""  # AR-3

    transports: HttpTransportType = HttpTransportType.ALL
    """The transports that clients may use; negotiate lists them in ASP.NET Core's order."""  # N-14

    allowed_origins: Collection[str] | None = None
    """Origins such as ``https://app.example`` whose pages may use the hub with the user's
    credentials. Pages of the hub's own origin always may. WebSockets from pages of other origins
    are refused with 403. None: no CORS headers are sent, and WebSockets are accepted from all
    origins."""  # TC-1

    allowed_hosts: Collection[str] | None = None
    """Host names under which the hub may be reached, such as ``app.example`` or ``*.app.example``.
    Requests that name another host are refused with 400. This protects hubs on this machine or in a
    private network from web pages whose host name resolves to the hub's address (DNS rebinding).
    None: any host."""

    minimum_protocol_version: int = 0
    """The lowest negotiate version that a client may ask for."""  # N-8

    allow_stateful_reconnects: bool = False
    """Whether clients may use stateful reconnect: a connection whose WebSocket is lost continues on
    another one, and no message is lost. The connection waits for ``disconnect_timeout``. Until
    then, hub methods continue and messages to the client are kept."""  # SR-1, SR-10

    long_polling_poll_timeout: float = 90.0
    """How long a poll waits for bytes to deliver."""  # TL-5

    application_max_buffer_size: int = _LIMITS.application_max_buffer_size
    """The number of bytes from one client that may wait to be handled. While more bytes wait,
    reading pauses, and POSTs wait for their answers."""  # TG-8

    transport_max_buffer_size: int = _LIMITS.transport_max_buffer_size
    """The number of bytes that may wait to be sent to one client. While more bytes wait, hub
    methods that send to this client alone wait."""  # TG-8

    transport_send_timeout: float = _LIMITS.transport_send_timeout
    """A client is cut off when a hub method has waited this long for the client's buffer to drain,
    or when sending the answer to a poll takes longer. With long polling, a hub method waits for
    ``disconnect_timeout`` instead. A client is also cut off if it takes fewer than 240 bytes a
    second over this time, while bytes wait for it in the server."""  # TG-9, TL-10

    receive_timeout: float = 30.0
    """The time in which a WebSocket message or the body of a POST has to arrive after its first
    byte. After this time a WebSocket is cut off, and a POST is answered with 408."""  # TW-15

    disconnect_timeout: float = 15.0
    """A negotiated connection that no transport uses for this long is dropped. A connection with
    stateful reconnect ends when it has had no WebSocket for this long."""  # N-27, SR-10

    maximum_negotiated_connections: int = 10_000
    """The number of negotiated connections that may wait for their transport. Before one more is
    added, one is dropped: the oldest from the address with the most waiting connections."""  # N-27

    maximum_connections: int = 20_000
    """The number of connections at one time. Further negotiate requests and connections are
    answered with 503. Each connection can use as much memory as HubOptions allow."""

    close_timeout: float = 5.0
    """How long the server waits for the client's Close frame."""  # TW-6

    def __post_init__(self) -> None:
        check_options(self, of_any_sign=("minimum_protocol_version",))
        _check_items("allowed_origins", normal_origins, self.allowed_origins)
        _check_items("allowed_hosts", normal_hosts, self.allowed_hosts)
        if isinstance(self.authenticate, type):
            raise TypeError(
                "EndpointOptions.authenticate is an Authenticator or a function, not "
                f"{described(self.authenticate)}."
            )
        if callable(self.authenticate):
            require_function(self.authenticate, "EndpointOptions.authenticate")
        require_authorize(self.authorize, "EndpointOptions.authorize")
        if self.authenticate is None and needs_user(self.authorize):
            raise ValueError(
                "EndpointOptions.authorize needs authenticate: without it no request has a user."
            )

    @property
    def transport_limits(self) -> TransportLimits:
        """The options that limit the buffers of a transport."""
        return TransportLimits(
            application_max_buffer_size=self.application_max_buffer_size,
            transport_max_buffer_size=self.transport_max_buffer_size,
            transport_send_timeout=self.transport_send_timeout,
        )


def _check_items(
    name: str, read: Callable[[Collection[str]], object], items: Collection[str] | None
) -> None:
    try:
        read(items or ())
    except ValueError as error:
        raise ValueError(f"EndpointOptions.{name}: {error}.") from None
