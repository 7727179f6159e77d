"""GW-28: shown errors contain no text of a hub, a user's function or another library."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HubConnectionBuilder,
    HubException,
    NegotiationError,
)
from signalr_gateway.config.reading import Place
from signalr_gateway.config.stored_secrets import SecretUnavailable, secret
from signalr_gateway.logs import redaction
from signalr_gateway.logs.redaction import (
    MAXIMUM_LENGTH,
    describe_error,
    describe_failure,
    describe_publicly,
)

HUSH = "hush"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NegotiationError("Our own words."), "Our own words."),
        (NegotiationError(HUSH, summary="The server refused."), "The server refused."),
        (HandshakeError(f"The server said: {HUSH}", summary="Refused."), "Refused."),
        (ConnectionClosed(HUSH, summary="The server closed it."), "The server closed it."),
        (HubException(HUSH), "HubException"),
        (RuntimeError(f"{{'client_secret': '{HUSH}'}}"), "RuntimeError"),
        (ValueError(f"token='{HUSH}'"), "ValueError"),
        (KeyError(HUSH), "KeyError"),
        (TimeoutError(HUSH), "TimeoutError"),
        (ConnectionRefusedError(errno.ECONNREFUSED, HUSH), "Connection refused"),
        (socket.gaierror(-2, HUSH), "the host name cannot be resolved"),
        (ssl.SSLCertVerificationError(1, HUSH), "the certificate is not trusted"),
        (OSError(HUSH), "OSError"),
        (OSError(HUSH, "as its errno"), "OSError"),
        (OSError(2**70, HUSH), "OSError"),
        (OSError([], HUSH), "OSError"),
    ],
)
def test_shows_the_sense_without_the_secret(error: Exception, shown: str) -> None:
    assert describe_error(error) == describe_publicly(error) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NegotiationError("h:1", summary="at h:1", public_summary="refused"), "refused"),
        (ConnectionClosed("h:1", summary="at h:1", public_summary="lost"), "lost"),
        (ModuleNotFoundError(name="inside"), "ModuleNotFoundError"),
        (SecretUnavailable("cannot read '/etc/key'"), "SecretUnavailable"),
        (FileNotFoundError(errno.ENOENT, "", "/etc/key"), "No such file or directory"),
    ],
)
def test_what_any_caller_may_read(error: Exception, shown: str) -> None:
    """No address, path or module."""
    assert describe_publicly(error) == shown


@pytest.mark.parametrize(
    "factory",
    [partial(int, HUSH), partial(HubException, HUSH), lambda: NegotiationError(f"token={HUSH}")],
)
def test_errors_of_a_user_s_function(factory: Callable[[], object]) -> None:
    """One that is written in C, and one that raises an exception of ours with its own text."""

    def fail() -> None:
        error = factory()
        assert isinstance(error, Exception)
        raise error

    with pytest.raises(Exception, match=HUSH) as caught:
        fail()
    assert HUSH not in describe_error(caught.value)


def test_is_one_short_line() -> None:
    shown = describe_error(NegotiationError("two\r\nlines\x00 " + "x" * 5000))
    assert shown.startswith("two lines  x")
    assert len(shown) == MAXIMUM_LENGTH
    assert shown.endswith("…")


def test_the_text_of_a_wrong_option_is_shown() -> None:
    with pytest.raises(ValueError, match="absolute") as caught:
        HubConnectionBuilder().with_url("localhost")
    assert "has to be absolute and to begin with http://" in describe_error(caught.value)
    assert describe_publicly(caught.value) == "ValueError"


def test_a_secret_that_is_away_is_named_in_the_log_only(tmp_path: Path) -> None:
    file = tmp_path / "relay.key"
    file.write_text("key")
    read = secret("key", file, None, Place(tmp_path))
    assert read is not None
    assert read() == "key"
    file.unlink()
    with pytest.raises(SecretUnavailable) as caught:
        read()
    assert describe_error(caught.value) == f"cannot read {str(file)!r}: No such file or directory"
    assert describe_publicly(caught.value) == "SecretUnavailable"


def test_the_text_of_an_error_in_a_c_function_is_not_shown() -> None:
    file = Path(redaction.__file__).with_name("caller.py")
    with pytest.raises(ValueError, match=HUSH) as caught:
        exec(compile(f"int('{HUSH}')", file, "exec"))
    assert describe_error(caught.value) == "ValueError"


def test_the_place_is_the_operators_own_line() -> None:
    """And not one of the library that it called."""
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(HUSH)
    assert describe_failure(caught.value).startswith("JSONDecodeError (test_redaction.py, line ")


def test_a_library_s_line_is_the_place_where_there_is_no_other() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(HUSH)
    inner = caught.value.with_traceback(caught.tb.tb_next)
    assert describe_failure(inner).startswith("JSONDecodeError (decoder.py, line ")


def test_a_failure_of_the_operators_code_is_shown_with_its_place() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError(HUSH)
    assert describe_failure(caught.value).startswith("LookupError (test_redaction.py, line ")
    assert HUSH not in describe_failure(caught.value)
