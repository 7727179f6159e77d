"""One connection of our client, and the commands of scenarios for it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    MessagePackHubProtocol,
)
from protocol.client.retry import RetryContext

from .dotnet_values import argument, converted, described, shown, type_of, with_signature

Event = dict[str, Any]
Say = Callable[[Event], None]

_DISTANCE: Final = 0.02
"""Seconds until a script learns how a start has ended: the recorded client was a process of its
own, and its first Ping, or its Close, had left by then."""
_TRANSPORTS: Final = {
    "WebSockets": HttpTransportType.WEB_SOCKETS,
    "ServerSentEvents": HttpTransportType.SERVER_SENT_EVENTS,
    "LongPolling": HttpTransportType.LONG_POLLING,
}
_SECONDS: Final = {
    "serverTimeoutMs": "with_server_timeout",
    "keepAliveMs": "with_keep_alive_interval",
    "handshakeTimeoutMs": "with_handshake_timeout",
}


class NotBuiltError(Exception):
    """A command asked for what the library does not have yet."""


class Connection:
    """``say`` takes what happens to it."""

    def __init__(self, name: str, say: Say, fields: Event) -> None:
        self._name = name
        self._say = say
        self._log = _LogEvents(name, say) if fields.pop("log", None) else None
        self._handlers: dict[str, tuple[str, Callable[..., Any]]] = {}
        self._is_disposed = False
        self._refusal: ValueError | None = None  # .NET reads its options at the start
        try:
            self._hub = self._build({key: it for key, it in fields.items() if it is not None})
        except ValueError as error:
            self._refusal = error
            return
        self._hub.on_closed(lambda error: self._event("closed", error=described(error)))
        self._hub.on_reconnecting(
            lambda error: self._event("reconnecting", error=described(error), state=self._state())
        )
        self._hub.on_reconnected(
            lambda given: self._event("reconnected", connectionId=given, state=self._state())
        )

        self._hub.on_authentication_refreshed(
            lambda lifetime: self._event("refreshed", lifetime=lifetime)
        )
        self._hub.on_authentication_refresh_failed(
            lambda error: self._event("refreshFailed", error=described(error))
        )

    async def end(self) -> None:
        if self._log is not None:
            self._log.close()
        if self._refusal is None:
            await self._hub.stop()

    def _build(self, fields: Event) -> HubConnection:
        builder = HubConnectionBuilder()
        if fields.pop("stateful", False):
            builder.with_stateful_reconnect(buffer_size=fields.pop("statefulBufferSize", 100_000))
        if fields.pop("protocol", "json") == "messagepack":
            builder.with_hub_protocol(MessagePackHubProtocol())
        options: dict[str, Any] = {}
        if names := fields.pop("transports", None):
            options["transports"] = HttpTransportType.NONE
            for name in names.split(","):
                options["transports"] |= _TRANSPORTS[name]
        if "token" in fields:
            options["access_token_factory"] = self._token_factory(fields.pop("token"))
        if "closeTimeoutMs" in fields:
            options["close_timeout"] = fields.pop("closeTimeoutMs") / 1000
        options["skip_negotiation"] = fields.pop("skipNegotiation", False)
        options["headers"] = fields.pop("headers", {})
        builder.with_url(fields.pop("url"), **options)
        reconnect = fields.pop("reconnect", None)
        if reconnect is True:
            builder.with_automatic_reconnect()
        elif isinstance(reconnect, str):
            builder.with_automatic_reconnect(self._retry_policy(reconnect))
        elif reconnect is not None:
            builder.with_automatic_reconnect([delay / 1000 for delay in reconnect])
        refresh = fields.pop("authenticationRefresh", None)
        if isinstance(refresh, dict):
            before = refresh.get("beforeMs", 0) / 1000
            builder.with_authentication_refresh(None if refresh.get("manual") else before)
        for key, method in _SECONDS.items():
            if key in fields:
                getattr(builder, method)(fields.pop(key) / 1000)
        if fields:
            raise NotBuiltError(", ".join(sorted(fields)))
        return builder.build()

    def _token_factory(self, tokens: str | list[str | None] | None) -> Callable[[], str | None]:
        """Returns the entries of a list one by one, and then the last entry again and again."""
        sequence = tokens if isinstance(tokens, list) else [tokens]
        calls = 0

        def next_token() -> str | None:
            nonlocal calls
            value = sequence[min(calls, len(sequence) - 1)]
            calls += 1
            self._say({"event": "token", "conn": self._name, "call": calls, "value": value})
            return value

        return next_token

    def _retry_policy(self, script: str) -> Callable[[RetryContext], float | None]:
        """A retry policy that reports its arguments.

        It returns delays from a list of milliseconds; "stop" ends the attempts.
        """
        delays = script.split(",")

        def policy(context: RetryContext) -> float | None:
            count = context.previous_retry_count
            delay = (
                None if count >= len(delays) or delays[count] == "stop" else float(delays[count])
            )
            self._event(
                "retry",
                previousRetryCount=count,
                elapsedMs=context.elapsed * 1000,
                reason=described(context.retry_reason),
                delayMs=delay,
            )
            return None if delay is None else delay / 1000

        return policy

    def _event(self, kind: str, **detail: Any) -> None:
        self._say({"event": kind, "conn": self._name, "detail": detail})

    def _state(self) -> Event:
        return {"state": self._hub.state.value, "connectionId": self._hub.connection_id}

    async def perform(self, cmd: str, fields: Event) -> Any:
        if self._refusal is not None:
            raise self._refusal
        if self._is_disposed:  # our client cannot be disposed: it may be started again
            raise RuntimeError("Cannot access a disposed object.")
        deadline = fields.pop("cancelAfterMs", None)
        async with asyncio.timeout(deadline and deadline / 1000):
            match cmd:
                case "start":
                    try:
                        await self._hub.start()
                    finally:
                        await asyncio.sleep(_DISTANCE)
                    return self._state()
                case "stop":
                    await self._hub.stop()
                    return self._state()
                case "dispose":
                    self._is_disposed = True
                    return await self._hub.stop()
                case "state":
                    return self._state()
                case "refresh":
                    await self._hub.refresh_authentication()
                case "on":
                    return self._add_handler(fields)
                case "off":
                    return self._remove_handler(fields)
                case "invoke":
                    expected = fields.get("result")
                    value = await self._hub.invoke(
                        fields["target"], *_arguments(fields), result_type=type_of(expected)
                    )
                    return None if expected is None else shown(value)
                case "send":
                    return await self._hub.send(fields["target"], *_arguments(fields))
                case "stream":
                    return await self._take_stream(fields)
                case _:
                    raise NotBuiltError(cmd)

    async def _take_stream(self, fields: Event) -> Any:
        stream = self._hub.stream(
            fields["target"], *_arguments(fields), item_type=type_of(fields.get("result"))
        )
        count = 0
        async with contextlib.aclosing(stream):
            async for value in stream:
                self._event("item", key=fields.get("key"), item=shown(value))
                count += 1
                if count == fields.get("cancelAfter"):
                    raise asyncio.CancelledError("The operation was canceled.")
        return {"count": count}

    def _add_handler(self, fields: Event) -> None:
        method: str = fields["method"]
        key: str = fields.get("key", method)

        async def called(*arguments: Any) -> Any:
            self._event("call", method=method, key=key, args=[shown(it) for it in arguments])
            if "delayMs" in fields:
                await asyncio.sleep(fields["delayMs"] / 1000)
                self._event("callEnd", method=method, key=key)
            if "throw" in fields:
                raise RuntimeError(fields["throw"])
            return None if returns is None else converted(fields.get("result"), returns)

        returns = type_of(fields["returns"]) if "returns" in fields else None
        parameters = [type_of(name) for name in fields["types"]]
        required = fields.get("required", len(parameters))
        handler = with_signature(called, parameters, returns, required)
        self._handlers[key] = (method, handler)
        self._hub.on(method, handler)

    def _remove_handler(self, fields: Event) -> None:
        if "key" in fields:
            self._hub.off(*self._handlers[fields["key"]])
        else:
            self._hub.off(fields["method"])


def _arguments(fields: Event) -> list[Any]:
    """The arguments of a call, with each upload at its place, or else at the end."""
    arguments = [argument(value) for value in fields.get("args", ())]
    for upload in fields.get("uploads", ()):
        arguments.insert(upload.get("at", len(arguments)), _uploaded(upload))
    return arguments


async def _uploaded(upload: Event) -> AsyncIterator[Any]:
    for item in upload["items"]:
        await asyncio.sleep(upload.get("pauseMs", 0) / 1000)
        yield item
    if "fail" in upload:
        raise RuntimeError(upload["fail"])
    if upload.get("cancel"):
        raise asyncio.CancelledError


class _LogEvents(logging.Handler):
    """The log of the library, as events of the connection that asked last."""

    _LEVELS: Final = {"DEBUG": "Debug", "INFO": "Information", "WARNING": "Warning"}

    def __init__(self, name: str, say: Say) -> None:
        super().__init__()
        self._name = name
        self._say = say
        logging.getLogger("protocol").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._say(
            {
                "event": "log",
                "conn": self._name,
                "level": self._LEVELS.get(record.levelname, "Error"),
                "category": record.name.rpartition(".")[2],
                "id": None,
                "message": record.getMessage(),
            }
        )

    def close(self) -> None:
        logging.getLogger("protocol").removeHandler(self)
        super().close()
