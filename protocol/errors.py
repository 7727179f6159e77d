"""The exceptions of this library, by the side that caused the error.

::

    SignalRError
    ├── ProtocolError                a base class only
    │   ├── LocalProtocolError       the caller broke a rule; nothing was sent, nothing is closed
    │   │   ├── MessageTooLargeError     a message is over the limit for sending
    │   │   └── TranscodingError         a payload has no form in the other hub protocol
    │   └── RemoteProtocolError      the peer broke a rule; the connection must be closed
    │       └── TransportViolationError  the peer broke a transport rule; no Close can be sent
    ├── ArgumentBindingError         a value does not fit the declared type; fails one call only
    ├── NegotiationError             negotiate failed; there is no connection
    ├── AuthenticationRefreshError   a refresh failed; the connection is unchanged
    ├── HandshakeError               the handshake failed; there is no connection
    ├── NotConnectedError            there is no connection; nothing was sent
    ├── StreamOverflowError          too many items of a stream wait; the stream was cancelled
    ├── ConnectionClosed             the connection ended; calls in flight may or may not have run
    │   └── ServerTimeoutError           the server was silent for too long
    └── HubException                 a hub method failed; the text is meant for the caller
        └── GroupLimitError              a connection cannot join a group

Errors carry data in attributes and a sentence in ``str()``. The code that catches an error decides
what is closed.
"""

import functools
import re
from typing import Annotated, ClassVar, Final, get_args, get_origin

import msgspec

# If the text of an exception is sent, one of these sentences precedes its name and text (S-7, S-8).
_HUB_SENTENCE: Final = re.compile(
    r"(?:An unexpected error occurred invoking '.*?' on the server\."
    r"|Failed to invoke '.*?' due to an error on the server\."
    r"|An error occurred on the server while streaming results\.) \w+: (?P<text>.*)",
    re.DOTALL,
)

DECODING_FAILURES: Final = (ValueError, RecursionError, msgspec.MsgspecError)
"""The exceptions that msgspec raises for bad bytes. Its releases differ in which one they raise."""


class SignalRError(Exception):
    """Base class of the exceptions of this library.

    ``str()`` may contain text of the peer. ``summary`` contains none, so it can be logged.
    ``public_summary`` contains no addresses either, so it can be shown to anyone.
    """

    _summary: str | None = None
    _public_summary: str | None = None

    def __init__(
        self,
        message: str = "",
        *,
        summary: str | None = None,
        public_summary: str | None = None,
    ) -> None:
        super().__init__(message)
        self._summary = summary
        self._public_summary = public_summary

    @property
    def summary(self) -> str:
        """One line that describes the error, without any text of the peer."""
        return str(self) if self._summary is None else self._summary

    @property
    def public_summary(self) -> str:
        """One line that describes the error, without text of the peer, hosts, ports and paths."""
        return self.summary if self._public_summary is None else self._public_summary


class ProtocolError(SignalRError):
    """A rule of the protocol was broken."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol does not allow; nothing was sent."""

    exception_name: ClassVar[str] = "InvalidOperationException"


class MessageTooLargeError(LocalProtocolError):
    """A message is larger than the limit for sending.

    ``size`` and ``limit`` are bytes of the whole frame, delimiter included.
    """  # F-4

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The message has {size} bytes, more than the {limit} allowed.")
        self.size = size
        self.limit = limit


class TranscodingError(LocalProtocolError):
    """A payload of one hub protocol has no form in another."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule of the protocol.

    ``str()`` is the text that .NET uses for this error. ``exception_name`` is the name of the .NET
    exception; detailed errors contain it.
    """  # S-20

    def __init__(
        self,
        message: str,
        exception_name: str = "InvalidDataException",
        *,
        summary: str | None = None,
        public_summary: str | None = None,
    ) -> None:
        super().__init__(message, summary=summary, public_summary=public_summary)
        self.exception_name = exception_name


class TransportViolationError(RemoteProtocolError):
    """The peer broke a rule of the transport, for example with a Text message that is not UTF-8."""

    # TW-3

    def __init__(
        self, message: str, *, summary: str | None = None, public_summary: str | None = None
    ) -> None:
        super().__init__(
            message, "WebSocketException", summary=summary, public_summary=public_summary
        )


class ArgumentBindingError(SignalRError):
    """Arguments, a result or an item do not fit the declared types.

    ``argument`` is the number of the argument that does not fit, counted from 1. It is None if the
    error is not about one argument. ``summary`` describes the misfit by names and types, without
    values.
    """  # S-5, S-6

    exception_name: ClassVar[str] = "InvalidDataException"

    def __init__(
        self, message: str = "", argument: int | None = None, *, summary: str | None = None
    ) -> None:
        super().__init__(message, summary=summary or "the value does not fit the declared type")
        self.argument = argument


class NegotiationError(SignalRError):
    """Negotiate failed. ``status`` is the HTTP status, or None if there was no usable answer."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        summary: str | None = None,
        public_summary: str | None = None,
    ) -> None:
        super().__init__(message, summary=summary, public_summary=public_summary)
        self.status = status


class AuthenticationRefreshError(SignalRError):
    """The authentication of a connection was not refreshed. The connection is unchanged.

    ``status`` is the HTTP status of the answer, or None if there was no usable answer.
    """  # AR-5a

    def __init__(
        self, message: str, status: int | None = None, *, summary: str | None = None
    ) -> None:
        super().__init__(message, summary=summary)
        self.status = status


class HandshakeError(SignalRError):
    """The handshake failed. On a client ``str()`` contains the error text of the server, if any."""

    # H-12


class NotConnectedError(SignalRError):
    """There is no open connection; nothing was sent.

    ``__cause__`` is the error that ended the last connection, or the error of the last attempt to
    connect. It is None if there is no such error.
    """

    exception_name: ClassVar[str] = "IOException"  # CR-5


class StreamOverflowError(SignalRError):
    """Too many items of a stream wait to be taken. The client has cancelled the stream."""


class ConnectionClosed(SignalRError):
    """The connection has ended.

    ``allow_reconnect`` is False if the client must not reconnect, because the server's Close does
    not allow it or because the connection was stopped.
    """  # L-5

    exception_name: ClassVar[str] = "IOException"  # CR-5

    def __init__(
        self,
        message: str,
        allow_reconnect: bool = True,
        *,
        summary: str | None = None,
        public_summary: str | None = None,
    ) -> None:
        super().__init__(message, summary=summary, public_summary=public_summary)
        self.allow_reconnect = allow_reconnect


class ServerTimeoutError(ConnectionClosed):
    """The server was silent for longer than the server timeout."""  # K-2


class HubException(SignalRError):
    """An error whose text is meant for the other side.

    When a hub method raises a HubException, the caller gets its text even without detailed errors.
    When ``invoke`` raises a HubException, ``str()`` is the error text of the hub's answer. In an
    answer of ASP.NET Core this is a sentence, and after it possibly the text of an exception.
    """  # S-8

    @functools.cached_property  # not a property: a subclass may set an attribute of this name
    def message(self) -> str:
        """The text of the hub's exception, without the sentence that ASP.NET Core puts before it.

        Equals ``str()`` if there is no such sentence, or if no text of an exception follows it.
        """
        match = _HUB_SENTENCE.fullmatch(str(self))
        return str(self) if match is None else match["text"]

    @property
    def summary(self) -> str:
        """The name of the class, because ``str()`` may be text of the peer."""
        return type(self).__name__


class GroupLimitError(HubException):
    """A connection cannot join a group: it is in too many groups, or the group's name is too long.

    ``groups.add`` raises it and changes no membership. If the hub method does not catch the
    exception, its caller gets the text.
    """

    exception_name: ClassVar[str] = "HubException"


def unreadable_value(kind: str, annotation: object, reason: object) -> HubException:
    """The error for a result or an item of the peer that does not fit the declared type.

    ``kind`` is ``result`` or ``item``, ``annotation`` the type, ``reason`` the end of the text.
    """  # C-11, CR-5
    if get_origin(annotation) is Annotated:  # such as Int32
        annotation = get_args(annotation)[0]
    name = getattr(annotation, "__name__", str(annotation))
    return HubException(f"Error trying to deserialize {kind} to {name}. {reason}")


def error_details(error: BaseException, detailed: bool) -> str:
    """The end of an error text for a peer: a space, the exception's name, a colon and its text.

    The result is empty unless ``detailed`` is true or the exception is a HubException.
    """
    if not detailed and not isinstance(error, HubException):
        return ""
    name = getattr(error, "exception_name", type(error).__name__)
    return f" {name}: {error}"
