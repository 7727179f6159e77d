"""Finds which features of a server a recorded conversation needs, from its steps alone.

A failing conversation may be left for later only if it needs a feature in ``NOT_BUILT``. For each
of these features there is a function that examines the steps of a conversation. The functions are
strict: a conversation that passes without a feature does not need it. Otherwise such a conversation
could be left for later if it failed for another reason.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.wire import player

NOT_BUILT: Final = ("stateful reconnect",)
"""Take the line out with the feature that was built, and the conversations off the list.

Of a feature that is half built name the other half, with a question of its own."""

Step = dict[str, Any]
_reader: Callable[[bytes], Any] = player.Reader  # which has no annotations

# Methods of the recorded hubs, in lower case.
_STREAMING: Final = frozenset(
    "count counter counterwithouttoken counterchannel counterchannelwithouttoken countertask "
    "counterchanneltask strings double nullstream nullchannel throwinstream throwbeforestream "
    "throwhubexceptioninstream throwinchannel notanumberinstream secretcounter".split()
)
_UPLOADED_TO: Final = frozenset(
    "sum sumbetween sumandjoin sumthenthrow watch double first join readlate".split()
)
_ASKING: Final = frozenset(
    "ask asknumber askother askperson askthenwait askwithtimeout describeanswer".split()
)
_NO_CONNECTION: Final = ("No Connection with that ID", "Connection ID required")


class _Message:
    """The compared fields of a hub message, in either hub protocol."""

    def __init__(self, value: Any) -> None:
        fields: Mapping[Any, Any] = {}
        names: tuple[Any, ...] = ("type", "target", "invocationId", "arguments")
        if isinstance(value, dict):
            fields = value
        elif isinstance(value, list):
            fields, names = dict(enumerate(value)), (0, 3, 2, 4)
        self.type, target, self.invocation_id, arguments = map(fields.get, names)
        is_call = self.type in (1, 4) and isinstance(target, str) and isinstance(arguments, list)
        self.target = str(target).lower() if is_call else ""


class Conversation:
    """The steps of a scenario, those within others included, and the messages it sends."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.steps = list(_flat(content["steps"]))
        self.sent = [_Message(value) for step in self.steps for value in _sent(step)]

    def needs(self) -> frozenset[str]:
        """All that there is a name for, built or not."""
        return frozenset(need for need, is_needed in _NEEDS.items() if is_needed(self))

    def answers(self) -> list[str]:
        """What the server answered, as text."""
        return [json.dumps(_got(step)).replace("\\", "") for step in self.steps]

    def visits(self, *paths: str) -> bool:
        """Whether any request goes to this path, or below it."""
        visited = (step.get("path", "").lower() + "/" for step in self.steps)
        return any(path.startswith(tuple(f"{each}/" for each in paths)) for path in visited)

    def has_header(self, name: str) -> bool:
        return any(name in map(str.lower, step.get("headers", {})) for step in self.steps)

    def asks(self, key: str) -> bool:
        return any(key in step.get("query", "").lower() for step in self.steps)

    def goes_by(self, *ways: str) -> bool:
        """Whether anything but a refusal for want of a connection comes of one of these ways."""
        return any(
            way in ways and _got(step).get("body") not in _NO_CONNECTION
            for step in self.steps
            for way in (step["do"], step.get("transport"), step.get("headers", {}).get("Accept"))
        )

    def calls(self, methods: frozenset[str], *, for_an_answer: bool = False) -> bool:
        return any(
            message.target in methods
            and (bool(message.invocation_id) or (message.type == 1 and not for_an_answer))
            for message in self.sent
        )

    def is_offered(self, *transports: str) -> bool:
        """Whether an answer to negotiate lists one of these."""
        bodies = (_got(step).get("body") for step in self.steps)
        return any(
            offer["transport"] in transports
            for body in bodies
            if isinstance(body, dict)
            for offer in body.get("availableTransports", ())
        )


_NEEDS: Final[Mapping[str, Callable[[Conversation], bool]]] = {
    "stateful reconnect": lambda it: (  # others may request it, and do not get it
        it.visits("/stateful", "/stateful-small", "/auth/stateful")
    ),
    "cookie authentication": lambda it: it.visits("/cookie"),
    "CORS": lambda it: it.has_header("origin") or it.visits("/cors"),
    "authorization of whole endpoints": lambda it: (
        it.has_header("authorization")
        or it.asks("access_token")
        or it.visits("/auth/required", "/auth/admin")
    ),
    "the end of connections whose authentication has expired": lambda it: (
        it.visits("/auth/expiring") and '"allowReconnect' in "".join(it.answers())
    ),
    "server-sent events": lambda it: (
        it.goes_by("sse", "text/event-stream", "TEXT/EVENT-STREAM") or it.visits("/sse")
    ),
    "long polling": lambda it: it.goes_by("poll", "delete", "lp") or it.visits("/longpolling"),
    "POST as a way to send, which comes with the other transports": lambda it: it.goes_by("post"),
    "a negotiate answer that lists all transports": lambda it: it.is_offered(
        "ServerSentEvents", "LongPolling"
    ),
    "streams to the client": lambda it: it.calls(_STREAMING, for_an_answer=True),
    "streams from the client": lambda it: it.calls(_UPLOADED_TO),
    "client results": lambda it: it.calls(_ASKING) or it.asks("connect=ask"),
    "the MessagePack hub protocol": lambda it: any(
        step.get("protocol") == "messagepack" or "messagepack" in step.get("text", "")
        for step in it.steps
    ),
}


def _flat(steps: list[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _flat(step.get("steps", []))


def _got(step: Step) -> Mapping[str, Any]:
    return step.get("got") or {}


def _sent(step: Step) -> Iterator[Any]:
    """The part that can be decoded."""
    for key in ("json", "msgpack"):
        value = step.get(key)
        if value is not None:
            is_one = isinstance(value, dict) or (
                key == "msgpack" and not isinstance(value[0], list)
            )
            yield from [value] if is_one else value
    for text in step.get("text", "").split("\x1e"):
        try:
            yield json.loads(text)
        except ValueError:
            pass
    for body in step.get("bodies", []):
        try:
            yield _reader(bytes.fromhex(body)).read()
        except ValueError:
            pass
