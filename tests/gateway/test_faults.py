"""GW-9, GW-62: many faults at once. No call is run twice, and each request gets one answer.

Hub methods hang, bodies arrive slowly, a hook raises, and the key set of tokens cannot be reached.
Callers exceed limits and repeat their calls with a key. Meanwhile the hub is replaced three times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from protocol import AuthenticationFailure, Authenticator, HttpRequestData, Principal
from protocol.jwt_bearer import JwksUrl
from signalr_gateway import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, running_hub, sample_routes
from tests.jwt_bearer.tokens import bearer, private_key, signed
from tests.support.waiting import until

pytestmark = pytest.mark.slow

CALLERS = 8
CALLS = 60
"""Calls of each caller."""
REPLACEMENTS = 3
NOT_RUN = {400, 401, 403, 408, 413, 429, 500, 503}
"""Statuses of calls that the hub has not received."""


TOKEN = signed(private_key("RSA"), "RS256", {"kid": "unknown"})


class Credentials(Authenticator):
    """It fails for some requests, and the key set for the tokens of others cannot be reached."""

    def __init__(self) -> None:
        self._tokens = bearer(JwksUrl("http://127.0.0.1:9/keys"))

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        if "X-Fail" in request.headers:
            raise LookupError
        if "Authorization" in request.headers:
            return await self._tokens.authenticate(request)
        return Principal("ann")

    async def close(self) -> None:
        await self._tokens.close()


class Faults:
    """The hub, which is replaced, the answers to all requests, and the calls that it has run."""

    def __init__(self) -> None:
        self.answers: dict[int, int] = {}  # the status by number of the call
        self.statuses: Counter[int] = Counter()
        self.runs: Counter[int] = Counter()
        self._next = 0

    def number(self) -> int:
        self._next += 1
        return self._next

    @asynccontextmanager
    async def hub(self, port: int = 0) -> AsyncIterator[RunningHub]:
        async with running_hub(port) as hub:
            yield hub
            hub.release.set()
        self.runs.update(int(arguments[0]) for name, arguments in hub.calls if name == "Echo")

    async def call(self, gateway: RunningGateway, **headers: str) -> None:
        number = self.number()
        answer = await gateway.post("sample/echo", b"[%d]" % number, **headers)
        assert answer.status != 200 or answer.body == b"%d" % number
        self.record(number, answer.status)
        if "Idempotency_Key" in headers and answer.status in (200, 502, 504):
            again = await gateway.post("sample/echo", b"[%d]" % number, **headers)
            assert (again.status, again.body) == (answer.status, answer.body)

    async def hang(self, gateway: RunningGateway) -> None:
        answer = await gateway.post("sample/hold", b"[]")
        assert answer.status in (200, 502, 503, 504)  # 200: released when the hub stops
        self.statuses[answer.status] += 1

    async def send_slowly(self, gateway: RunningGateway) -> None:
        number = self.number()
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(gateway.url).port)
        writer.write(
            b"POST /api/Gateway/hub/sample/echo HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99\r\n\r\n[%d" % number
        )
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        self.record(number, int(head[9:12]))

    def record(self, number: int, status: int) -> None:
        assert number not in self.answers
        self.answers[number] = status
        self.statuses[status] += 1

    async def caller(self, gateway: RunningGateway, name: int) -> None:
        for count in range(CALLS):
            match (name + count) % 6:
                case 0:
                    await self.call(gateway, X_Fail="yes")
                case 1:
                    await self.call(gateway, Idempotency_Key=f"{name} {count}")
                case 4:
                    await self.call(gateway, Authorization=f"Bearer {TOKEN}")
                case 2 if count % 4 == 0:
                    await self.hang(gateway)
                case 3 if count % 10 == 0:
                    await self.send_slowly(gateway)
                case _:
                    await self.call(gateway)


async def first_call(hub: RunningHub, callers: asyncio.Future[list[None]]) -> None:
    """Wait until the hub has run a call, or all callers have finished."""
    await until(lambda: bool(hub.calls) or callers.done())


async def test_no_call_is_run_twice_and_none_is_unanswered() -> None:
    faults = Faults()

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, url, invoke_timeout=0.2, maximum_calls=4, busy_timeout=0.01)

    limits = Limits(maximum_posts=CALLERS - 1, body_timeout=0.05, maximum_kept_answers=50)
    async with asyncio.timeout(50), AsyncExitStack() as hubs:
        hub = await hubs.enter_async_context(faults.hub())
        url = hub.url
        async with running_gateway(
            orchestrate, limits=limits, authenticate=Credentials()
        ) as gateway:
            names = range(CALLERS)
            callers = asyncio.gather(*(faults.caller(gateway, name) for name in names))
            for _ in range(REPLACEMENTS):
                await first_call(hub, callers)
                await hubs.aclose()
                hub = await hubs.enter_async_context(faults.hub(urlsplit(url).port or 0))
            await callers
    assert max(faults.runs.values()) == 1
    for number, status in faults.answers.items():
        if status == 200:
            assert faults.runs[number] == 1
        elif status in NOT_RUN:
            assert faults.runs[number] == 0
        else:
            assert status in (502, 504)
    assert set(faults.runs) <= set(faults.answers)
    assert {200, 401, 408, 500, 503} <= set(faults.statuses)
