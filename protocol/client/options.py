"""Options of a client connection, with the .NET client's defaults (section D)."""

from dataclasses import dataclass

from ..authentication_refresh import REFRESH_BEFORE_EXPIRATION
from ..option_checks import check_options


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConnectionOptions:
    """Times in seconds, sizes in bytes."""

    handshake_timeout: float = 15.0
    """The longest time from the open transport to the server's handshake response."""  # H-12

    keep_alive_interval: float = 15.0
    """A Ping is sent when nothing was sent for this long."""  # K-4

    server_timeout: float = 30.0
    """The connection ends when nothing was received for this long."""  # K-2

    maximum_receive_message_size: int | None = 64 * 1024 * 1024
    """A larger hub message ends the connection. None: no limit, as in .NET's client. The default
    is far above the messages of real hubs."""

    maximum_send_message_size: int | None = None
    """A larger invocation raises MessageTooLargeError and is not sent. A larger item fails its
    upload. A larger result is replaced by an error. A server closes the connection when a message
    exceeds the server's own limit. None: no limit."""  # F-4

    maximum_waiting_events_size: int = 64 * 1024 * 1024
    """The limit for received events whose handlers have not run. A second limit of the same size is
    for stream items that the program has not taken. Both apply while a call or a loop over a stream
    waits for the server. Events beyond the limit end the connection. Items beyond the limit make
    the stream with the most bytes fail. At all other times reading pauses at 1 MiB of events or
    items."""  # C-21

    authentication_refresh: float | None = REFRESH_BEFORE_EXPIRATION
    """The time between a refresh of the authentication and the expiry of the access token, if the
    server has announced the expiry. A token that is valid for less than twice this time is
    refreshed after half of its lifetime. None: there is no automatic refresh."""  # AR-7

    maximum_item_wait: float | None = None
    """The time that items of streams may wait while reading is paused. A stream is slow if its
    items wait for longer. If more than 512 KiB wait in slow streams, all slow streams fail. So a
    loop that takes too few items delays other messages for a limited time. None: no
    limit."""  # C-21

    stateful_reconnect_buffer_size: int = 100_000
    """The bytes of sent messages that may wait for the server's Ack, if the server has granted
    stateful reconnect. With more bytes, callers wait."""  # SR-8

    def __post_init__(self) -> None:
        check_options(self)
