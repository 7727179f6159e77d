"""GW-37: a call with an `Idempotency-Key` is made once, however often it is posted."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from signalr_gateway.http.idempotency import CallKey, IdempotentCalls, KeptAnswer
from signalr_gateway.http.request_checks import Refusal
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.routing.problem_code import ProblemCode
from tests.gateway.hand_clock import HandClock, settle
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, sample_routes
from tests.support.waiting import until

KEY = CallKey("", ("route", "api", "route"), "key")


class Calls:
    """A store over a clock of the test, and a call that counts how often it is made."""

    def __init__(self, maximum_answers: int = 100, maximum_size: int = 10_000) -> None:
        self.clock = HandClock()
        self.store = IdempotentCalls(maximum_answers, maximum_size, self.clock)
        self.made = 0
        self.is_final = True
        self.body = b"1"
        self.release = asyncio.Event()
        self.release.set()

    async def post(self, key: CallKey = KEY, body: bytes = b"[]") -> KeptAnswer:
        return await self.store.answer(key, body, self._call)

    async def _call(self) -> KeptAnswer:
        self.made += 1
        await self.release.wait()
        return KeptAnswer(200, self.body, {}, self.is_final)

    @property
    def kept(self) -> int:
        return len(self.store._kept)


# --- the store -----------------------------------------------------------------------------------


async def test_the_same_answer_again() -> None:
    """GW-37."""
    calls = Calls()
    assert await calls.post() == await calls.post()
    assert calls.made == 1


@pytest.mark.parametrize(
    "other",
    [
        CallKey("caller", ("route", "api", "route"), "key"),
        CallKey("", ("route", "api", "other"), "key"),
        CallKey("", ("route", "api", "route"), "other"),
    ],
)
async def test_another_caller_route_or_key_is_another_call(other: CallKey) -> None:
    calls = Calls()
    await calls.post()
    await calls.post(other)
    assert calls.made == 2


async def test_an_answer_is_kept_for_five_minutes() -> None:
    calls = Calls()
    await calls.post()
    await calls.clock.advance(299)
    await calls.post()
    assert calls.made == 1
    await calls.clock.advance(1)
    await calls.post()
    assert calls.made == 2


async def test_another_body_with_the_same_key() -> None:
    calls = Calls()
    await calls.post(body=b"[1]")
    with pytest.raises(Refusal, match="used with another body"):
        await calls.post(body=b"[2]")


async def test_a_call_under_way() -> None:
    calls = Calls()
    calls.release.clear()
    first = asyncio.create_task(calls.post())
    await settle()
    with pytest.raises(Refusal, match="under way"):
        await calls.post()
    calls.release.set()
    assert await first == await calls.post()


async def test_an_answer_that_is_not_final_is_forgotten() -> None:
    calls = Calls()
    calls.is_final = False
    await calls.post()
    await calls.post()
    assert (calls.made, calls.kept) == (2, 0)


async def test_a_caller_that_leaves_does_not_cancel_its_call() -> None:
    calls = Calls()
    calls.release.clear()
    first = asyncio.create_task(calls.post())
    await settle()
    first.cancel()
    await settle()
    calls.release.set()
    await settle()
    assert (await calls.post()).body == b"1"
    assert calls.made == 1


async def test_a_call_that_fails_is_forgotten() -> None:
    calls = Calls()

    async def fail() -> KeptAnswer:
        raise LookupError

    with pytest.raises(LookupError):
        await calls.store.answer(KEY, b"[]", fail)
    await calls.post()
    assert calls.made == 1


async def test_calls_whose_callers_have_left_are_limited() -> None:
    calls = Calls(maximum_answers=2)
    calls.release.clear()
    keys = [CallKey("", ("route", "api", "route"), str(number)) for number in range(3)]
    callers = [asyncio.create_task(calls.post(key)) for key in keys[:2]]
    await settle()
    for caller in callers:
        caller.cancel()
    await settle()
    with pytest.raises(Refusal, match="2 calls with an Idempotency-Key under way") as caught:
        await calls.post(keys[2])
    assert caught.value.problem.code is ProblemCode.HUB_BUSY
    calls.release.set()
    await settle()
    await calls.post(keys[2])
    assert calls.made == 3


@pytest.mark.parametrize(("maximum_answers", "maximum_size"), [(3, 10_000), (100, 2_000)])
async def test_the_oldest_answers_make_room(maximum_answers: int, maximum_size: int) -> None:
    calls = Calls(maximum_answers, maximum_size)
    keys = [CallKey("", ("route", "api", "route"), str(number)) for number in range(1000)]
    for key in keys:
        await calls.post(key)
        assert calls.kept <= 3
    await calls.post(keys[-1])
    assert calls.made == 1000
    await calls.post(keys[0])
    assert calls.made == 1001


async def test_an_answer_that_is_too_large_leaves_the_others_in_place() -> None:
    calls = Calls(maximum_size=2_500)
    await calls.post()
    calls.body = b"x" * 2_500
    await calls.post(CallKey("", ("route", "api", "route"), "large"))
    await calls.post()
    assert (calls.made, calls.kept) == (2, 1)


async def test_memory_is_bounded_by_the_size() -> None:
    """Long keys, long identities and many small answers are counted with all that they take."""
    calls = Calls(maximum_answers=10_000, maximum_size=400_000)
    await calls.post()  # what the first call alone creates is not counted
    tracemalloc.start()
    try:
        for number in range(1000):
            caller, name = f"{number}" * 2000, f"{number}" * 60
            await calls.post(CallKey(caller, ("route", "api", "route"), name))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 100 < calls.kept < 1000
    assert taken < 450_000


async def test_bodies_of_calls_under_way_are_limited() -> None:
    calls = Calls(maximum_size=100)
    calls.release.clear()
    target = ("route", "api", "route")
    large = asyncio.create_task(calls.post(CallKey("", target, "large"), body=b"x" * 1000))
    await settle()
    with pytest.raises(Refusal, match="under way have 1000 bytes") as caught:
        await calls.post(CallKey("", target, "small"), body=b"x")
    assert caught.value.problem.code is ProblemCode.HUB_BUSY
    calls.release.set()
    await large
    await calls.post(CallKey("", target, "small"), body=b"x")
    assert calls.made == 2


async def test_a_call_that_fails_after_its_caller_left_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = Calls()

    async def fail() -> KeptAnswer:
        await calls.release.wait()
        raise LookupError

    calls.release.clear()
    caller = asyncio.create_task(calls.store.answer(KEY, b"[]", fail))
    await settle()
    caller.cancel()
    await settle()
    calls.release.set()
    await settle()
    assert "failed after its caller had disconnected" in caplog.text
    assert "LookupError" in caplog.text


# --- over HTTP -----------------------------------------------------------------------------------


async def post(gateway: RunningGateway, route: str, body: bytes, key: str = "k") -> tuple[int, str]:
    answer = await gateway.post(route, body, Idempotency_Key=key)
    return answer.status, answer.body.decode()


async def test_a_result_is_answered_again(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-37."""
    assert await post(gateway, "sample/echo", b"[5]") == (200, "5")
    assert await post(gateway, "sample/echo", b"[5]") == (200, "5")
    assert len(hub.calls) == 1
    status, text = await post(gateway, "sample/echo", b"[6]")
    assert (status, "idempotency-key-reused" in text) == (422, True)


async def test_the_hubs_error_is_answered_again(gateway: RunningGateway, hub: RunningHub) -> None:
    """Word for word, with the request id of the first request in the body."""
    first = await gateway.post("sample/fail", b"[]", Idempotency_Key="k")
    again = await gateway.post("sample/fail", b"[]", Idempotency_Key="k")
    assert first.status == again.status == 502
    assert first.body == again.body
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]


async def test_a_connection_that_was_lost_is_answered_again(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    """The hub may have run the call, so it is not made again."""
    first = await gateway.post("sample/abort", b"[]", Idempotency_Key="k")
    again = await gateway.post("sample/abort", b"[]", Idempotency_Key="k")
    assert first.status == again.status == 502
    assert first.body == again.body


async def test_a_call_under_way_and_one_whose_caller_left(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    first = asyncio.create_task(post(gateway, "sample/hold", b"[]"))
    await hub.held.wait()
    status, text = await post(gateway, "sample/hold", b"[]")
    assert (status, "call-under-way" in text) == (409, True)
    first.cancel()
    await asyncio.wait([first])
    hub.release.set()
    while (await post(gateway, "sample/hold", b"[]"))[0] == 409:
        pass
    assert await post(gateway, "sample/hold", b"[]") == (200, '"released"')


async def test_routes_whose_keys_contain_slashes(hub: RunningHub) -> None:
    """The same key at `a/b` + `c` and at `a` + `b/c` makes two calls."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        for api, key in (("a/b", "c"), ("a", "b/c")):
            info = HubRouteInfo(invoke_method="Echo")
            orchestrator.add_hub(api, connecting_to(hub.url)).add_route(key, info)

    async with running_gateway(orchestrate) as gateway:
        assert await post(gateway, "a%2Fb/c", b"[1]") == (200, "1")
        assert await post(gateway, "a/b%2Fc", b"[2]") == (200, "2")


async def test_a_refusal_is_not_kept(hub: RunningHub) -> None:
    """503 says that nothing was sent, so the next request with the key makes the call."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url, maximum_calls=1, busy_timeout=0.001)

    async with running_gateway(orchestrate) as gateway:
        held = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        assert (await post(gateway, "sample/echo", b"[1]"))[0] == 503
        hub.release.set()
        await held
        assert await post(gateway, "sample/echo", b"[1]") == (200, "1")


@pytest.mark.parametrize("key", ["x" * 256, " "])
async def test_a_key_that_is_not_valid(gateway: RunningGateway, key: str) -> None:
    status, text = await post(gateway, "sample/echo", b"[1]", key)
    assert (status, "invalid-idempotency-key" in text) == (400, True)
    assert (await post(gateway, "sample/echo", b"[1]", "x" * 255))[0] == 200


async def test_the_limits_come_from_the_options(hub: RunningHub) -> None:
    limits = Limits(maximum_kept_answers=1)
    async with running_gateway(lambda o: sample_routes(o, hub.url), limits=limits) as gateway:
        for key in ("a", "b", "a"):
            await post(gateway, "sample/echo", b"[1]", key)
    await until(lambda: len(hub.calls) == 3)
