"""Calls with an `Idempotency-Key`: each is made once, however often it is posted (GW-37).

The first request with a key makes the call, whose answer is kept for a while. `http.api` decides
which answers these are.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
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


@dataclass(slots=True)
class _Entry:
    digest: bytes  # of the body
    expires_at: float | None = None  # None: the call is under way
    answer: KeptAnswer | None = None


@dataclass(frozen=True, slots=True)
class CallKey:
    """What makes a call the same as another: caller, route and key."""

    caller: str
    route: str
    key: str = field(repr=False)


class IdempotentCalls:
    """The calls with a key that are under way, and the answers that are kept.

    At most `maximum_answers` answers are kept, with at most `maximum_size` bytes. The oldest go
    first. A larger answer is not kept. `clock` has the time and no timers.
    """

    def __init__(self, clock: Clock, maximum_answers: int, maximum_size: int) -> None:
        self._clock = clock
        self._maximum_answers = maximum_answers
        self._maximum_size = maximum_size
        self._entries: dict[CallKey, _Entry] = {}
        self._kept: dict[CallKey, int] = {}  # the size of each kept answer, the oldest first
        self._size = 0
        self._tasks: set[asyncio.Task[KeptAnswer]] = set()

    async def answer(
        self, key: CallKey, body: bytes, call: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        """The answer of `call`, or the one that is kept for `key`.

        `call` goes on if this coroutine is cancelled, because a caller that repeats its request
        wants to know how the call has ended. Raises `Refusal` if the call is under way, or if the
        key was used with another `body`, and what `call` raises.
        """
        self._expire()
        digest = hashlib.sha256(body).digest()
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(digest)
            task = asyncio.create_task(self._run(key, entry, call))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            return await asyncio.shield(task)
        if entry.digest != digest:
            detail = f"This {KEY_HEADER} was used with another body; use a new key."
            raise Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED, detail)
        if entry.answer is None:
            detail = f"The call with this {KEY_HEADER} is under way."
            raise Refusal(ProblemCode.CALL_UNDER_WAY, detail)
        return entry.answer

    async def _run(
        self, key: CallKey, entry: _Entry, call: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        try:
            answer = await call()
        except BaseException:
            del self._entries[key]
            raise
        if answer.is_final and len(answer.body) <= self._maximum_size:
            self._keep(key, entry, answer)
        else:
            del self._entries[key]
        return answer

    def _keep(self, key: CallKey, entry: _Entry, answer: KeptAnswer) -> None:
        entry.answer = answer
        entry.expires_at = self._clock.time() + ANSWER_TIME
        self._kept[key] = len(answer.body)
        self._size += len(answer.body)
        while len(self._kept) > self._maximum_answers or self._size > self._maximum_size:
            self._drop_oldest()

    def _expire(self) -> None:
        now = self._clock.time()
        while self._kept:
            expires_at = self._entries[next(iter(self._kept))].expires_at
            if expires_at is None or expires_at > now:
                break
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        key = next(iter(self._kept))
        self._size -= self._kept.pop(key)
        del self._entries[key]

    def _ended(self, task: asyncio.Task[KeptAnswer]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have left


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
