"""GW-7, GW-8, GW-9, GW-10: the POST endpoint, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from protocol import JsonHubProtocol, MessagePackHubProtocol
from protocol.hub_protocol import HubProtocol
from signalr_gateway.http.addresses import CONSOLE_STATUS, path_segments
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.gateway.hand_clock import HandClock
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, running_hub, sample_routes
from tests.support.waiting import until

JSON = {"Content-Type": "application/json"}
DEAD = "http://127.0.0.1:9/samplehub"
"""No server listens at the discard port."""


async def test_the_documented_call(gateway: RunningGateway) -> None:
    """GW-7, GW-8: 200 with an empty body, as the original answers."""
    answer = await gateway.post("sample/room", b'[{"name":"John","message":"Hello!"}]')
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == "0"
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        b"0.10",
        b"1e400",
        b"-1E5",
        b"12345678901234567890",
        b'"2026-01-02T03:04:05.1234567+02:00"',
        b'{"z":1,  "a":{"n":0.10},"a":2,"$type":"x"}',
        '"Jöhn \\u00fc 😀 \\u001e"'.encode(),
        b"[[1,[2]],{}]",
        b'"\\ud800"',
        b"true",
        b'""',
        b"0",
    ],
)
async def test_values_reach_the_hub_and_come_back_unchanged(
    gateway: RunningGateway, hub: RunningHub, value: bytes
) -> None:
    """GW-7, GW-8."""
    answer = await gateway.post("sample/echo", b"[ " + value + b" ]")
    assert (answer.status, answer.body) == (200, value)
    assert answer.headers["Content-Type"] == "application/json"
    assert hub.calls == [("Echo", [value])]


@pytest.mark.parametrize(("route", "body"), [("sample/nothing", b"[]"), ("sample/echo", b"[null]")])
async def test_nothing_and_null_are_an_empty_body(
    gateway: RunningGateway, route: str, body: bytes
) -> None:
    """GW-8."""
    answer = await gateway.post(route, body)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


async def test_ten_arguments(gateway: RunningGateway) -> None:
    """GW-7."""
    answer = await gateway.post("sample/ten", b"[1,2,3,4,5,6,7,8,9,10]")
    assert (answer.status, answer.body) == (200, b"10")


# --- addresses (GW-7) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/API/gateway/HUB/SAMPLE/ECHO",
        "/api/Gateway/hub/sample/echo/",
        "/api/Gateway/hub/sample/echo?x=1&y",
        "/api/Gateway/hub/s%61mple/%45cho",
        "/%61pi/Gateway/h%75b/sample/echo",
    ],
)
async def test_addresses_that_lead_there(gateway: RunningGateway, path: str) -> None:
    answer = await gateway.request("POST", path, b"[1]", JSON)
    assert (answer.status, answer.body) == (200, b"1")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/Gateway/hub/sample/nosuch", "route-not-found"),
        ("/api/Gateway/hub/nosuch/echo", "route-not-found"),
        ("/api/Gateway/hub/sample%20/echo", "route-not-found"),
        ("/api/Gateway/hub//echo", "route-not-found"),
        ("/api/Gateway/hub/sample/listen", "route-only-receives"),
        ("/api/Gateway/hub/sample/echo//", "not-found"),
        ("/api/Gateway/hub/sample/echo/x", "not-found"),
        ("/api/Gateway/hub/sample/", "not-found"),
        ("/api/Gateway/hub/sample%2Fecho", "not-found"),
        ("/api/Gateway/hub/sample/%FF", "not-found"),
        ("/api/Gateway//hub/sample/echo", "not-found"),
        ("/api/Gateway/sample/echo", "not-found"),
        ("/api/Gateway", "not-found"),
        ("/api/Gateway/orchestration/hub", "not-found"),
    ],
)
async def test_addresses_that_lead_nowhere(gateway: RunningGateway, path: str, code: str) -> None:
    answer = await gateway.request("POST", path, b"[1]", JSON)
    assert (answer.status, answer.problem["code"]) == (404, code)


async def test_a_long_key_is_not_echoed_in_full(gateway: RunningGateway) -> None:
    path = f"/api/Gateway/hub/{'a' * 2000}/{'k' * 2000}"
    answer = await gateway.request("POST", path, b"[1]", JSON)
    assert answer.problem["detail"] == f"There is no route '{'a' * 63}…/{'k' * 63}…'."


async def test_escaped_slashes_and_percent_signs_are_part_of_a_key(hub: RunningHub) -> None:
    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("a/b%2f", connecting_to(hub.url)).add_route(
            "c d\n/é", HubRouteInfo(invoke_method="Echo")
        )

    async with running_gateway(orchestrate) as gateway:
        path = "/api/Gateway/hub/A%2FB%252F/C%20d%0A%2f%C3%A9"
        answer = await gateway.request("POST", path, b"[1]", JSON)
        assert (answer.status, answer.body) == (200, b"1")


@pytest.mark.parametrize(
    ("raw_path", "segments"),
    [
        ("/a/b", ["a", "b"]),
        ("/a/b/", ["a", "b"]),
        ("/a/b//", ["a", "b", ""]),
        ("//a", ["", "a"]),
        ("/", [""]),
        ("/a%2Fb/%25", ["a/b", "%"]),
        ("/%zz", ["%zz"]),
        ("/a/%C3", []),
    ],
)
def test_segments_are_decoded_one_by_one(raw_path: str, segments: list[str]) -> None:
    assert path_segments(raw_path) == segments


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_verbs(gateway: RunningGateway, method: str) -> None:
    """GW-9."""
    answer = await gateway.request(method, "/api/Gateway/hub/sample/echo")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.problem["code"] == "method-not-allowed"


# --- bodies (GW-7, GW-9) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty-body"),
        (b"null", "not-an-array"),
        (b"{}", "not-an-array"),
        (b"[1,]", "invalid-json"),
        (b"\xef\xbb\xbf[1]", "invalid-json"),
        (b'["\xff"]', "not-utf8"),
        (b"[1,2,3,4,5,6,7,8,9,10,11]", "too-many-arguments"),
        (b"[" * 33 + b"]" * 33, "too-deep"),
    ],
)
async def test_bodies_that_are_refused(
    gateway: RunningGateway, hub: RunningHub, body: bytes, code: str
) -> None:
    answer = await gateway.post("sample/echo", body)
    assert (answer.status, answer.problem["code"]) == (400, code)
    assert hub.calls == []
    assert (await gateway.post("sample/echo", b"[1]")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        JSON,
        {"Content-Type": "APPLICATION/JSON"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": 'application/json;charset="UTF-8"'},
        {"Content-Type": "text/json"},
        {"Content-Type": "application/vnd.x+json"},
        {"Content-Type": "application/json", "Content-Encoding": "identity"},
    ],
)
async def test_content_types_that_are_json(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    """GW-9: absent is accepted."""
    answer = await gateway.request("POST", "/api/Gateway/hub/sample/echo", b"[1]", headers)
    assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "unsupported-media-type"),
        ({"Content-Type": "*/*"}, "unsupported-media-type"),
        ({"Content-Type": "application/json; charset=latin1"}, "unsupported-media-type"),
        ({"Content-Type": "application/json; charset=utf-16"}, "unsupported-media-type"),
        ({"Content-Type": 'application/json;charset*=1utf-8(;"'}, "unsupported-media-type"),
        ({**JSON, "Content-Encoding": "gzip"}, "unsupported-content-encoding"),
        ({**JSON, "Content-Encoding": "br"}, "unsupported-content-encoding"),
        ({**JSON, "Content-Encoding": "zstd"}, "unsupported-content-encoding"),
        ({**JSON, "Content-Encoding": "identity, br"}, "unsupported-content-encoding"),
    ],
)
async def test_content_types_that_are_not(
    gateway: RunningGateway, headers: dict[str, str], code: str
) -> None:
    """GW-9."""
    answer = await gateway.request("POST", "/api/Gateway/hub/sample/echo", b"[1]", headers)
    assert (answer.status, answer.problem["code"]) == (415, code)


async def test_the_order_of_the_checks(gateway: RunningGateway) -> None:
    """GW-9: route, then media type, then body."""
    text = {"Content-Type": "text/plain"}
    answer = await gateway.request("POST", "/api/Gateway/hub/sample/nosuch", b"x", text)
    assert answer.status == 404
    answer = await gateway.request("POST", "/api/Gateway/hub/sample/echo", b"x", text)
    assert answer.status == 415


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit(hub: RunningHub, announced: bool) -> None:
    """GW-9: whether its length is announced or not."""
    async with running_gateway(
        lambda o: sample_routes(o, hub.url), limits=Limits(maximum_body_size=100)
    ) as gateway:
        body = b"[" + b" " * 99 + b"]"

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 10):
                yield body[start : start + 10]

        async with gateway.session.post(
            f"{gateway.url}/api/Gateway/hub/sample/nothing",
            data=body if announced else pieces(),
            headers=JSON,
        ) as response:
            assert response.status == 413
            assert (await response.json(content_type=None))["code"] == "body-too-large"
        exact = await gateway.post("sample/nothing", b"[" + b" " * 98 + b"]")
        assert exact.status == 200


@pytest.mark.parametrize(
    ("route", "headers", "status"),
    [
        ("sample/nosuch", "Content-Length: 9", 404),
        ("sample/listen", "Content-Length: 9", 404),
        ("sample/echo", "Content-Length: 9\r\nContent-Type: text/plain", 415),
        ("sample/echo", "Content-Length: 999999999", 413),
    ],
)
async def test_who_asks_before_sending_a_body_is_refused_by_the_head_alone(
    gateway: RunningGateway, route: str, headers: str, status: int
) -> None:
    """GW-9: no 100 before a final status that needs no body; the connection is closed, because the
    gateway cannot know whether a body follows. (test_call_limits has the calls that get a 100.)"""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"POST /api/Gateway/hub/{route} HTTP/1.1\r\nHost: h\r\n"
        f"Expect: 100-Continue\r\n{headers}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in head
    writer.close()


async def test_an_invocation_over_what_the_hub_accepts(hub: RunningHub) -> None:
    """GW-9: nothing is sent, the text names the option, the connection lives."""
    async with running_gateway(
        lambda o: sample_routes(o, hub.url, maximum_message_size=300)
    ) as gateway:
        for size in (290, 400):  # the body alone is too large, or only the message around it
            answer = await gateway.post("sample/echo", b'["' + b"x" * size + b'"]')
            assert (answer.status, answer.problem["code"]) == (413, "invocation-too-large")
            assert "maximum_message_size" in answer.problem["detail"]
        assert hub.calls == []
        assert (await gateway.post("sample/echo", b"[1]")).status == 200


@pytest.mark.parametrize(
    ("hub_protocol", "limit"), [(JsonHubProtocol(), 300), (MessagePackHubProtocol(), 2400)]
)
async def test_a_body_too_large_for_the_hub_is_not_read(
    hub: RunningHub, hub_protocol: HubProtocol, limit: int
) -> None:
    """GW-9: the head alone decides, or the first byte over the limit. JSON may become shorter when
    it is written in MessagePack."""

    def routes(orchestrator: Orchestrator) -> None:
        build = connecting_to(hub.url, hub_protocol)
        info = HubRouteInfo(invoke_method="Echo")
        orchestrator.add_hub("sample", build, maximum_message_size=300).add_route("echo", info)

    async with running_gateway(routes) as gateway:
        address = urlsplit(gateway.url)
        for head, body in (
            (f"Content-Length: {limit + 1}", b""),
            ("Transfer-Encoding: chunked", b"%x\r\n%b" % (limit + 10, b" " * (limit + 1))),
        ):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            call = "POST /api/Gateway/hub/sample/echo HTTP/1.1\r\nHost: h"
            writer.write(f"{call}\r\n{head}\r\n\r\n".encode() + body)
            head_of_answer = await reader.readuntil(b"\r\n\r\n")
            assert head_of_answer.startswith(b"HTTP/1.1 413 ")
            writer.close()
        answer = await gateway.post("sample/echo", b"[1" + b" " * (limit - 3) + b"]")
        assert (answer.status, answer.body) == (200, b"1")


async def test_a_broken_chunked_body_is_the_callers_fault(gateway: RunningGateway) -> None:
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /api/Gateway/hub/sample/echo HTTP/1.1\r\nHost: h\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    assert b" 400 " in await reader.readline()
    writer.close()


# --- answers of the hub (GW-8, GW-9) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (
            "fail",
            'HubException: the "hub" says no – ünchanged',
        ),
        ("crash", "An unexpected error occurred invoking 'Crash' on the server."),
        (
            "nosuchmethod",
            "HubException: Method does not exist.",
        ),
    ],
)
async def test_a_hub_error(gateway: RunningGateway, route: str, text: str) -> None:
    answer = await gateway.post(f"sample/{route}", b"[]")
    assert (answer.status, answer.problem["code"]) == (502, "hub-error")
    assert answer.problem["detail"].endswith(text)
    assert "secret" not in answer.problem["detail"]
    assert "Retry-After" not in answer.headers


async def test_a_connection_lost_in_flight(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-9: never sent again, no Retry-After, and the gateway reconnects."""
    answer = await gateway.post("sample/abort", b"[]")
    assert (answer.status, answer.problem["code"]) == (502, "hub-connection-lost")
    assert "Retry-After" not in answer.headers
    again = await gateway.post("sample/echo", b"[1]")
    assert again.status == 200
    assert hub.calls == [("Echo", [b"1"])]


async def test_no_answer_in_time(hub: RunningHub) -> None:
    """GW-9, GW-34: 504; the health answer says so, and other calls are answered."""
    clock = HandClock()
    async with running_gateway(lambda o: sample_routes(o, hub.url), clock=clock) as gateway:
        post = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        await clock.advance(30)
        answer = await post
        assert (answer.status, answer.problem["code"]) == (504, "hub-timeout")
        assert answer.problem["detail"] == "Hub 'sample' did not answer within 30 seconds."
        health = json.loads((await gateway.request("GET", "/healthz")).body)
        assert (health["status"], health["hubs"]["sample"]["answering"]) == ("degraded", False)
        echo = await gateway.post("sample/echo", b"[1]")
        assert (echo.status, echo.body) == (200, b"1")
        hub.release.set()
        await until(lambda: gateway.parts.downstreams["sample"].is_answering)
        assert (await gateway.post("sample/nothing", b"[]")).status == 200


async def test_a_route_whose_calls_time_out(hub: RunningHub) -> None:
    """GW-36: 503 with the time after which the caller may repeat the call."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url, circuit_timeouts=1, circuit_pause=12.5)

    clock = HandClock()
    async with running_gateway(orchestrate, clock=clock) as gateway:
        post = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        await clock.advance(30)
        await post
        answer = await gateway.post("sample/hold", b"[]")
        assert (answer.status, answer.problem["code"]) == (503, "hub-circuit-open")
        assert answer.headers["Retry-After"] == "13"
        assert (await gateway.post("sample/echo", b"[1]")).status == 200


async def test_a_hub_with_too_many_calls(hub: RunningHub) -> None:
    """GW-35."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url, maximum_calls=1, busy_timeout=3)

    clock = HandClock()
    async with running_gateway(orchestrate, clock=clock) as gateway:
        held = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        late = asyncio.create_task(gateway.post("sample/echo", b"[1]"))
        await until(lambda: clock.is_waiting_for(3))
        await clock.advance(3)
        answer = await late
        assert (answer.status, answer.problem["code"]) == (503, "hub-busy")
        assert answer.headers["Retry-After"] == "1"
        hub.release.set()
        assert (await held).status == 200


async def test_a_hub_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """GW-9."""
    monkeypatch.setattr("signalr_gateway.downstream.connections.CONNECT_WAIT", 0.1)
    async with running_gateway(lambda o: sample_routes(o, DEAD), connected=False) as gateway:
        answers = await asyncio.gather(*(gateway.post("sample/echo", b"[1]") for _ in range(200)))
    assert {answer.status for answer in answers} == {503}
    assert answers[0].problem["code"] == "hub-unavailable"
    assert answers[0].problem["detail"] == "Hub 'sample' is not connected."
    assert answers[0].headers["Retry-After"] == "1"


async def test_calls_wait_for_a_hub_that_is_down(unused_tcp_port: int) -> None:
    """GW-9, GW-10: all are served, each once."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, f"http://127.0.0.1:{unused_tcp_port}/samplehub")

    async with running_gateway(orchestrate, connected=False) as gateway:
        posts = [
            asyncio.create_task(gateway.post("sample/echo", b"[%d]" % number))
            for number in range(200)
        ]
        await until(lambda: gateway.parts.downstreams["sample"].status.last_error is not None)
        async with running_hub(unused_tcp_port) as hub:
            answers = await asyncio.gather(*posts)
            assert {answer.status for answer in answers} == {200}
            assert sorted(int(arguments[0]) for _, arguments in hub.calls) == list(range(200))


async def test_a_caller_that_disconnects_cancels_its_call(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    """GW-10: the wait ends and leaks nothing; the shared connection lives."""
    before = asyncio.all_tasks()
    post = asyncio.create_task(gateway.post("sample/hold", b"[]"))
    await hub.held.wait()
    post.cancel()
    await until(lambda: len(asyncio.all_tasks() - before - {post}) <= 1)
    hub.release.set()
    assert (await gateway.post("sample/echo", b"[1]")).status == 200
    assert gateway.parts.downstreams["sample"].status.last_error is None


async def test_an_error_of_our_own(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr("signalr_gateway.http.api.split_arguments", fail)
    answer = await gateway.post("sample/echo", b"[1]")
    assert (answer.status, answer.problem["code"]) == (500, "internal-error")
    assert "bug" not in answer.problem["detail"]
    assert "bug" in caplog.text


# --- request ids, logs ---------------------------------------------------------------------------


async def test_a_request_id_is_made_when_there_is_none(gateway: RunningGateway) -> None:
    first = await gateway.post("sample/nothing", b"[]")
    second = await gateway.post("sample/nothing", b"[]")
    ids = {answer.headers["X-Request-Id"] for answer in (first, second)}
    assert len(ids) == 2
    assert all(len(each) == 32 for each in ids)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a-1", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)],
)
async def test_the_callers_request_id_is_echoed_when_harmless(
    gateway: RunningGateway, given: str, kept: bool
) -> None:
    answer = await gateway.post("sample/nosuch", b"[]", X_Request_Id=given)
    assert (answer.headers["X-Request-Id"] == given) is kept
    assert answer.problem["requestId"] == answer.headers["X-Request-Id"]


async def test_logs_hold_no_payload_and_no_query(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "signalr_gateway")
    await gateway.request("POST", "/api/Gateway/hub/sample/fail?token=HUSH", b"[]", JSON)
    await gateway.post("sample/echo", b'["HUSH"]')
    await gateway.post("sample/nosuch%0Ax", b'["HUSH"]')
    assert "HUSH" not in caplog.text
    assert [record.getMessage().split(" (")[0] for record in caplog.records][:1] == [
        "POST /api/Gateway/hub/sample/fail: hub-error"
    ]


# --- orchestration listing (GW-11) and health (GW-28) ---------------------------------------------


ROOM = (
    '{"invokeMethod":"SendMessage","receiveMethod":"ReceiveMessage","receiveGroup":null,'
    '"broadcastType":"All","receiveParameterTypes":["String","String"],"key":"room"}'
)
DOCUMENTED = (
    f'[{{"hubRoutes":[{ROOM}],"api":"chatservice","orchestrationType":1,"routes":[{ROOM}]}}]'
)


def documented(orchestrator: Orchestrator) -> None:
    orchestrator.add_hub("ChatService", connecting_to(DEAD), receive_key="HUSH").add_route(
        "Room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=[str, str],
        ),
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("orchestration", DOCUMENTED),
        ("ORCHESTRATION/", DOCUMENTED),
        ("orchestration?apiKey=CHAT&routeKey=oo", DOCUMENTED),
        ("orchestration?apikey=%20chat%20", DOCUMENTED),
        ("orchestration?api=chatservice&key=room", DOCUMENTED),
        ("orchestration?routeKey=roo", DOCUMENTED),
        ("orchestration?apiKey=&routeKey=", DOCUMENTED),
        ("orchestration?apiKey=zzz", "[]"),
        ("orchestration?routeKey=zzz", "[]"),
        (
            "orchestration?apiKey=chatservice&routeKey=zzz",
            DOCUMENTED.replace(f'"routes":[{ROOM}]', '"routes":[]'),
        ),
    ],
)
async def test_the_orchestration_as_the_original_lists_it(address: str, expected: str) -> None:
    """GW-11, byte for byte."""
    async with running_gateway(documented, connected=False) as gateway:
        answer = await gateway.request("GET", f"/api/Gateway/{address}")
    assert (answer.status, answer.body.decode()) == (200, expected)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_the_orchestration_of_unusual_routes(gateway: RunningGateway) -> None:
    answer = await gateway.request("GET", "/api/Gateway/orchestration?routeKey=one")
    (listed,) = json.loads(answer.body)
    assert listed["routes"] == [
        {
            "invokeMethod": "Echo",
            "receiveMethod": "ToOne",
            "receiveGroup": None,
            "broadcastType": "Individual",
            "receiveParameterTypes": None,
            "key": "one",
        }
    ]
    assert len(listed["hubRoutes"]) > 10


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_the_orchestration_is_only_read(gateway: RunningGateway, method: str) -> None:
    """GW-11."""
    answer = await gateway.request(method, "/api/Gateway/orchestration")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/healthz", "/HealthZ/", "/healthz?x=1"])
async def test_health(gateway: RunningGateway, path: str) -> None:
    """GW-28."""
    answer = await gateway.request("GET", path)
    assert answer.status == 200
    health = json.loads(answer.body)
    since = health["hubs"]["sample"].pop("since")
    state = {"state": "connected", "lastError": None, "answering": True, "openCircuits": 0}
    assert health == {"status": "ok", "hubs": {"sample": state}}
    assert len(since) == len("2026-11-24T12:00:00Z")
    assert since.endswith("Z")


async def test_health_while_a_hub_is_down() -> None:
    """GW-28, GW-27: the gateway serves. The answer says what failed, but not at which address."""
    async with running_gateway(documented, connected=False) as gateway:
        await until(lambda: gateway.parts.downstreams["chatservice"].status.last_error is not None)
        answer = await gateway.request("GET", "/healthz")
        console = await gateway.request("GET", CONSOLE_STATUS)
    health = json.loads(answer.body)
    assert (answer.status, health["status"]) == (200, "degraded")
    assert health["hubs"]["chatservice"]["state"] == "connecting"
    assert health["hubs"]["chatservice"]["lastError"].endswith("Connection refused")
    for body in (answer.body, console.body):
        assert b"127.0.0.1" not in body
        assert b"negotiate" not in body


async def test_health_is_only_read(gateway: RunningGateway) -> None:
    assert (await gateway.request("HEAD", "/healthz")).status == 200
    answer = await gateway.request("POST", "/healthz", b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
