"""The decisions of an endpoint about requests as plain data, without a server (N, TG, TL, A-6)."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from protocol import EndpointOptions, HttpRequestData, HttpTransportType, Principal
from protocol.hosting.http_answer import POLL_HEADERS, HttpAnswer, plain_answer
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager
from protocol.hosting.hub_endpoint import Action, Admitted, HubEndpoint, requested_transport

from .plain_requests import request

WEB_SOCKETS = HttpTransportType.WEB_SOCKETS
EVENTS = HttpTransportType.SERVER_SENT_EVENTS
POLLING = HttpTransportType.LONG_POLLING
APP = "https://app.example"

Decision = Admitted[HttpConnection] | HttpAnswer


class Endpoint:
    """An endpoint at ``/hub``, and its clock, which the test sets."""

    def __init__(
        self,
        *,
        connections: HttpConnectionManager[HttpConnection] | None = None,
        **options: Any,
    ) -> None:
        self.now = 1000.0
        self.connections = connections or HttpConnectionManager(HttpConnection)
        self.endpoint = HubEndpoint(
            self.connections,
            "/hub",
            EndpointOptions(**options),
            lambda: self.now,
            wall_clock=lambda: self.now,
        )

    async def negotiate(self, query: str = "negotiateVersion=1") -> Any:
        answer = await self.endpoint.negotiate(request("POST", query))
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert not answer.is_chunked
        return json.loads(answer.body)

    async def token(self) -> str:
        token = (await self.negotiate())["connectionToken"]
        assert isinstance(token, str)
        return token

    async def ask(
        self, method: str, query: str, *, accept: str = "*/*", is_upgrade: bool = False
    ) -> Decision:
        return await self.endpoint.dispatch(request(method, query), [accept], is_upgrade=is_upgrade)

    async def web_socket(self, query: str) -> Decision:
        return await self.ask("GET", query, is_upgrade=True)

    async def event_stream(self, query: str) -> Decision:
        return await self.ask("GET", query, accept="text/event-stream")

    async def poll(self, query: str) -> Decision:
        return await self.ask("GET", query)


def opened(decision: Decision, action: Action) -> HttpConnection:
    """The connection of a request that opened a transport."""
    assert isinstance(decision, Admitted)
    assert decision.action is action
    return decision.connection


def poll_refusal(status: int, text: str = "") -> HttpAnswer:
    return replace(plain_answer(status, text), headers=POLL_HEADERS)


@pytest.mark.parametrize(
    ("accept", "is_upgrade", "transport"),
    [
        (["text/event-stream"], False, EVENTS),
        (["text/event-stream"], True, EVENTS),
        (["a/b", "c/d, TEXT/event-stream "], False, EVENTS),
        (["text/event-stream;q=0.5"], True, WEB_SOCKETS),
        (["*/*"], True, WEB_SOCKETS),
        ([], True, WEB_SOCKETS),
        (["*/*"], False, POLLING),
        ([], False, POLLING),
    ],
)
def test_the_transport_that_a_get_asks_for(
    accept: list[str], is_upgrade: bool, transport: HttpTransportType
) -> None:
    """TG-2."""
    assert requested_transport(accept, is_upgrade=is_upgrade) is transport


# ---- negotiate


async def test_negotiate() -> None:
    """N-10, N-12, N-13: an offer, whose token finds the connection."""
    endpoint = Endpoint()
    offer = await endpoint.negotiate()
    found = endpoint.connections.find(offer["connectionToken"], endpoint.now)
    assert found is not None
    assert found.connection_id == offer["connectionId"]
    assert "connectionToken" not in await endpoint.negotiate("")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "NegotiateVersion=1&negotiateversion=1",
            "The client requested a non-integer protocol version.",
        ),
        (
            "negotiateVersion=-1",
            "The client requested version '-1', but the server does not support this version.",
        ),
    ],
)
async def test_negotiate_that_fails(query: str, text: str) -> None:
    """N-7, N-8: an error in an answer of status 200."""
    assert await Endpoint().negotiate(query) == {"error": text}


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
async def test_negotiate_by_another_method(method: str) -> None:
    """N-3."""
    assert await Endpoint().endpoint.negotiate(request(method)) == plain_answer(405)


async def test_a_full_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    """N-27: a new offer takes the place of the last, further connections get 503; each is logged
    at most once a minute."""
    dropped = "Negotiated connections are dropped: maximum_negotiated_connections is reached."
    refused = "Connections are refused with 503: maximum_connections is reached."
    endpoint = Endpoint(maximum_connections=1, maximum_negotiated_connections=1)
    first, token = await endpoint.token(), await endpoint.token()
    assert await endpoint.poll(f"id={first}") == replace(UNKNOWN, headers=POLL_HEADERS)
    opened(await endpoint.web_socket(""), Action.OPEN_WEB_SOCKET)
    assert await endpoint.endpoint.negotiate(request("POST")) == plain_answer(503)
    assert await endpoint.web_socket(f"id={token}") == plain_answer(503)
    assert await endpoint.event_stream(f"id={token}") == plain_answer(503)
    assert await endpoint.poll(f"id={token}") == poll_refusal(503)
    assert caplog.messages == [dropped, refused]
    endpoint.now += 59.9
    await endpoint.endpoint.negotiate(request("POST"))
    assert caplog.messages == [dropped, refused]
    endpoint.now += 0.1
    await endpoint.endpoint.negotiate(request("POST"))
    assert caplog.messages == [dropped, refused, refused]


async def test_a_token_expires() -> None:
    """N-27, TG-4."""
    endpoint = Endpoint(disconnect_timeout=15.0)
    token = await endpoint.token()
    endpoint.now += 14.9
    assert isinstance(await endpoint.ask("POST", f"id={token}"), Admitted)
    endpoint.now += 0.1
    assert await endpoint.ask("POST", f"id={token}") == UNKNOWN


# ---- refusals

REQUIRED = plain_answer(400, "Connection ID required")
UNKNOWN = plain_answer(404, "No Connection with that ID")
OTHER_TRANSPORT = plain_answer(400, "Cannot change transports mid-connection")
NOT_TERMINABLE = plain_answer(400, "Cannot terminate this connection using the DELETE endpoint.")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("", REQUIRED),
        ("id=", REQUIRED),
        ("id=x", UNKNOWN),
        ("id={token}&ID={token}", UNKNOWN),
        ("id=&id={token}", UNKNOWN),
    ],
)
async def test_ids(query: str, refusal: HttpAnswer) -> None:
    """TG-3, TG-4: with the headers of polls, for WebSockets without a Content-Type."""
    endpoint = Endpoint()
    query = query.format(token=await endpoint.token())
    assert await endpoint.ask("POST", query) == refusal
    assert await endpoint.ask("DELETE", query) == refusal
    assert await endpoint.event_stream(query) == refusal
    assert await endpoint.poll(query) == replace(refusal, headers=POLL_HEADERS)
    web_socket = await endpoint.web_socket(query)
    if refusal is UNKNOWN:
        assert web_socket == replace(UNKNOWN, content_type=None)
    else:
        opened(web_socket, Action.OPEN_WEB_SOCKET)


def test_texts_are_chunked() -> None:
    """TG-1b: answers without a text are not."""
    assert (UNKNOWN.is_chunked, UNKNOWN.content_type) == (True, "text/plain")
    assert (plain_answer(409).is_chunked, plain_answer(409).body) == (False, b"")


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "CONNECT", "PATCH"])
async def test_other_methods(method: str) -> None:
    """TG-1."""
    endpoint = Endpoint()
    assert await endpoint.ask(method, f"id={await endpoint.token()}") == plain_answer(405)


async def test_transports_that_are_not_enabled() -> None:
    """TG-5; a POST does not depend on the transports that are enabled (TG-6)."""
    endpoint = Endpoint(transports=HttpTransportType.NONE)
    query = f"id={await endpoint.token()}"
    text = "{} transport not supported by this end point type"
    assert await endpoint.web_socket("") == plain_answer(404, text.format("WebSockets"))
    assert await endpoint.web_socket(query) == plain_answer(404, text.format("WebSockets"))
    assert await endpoint.event_stream(query) == plain_answer(404, text.format("ServerSentEvents"))
    assert await endpoint.poll(query) == poll_refusal(404, text.format("LongPolling"))
    assert isinstance(await endpoint.ask("POST", query), Admitted)


# ---- transports


async def test_a_web_socket_keeps_the_connection() -> None:
    """TG-5, TG-7."""
    endpoint = Endpoint()
    query = f"id={await endpoint.token()}"
    connection = opened(await endpoint.web_socket(query), Action.OPEN_WEB_SOCKET)
    assert list(endpoint.connections.active) == [connection]
    assert await endpoint.web_socket(query) == plain_answer(409)
    assert await endpoint.event_stream(query) == OTHER_TRANSPORT
    assert await endpoint.poll(query) == replace(OTHER_TRANSPORT, headers=POLL_HEADERS)
    text = "POST requests are not allowed for WebSocket connections."
    assert await endpoint.ask("POST", query) == plain_answer(405, text)
    assert await endpoint.ask("DELETE", query) == NOT_TERMINABLE
    endpoint.connections.remove(connection)
    assert await endpoint.web_socket(query) == replace(UNKNOWN, content_type=None)


async def test_a_web_socket_without_negotiate() -> None:
    """TG-3: its id is its token."""
    endpoint = Endpoint()
    connection = opened(await endpoint.web_socket("a=b"), Action.OPEN_WEB_SOCKET)
    assert connection.token == connection.connection_id
    assert await endpoint.web_socket(f"id={connection.token}") == plain_answer(409)


async def test_an_event_stream_keeps_the_connection() -> None:
    """TG-5, TG-6, TG-7: POSTs are accepted before and during the stream, not after its end."""
    endpoint = Endpoint()
    query = f"id={await endpoint.token()}"
    assert isinstance(await endpoint.ask("POST", query), Admitted)
    decision = await endpoint.event_stream(query)
    connection = opened(decision, Action.OPEN_EVENT_STREAM)
    assert await endpoint.ask("POST", query) == Admitted(Action.RECEIVE, connection, None)
    assert await endpoint.event_stream(query) == plain_answer(409)
    assert await endpoint.web_socket(query) == OTHER_TRANSPORT
    assert await endpoint.ask("DELETE", query) == NOT_TERMINABLE
    connection.is_disposed = True
    assert await endpoint.ask("POST", query) == plain_answer(404)


@pytest.mark.parametrize(("version", "is_granted"), [(1, True), (0, False)])
async def test_stateful_reconnect_needs_a_secret_token(version: int, is_granted: bool) -> None:
    """N-12, N-22: in version 0 the public id is the token, and would take over the connection."""
    endpoint = Endpoint(allow_stateful_reconnects=True)
    offer = await endpoint.negotiate(f"negotiateVersion={version}&useStatefulReconnect=true")
    token = offer["connectionToken" if version else "connectionId"]
    found = endpoint.connections.find(token, endpoint.now)
    assert found is not None
    assert found.is_stateful is offer.get("useStatefulReconnect", False) is is_granted


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_stateful_reconnect_needs_the_path_of_the_web_socket(is_allowed: bool) -> None:
    """SR-1: another path than that of negotiate may not allow it."""
    endpoint = Endpoint(allow_stateful_reconnects=True)
    offer = await endpoint.negotiate("negotiateVersion=1&useStatefulReconnect=true")
    other = Endpoint(allow_stateful_reconnects=is_allowed, connections=endpoint.connections)
    decision = await other.web_socket(f"id={offer['connectionToken']}")
    assert opened(decision, Action.OPEN_WEB_SOCKET).is_stateful is is_allowed


async def test_long_polling() -> None:
    """TL-3, TL-9: the first poll starts it, a DELETE ends it; then only a DELETE is accepted."""
    endpoint = Endpoint()
    query = f"id={await endpoint.token()}"
    assert await endpoint.ask("DELETE", query) == NOT_TERMINABLE
    connection = opened(await endpoint.poll(query), Action.START_LONG_POLLING)
    assert await endpoint.poll(query) == Admitted(Action.POLL, connection, None)
    assert await endpoint.ask("POST", query) == Admitted(Action.RECEIVE, connection, None)
    assert await endpoint.ask("DELETE", query) == Admitted(Action.TERMINATE, connection, None)
    assert await endpoint.poll(query) == poll_refusal(404)
    assert await endpoint.ask("POST", query) == plain_answer(404)
    assert await endpoint.ask("DELETE", query) == Admitted(Action.TERMINATE, connection, None)


# ---- users


class HeldAuthentication:
    """Authentication that waits until the test lets it continue."""

    def __init__(self) -> None:
        self.asked: list[HttpRequestData] = []
        self.calls = asyncio.Semaphore(0)
        self.gate = asyncio.Event()

    async def authenticate(self, asked: HttpRequestData) -> Principal:
        self.asked.append(asked)
        self.calls.release()
        await self.gate.wait()
        return Principal(asked.query("user"))


async def test_authentication() -> None:
    """A-6: every request is authenticated, and the one that opens the transport counts."""
    held = HeldAuthentication()
    held.gate.set()
    endpoint = Endpoint(authenticate=held.authenticate)
    query = f"id={await endpoint.token()}&user=ann"
    await endpoint.ask("POST", query)
    await endpoint.ask("DELETE", query)
    first = await endpoint.poll(query)
    assert isinstance(first, Admitted)
    assert first.user == first.connection.user == Principal("ann")
    await endpoint.poll(query)
    methods = [asked.method for asked in held.asked]
    assert methods == ["POST", "POST", "DELETE", "GET", "GET"]
    asked = held.asked[3]
    assert (asked.query_string, asked.remote) == (query, "127.0.0.1")


async def test_authentication_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A-6: the answer is 500, and the token may be used again. The log has no text of the error."""

    def authenticate(asked: HttpRequestData) -> Principal | None:
        if asked.query("user") == "crash":
            raise LookupError("s3cret")
        return None

    endpoint = Endpoint(authenticate=authenticate)
    query = f"id={await endpoint.token()}"
    assert await endpoint.web_socket(f"{query}&user=crash") == HttpAnswer(500)
    assert await endpoint.web_socket(f"{query}&user=crash") == HttpAnswer(500)
    [record] = caplog.records  # once a minute
    assert record.levelname == "ERROR"
    assert "a request was not admitted: LookupError in test_hub_endpoint.py" in record.getMessage()
    assert "s3cret" not in caplog.text
    decision = await endpoint.web_socket(query)
    assert isinstance(decision, Admitted)
    assert decision.user is None


async def both_while_authenticating(*, is_upgrade: bool) -> list[Decision]:
    """Two requests for one connection at once, both before the user is known."""
    held = HeldAuthentication()
    endpoint = Endpoint(authenticate=held.authenticate)
    held.gate.set()
    query = f"id={await endpoint.token()}"
    await held.calls.acquire()
    held.gate.clear()
    asking = [
        asyncio.create_task(endpoint.ask("GET", query, is_upgrade=is_upgrade)) for _ in range(2)
    ]
    for _ in asking:
        await held.calls.acquire()
    held.gate.set()
    return await asyncio.gather(*asking)


async def test_two_web_sockets_at_once() -> None:
    """TG-5, TG-7: one is admitted."""
    first, second = await both_while_authenticating(is_upgrade=True)
    assert isinstance(first, Admitted)
    assert second == plain_answer(409)


async def test_two_first_polls_at_once() -> None:
    """TL-7: one starts long polling, and the other polls."""
    first, second = await both_while_authenticating(is_upgrade=False)
    assert isinstance(first, Admitted)
    assert first.action is Action.START_LONG_POLLING
    assert second == Admitted(Action.POLL, first.connection, first.user)


# ---- pages of other origins


async def test_preflights_come_first() -> None:
    """TC-5: at both addresses, whatever the query."""
    endpoint = Endpoint(allowed_origins=[APP]).endpoint
    asked = request("OPTIONS", "id=x", Origin=APP, Access_Control_Request_Method="DELETE")
    granted = HttpAnswer(204, headers={"Access-Control-Allow-Methods": "DELETE"})
    assert await endpoint.negotiate(asked) == granted
    assert await endpoint.dispatch(asked, [], is_upgrade=False) == granted


async def test_web_sockets_of_other_origins() -> None:
    """TC-3: refused before the connection is looked up."""
    endpoint = Endpoint(allowed_origins=[APP]).endpoint
    for origin, status in (("https://other.example", 403), (APP, 404)):
        asked = request("GET", "id=x", Origin=origin)
        decision = await endpoint.dispatch(asked, [], is_upgrade=True)
        assert isinstance(decision, HttpAnswer)
        assert decision.status == status


# ---- other hosts


async def test_requests_for_other_hosts() -> None:
    """TG-15: refused at both addresses, before anything else is looked at."""
    endpoint = Endpoint(allowed_hosts=["app.example"], allowed_origins=[APP]).endpoint
    refusal = plain_answer(400, "Bad Request - Invalid Hostname")
    for host, is_refused in (("evil.example", True), ("app.example:8080", False)):
        asked = request("POST", "id=x", Host=host)
        assert (await endpoint.negotiate(asked) == refusal) is is_refused
        assert (await endpoint.dispatch(asked, [], is_upgrade=False) == refusal) is is_refused
    preflight = {"Origin": APP, "Access_Control_Request_Method": "POST"}
    assert (
        await endpoint.negotiate(request("OPTIONS", "", Host="evil.example", **preflight))
        == refusal
    )


def test_what_is_no_host() -> None:
    with pytest.raises(ValueError, match=r"EndpointOptions.allowed_hosts: item 1, 'a:80', has a"):
        EndpointOptions(allowed_hosts=["a:80"])
