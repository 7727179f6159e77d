"""Calls and sends with an `Idempotency-Key`: each is made once, however often it is posted (GW-37).

The first request with a key makes the call. `http.api` and `http.send_api` decide which answers are
kept. A kept answer is sent to later requests with the same key for `ANSWER_TIME`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from ..downstream.clock import Clock
from ..routing.problem_code import ProblemCode
from .request_checks import Refusal

KEY_HEADER = "Idempotency-Key"
MAXIMUM_KEY_LENGTH = 255
ANSWER_TIME = 300.0
"""Seconds for which an answer is kept."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that can be sent several times. `is_final` says whether it is kept."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    is_final: bool

    def response(self) -> web.Response:
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@dataclass(frozen=True, slots=True)
class _Kept:
    digest: bytes  # of the body
    answer: KeptAnswer
    expires_at: float


@dataclass(frozen=True, slots=True)
class CallKey:
    """Identifies a call. Requests whose caller, target and key are equal make one call.

    The target is a route, or the receivers of a send.
    """

    caller: str
    target: Hashable
    key: str = field(repr=False)


class IdempotentCalls:
    """The calls with a key that are under way, and the answers that are kept.

    At most `maximum_answers` answers are kept, with at most `maximum_size` bytes in total. Above a
    limit, the oldest answers are dropped. A larger answer is not kept. At most `maximum_answers`
    calls are under way. Only the time of `clock` is used, and no timers; the default is the clock
    of the running event loop.
    """

    def __init__(self, maximum_answers: int, maximum_size: int, clock: Clock | None = None) -> None:
        self._clock = clock
        self._maximum_answers = maximum_answers
        self._maximum_size = maximum_size
        self._under_way: dict[CallKey, bytes] = {}  # the digests of the bodies
        self._kept: dict[CallKey, _Kept] = {}  # the oldest first
        self._size = 0  # of the bodies of all kept answers
        self._tasks: set[asyncio.Task[KeptAnswer]] = set()

    async def answer(
        self, key: CallKey, body: bytes, call: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        """The answer of `call`, or the one that is kept for `key`.

        `call` continues if this coroutine is cancelled, so that a repeated request gets its answer.
        Raises `Refusal` if the call is under way, if the key was used with another `body`, or if
        too many calls are under way. Raises what `call` raises.
        """
        self._expire()
        digest = hashlib.sha256(body).digest()
        kept = self._kept.get(key)
        known = self._under_way.get(key) if kept is None else kept.digest
        if known not in (None, digest):
            detail = f"This {KEY_HEADER} was used with another body; use a new key."
            raise Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED, detail)
        if kept is not None:
            return kept.answer
        if known is not None:
            detail = f"The call with this {KEY_HEADER} is under way."
            raise Refusal(ProblemCode.CALL_UNDER_WAY, detail)
        if len(self._under_way) >= self._maximum_answers:
            count = f"{self._maximum_answers} calls with an {KEY_HEADER}"
            detail = f"The gateway has {count} under way, and may have no more."
            raise Refusal(ProblemCode.HUB_BUSY, detail)
        self._under_way[key] = digest
        task = asyncio.create_task(self._run(key, digest, call))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _run(
        self, key: CallKey, digest: bytes, call: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        try:
            answer = await call()
        finally:
            del self._under_way[key]
        if answer.is_final and len(answer.body) <= self._maximum_size:
            self._keep(key, _Kept(digest, answer, self._now() + ANSWER_TIME))
        return answer

    def _keep(self, key: CallKey, kept: _Kept) -> None:
        self._kept[key] = kept
        self._size += len(kept.answer.body)
        while len(self._kept) > self._maximum_answers or self._size > self._maximum_size:
            self._drop_oldest()

    def _expire(self) -> None:
        now = self._now()
        while self._kept and next(iter(self._kept.values())).expires_at <= now:
            self._drop_oldest()

    def _now(self) -> float:
        return (self._clock or asyncio.get_running_loop()).time()

    def _drop_oldest(self) -> None:
        kept = self._kept.pop(next(iter(self._kept)))
        self._size -= len(kept.answer.body)

    def _ended(self, task: asyncio.Task[KeptAnswer]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: its caller may have disconnected


def idempotency_key(request: web.Request) -> str | None:
    """The key of a request, None without one. Raises `Refusal`."""
    given = request.headers.getall(KEY_HEADER, [])
    if not given:
        return None
    key = given[0].strip()
    if len(given) > 1 or not key or len(key) > MAXIMUM_KEY_LENGTH:
        detail = f"{KEY_HEADER} must be given once, with 1 to {MAXIMUM_KEY_LENGTH} characters."
        raise Refusal(ProblemCode.INVALID_IDEMPOTENCY_KEY, detail)
    return key
