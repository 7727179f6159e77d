"""Options of a hub and of an endpoint, with ASP.NET Core's defaults (section D).

Two scopes: hub options belong to the hub class wherever it is mapped, endpoint options to one path.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from ..aio.transport import TransportLimits
from ..http_transport_type import HttpTransportType
from ..hub_protocol import HubProtocol
from ..json.protocol import JsonHubProtocol
from ..messagepack.protocol import MessagePackHubProtocol
from ..option_checks import check_options
from ..origins import normal_origin
from .context import HttpRequestData, Principal

Services = Mapping[type[Any], Callable[[], Any]]
Authenticate = Callable[[HttpRequestData], "Principal | Awaitable[Principal | None] | None"]


_LIMITS: Final = TransportLimits()


class SlowClientPolicy(Enum):
    """What becomes of a client for which more piles up than may, because it does not read."""

    CLOSE = "close"
    """It is cut off."""

    DROP = "drop"
    """It misses what goes to all, to groups and to users until it has read enough. What is meant
    for it alone, answers included, is no less than was promised: over that it is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Limits and behaviour of one hub class. Times in seconds, sizes in bytes."""

    handshake_timeout: float = 15.0
    """A connection without a complete handshake by then is refused."""  # H-9

    keep_alive_interval: float = 15.0
    """The server pings this long after its last ping."""  # K-1

    client_timeout_interval: float = 30.0
    """A client that has pinged once and is silent for longer is closed."""  # K-3

    maximum_receive_message_size: int | None = 32 * 1024
    """Of one hub message, terminator included; None means no limit."""  # F-4

    maximum_parallel_invocations_per_client: int = 1
    """How many methods run at once for one connection."""  # P-2

    enable_detailed_errors: bool = False
    """Whether the texts of exceptions other than HubException reach clients."""

    maximum_outbound_buffer_size: int = 1024 * 1024
    """What may pile up for one client; the others notice nothing."""

    slow_client_policy: SlowClientPolicy = SlowClientPolicy.CLOSE
    """What becomes of a client that lets more pile up."""

    maximum_groups_per_connection: int = 1000
    """How many groups one connection may be in; ``groups.add`` raises GroupLimitError beyond it."""

    maximum_group_name_length: int = 1024
    """Characters; ``groups.add`` raises GroupLimitError for a longer name."""

    supported_protocols: Sequence[HubProtocol] = (JsonHubProtocol(), MessagePackHubProtocol())
    """The hub protocols that clients may choose from in the handshake."""  # H-6

    services: Services = field(default_factory=dict)
    """Values of hub method parameters that no client sends: by the parameter's type, a function
    that gives one for each call. Like .NET's injected parameters they are not counted among a
    call's arguments."""  # S-2

    def __post_init__(self) -> None:
        check_options(self)
        if not all(isinstance(each, HubProtocol) for each in self.supported_protocols):
            raise TypeError("HubOptions.supported_protocols has something that is no HubProtocol.")
        if not all(isinstance(key, type) and callable(it) for key, it in self.services.items()):
            raise TypeError("HubOptions.services has functions by type, and nothing else.")
        names = [hub_protocol.name.lower() for hub_protocol in self.supported_protocols]
        if not names or len(set(names)) != len(names):
            raise ValueError(
                "HubOptions.supported_protocols has one hub protocol or more, each of its own name."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """What one path accepts, and who may come. Times in seconds."""

    authenticate: Authenticate | None = None
    """Who a request is: a Principal, or None for nobody. Called for the request that opens the
    transport; an exception it raises refuses the request with 500."""

    transports: HttpTransportType = HttpTransportType.ALL
    """Which transports there are; negotiate lists them in ASP.NET Core's order."""  # N-14

    allowed_origins: Collection[str] | None = None
    """Origins like ``https://app.example`` whose pages may use the hub with the user's credentials,
    beside those of the hub's own origin. WebSockets that pages of other origins open are
    refused with 403. None: no CORS headers, and WebSockets are open to all origins."""  # TC-1

    minimum_protocol_version: int = 0
    """The lowest negotiate version that a client may ask for."""  # N-8

    long_polling_poll_timeout: float = 90.0
    """How long a poll waits for something to deliver."""  # TL-5

    application_max_buffer_size: int = _LIMITS.application_max_buffer_size
    """Received from one client and not yet served; beyond it nothing more is read, and POSTs wait
    for their answers."""  # TG-8

    transport_max_buffer_size: int = _LIMITS.transport_max_buffer_size
    """Sent to one client, not yet taken; beyond it methods that send to it alone wait."""  # TG-8

    transport_send_timeout: float = _LIMITS.transport_send_timeout
    """A client that takes nothing for this long, while a method waits for it, is cut off, and one
    that takes longer to read the answer to a poll."""  # TG-9, TL-10

    disconnect_timeout: float = 15.0
    """A negotiated connection that nothing picks up is dropped after this."""  # N-27

    maximum_negotiated_connections: int = 10_000
    """How many may wait to be picked up; further negotiates are answered with 503."""

    maximum_connections: int = 20_000
    """How many may be connected at once; negotiates and connections beyond them are answered with
    503. Each of them may make the process hold what HubOptions allow."""

    close_timeout: float = 5.0
    """How long the server waits for the client's Close frame."""  # TW-6

    def __post_init__(self) -> None:
        check_options(self, of_any_sign=("minimum_protocol_version",))
        for origin in self.allowed_origins or ():
            try:
                normal_origin(origin)
            except ValueError as error:
                raise ValueError(
                    f"EndpointOptions.allowed_origins has {origin!r}: an origin {error}."
                ) from None

    @property
    def transport_limits(self) -> TransportLimits:
        """What a transport of this path has to know of them."""
        return TransportLimits(
            application_max_buffer_size=self.application_max_buffer_size,
            transport_max_buffer_size=self.transport_max_buffer_size,
            transport_send_timeout=self.transport_send_timeout,
        )
