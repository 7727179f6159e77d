"""Every limit that a peer can reach: what it gets at exactly the limit, and what at one more.

`ROWS` is the table. Each row names the option or the constant that is the limit. A function in
`in_memory.py`, `over_sockets.py` or `through_the_gateway.py` plays the row: it sets the option to
`limit`, sends so many bytes, items or characters, and returns what the peer gets. `test_table.py`
fails if an option or a constant that is a limit has no row here and no entry in `ELSEWHERE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """A limit, and the two answers."""

    name: str
    """The option or the constant; words in brackets say which of several cases is meant."""
    unit: str
    limit: int
    """The value of an option in the test; the value of a constant."""
    at: str
    """What the peer gets at the limit."""
    over: str
    """What it gets at one more."""
    rule: str
    """The rule that defines the limit."""
    real: str = "the same"
    """What ASP.NET Core, its client or the original gateway does at one more."""

    @property
    def option(self) -> str:
        """The name without the case."""
        return self.name.partition(" (")[0]


ROWS: Final = (
    # Messages of clients
    Row(
        "HubOptions.maximum_receive_message_size (JSON)",
        "byte",
        100,
        at="result",
        over="Close: Connection closed with an error.",
        rule="F-4",
    ),
    Row(
        "HubOptions.maximum_receive_message_size (unfinished)",
        "byte",
        100,
        at="nothing",
        over="Close: Connection closed with an error.",
        rule="F-4",
    ),
    Row(
        "HubOptions.maximum_receive_message_size (MessagePack)",
        "byte",
        200,
        at="result",
        over="Close: Connection closed with an error.",
        rule="F-4",
    ),
    Row(
        "HubOptions.maximum_receive_message_size (handshake)",
        "byte",
        100,
        at="accepted",
        over="error: Handshake was canceled.",
        rule="F-4",
    ),
    Row(
        "protocol.transports.server.web_socket_upgrade._LEAST_LIMIT",
        "byte",
        1048576,
        at="handled",
        over="Close frame 1009",
        rule="F-4",
        real="no limit",
    ),
    Row(
        "protocol.json.scanner.MAXIMUM_DEPTH",
        "level",
        64,
        at="result",
        over="Close: Connection closed with an error.",
        rule="J-11",
    ),
    Row(
        "protocol.messagepack.scanner.MAXIMUM_DEPTH",
        "level",
        500,
        at="result",
        over="error: Failed to invoke 'Take' due to an error on the server.",
        rule="M-18",
    ),
    Row(
        "protocol.messagepack.framing.MAXIMUM_LENGTH",
        "byte",
        2147483647,
        at="waits for the message",
        over="RemoteProtocolError: Messages over 2GB in size are not supported.",
        rule="F-2",
    ),
    Row(
        "protocol.messagepack.framing._LONGEST_PREFIX",
        "byte",
        5,
        at="an empty message",
        over="RemoteProtocolError: Messages over 2GB in size are not supported.",
        rule="F-2",
    ),
    # Calls, streams and groups of a connection
    Row(
        "HubOptions.maximum_parallel_invocations_per_client",
        "call",
        3,
        at="result",
        over="nothing",
        rule="P-2",
    ),
    Row(
        "HubOptions.maximum_client_results_per_connection",
        "call",
        3,
        at="a question",
        over=(
            "error: An unexpected error occurred invoking 'Ask' on the server. "
            "HubException: 3 calls of the connection have asked a client for a result and "
            "still run, and no more are allowed."
        ),
        rule="P-4",
        real="no limit",
    ),
    Row(
        "HubOptions.maximum_streams_per_connection",
        "call",
        3,
        at="nothing",
        over=(
            "error: Failed to invoke 'Stream' due to an error on the server. HubException: "
            "The maximum of 3 streams per connection is reached."
        ),
        rule="P-3",
        real="no limit",
    ),
    Row("HubOptions.stream_buffer_capacity", "item", 3, at="result", over="nothing", rule="U-5"),
    Row(
        "HubOptions.maximum_groups_per_connection",
        "group",
        3,
        at="result",
        over=(
            "error: An unexpected error occurred invoking 'Join' on the server. "
            "HubException: The connection is in 3 groups, and no more are allowed."
        ),
        rule="G-3",
        real="no limit",
    ),
    Row(
        "HubOptions.maximum_group_name_length",
        "character",
        3,
        at="result",
        over=(
            "error: An unexpected error occurred invoking 'Join' on the server. "
            "HubException: A group name has 4 characters, more than the 3 allowed."
        ),
        rule="G-3",
        real="no limit",
    ),
    # Buffers and connections of a hub
    Row(
        "HubOptions.maximum_outbound_buffer_size",
        "byte",
        1000,
        at="both wait",
        over="the connection is cut off",
        rule="TG-8",
        real="the sender waits",
    ),
    Row(
        "HubOptions.maximum_outbound_buffer_size (SlowClientPolicy.DROP)",
        "byte",
        1000,
        at="both wait",
        over="the second is dropped",
        rule="GW-24",
        real="the sender waits",
    ),
    Row(
        "EndpointOptions.application_max_buffer_size",
        "byte",
        1000,
        at="reading goes on",
        over="reading pauses",
        rule="TG-8",
    ),
    Row(
        "EndpointOptions.transport_max_buffer_size",
        "byte",
        1000,
        at="the method goes on",
        over="the method waits",
        rule="TG-8",
    ),
    Row(
        "EndpointOptions.maximum_connections",
        "connection",
        2,
        at="101",
        over="503",
        rule="N-27",
        real="no limit",
    ),
    Row(
        "EndpointOptions.maximum_negotiated_connections",
        "connection",
        2,
        at="the oldest is kept",
        over="the oldest is dropped",
        rule="N-27",
        real="no limit",
    ),
    Row(
        "protocol.transports.server.inbound_pipe.EARLY_SIZE",
        "byte",
        4095,
        at="the POST is answered",
        over="the POST waits",
        rule="TG-6",
        real="waits at 65536 bytes",
    ),
    # What a client accepts from a server
    Row(
        "HubConnectionOptions.maximum_receive_message_size",
        "byte",
        1000,
        at="received",
        over=(
            "the connection ends: A message has 1001 bytes, more than the 1000 bytes of "
            "maximum_receive_message_size."
        ),
        rule="F-4",
        real="no limit",
    ),
    Row(
        "HubConnectionOptions.maximum_receive_message_size (Server-Sent Events)",
        "byte",
        1000,
        at="received",
        over="TransportViolationError: The server sent an event of more than 1000 bytes.",
        rule="F-4",
        real="no limit",
    ),
    Row(
        "HubConnectionOptions.maximum_send_message_size",
        "byte",
        1000,
        at="sent",
        over="MessageTooLargeError: The message has 1001 bytes, more than the 1000 allowed.",
        rule="F-4",
        real="no limit",
    ),
    Row(
        "HubConnectionOptions.maximum_waiting_events_size",
        "byte",
        1000,
        at="received",
        over=(
            "the connection ends: More than 1000 bytes of events wait for their handlers "
            "while a call waits for its answer (with_maximum_waiting_events_size)."
        ),
        rule="C-21",
        real="no limit",
    ),
    Row(
        "protocol.handshake.MAXIMUM_RESPONSE_SIZE",
        "byte",
        65536,
        at="accepted",
        over="HandshakeError: Expected a handshake response from the server.",
        rule="H-12",
        real="no limit",
    ),
    Row(
        "protocol.negotiate.MAXIMUM_REDIRECTS",
        "redirect",
        99,
        at="connected",
        over="Negotiate redirection limit exceeded.",
        rule="N-18",
    ),
    Row(
        "protocol.negotiate.MAXIMUM_TRANSPORTS",
        "transport",
        16,
        at="connected",
        over="Unable to connect to the server with any of the available transports.",
        rule="N-24",
        real="tries all of them",
    ),
    Row(
        "protocol.transports.client.connector._MAXIMUM_NEGOTIATE_BODY",
        "byte",
        262144,
        at="connected",
        over="Invalid negotiation response received.",
        rule="N-15",
        real="no limit",
    ),
    Row(
        "protocol.transports.client.http_client._MAXIMUM_HTTP_REDIRECTS",
        "redirect",
        50,
        at="connected",
        over="Response status code does not indicate success: 307",
        rule="N-21",
    ),
    Row(
        "protocol.client.results.LONGEST_ERROR_TEXT",
        "character",
        4096,
        at="4096 characters",
        over="4096 characters",
        rule="CR-3",
        real="no limit",
    ),
    Row(
        "protocol.ledger.MAXIMUM_CANCELLED",
        "call",
        1000,
        at="1000 are counted",
        over="1000 are counted",
        rule="C-8",
        real="counts none",
    ),
    Row(
        "protocol.authentication_refresh.LONGEST_LIFETIME",
        "second",
        2**31 - 1,
        at="2147483647 s",
        over="2147483647 s",
        rule="AR-7",
    ),
    Row(
        "protocol.transports.client.authentication_refresh._MAXIMUM_BODY",
        "byte",
        65536,
        at="the body is read",
        over="the body is not read",
        rule="AR-2",
        real="no limit",
    ),
    Row(
        "protocol.transports.client.long_polling._MAXIMUM_CONFLICT_BODY",
        "byte",
        65536,
        at="the body is read",
        over="the body is not read",
        rule="AR-3",
        real="no limit",
    ),
    # What a peer can write into the log
    Row(
        "protocol.aio.log_thinning._MAXIMUM_SUBJECTS",
        "subject",
        1000,
        at="WARNING",
        over="DEBUG",
        rule="",
        real="logs every line",
    ),
    Row(
        "protocol.aio.log_thinning._LONGEST_NAME",
        "character",
        64,
        at="64 characters",
        over="64 characters",
        rule="",
        real="logs the whole name",
    ),
    # The gateway
    Row(
        "protocol.values.transcoding.MAXIMUM_JSON_DEPTH",
        "level",
        62,
        at="accepted",
        over="TranscodingError: The value nests arrays and maps deeper than 62 levels.",
        rule="J-11",
        real="has no transcoding",
    ),
    Row(
        "Limits.maximum_body_size",
        "byte",
        100,
        at="200",
        over="413 body-too-large: The body has more than the 100 bytes allowed.",
        rule="GW-9",
        real="500 over 30 MB",
    ),
    Row(
        "HubRouteInfo.maximum_body_size",
        "byte",
        100,
        at="200",
        over="413 body-too-large: The body has more than the 100 bytes allowed.",
        rule="GW-9",
        real="500 over 30 MB",
    ),
    Row(
        "Limits.maximum_depth",
        "level",
        5,
        at="200",
        over="400 too-deep: The arguments nest arrays and objects deeper than 5 levels.",
        rule="GW-7",
        real="500 over 64 levels",
    ),
    Row(
        "signalr_gateway.orchestration.limits.MAXIMUM_ARGUMENTS",
        "argument",
        10,
        at="200",
        over="400 too-many-arguments: There are 11 arguments; at most 10 are allowed.",
        rule="GW-7",
        real="200",
    ),
    Row(
        "HubTable.maximum_message_size",
        "byte",
        100,
        at="200",
        over=(
            "413 invocation-too-large: The invocation has 101 bytes, hub 'sample' takes "
            "100; the option maximum_message_size of the hub sets this."
        ),
        rule="GW-9",
        real="the hub closes the connection",
    ),
    Row(
        "HubTable.maximum_event_size",
        "byte",
        100,
        at="forwarded",
        over="dropped: 101 bytes are more than maximum_event_size, 100 bytes",
        rule="GW-24",
        real="no limit",
    ),
    Row(
        "Limits.maximum_connections",
        "connection",
        2,
        at="connected",
        over="503",
        rule="GW-24",
        real="no limit",
    ),
    Row(
        "Limits.maximum_refused_call_size",
        "byte",
        1000,
        at="error: The arguments have more than the 100 bytes of one message.",
        over="the connection ends",
        rule="GW-50",
        real="ends the connection over 32 KiB",
    ),
    Row("Limits.maximum_memory", "byte", 1000, at="200", over="503", rule="", real="no limit"),
    Row(
        "Limits.maximum_subscriptions_per_connection",
        "subscription",
        3,
        at="subscribed",
        over="error: This connection has 3 subscriptions, the most it may have.",
        rule="GW-20",
        real="no limit",
    ),
    Row(
        "signalr_gateway.clients.gateway_hub.MAXIMUM_USER_ID_LENGTH",
        "character",
        256,
        at="subscribed",
        over="error: UserId has more than 256 characters.",
        rule="GW-16",
        real="no limit",
    ),
    Row(
        "signalr_gateway.serving.request_heads.MAXIMUM_HEAD_SIZE",
        "byte",
        32768,
        at="200 OK",
        over="431 Request Header Fields Too Large",
        rule="",
    ),
    Row(
        "signalr_gateway.serving.request_heads.MAXIMUM_FIELDS",
        "field",
        100,
        at="200 OK",
        over="431 Request Header Fields Too Large",
        rule="",
    ),
    Row(
        "signalr_gateway.clients.key_failures.FREE_PER_CONNECTION",
        "failure",
        5,
        at="after 0.0 s",
        over="after 0.1 s",
        rule="GW-18",
        real="no delay",
    ),
    Row(
        "signalr_gateway.clients.key_failures.FREE_PER_ADDRESS",
        "failure",
        20,
        at="after 0.0 s",
        over="after 0.1 s",
        rule="GW-18",
        real="no delay",
    ),
    Row(
        "signalr_gateway.clients.key_failures._MAXIMUM_ADDRESSES",
        "address",
        10000,
        at="the first is known",
        over="the first is forgotten",
        rule="GW-18",
        real="counts none",
    ),
)
