"""The exceptions of this library, by the side that caused the error.

::

    SignalRError
    ├── ProtocolError                never raised bare
    │   ├── LocalProtocolError       our caller broke a rule; nothing was sent, all goes on
    │   │   ├── MessageTooLargeError
    │   │   └── TranscodingError
    │   └── RemoteProtocolError      the peer broke a rule; its connection has to be closed
    │       └── TransportViolationError  … of the transport: no Close can be sent either
    ├── ArgumentBindingError         a value does not fit the declared type; fails one call only
    ├── NegotiationError             no connection: what the server answered to negotiate
    ├── HandshakeError               no connection: the hub protocol was not agreed
    ├── NotConnectedError            nothing was sent, there is no connection to send it on
    ├── ConnectionClosed             the connection ended; calls in flight may or may not have run
    │   └── ServerTimeoutError
    └── HubException                 the method on the other side failed; its text is safe to show
        └── GroupLimitError          … ours: a connection may not join one more group

Errors carry data in attributes and a sentence in ``str()``. The code that catches an error decides
what is closed.
"""

from typing import ClassVar, Final

import msgspec

DECODING_FAILURES: Final = (ValueError, RecursionError, msgspec.MsgspecError)
"""What msgspec raises for bytes that it cannot decode; which of them differs by release."""


class SignalRError(Exception):
    """Base class of the exceptions of this library.

    ``str()`` may quote the peer. ``summary`` does not, so it can be logged.
    """

    _summary: str | None = None

    def __init__(self, message: str = "", *, summary: str | None = None) -> None:
        super().__init__(message)
        self._summary = summary

    @property
    def summary(self) -> str:
        """One line that describes the error without any text of the peer."""
        return str(self) if self._summary is None else self._summary


class ProtocolError(SignalRError):
    """A rule of the protocol was broken."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something the protocol does not allow; nothing was sent."""

    exception_name: ClassVar[str] = "InvalidOperationException"


class MessageTooLargeError(LocalProtocolError):
    """A message is larger than the limit set for sending.

    ``size`` and ``limit`` are bytes of the whole frame, terminator included.
    """  # F-4

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The message has {size} bytes, more than the {limit} allowed.")
        self.size = size
        self.limit = limit


class TranscodingError(LocalProtocolError):
    """A payload of one hub protocol has no form in another."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule of the protocol.

    ``str()`` is the text .NET uses; ``exception_name`` is the .NET exception that carries it, as
    detailed errors show it.
    """  # S-20

    def __init__(
        self,
        message: str,
        exception_name: str = "InvalidDataException",
        *,
        summary: str | None = None,
    ) -> None:
        super().__init__(message, summary=summary)
        self.exception_name = exception_name


class TransportViolationError(RemoteProtocolError):
    """The peer broke a rule of the transport, as by a Text message that is not UTF-8."""  # TW-3

    def __init__(self, message: str, *, summary: str | None = None) -> None:
        super().__init__(message, "WebSocketException", summary=summary)


class ArgumentBindingError(SignalRError):
    """Arguments, a result or an item do not fit the declared types."""  # S-5, S-6

    exception_name: ClassVar[str] = "InvalidDataException"


class NegotiationError(SignalRError):
    """Negotiate failed. ``status`` is the HTTP status, None when there was no usable answer."""

    def __init__(
        self, message: str, status: int | None = None, *, summary: str | None = None
    ) -> None:
        super().__init__(message, summary=summary)
        self.status = status


class HandshakeError(SignalRError):
    """The handshake failed; on a client ``str()`` holds the server's text."""  # H-12


class NotConnectedError(SignalRError):
    """There is no live connection; nothing was sent."""


class ConnectionClosed(SignalRError):
    """The connection has ended.

    ``allow_reconnect`` is False if the client must not reconnect: the server's Close said so,
    or the connection was stopped.
    """  # L-5

    def __init__(
        self, message: str, allow_reconnect: bool = True, *, summary: str | None = None
    ) -> None:
        super().__init__(message, summary=summary)
        self.allow_reconnect = allow_reconnect


class ServerTimeoutError(ConnectionClosed):
    """The server was silent for longer than the server timeout."""  # K-2


class HubException(SignalRError):
    """An error that is meant for the other side.

    Raised by a hub method, its text reaches the caller even without detailed errors. Raised
    by ``invoke``, ``str()`` is the text the hub answered with.
    """  # S-8

    @property
    def summary(self) -> str:
        """The exception's name: its text is a hub's."""
        return type(self).__name__


class GroupLimitError(HubException):
    """A connection cannot join a group: it is in too many, or the name is too long.

    Raised by ``groups.add``; memberships are unchanged. The caller of the hub method gets the text,
    unless the method catches the exception.
    """

    exception_name: ClassVar[str] = "HubException"


def error_details(error: BaseException, detailed: bool) -> str:
    """The text for a peer: that of a HubException always, that of others only if ``detailed``."""
    if not detailed and not isinstance(error, HubException):
        return ""
    name = getattr(error, "exception_name", type(error).__name__)
    return f" {name}: {error}"
