"""Defines each option of the gateway in one field: type, unit, bounds, default and sentence.

To add an option, add a field here and run ``python -m tests.project.option_tables``, which writes
the tables of the documents. `File` is the whole file, and each Struct is one of its tables. Three
Structs are in `orchestration`, because programs in Python use them as well: `Limits`,
`HubRouteInfo`, and `DownstreamHubOptions`, whose options `HubTable` inherits.
`config.command_options` has the options that only the command line has.

Options of the library have the same defaults here as in the library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from protocol import EndpointOptions, HubOptions

from ..http.addresses import DEFAULT_GATEWAY_HUB_PATH
from ..orchestration.hub_options import DEFAULT_MAXIMUM_ITEM_WAIT, DownstreamHubOptions
from ..orchestration.limits import DEFAULT_LIMITS, Limits
from ..orchestration.option_types import (
    UNLIMITED,
    Bytes,
    Count,
    Delay,
    Origin,
    PemFile,
    Seconds,
    Text,
    Unlimited,
    option,
)
from ..orchestration.policy import CallPolicies, Policy, ReceivePolicies
from ..orchestration.route import HubRouteInfo
from .authentication_tables import AuthenticationTable
from .listen_table import Listen as Listen
from .relay_table import OtherGatewayTable

HubProtocolName = Literal["json", "messagepack"]
TransportName = Literal["WebSockets", "ServerSentEvents", "LongPolling"]

_HUB = HubOptions()
_ENDPOINT = EndpointOptions()
_ALL_PROTOCOLS: tuple[HubProtocolName, ...] = ("json", "messagepack")
_ALL_TRANSPORTS: tuple[TransportName, ...] = ("WebSockets", "ServerSentEvents", "LongPolling")


# --- the gateway itself --------------------------------------------------------------------


class GatewayHubTable(Struct, frozen=True, kw_only=True):
    """[gateway_hub]: the library's options of the hub that clients connect to.

    Fields have the names of `HubOptions` and `EndpointOptions`. Some options of these two classes
    are not here. `Limits` has some of them, and `File` has `allowed_origins`. The table
    `authentication` sets `authenticate` and `authorize`. `services`, `user_id` and
    `on_authentication_refresh` are functions, which a file cannot contain.
    `create_app` computes the limits of groups. Limits of client results and of streams from clients
    have no use, because the gateway hub has neither.
    """

    supported_protocols: Annotated[
        Annotated[list[HubProtocolName], Meta(min_length=1)],
        option("Hub protocols from which clients may choose."),
    ] = field(default_factory=lambda: list(_ALL_PROTOCOLS))
    transports: Annotated[
        list[TransportName], option("Transports over which clients may connect.")
    ] = field(default_factory=lambda: list(_ALL_TRANSPORTS))
    handshake_timeout: Annotated[
        Seconds, option("Time in which a client must complete the handshake.")
    ] = _HUB.handshake_timeout
    keep_alive_interval: Annotated[
        Seconds, option("Time between two pings that the gateway sends to a client.")
    ] = _HUB.keep_alive_interval
    client_timeout_interval: Annotated[
        Seconds,
        option("A client that sends pings is disconnected when it sends nothing for this time."),
    ] = _HUB.client_timeout_interval
    disconnect_timeout: Annotated[
        Seconds,
        option(
            "Time in which a client must open a connection that it has negotiated, and how long a"
            " connection with stateful reconnect waits for another WebSocket."
        ),
    ] = _ENDPOINT.disconnect_timeout
    allow_stateful_reconnects: Annotated[
        bool,
        option(
            "Whether clients may use stateful reconnect: a connection whose WebSocket is lost"
            " continues on another one, with its subscriptions, and no event is lost. Needs"
            " WebSockets."
        ),
    ] = _ENDPOINT.allow_stateful_reconnects
    stateful_reconnect_buffer_size: Annotated[
        Bytes,
        option(
            "With stateful reconnect, the size of the sent messages that a client has not"
            " acknowledged; above it, further messages wait."
        ),
    ] = _HUB.stateful_reconnect_buffer_size
    close_timeout: Annotated[
        Seconds, option("How long the gateway waits for the Close frame of a client's WebSocket.")
    ] = _ENDPOINT.close_timeout
    long_polling_poll_timeout: Annotated[
        Seconds, option("How long a poll waits for something to deliver.")
    ] = _ENDPOINT.long_polling_poll_timeout
    transport_send_timeout: Annotated[
        Seconds,
        option(
            "How long a call may wait until its client's buffer has drained (on long polling,"
            " `disconnect_timeout` applies instead), and how long it may take to send the answer to"
            " a poll. After this time the client is disconnected. A client that reads fewer than"
            " 240 bytes a second over this time is disconnected, too."
        ),
    ] = _ENDPOINT.transport_send_timeout
    receive_timeout: Annotated[
        Seconds,
        option(
            "Time in which a WebSocket message of a client, or the body of its POST, must arrive."
        ),
    ] = _ENDPOINT.receive_timeout
    maximum_receive_message_size: Annotated[
        Bytes | Unlimited, option("Largest message of a client.")
    ] = _HUB.maximum_receive_message_size or UNLIMITED
    application_max_buffer_size: Annotated[
        Bytes,
        option(
            "Size of the receive queue of one client; while it is full, the gateway does not read"
            " from the client."
        ),
    ] = _ENDPOINT.application_max_buffer_size
    transport_max_buffer_size: Annotated[
        Bytes,
        option(
            "Size of the send buffer of one client's transport. While more is buffered, calls wait"
            " before they send their answers to the client."
        ),
    ] = _ENDPOINT.transport_max_buffer_size
    maximum_parallel_invocations_per_client: Annotated[
        Count, option("How many calls of one client run at the same time.")
    ] = _HUB.maximum_parallel_invocations_per_client
    maximum_streams_per_connection: Annotated[
        Count, option("How many calls of `StreamDownstreamHub` run at the same time for a client.")
    ] = _HUB.maximum_streams_per_connection
    maximum_negotiated_connections: Annotated[
        Count,
        option(
            "How many negotiated connections may wait to be opened. Above this number, each new one"
            " replaces the oldest one of the client address that has the most."
        ),
    ] = _ENDPOINT.maximum_negotiated_connections
    minimum_protocol_version: Annotated[
        Annotated[int, Meta(ge=0)], option("Lowest version of negotiate that a client may use.")
    ] = _ENDPOINT.minimum_protocol_version
    close_on_authentication_expiration: Annotated[
        bool, option("Whether a connection ends when the authentication of its user expires.")
    ] = _ENDPOINT.close_on_authentication_expiration
    enable_authentication_refresh: Annotated[
        bool, option("Whether clients may replace their access token while they are connected.")
    ] = _ENDPOINT.enable_authentication_refresh
    allow_user_identifier_change_on_authentication_refresh: Annotated[
        bool, option("Whether a new access token may be that of another user.")
    ] = _HUB.allow_user_identifier_change_on_authentication_refresh
    enable_detailed_errors: Annotated[
        bool, option("Whether clients see the texts of the gateway's unexpected errors.")
    ] = _HUB.enable_detailed_errors


class SendTable(Struct, frozen=True, kw_only=True):
    """[send]: the API that sends to clients without a downstream hub."""

    enabled: Annotated[
        bool,
        option(
            "Whether callers of the API may send messages to clients of the gateway hub, count the"
            " clients and disconnect them. With authentication, callers need the scope `send`."
        ),
    ] = False


# --- hubs behind it ------------------------------------------------------------------------


class HubTable(DownstreamHubOptions, frozen=True, kw_only=True):
    """[hubs.KEY]: a hub behind the gateway, how to connect to it, and its routes."""

    url: Annotated[
        Text | None,
        option("The hub's URL, http or https. Required, unless `urls` or `relayed` is set."),
    ] = None
    urls: Annotated[
        list[Text],
        option(
            "URLs of the same hub at several servers, in place of `url`. Each attempt to connect"
            " begins with the last URL that worked, and tries the next one after a failure."
        ),
    ] = field(default_factory=list)
    protocol: Annotated[HubProtocolName, option("Hub protocol to use with the hub.")] = "json"
    transports: Annotated[
        list[TransportName], option("Transports over which the hub may be reached.")
    ] = field(default_factory=lambda: list(_ALL_TRANSPORTS))
    headers: Annotated[dict[str, str], option("Headers of each request to the hub, by name.")] = (
        field(default_factory=dict)
    )
    cookies: Annotated[dict[str, str], option("Cookies of each request to the hub, by name.")] = (
        field(default_factory=dict)
    )
    skip_negotiation: Annotated[
        bool, option('Open a WebSocket without negotiate; `transports` must be `["WebSockets"]`.')
    ] = False
    stateful_reconnect: Annotated[
        bool,
        option(
            "Use stateful reconnect, if the hub allows it: when the WebSocket is lost, the"
            " connection continues on another one, and no call under way fails. Needs WebSockets"
            " and negotiate."
        ),
    ] = False
    access_token_file: Annotated[
        Path | None,
        option("File that contains the access token for the hub; read again for each request."),
    ] = None
    access_token_env: Annotated[
        Text | None, option("Environment variable that contains the access token.")
    ] = None
    verify_tls: Annotated[
        bool, option("Whether the hub's certificate is verified; `false` trusts any.")
    ] = True
    ca_file: Annotated[
        PemFile | None,
        option("PEM file with the authorities to trust instead of the system's."),
    ] = None
    client_certificate: Annotated[
        PemFile | None,
        option("PEM file with the gateway's certificate for the hub; needs `client_key` as well."),
    ] = None
    client_key: Annotated[
        PemFile | None, option("PEM file with the private key of `client_certificate`.")
    ] = None
    server_timeout: Annotated[
        Seconds | None,
        option("Time without a message from the hub after which the connection is closed."),
    ] = None
    keep_alive_interval: Annotated[
        Seconds | None,
        option("Time without a message to the hub after which the gateway sends a ping."),
    ] = None
    handshake_timeout: Annotated[
        Seconds | None, option("Time in which the hub must answer the handshake.")
    ] = None
    close_timeout: Annotated[
        Seconds | None,
        option("How long it may take to send the queued bytes when the connection ends."),
    ] = None
    authentication_refresh: Annotated[
        Seconds | None,
        option("How long before the expiry of its access token the gateway sends a new one."),
    ] = None
    reconnect_delays: Annotated[
        list[Delay],
        option(
            "Delays before the first attempts to reconnect after a loss. After these attempts, the"
            " gateway tries again with its own growing delays."
        ),
    ] = field(default_factory=list)
    maximum_receive_message_size: Annotated[
        Bytes | Unlimited | None,
        option("Largest message of the hub; a larger message closes the connection."),
    ] = None
    maximum_waiting_events_size: Annotated[
        Bytes | None,
        option("Bytes of events that may wait for the gateway while a call waits for the hub."),
    ] = None
    maximum_item_wait: Annotated[
        Seconds,
        option(
            "How long stream items that their callers do not read may delay events of the hub; then"
            " these streams are cancelled."
        ),
    ] = DEFAULT_MAXIMUM_ITEM_WAIT
    receive_key: Annotated[
        Text | None,
        option(
            "Key that clients of the gateway hub must send to subscribe to the hub or to call it."
        ),
    ] = None
    receive_key_file: Annotated[Path | None, option("File that contains the receive key.")] = None
    receive_key_env: Annotated[
        Text | None, option("Environment variable that contains the receive key.")
    ] = None
    routes: Annotated[dict[str, HubRouteInfo], option("The routes of the hub, by key.")] = field(
        default_factory=dict
    )

    def __repr__(self) -> str:
        return "HubTable(...)"  # the URL, the headers and the receive key may be secrets


# --- the file ------------------------------------------------------------------------------


class File(Struct, frozen=True, kw_only=True):
    """The whole file. The attributes of `Orchestrator` are the options at the top of the file."""

    start_gateway_hub: Annotated[
        bool, option("`false`: no gateway hub and no events; POSTs still work.")
    ] = True
    gateway_hub_url: Annotated[
        Text,
        option(
            "URL or path at which the gateway serves its hub; host and port have an effect only"
            " with `relay`."
        ),
    ] = DEFAULT_GATEWAY_HUB_PATH
    allowed_origins: Annotated[
        list[Origin],
        option(
            "Origins of web pages that may use the gateway, in addition to its own pages.",
            "--allowed-origin",
        ),
    ] = field(default_factory=list)
    relay: Annotated[
        bool,
        option(
            "Serve no hub, and relay the events to the hub at `gateway_hub_url`, which is that of"
            " another gateway."
        ),
    ] = False
    call_policies: CallPolicies = ()
    receive_policies: ReceivePolicies = ()
    policies: Annotated[
        dict[str, Policy], option("What callers and clients have to be, by name.")
    ] = field(default_factory=dict)
    listen: Annotated[Listen, option("Where the gateway serves.")] = Listen()
    limits: Annotated[Limits, option("Limits of requests and clients.")] = DEFAULT_LIMITS
    gateway_hub: Annotated[GatewayHubTable, option("The hub that clients connect to.")] = (
        GatewayHubTable()
    )
    authentication: Annotated[
        AuthenticationTable, option("Which credentials callers and clients need.")
    ] = AuthenticationTable()
    send: Annotated[SendTable, option("Sending to clients without a hub.")] = SendTable()
    other_gateway: Annotated[
        OtherGatewayTable, option("How to connect to the gateway that `relay` sends the events to.")
    ] = OtherGatewayTable()
    hubs: Annotated[dict[str, HubTable], option("The hubs behind the gateway, by key.")] = field(
        default_factory=dict
    )
