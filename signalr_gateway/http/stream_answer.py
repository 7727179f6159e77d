"""Answers a call of a streaming route: sends each item as a line or an event (GW-32).

This module decides the form of the answer by `Accept`, and how the answer ends when the stream
fails or the caller does not read. `http.api` starts the stream. If the stream fails before its
first item, `http.api` answers with a problem.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from enum import Enum

from aiohttp import HttpVersion11, web

from protocol.relaying import LogThinning, failure_subject

from ..downstream.calls import HubItems
from ..downstream.failures import call_failure
from ..downstream.forms import require_form
from ..orchestration.route import HubRoute
from ..routing.problem_code import ProblemCode
from .media_type import MediaType
from .problem import Problem

log = logging.getLogger(__name__)

_BLANKS = bytes.maketrans(b"\r\n", b"  ")


class StreamForm(Enum):
    """How items are written.

    The values are the media type, the bytes before an item, the bytes before the problem that ends
    a stream, and the bytes after an item or a problem.
    """

    LINES = ("application/x-ndjson", b"", b"", b"\n")
    EVENTS = ("text/event-stream", b"data: ", b"event: problem\ndata: ", b"\n\n")

    def __init__(self, content_type: str, item: bytes, problem: bytes, end: bytes) -> None:
        self.content_type = content_type
        self._item = item
        self._problem = problem
        self._end = end

    def item(self, text: bytes) -> bytes:
        """An item as the hub wrote it, except that spaces replace line breaks between tokens."""
        return self._item + text.translate(_BLANKS) + self._end

    def problem(self, text: bytes) -> bytes:
        """The problem that ends the stream."""
        return self._problem + text + self._end


def stream_form(accept: Iterable[str]) -> StreamForm:
    """The form that has the higher weight in `Accept`, or the first one if the weights are equal.

    Lines if `Accept` contains neither form.
    """
    weights: dict[StreamForm, float] = {}
    for text in ",".join(accept).split(","):
        media_type = MediaType.parse(text)
        for form in StreamForm:
            if media_type and f"{media_type.type}/{media_type.subtype}" == form.content_type:
                weights.setdefault(form, _weight(media_type))
    wanted = max(weights, key=lambda form: weights[form], default=StreamForm.LINES)
    return wanted if weights.get(wanted) else StreamForm.LINES


def _weight(media_type: MediaType) -> float:
    for name, value in media_type.parameters:
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


class StreamAnswer(web.StreamResponse):
    """A response that is sent by `send`. Its headers may be set before."""

    def __init__(
        self,
        items: HubItems,
        route: HubRoute,
        form: StreamForm,
        request_id: str,
        thinning: LogThinning,
    ) -> None:
        super().__init__(
            headers={
                "Content-Type": form.content_type,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # so that nginx sends each item at once
            }
        )
        self._items = items
        self._route = route
        self._form = form
        self._request_id = request_id
        self._thinning = thinning

    async def send(self, request: web.Request) -> None:
        """Send the items until the stream ends. Cancel the stream if the caller disconnects.

        A caller that reads nothing for the route's `stream_idle_timeout` is disconnected.
        """
        if request.version < HttpVersion11:
            self.force_close()  # HTTP/1.0 has no chunks, so the close marks the end of the answer
        try:
            await self.prepare(request)
            async for chunk in self._chunks():
                async with asyncio.timeout(self._route.stream_idle_timeout):
                    await self.write(chunk)
            await self.write_eof()
        except TimeoutError:
            self._log("request %s is aborted: its caller reads no items", "aborted")
            _abort(request)
        except ConnectionError:
            pass  # the caller has disconnected
        except BaseException:
            _abort(request)  # the answer is incomplete, so no other answer can follow
            raise
        finally:
            await self._items.aclose()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for item in self._items:
                yield self._form.item(bytes(await require_form(item, "json")))
        except Exception as exc:
            yield self._form.problem(self._problem_of(exc).body(self._request_id))

    def _problem_of(self, error: Exception) -> Problem:
        failure = call_failure(error, self._route.api)
        if failure is None:
            level = self._thinning.level(failure_subject(error), level=logging.ERROR)
            log.log(level, "request %s failed", self._request_id, exc_info=error)
            return Problem(ProblemCode.INTERNAL_ERROR, "The gateway failed to pass the stream on.")
        self._log(f"request %s: the stream ends with {failure.code.code}", failure.code)
        return Problem(failure.code, failure.text, hint=failure.hint)

    def _log(self, text: str, subject: object) -> None:
        """Log a line that callers can cause at will: once a minute per route, else at DEBUG."""
        names = (self._route.api, self._route.key, subject)
        log.log(self._thinning.level(names, level=logging.INFO), text, self._request_id)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
