"""Options of a client connection, with the .NET client's defaults (section D)."""

from dataclasses import dataclass

from ..option_checks import check_options


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConnectionOptions:
    """Times in seconds, sizes in bytes."""

    handshake_timeout: float = 15.0
    """From the open transport to the server's handshake response (H-12)."""

    keep_alive_interval: float = 15.0
    """A Ping is sent when nothing was sent for this long (K-4)."""

    server_timeout: float = 30.0
    """A server that is silent for longer is given up (K-2)."""

    maximum_receive_message_size: int | None = 64 * 1024 * 1024
    """Of one hub message; .NET's client has no limit, ours is one that no honest hub reaches."""

    maximum_send_message_size: int | None = None
    """Larger invocations are refused before anything is sent; a server would close the connection
    over one that it does not accept (F-4)."""

    maximum_waiting_events_size: int = 64 * 1024 * 1024
    """Events that wait for their handlers while a call of ours waits for its answer; beyond it the
    connection ends. While no call waits, reading pauses at 1 MiB of them (C-21)."""

    def __post_init__(self) -> None:
        check_options(self)
