"""Why there is no connection: in the next error of a call, and in the log (C-20, R-3)."""

import logging

import pytest

from protocol import HubConnection, NotConnectedError
from protocol.client.retry import retry_delays
from tests.support.client_harness import ClientHarness, refusal

CLOSE = {"type": 7, "error": "Connection closed with an error. HubException: no s3cret"}
CLOSED = f"The server closed the connection with the following error: {CLOSE['error']}"


async def why(connection: HubConnection) -> tuple[str, str]:
    """The end of the text of a call's error, and the cause of the error."""
    with pytest.raises(NotConnectedError) as caught:
        await connection.invoke("X")
    _, _, reason = str(caught.value).partition("not active: ")
    return reason, str(caught.value.__cause__)


async def test_a_connection_that_the_hub_refuses(harness: ClientHarness) -> None:
    """L-3: the text of a HubException in on_connected is the cause of the next call's error."""
    connection = await harness.started()
    harness.server.send(CLOSE)
    await harness.clock.settle()
    assert await why(connection) == ("it has ended.", CLOSED)


async def test_a_start_that_has_failed(harness: ClientHarness) -> None:
    """R-2: the error of the start is the cause."""
    connection = harness.connection()
    harness.answers.append(refusal("no hub"))
    with pytest.raises(Exception, match="no hub"):
        await connection.start()
    assert await why(connection) == ("the start has failed.", "no hub")


async def test_while_reconnecting(harness: ClientHarness) -> None:
    """The loss is the cause, then the last attempt; after a reconnect calls are sent again."""
    connection = await harness.started(retry_delays([1, 1]))
    harness.server.vanish()
    await harness.clock.settle()
    assert await why(connection) == ("it is reconnecting.", "The server ended the connection.")
    harness.answers.append(refusal("no hub"))
    await harness.clock.advance(1)
    assert await why(connection) == ("it is reconnecting.", "no hub")
    await harness.clock.advance(1)
    await connection.send("X")


async def test_after_the_last_attempt(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """The error has the last attempt as its own cause; the log has both, without server's texts."""
    connection = await harness.started(retry_delays([1]))
    harness.server.vanish()
    harness.answers.append(refusal("no hub"))
    await harness.clock.advance(1)
    text = "Reconnect retries have been exhausted after 1 failed attempts and 1.0 s elapsed."
    assert await why(connection) == ("it has ended.", f"{text} Disconnecting.")
    (record,) = caplog.records
    log_text = f"A connection without on_closed has ended: {text} Disconnecting. no hub"
    assert record.getMessage() == log_text


async def test_a_connection_without_on_closed(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end is one WARNING, which does not repeat the server's text."""
    await harness.started()
    harness.server.send(CLOSE)
    await harness.clock.settle()
    text = (
        "A connection without on_closed has ended: The server closed the connection with an error."
    )
    assert caplog.record_tuples == [("protocol.client.keeper", logging.WARNING, text)]


@pytest.mark.parametrize("way", ["on_closed", "stop"])
async def test_an_end_that_is_not_logged(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """An end that a callback gets, or that the program has asked for."""
    connection = await harness.started()
    if way == "stop":
        await connection.stop()
    else:
        connection.on_closed(lambda _: None)
        harness.server.send(CLOSE)
    await harness.clock.settle()
    assert caplog.records == []
