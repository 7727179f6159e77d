"""The errors of a failed start (N-4, N-9, N-15 … N-25)."""

import asyncio
import json
import socket
import ssl
import struct
from typing import Any

import pytest

from protocol.transports.client import http_client
from tests.transports.raw_server import OFFER, RawServer, Reply

from .builders import builder, refused

NONE_FITS = (
    "Unable to connect to the server with any of the available transports. "
    "(Pigeon failed: The transport is not supported by the client.) "
    "(WebSockets failed: The transport does not support the 'Text' transfer format.)"
)
MALFORMED = "Invalid negotiation response received."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Not today."}, "Not today."),
        ({**OFFER, "error": "Not at all."}, "Not at all."),
        ("nonsense", MALFORMED),
        ([], MALFORMED),
        ({}, MALFORMED),
        ({**OFFER, "connectionId": None}, MALFORMED),
        ({**OFFER, "availableTransports": None}, MALFORMED),
        ({key: OFFER[key] for key in OFFER if key != "connectionToken"}, MALFORMED),
        ({**OFFER, "connectionToken": "  "}, "Invalid connection id."),
        (
            {**OFFER, "availableTransports": []},
            "None of the transports supported by the client are supported by the server.",
        ),
        (
            {
                **OFFER,
                "availableTransports": [
                    {"transport": "Pigeon", "transferFormats": ["Text"]},
                    {"transport": "WebSockets", "transferFormats": ["Binary"]},
                ],
            },
            NONE_FITS,
        ),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_answers_that_are_no_offer(raw_server: RawServer, body: Any, text: str) -> None:
    """N-9, N-15, N-17, N-24, N-25: the reason is the exception's text."""
    raw_server.replies.append(Reply(body=json.dumps(body).encode()))
    error = await refused(builder(raw_server.url).build())
    place = f" (from {raw_server.url}/negotiate)"
    assert str(error) == (text + place if text == MALFORMED else text)


@pytest.mark.parametrize("query", ["", "?access_token=s3cret"])
async def test_a_login_page(raw_server: RawServer, query: str) -> None:
    """The error says what came from which URL, without its query."""
    raw_server.replies.append(
        Reply(headers=(("Content-Type", "text/html; charset=utf-8"),), body=b"<html>")
    )
    error = await refused(builder(f"{raw_server.url}{query}").build())
    text = f"text/html instead of JSON, from {raw_server.url}/negotiate: a login page?"
    assert str(error) == error.summary == f"{MALFORMED} ({text})"


async def test_an_endless_answer(raw_server: RawServer) -> None:
    """N-15: the size of a response is limited."""
    raw_server.replies.append(Reply(body=b" " * 1_000_000))
    error = await refused(builder(raw_server.url).build())
    assert str(error) == f"{MALFORMED} (from {raw_server.url}/negotiate)"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_statuses_of_negotiate(raw_server: RawServer, status: int) -> None:
    """N-4, A-5: the error contains the status; there is no retry."""
    raw_server.reply(status)
    error = await refused(builder(f"{raw_server.url}?access_token=s3cret").build())
    hints = {
        401: ": the hub needs an access token",
        403: ": this client or user is not allowed",
        404: ": is a hub mapped there?",
    }
    place = f"({status} from {raw_server.url}/negotiate{hints.get(status, '')})"
    text = f"Response status code does not indicate success: {status}"
    assert (str(error), error.summary) == (f"{text} (Said). {place}", f"{text}. {place}")
    assert error.status == status
    assert len(raw_server.requests) == 1


async def test_credentials_of_the_url(raw_server: RawServer) -> None:
    """They are left out of the error."""
    raw_server.reply(404)
    error = await refused(builder(raw_server.url.replace("//", "//user:s3cret@")).build())
    assert f"404 from {raw_server.url}/negotiate" in str(error)
    assert "s3cret" not in str(error)


async def test_the_url_of_a_redirect(raw_server: RawServer) -> None:
    """The server has chosen it, so it is left out of the summary."""
    raw_server.replies.append(Reply(body=json.dumps({"url": f"{raw_server.url}/there"}).encode()))
    raw_server.reply(404)
    error = await refused(builder(raw_server.url).build())
    assert f"(404 from {raw_server.url}/there/negotiate: is a hub mapped there?)" in str(error)
    assert "(404 from the URL of a redirect: is a hub mapped there?)" in error.summary
    assert raw_server.url not in error.summary


@pytest.mark.parametrize("status", [200, 401, 404, 409, 503])
async def test_statuses_of_the_upgrade(raw_server: RawServer, status: int) -> None:
    """A-5: counts as a failed transport."""
    raw_server.upgrade_replies.append(Reply(status))
    error = await refused(builder(raw_server.url).build())
    assert str(error) == (
        "Unable to connect to the server with any of the available transports. "
        f"(WebSockets failed: The server returned status code '{status}' when status code '101' "
        "was expected.)"
    )
    assert error.status == status


@pytest.mark.parametrize("skip", [False, True])
async def test_nobody_listens(skip: bool) -> None:
    """N-25: which host and port, and why."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connection = builder(
        f"http://127.0.0.1:{port}/hub?access_token=s3cret", skip_negotiation=skip
    ).build()
    error = await refused(connection)
    text = f"cannot connect to 127.0.0.1:{port}: Connection refused"
    place = f"(http://127.0.0.1:{port}/hub{'' if skip else '/negotiate'})"
    assert str(error) == f"{'' if skip else 'Negotiate failed: '}{text} {place}"
    assert error.status is None


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        b"220 smtp ready s3cret\r\n",
        b"HTTP/1.1 200 OK\r\nX s3cret: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: s3cret\r\n" * 10_000,
    ],
    ids=["smtp", "header", "long header", "headers without end"],
)
async def test_a_server_that_is_none(skip: bool, said: bytes) -> None:
    """The error has no status, and does not quote the response."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(
            builder(f"http://127.0.0.1:{port}/hub", skip_negotiation=skip).build()
        )
    text = "The server returned an invalid or unrecognized response."
    place = f"(http://127.0.0.1:{port}/hub{'' if skip else '/negotiate'}: is it an https server?)"
    assert str(error) == f"{'' if skip else 'Negotiate failed: '}{text} {place}"
    assert error.status is None


@pytest.mark.parametrize("skip", [False, True])
async def test_a_server_that_resets_the_connection(skip: bool) -> None:
    """The reason is that of the operating system, also behind the start of a request."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        linger = struct.pack("ii", 1, 0)  # closing sends a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(
            builder(f"http://127.0.0.1:{port}/hub", skip_negotiation=skip).build()
        )
    assert "Connection reset by peer (http://127.0.0.1:" in str(error)


async def test_a_server_that_does_not_speak_tls() -> None:
    """https to a server of http: the error asks for it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(builder(f"https://127.0.0.1:{port}/hub").build())
    assert ": TLS failed (" in str(error)
    assert "): is it an https server? (https://127.0.0.1:" in str(error)


async def test_a_server_that_hangs_up() -> None:
    """N-4: between request and answer."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(builder(f"http://127.0.0.1:{port}/hub").build())
        place = f"(http://127.0.0.1:{port}/hub/negotiate: is it an https server?)"
        assert str(error) == f"Negotiate failed: The response ended prematurely. {place}"


@pytest.mark.parametrize("skip", [False, True])
async def test_a_server_that_speaks_only_tls(skip: bool) -> None:
    """http to a server of https: the error asks for it."""

    async def serve_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake of TLS cannot succeed")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with await asyncio.start_server(serve_nothing, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(
            builder(f"http://127.0.0.1:{port}/hub", skip_negotiation=skip).build()
        )
    place = f"http://127.0.0.1:{port}/hub{'' if skip else '/negotiate'}"
    assert str(error).endswith(f" ({place}: is it an https server?)")


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """D: after the HTTP timeout of two minutes, here a moment."""
    monkeypatch.setattr(http_client, "_TIMEOUT", 0.05)
    arrived = asyncio.Event()

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(think, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(builder(f"http://127.0.0.1:{port}/hub").build())
        place = f"(http://127.0.0.1:{port}/hub/negotiate)"
        assert str(error) == f"Negotiate failed: no answer in time {place}"
        assert arrived.is_set()
