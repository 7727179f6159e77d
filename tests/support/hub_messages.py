"""Hub messages of the JSON hub protocol, as dicts."""

import json
from typing import Any, Final

RECORD_SEPARATOR: Final = "\x1e"
HANDSHAKE: Final = {"protocol": "json", "version": 1}
STATEFUL_HANDSHAKE: Final = {"protocol": "json", "version": 2}
PING: Final = {"type": 6}
CLOSE: Final = {"type": 7}
CLOSE_AND_RECONNECT: Final = {"type": 7, "allowReconnect": True}


def call(target: str, *arguments: Any, id: str | None = "1", **more: Any) -> dict[str, Any]:
    """An Invocation. If ``id`` is None, the server sends no Completion."""
    wanted = {} if id is None else {"invocationId": id}
    return {"type": 1, **wanted, "target": target, "arguments": list(arguments), **more}


def event(target: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    """An Invocation without an id, to which no Completion is sent."""
    return call(target, *arguments, id=None, **more)


def completion(id: str = "1", **outcome: Any) -> dict[str, Any]:
    """A Completion with an ``error``, a ``result`` or neither."""
    return {"type": 3, "invocationId": id, **outcome}


def result(value: Any = None, id: str = "1") -> dict[str, Any]:
    """A Completion with a result, which is null for a void method (S-18)."""
    return completion(id, result=value)


def failure(text: str, id: str = "1") -> dict[str, Any]:
    """A Completion with an error."""
    return completion(id, error=text)


def joined(*records: Any) -> bytes:
    """Records as bytes on the wire. A str is not changed, any other value is encoded as JSON."""
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return "".join(text + RECORD_SEPARATOR for text in texts).encode()


def ack(number: int) -> dict[str, Any]:
    """An Ack."""
    return {"type": 8, "sequenceId": number}


def sequence(number: int) -> dict[str, Any]:
    """A Sequence."""
    return {"type": 9, "sequenceId": number}


def item(value: Any, id: str = "1") -> dict[str, Any]:
    """A StreamItem."""
    return {"type": 2, "invocationId": id, "item": value}


def stream_call(target: str, *arguments: Any, id: str = "1", **more: Any) -> dict[str, Any]:
    """A StreamInvocation."""
    return {**call(target, *arguments, id=id, **more), "type": 4}


def cancel(id: str = "1") -> dict[str, Any]:
    """A CancelInvocation."""
    return {"type": 5, "invocationId": id}
