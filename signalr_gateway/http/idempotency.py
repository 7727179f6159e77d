"""Calls and sends with an `Idempotency-Key`: each is made once, however often it is posted (GW-37).

The first request with a key makes the call. `http.api` and `http.send_api` decide which answers are
kept. A kept answer is sent to later requests with the same key for `ANSWER_TIME`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from sys import getsizeof

from aiohttp import web

from protocol.relaying import LogThinning

from ..downstream.clock import Clock
from ..routing.problem_code import ProblemCode
from .request_checks import Refusal

log = logging.getLogger(__name__)

KEY_HEADER = "Idempotency-Key"
MAXIMUM_KEY_LENGTH = 255
ANSWER_TIME = 300.0
"""Seconds for which an answer is kept."""
OVERHEAD = 512
"""Bytes of memory that each kept answer takes in addition to its body and headers."""


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
    body_digest: bytes
    answer: KeptAnswer
    expires_at: float
    size: int


@dataclass(frozen=True, slots=True)
class CallKey:
    """Identifies a call. Requests whose caller, target and key are equal make one call.

    The target is a route, or the receivers of a send.
    """

    caller: str
    target: tuple[str, ...]
    key: str = field(repr=False)

    def digest(self) -> bytes:
        """A digest that differs for each key. It has the same size for short and long texts."""
        return _digest(ascii((self.caller, self.target, self.key)).encode())


class IdempotentCalls:
    """The calls with a key that are under way, and the answers that are kept.

    At most `maximum_answers` answers are kept, with at most `maximum_size` bytes of memory in
    total. Above a limit, the oldest answers are dropped. An answer larger than `maximum_size` is
    not kept. At most `maximum_answers` calls are under way. Their bodies have at most
    `maximum_size` bytes in total, except that a single call may have a body of any size. `clock`
    only gives the time; no timer is set. The default is the clock of the running event loop.
    """

    def __init__(self, maximum_answers: int, maximum_size: int, clock: Clock | None = None) -> None:
        self._clock = clock
        self._maximum_answers = maximum_answers
        self._maximum_size = maximum_size
        # By the digests of the keys, because a caller decides how long a key and its identity are.
        self._under_way: dict[bytes, bytes] = {}  # the digests of the bodies
        self._kept: dict[bytes, _Kept] = {}  # the oldest first
        self._under_way_size = 0  # of the bodies of all calls under way
        self._size = 0  # of all kept answers
        self._tasks: set[asyncio.Task[KeptAnswer]] = set()
        self._thinning = LogThinning()

    async def answer(
        self, key: CallKey, body: bytes, call: Callable[[], Awaitable[KeptAnswer]]
    ) -> KeptAnswer:
        """The answer of `call`, or the one that is kept for `key`.

        `call` continues if this coroutine is cancelled, so that a repeated request gets its answer.
        Raises `Refusal` if the call is under way, if the key was used with another `body`, or if
        too many calls are under way. Raises what `call` raises.
        """
        self._expire()
        call_digest, body_digest = key.digest(), _digest(body)
        kept = self._kept.get(call_digest)
        known = self._under_way.get(call_digest) if kept is None else kept.body_digest
        if known not in (None, body_digest):
            detail = f"This {KEY_HEADER} was used with another body; use a new key."
            raise Refusal(ProblemCode.IDEMPOTENCY_KEY_REUSED, detail)
        if kept is not None:
            return kept.answer
        if known is not None:
            detail = f"The call with this {KEY_HEADER} is under way."
            raise Refusal(ProblemCode.CALL_UNDER_WAY, detail)
        self._require_room(len(body))
        self._under_way[call_digest] = body_digest
        self._under_way_size += len(body)
        task = asyncio.create_task(self._run(call_digest, body_digest, len(body), call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._log_failure)
            raise

    def _require_room(self, size: int) -> None:
        """Raise `Refusal` if no further call with a body of this size may be under way."""
        count = f"calls with an {KEY_HEADER}"
        if len(self._under_way) >= self._maximum_answers:
            detail = f"The gateway has {self._maximum_answers} {count} under way"
        elif self._under_way and self._under_way_size + size > self._maximum_size:
            detail = f"The bodies of the {count} under way have {self._under_way_size} bytes"
        else:
            return
        raise Refusal(ProblemCode.HUB_BUSY, f"{detail}, and may have no more.")

    async def _run(
        self,
        call_digest: bytes,
        body_digest: bytes,
        body_size: int,
        call: Callable[[], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        try:
            answer = await call()
        finally:
            del self._under_way[call_digest]
            self._under_way_size -= body_size
        size = _memory_of(answer)
        if answer.is_final and size <= self._maximum_size:
            self._keep(call_digest, _Kept(body_digest, answer, self._now() + ANSWER_TIME, size))
        return answer

    def _keep(self, call_digest: bytes, kept: _Kept) -> None:
        self._kept[call_digest] = kept
        self._size += kept.size
        while len(self._kept) > self._maximum_answers or self._size > self._maximum_size:
            self._drop_oldest()

    def _expire(self) -> None:
        now = self._now()
        while self._kept and next(iter(self._kept.values())).expires_at <= now:
            self._drop_oldest()

    def _now(self) -> float:
        return (self._clock or asyncio.get_running_loop()).time()

    def _drop_oldest(self) -> None:
        self._size -= self._kept.pop(next(iter(self._kept))).size

    def _log_failure(self, task: asyncio.Task[KeptAnswer]) -> None:
        """Log the exception of a call whose caller has disconnected, because no other code does."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Refusal):
            text = "a call with an %s failed after its caller had disconnected"
            self._thinning.log_failure(log, error, text, KEY_HEADER)


def _memory_of(answer: KeptAnswer) -> int:
    """The bytes of memory that an answer takes while it is kept."""
    headers = answer.headers
    texts = sum(getsizeof(text) for pair in headers.items() for text in pair)
    return OVERHEAD + getsizeof(answer.body) + getsizeof(headers) + texts


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


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
