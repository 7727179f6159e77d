"""Secrets in every place where a client puts one: none is in a log, an error or an answer.

The log has the lowest level, and aiohttp's access log is on.
"""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.test_utils import make_mocked_request

from protocol import (
    AuthenticationFailure,
    Challenge,
    EndpointOptions,
    HttpRequestData,
    HttpTransportType,
    HubException,
    Principal,
    map_hub,
)
from protocol.http_transport_type import TRANSPORT_NAMES
from protocol.transports.client.options import HttpConnectionOptions
from protocol.transports.server.aiohttp_logs import hide_tokens
from tests.transports.client.builders import builder, refused
from tests.transports.host import BasicHub
from tests.transports.http_client import request_bytes
from tests.transports.negotiation import negotiate

SECRET: Final = "hush"
"""Part of each secret; a number behind it says which."""
TOKEN: Final = f"{SECRET}-01"
HEADERS: Final = {"X-Key": f"{SECRET}-02"}
COOKIES: Final = {"session": f"{SECRET}-03"}
QUERY: Final = f"access_token={SECRET}-04&Access%5Ftoken={SECRET}-05"

EACH = pytest.mark.parametrize(
    "transport", [pytest.param(it, id=name) for it, name in TRANSPORT_NAMES.items()]
)


def authenticate(request: HttpRequestData) -> Principal | AuthenticationFailure | None:
    """The user of the one token, in the header or in the query."""
    if request.query("crash") is not None:
        raise ValueError(f"cannot read {request.headers['Authorization']}")
    given = request.headers.get("Authorization", f"Bearer {request.query('access_token')}")
    if given not in (f"Bearer {TOKEN}", f"Bearer {SECRET}-04"):
        return AuthenticationFailure("The token is not known")
    return Principal("ann", claims={"token": TOKEN})


@pytest.fixture
async def url(caplog: pytest.LogCaptureFixture) -> AsyncIterator[str]:
    """The URL of a hub whose application logs each request."""
    caplog.set_level(logging.DEBUG)
    app = web.Application()
    for path, authorize in (("/hub", False), ("/required", True)):
        options = EndpointOptions(
            authenticate=authenticate, authorize=authorize, close_timeout=0.05
        )
        map_hub(app, path, BasicHub, endpoint_options=options)
    runner = web.AppRunner(app, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hub"
    await runner.cleanup()


def assert_no_secret(
    caplog: pytest.LogCaptureFixture, *texts: str, tokens: tuple[str, ...] = ()
) -> None:
    """In no attribute of a record, as structured logs have them, and in none of ``texts``."""
    logged = [repr(vars(record)) for record in caplog.records]
    for text in (caplog.text, *logged, *texts):
        for secret in (SECRET, *tokens):
            assert secret not in text


@EACH
async def test_a_session(
    url: str, caplog: pytest.LogCaptureFixture, transport: HttpTransportType
) -> None:
    """Negotiate, calls, an error and the end."""
    connection = builder(
        f"{url}?{QUERY}",
        transports=transport,
        headers=HEADERS,
        cookies=COOKIES,
        access_token_factory=lambda: TOKEN,
    ).build()
    async with connection:
        assert (await connection.invoke("Who"))[1] == "ann"
        with pytest.raises(HubException) as caught:
            await connection.invoke("Nothing", f"{SECRET}-06")
    await connection.start()
    await connection.send("Abort")
    await connection.stop()
    assert '"POST /hub/negotiate?access_token=…&Access%5Ftoken=…&' in caplog.text
    assert "/hub?access_token=…&Access%5Ftoken=…&id=… HTTP/1.1" in caplog.text
    assert_no_secret(caplog, str(caught.value), repr(connection))


async def test_refusals(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Unknown and used connection tokens, tokens that are not valid, and what is no hub message."""
    headers = {**HEADERS, "Authorization": f"Bearer {SECRET}-10"}
    answers: list[str] = []
    unknown = f"{SECRET}-{'x' * 17}"
    async with aiohttp.ClientSession(headers=headers, cookies=COOKIES) as session:
        negotiated = await negotiate(session, f"{url}/negotiate?{QUERY}&negotiateVersion=1")
        token = negotiated["connectionToken"]
        for method, query, body in (
            ("GET", f"id={unknown}", b""),
            ("POST", f"ID={unknown}&id=", f"{SECRET}-13".encode()),
            ("DELETE", f"id={unknown}&id={token}", b""),
            ("PUT", f"id={token}", f"{SECRET}-15".encode()),
            ("GET", f"id={token}&crash", b""),
            ("GET", f"id={quote(token, safe='')}", b""),
            ("POST", f"%69d={token}", f"{SECRET}-16\x1e".encode()),
            ("GET", f"id={token}", b""),
        ):
            async with session.request(method, f"{url}?{QUERY}&{query}", data=body) as response:
                answers += [await response.text(), str(response.headers)]
    assert_no_secret(caplog, *answers, tokens=(token,))


class UrlLogger(AbstractAccessLogger):
    """An access log of the application's own."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.logger.info("%s %r %d", request.method, request.rel_url, response.status)


async def test_another_access_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its lines are formatted by logging, from arguments that need not be text."""
    logger = UrlLogger(logging.getLogger("aiohttp.access"), "")
    request = make_mocked_request("GET", f"/hub?{QUERY}&page=2")
    logger.log(request, web.Response(status=404), 0.0)
    assert "GET URL('/hub?access_token=…&Access_token=…&page=2') 404" in caplog.text
    assert_no_secret(caplog)


@pytest.mark.parametrize("name", ["amp;access_token", "?access_token", "x;access_token"])
async def test_a_query_that_is_put_together_wrongly(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server finds no token in it, but it has one."""
    caplog.set_level(logging.INFO)
    hide_tokens()
    logging.getLogger("aiohttp.access").info("GET /hub?%s=%s&page=2", name, SECRET)
    assert caplog.messages == [f"GET /hub?{name}=…&page=2"]


@EACH
async def test_a_start_that_is_refused(
    url: str, caplog: pytest.LogCaptureFixture, transport: HttpTransportType
) -> None:
    """A-1: the client's error and the answers have the description of the failure only."""
    required = url.replace("/hub", "/required")
    connection = builder(
        f"{required}?{QUERY}",
        transports=transport,
        headers=HEADERS,
        cookies=COOKIES,
        access_token_factory=lambda: f"{SECRET}-19",
    ).build()
    error = await refused(connection)
    assert error.status == 401
    async with aiohttp.ClientSession(cookies=COOKIES) as session:
        async with session.get(f"{required}?access_token={SECRET}-18") as response:
            answer = f"{response.headers} {await response.text()}"
    assert "The token is not known" in answer
    assert_no_secret(caplog, str(error), repr(error), error.summary, answer)


@pytest.mark.parametrize(
    "head",
    [
        f"GET {{target}}?access_token={SECRET}-20\x01 HTTP/1.1",
        f"GET {{target}} HTTP/1.1\nAuthorization: Bearer {SECRET}-21\x01",
        f"GET {{target}} HTTP/1.1\nAuthorization: Bearer {SECRET * 20_000}",
        f"{SECRET}-22",
    ],
)
async def test_heads_that_cannot_be_read(
    url: str, caplog: pytest.LogCaptureFixture, head: str
) -> None:
    reader, writer = await asyncio.open_connection(*url.split("/")[2].split(":"))
    writer.write(request_bytes(url, head))
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.split()[1] == "400"
    assert_no_secret(caplog)


def test_what_is_printed_of_options_and_requests_holds_no_secret() -> None:
    options = HttpConnectionOptions(
        url=f"http://host/hub?key={SECRET}",
        headers={"X": SECRET},
        cookies={"c": SECRET},
        access_token_factory=functools.partial(str, SECRET),
    )
    request = HttpRequestData("GET", "/hub", f"access_token={SECRET}", {"X": SECRET}, None)
    user = Principal("ada", claims={"token": SECRET})
    challenge = Challenge(302, {"Location": f"/login?{SECRET}"})
    endpoint = EndpointOptions(authenticate=functools.partial(print, SECRET))
    for value in (options, request, user, challenge, endpoint):
        assert SECRET not in repr(value)
