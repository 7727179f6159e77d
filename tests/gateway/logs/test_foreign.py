"""GW-28: log records of other libraries contain no values, and are limited in size and number."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from signalr_gateway.logs.foreign import ForeignLogFilter

HUSH = "hush"


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def lines(clock: HandClock) -> Iterator[list[str]]:
    handler = Lines()
    handler.addFilter(ForeignLogFilter(clock))
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.lines
    root.removeHandler(handler)


def test_arguments_and_exceptions_are_left_out(lines: list[str]) -> None:
    error = ValueError(HUSH)
    log = logging.getLogger("aiohttp.server")
    log.error("Error handling %s of %r", HUSH, HUSH, exc_info=error)
    assert lines == ["aiohttp.server: Error handling … of …: ValueError (1 so far)"]


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        (f"Task exception was never retrieved\nfuture: <Task {HUSH}>", "Task exception was never"),
        (f"Unclosed <Connection {HUSH}>", "Unclosed …"),
        (f"Refused '{HUSH}' twice", "Refused …"),
        ("%(name)s took %.3f seconds", "… took … seconds"),
    ],
)
def test_values_in_a_template_are_left_out(lines: list[str], template: str, shown: str) -> None:
    logging.getLogger("asyncio").error(template)
    assert lines[0].startswith(f"asyncio: {shown}")
    assert HUSH not in lines[0]


def test_a_line_is_short(lines: list[str]) -> None:
    logging.getLogger("aiohttp.client").error("x" * 10_000)
    assert len(lines[0]) < 200


def test_repeated_lines_are_logged_once_a_minute(lines: list[str], clock: HandClock) -> None:
    for number in range(1000):
        logging.getLogger("aiohttp.websocket").warning("Refused %d", number)
    clock.now += 60
    logging.getLogger("aiohttp.websocket").warning("Refused %d", 1000)
    assert [line.rpartition("(")[2] for line in lines] == ["1 so far)", "1001 so far)"]


def test_texts_that_differ_are_thinned_together(lines: list[str]) -> None:
    """A library that puts values into its templates cannot fill the log, nor the memory."""
    for number in range(10_200):
        logging.getLogger("aiohttp.websocket").warning(f"Refused {number}")  # noqa: G004
    assert len(lines) == 200 + 1
    assert lines[-1] == "aiohttp.websocket: further messages (1 so far)"


@pytest.mark.parametrize("name", ["uvloop", "concurrent.futures"])
def test_all_libraries_that_the_gateway_runs_on(lines: list[str], name: str) -> None:
    logging.getLogger(name).error("Lost %s", HUSH, stack_info=True)
    assert lines == [f"{name}: Lost … (1 so far)"]


def test_our_own_records_are_left_as_they_are(lines: list[str]) -> None:
    logging.getLogger("signalr_gateway.serving.app").error("gateway %s", "started")
    logging.getLogger("mygateway").error("orders for %r", "ada")
    assert lines == ["gateway started", "orders for 'ada'"]
