"""GW-28: how often an event is logged, and what the HTTP server's log leaves out."""

from __future__ import annotations

import logging

import pytest
from aiohttp.http import HttpProcessingError

from signalr_gateway.logs.thinning import thinned
from signalr_gateway.serving.server_log import ServerLog


@pytest.mark.parametrize("count", [1, 10, 100, 10_000])
def test_the_1st_10th_and_100th_are_logged(count: int) -> None:
    assert thinned(logging.WARNING, count) == logging.WARNING


@pytest.mark.parametrize("count", [2, 9, 11, 20, 99, 101, 110])
def test_those_between_are_for_debugging(count: int) -> None:
    assert thinned(logging.WARNING, count) == logging.DEBUG


def test_what_the_parser_quotes_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = HttpProcessingError(code=400, message="Authorization: hush")
    ServerLog().exception("Error handling request from %s", "127.0.0.1", exc_info=error)
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == "refused an invalid HTTP request: HttpProcessingError"
    assert record.exc_info is None


def test_other_errors_of_the_server_are_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    error = LookupError("a fault of ours")
    ServerLog().exception("Error handling request from %s", "127.0.0.1", exc_info=error)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "Error handling request from 127.0.0.1"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
