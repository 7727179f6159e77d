"""GW-28: the log of the HTTP server contains no values of requests."""

from __future__ import annotations

import logging

import pytest
from aiohttp.http import HttpProcessingError

from signalr_gateway.serving.server_log import ServerLog


def test_what_the_parser_quotes_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = HttpProcessingError(code=400, message="Authorization: hush")
    ServerLog().exception("Error handling request from %s", "127.0.0.1", exc_info=error)
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == "refused an invalid HTTP request: HttpProcessingError"
    assert record.exc_info is None


async def test_other_errors_of_the_server_are_logged_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = LookupError("a fault of ours")
    ServerLog().exception("Error handling request from %s", "127.0.0.1", exc_info=error)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "Error handling request from 127.0.0.1"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_they_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of error for itself."""
    log = ServerLog()
    for error in (LookupError(), LookupError(), ValueError(), LookupError()):
        log.exception("Error handling request from %s", "127.0.0.1", exc_info=error)
    errors = [each.exc_info[1] for each in caplog.records if each.exc_info is not None]
    assert [type(error) for error in errors] == [LookupError, ValueError]
