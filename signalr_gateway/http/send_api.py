"""Requests that send to clients of the gateway hub, count and disconnect them (GW-60, GW-61).

`http.addresses` finds the receivers in the path, and `clients.sender` sends. The function
`SendPolicy` decides for each request whether its caller may do this.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from functools import partial

import msgspec
from aiohttp import web

from protocol.relaying import DECODING_FAILURES, LogThinning, require_bool, type_and_place

from ..access.scopes import has_scope
from ..clients.sender import All, Audience, Channel, Connection, Sender, User
from ..orchestration.checks import fold
from ..orchestration.limits import Limits
from ..routing.arguments import InvalidArguments, split_arguments
from ..routing.problem_code import ProblemCode
from ..routing.tables import RoutingTables, Subscription, send_channel
from .access import Access
from .addresses import Receivers
from .idempotency import CallKey, IdempotentCalls, KeptAnswer, idempotency_key
from .request_checks import Refusal, body_too_large, read_body, require_json, require_method
from .route_access import shown_route

log = logging.getLogger(__name__)

SendPolicy = Callable[[web.Request], Awaitable[bool]]
"""Whether the caller of a request may send to clients, count them and disconnect them."""


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a send."""

    target: str
    arguments: msgspec.Raw


class ClientCount(msgspec.Struct):
    """The answer to a GET of the number of clients."""

    count: int


SEND_SCOPE = "send"


async def allow_all(_request: web.Request) -> bool:
    """Allow every caller that may use the gateway."""
    return True


async def allow_scope(request: web.Request) -> bool:
    """Allow callers who have the scope `SEND_SCOPE`."""
    user = Access.user(request)
    return has_scope(user, SEND_SCOPE)


class SendApi:
    """The request handlers of the paths below `addresses.SEND`."""

    def __init__(
        self,
        sender: Sender,
        tables: RoutingTables,
        limits: Limits,
        idempotent: IdempotentCalls,
        policy: SendPolicy,
    ) -> None:
        """`policy` decides about each request, before every other check of the request.

        `idempotent` makes the sends that have an `Idempotency-Key`.
        """
        self._sender = sender
        self._tables = tables
        self._limits = limits
        self._idempotent = idempotent
        self._policy = policy
        self._thinning = LogThinning()

    async def allows(self, request: web.Request) -> bool:
        """Whether the caller of a request may send to clients, count and disconnect them.

        Raises `Refusal` if the function that decides raises an exception or returns no bool.
        """
        try:
            return require_bool(await self._policy(request))
        except Exception as exc:
            # Not the exception itself, because its text may quote credentials.
            reason = type_and_place(exc)
            level = self._thinning.level(reason, level=logging.ERROR)
            log.log(level, "the function send of create_app failed: %s", reason)
        raise Refusal(ProblemCode.INTERNAL_ERROR, "The gateway failed to handle the request.")

    async def handle(self, request: web.Request, receivers: Receivers) -> web.Response:
        """Answer a request for these receivers. Raises `Refusal`."""
        if not await self.allows(request):
            raise Refusal(ProblemCode.SEND_NOT_ALLOWED, "This caller may not send to clients.")
        audience = self._audience(request, receivers)
        if receivers.are_counted:
            require_method(request, "GET", "HEAD")
            return await self._count(audience)
        closable = ("DELETE",) if isinstance(audience, Connection) else ()
        require_method(request, "POST", "HEAD", *closable)
        if isinstance(audience, Connection) and request.method == "DELETE":
            return await self._close(request, audience)
        if request.method == "HEAD":
            if not await self._sender.count(audience):
                raise _not_found()
            return web.Response()
        return await self._send(request, audience)

    def _audience(self, request: web.Request, receivers: Receivers) -> Audience:
        match receivers.kind, receivers.names:
            case "group", (name,):
                return Channel(send_channel(Subscription("", group=name)))
            case "user", (user_id,):
                return User(user_id)
            case "connection", (connection_id,):
                return Connection(connection_id)
            case "route", (api, key, user_id):
                route = shown_route(self._tables, request, api, key)
                label = Subscription(route.api, route=route.key, user=fold(user_id))
                return Channel(send_channel(label))
            case _:
                return All()

    async def _send(self, request: web.Request, audience: Audience) -> web.Response:
        require_json(request)
        key = idempotency_key(request)
        limit = self._limits.maximum_body_size
        too_large = partial(body_too_large, limit)
        body = await read_body(request, limit, too_large, self._limits.body_timeout)
        message = _message(body)
        try:
            arguments = split_arguments(bytes(message.arguments), self._limits.maximum_depth)
        except InvalidArguments as exc:
            raise Refusal(exc.code, str(exc)) from exc

        async def send() -> KeptAnswer:
            await self._sender.send(audience, message.target, arguments)
            return KeptAnswer(202, b"", {}, is_final=True)

        if key is None:
            return (await send()).response()
        target = ("send", type(audience).__name__, *astuple(audience))
        send_key = CallKey(Access.caller(request), target, key)
        return (await self._idempotent.answer(send_key, body, send)).response()

    async def _count(self, audience: Audience) -> web.Response:
        body = msgspec.json.encode(ClientCount(await self._sender.count(audience)))
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _close(self, request: web.Request, connection: Connection) -> web.Response:
        reason = request.rel_url.query.get("reason", "")
        text = reason.encode(errors="replace").decode()  # without halves of surrogate pairs
        if not await self._sender.close(connection.connection_id, text):
            raise _not_found()
        return web.Response(status=204)


def _not_found() -> Refusal:
    return Refusal(ProblemCode.CLIENT_NOT_FOUND, "No connected client has this address.")


def _message(body: bytes) -> Message:
    if not body:
        text = "The body is empty; it must be an object with target and arguments."
        raise Refusal(ProblemCode.EMPTY_BODY, text)
    try:
        message = msgspec.json.decode(body, type=Message)
    except msgspec.ValidationError as exc:
        text = f"The body must be an object with target and arguments: {exc}."
        raise Refusal(ProblemCode.INVALID_MESSAGE, text) from exc
    except DECODING_FAILURES as exc:
        raise Refusal(ProblemCode.INVALID_JSON, f"The body is not JSON: {exc}.") from exc
    if not message.target:
        raise Refusal(ProblemCode.INVALID_MESSAGE, "The target must not be empty.")
    return message
