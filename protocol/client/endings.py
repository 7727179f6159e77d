"""Why a client's connection ends: the exceptions, with their texts."""

import logging

from ..aio.log_thinning import LogThinning
from ..errors import (
    ConnectionClosed,
    HandshakeError,
    ProtocolError,
    ServerTimeoutError,
    SignalRError,
)
from ..framing import OversizeError
from ..messages import Close

logger = logging.getLogger(__name__)


def ended_by(error: Exception, thinning: LogThinning) -> ConnectionClosed:
    """The end of a connection because of ``error``. An error of the client itself is logged."""
    if isinstance(error, ConnectionClosed):
        return error
    if isinstance(error, OversizeError):
        end = ConnectionClosed(error.summary)  # str() names an option of .NET servers
    elif isinstance(error, ProtocolError):
        end = ConnectionClosed(
            str(error), summary=error.summary, public_summary=error.public_summary
        )
    else:
        thinning.log_failure(logger, error, "Reading from the server failed unexpectedly.")
        end = ConnectionClosed(f"Reading failed: {type(error).__name__}")
    end.__cause__ = error
    return end


def not_written(error: Exception, thinning: LogThinning) -> ConnectionClosed:
    """The end of a connection because a message of its own could not be written. It is logged."""
    thinning.log_failure(logger, error, "Writing to the server failed unexpectedly.")
    end = ConnectionClosed(f"Writing failed: {type(error).__name__}")
    end.__cause__ = error
    return end


def no_answer_within(seconds: float) -> HandshakeError:
    """The error when the server has not answered the handshake in time."""
    return HandshakeError(f"The server did not answer the handshake within {seconds:g} seconds.")


def lost_during_handshake(error: Exception | None) -> Exception:
    """The error when the transport was lost before the handshake was done."""
    if error is None:
        return HandshakeError("The server disconnected before sending a handshake response")
    if not isinstance(error, ProtocolError):
        return error
    failure = HandshakeError(str(error), summary=error.summary, public_summary=error.public_summary)
    failure.__cause__ = error
    return failure


def closed_by(close: Close) -> ConnectionClosed:
    """The end of a connection because the server has sent ``close``."""
    text = summary = "The server closed the connection."
    if close.error:
        summary = "The server closed the connection with an error."
        text = f"The server closed the connection with the following error: {close.error}"
    return ConnectionClosed(text, close.allow_reconnect, summary=summary)


def no_message_within(seconds: float, blocked_for: float) -> ServerTimeoutError:
    """The error when no message was received for ``seconds``.

    ``blocked_for`` is the time in seconds for which the event loop was blocked, or 0.
    """
    text = (
        f"Server timeout ({seconds * 1000:.2f}ms) elapsed without receiving a message from the "
        "server."
    )
    if blocked_for:
        text += f" The event loop was blocked for at least {blocked_for:.1f} s."
    return ServerTimeoutError(text)


def no_ack_within(seconds: float) -> ConnectionClosed:
    """The end of a connection when messages have waited too long for the server's Ack."""
    return ConnectionClosed(
        f"The server did not acknowledge messages within {seconds:g} seconds, and the buffer of "
        "stateful reconnect is full."
    )


def not_resumed(error: BaseException) -> ConnectionClosed:
    """The end of a connection whose lost socket could not be replaced because of ``error``."""
    text = "The connection was lost, and could not be resumed"
    if not isinstance(error, SignalRError):
        return ConnectionClosed(f"{text}: {type(error).__name__}.")
    end = ConnectionClosed(
        f"{text}: {error}",
        summary=f"{text}: {error.summary}",
        public_summary=f"{text}: {error.public_summary}",
    )
    end.__cause__ = error
    return end


def retries_exhausted(failed_attempts: int, elapsed: float, last: Exception | None) -> Exception:
    """The end of a connection when the retry policy returns no further delay.

    ``elapsed`` is the number of seconds since the loss, ``last`` the error of the last attempt.
    """
    end = ConnectionClosed(
        f"Reconnect retries have been exhausted after {failed_attempts} failed attempts and "
        f"{elapsed:.1f} s elapsed. Disconnecting.",
        allow_reconnect=False,
    )
    end.__cause__ = last
    return end
