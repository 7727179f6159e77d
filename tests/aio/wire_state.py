"""Checks the order of the messages that each end of a connection has sent.

Every call, stream and client result ends at most once, nothing follows its end, and a Close is
last.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from protocol.testing import MemoryTransport

_INVOCATION, _ITEM, _COMPLETION, _STREAM, _CANCEL, _PING, _CLOSE = range(1, 8)


GARBAGE = b"garbage"
"""A record that a test sends in place of one end."""


def messages(transport: MemoryTransport) -> list[dict[str, Any]]:
    """The messages that this end has sent after its handshake message."""
    records = b"".join(transport.pieces).split(b"\x1e")
    return [json.loads(record) for record in records[1:-1] if record != GARBAGE]


class Conversation:
    """The messages that both ends of one connection have sent. ``check`` raises AssertionError."""

    def __init__(self, client: MemoryTransport, server: MemoryTransport) -> None:
        self._client = messages(client)
        self._server = messages(server)

    def check(self) -> None:
        """Checks the rules that hold at any moment, also if the connection was cut."""
        calls, questions = self._started(self._client), self._started(self._server)
        uploads = [each for message in self._client for each in message.get("streamIds", ())]
        assert len({*calls, *uploads}) == len(calls) + len(uploads)
        assert len(set(questions)) == len(questions)
        self._check_ends(self._server, set(calls))
        self._check_ends(self._client, {*uploads, *questions})
        cancelled = Counter(
            message["invocationId"] for message in self._client if message["type"] == _CANCEL
        )
        assert cancelled.keys() <= set(calls)
        assert not cancelled or max(cancelled.values()) == 1
        for sent in (self._client, self._server):
            assert all(message["type"] != _CLOSE for message in sent[:-1])

    def check_complete(self) -> None:
        """Checks that every call and stream has ended, on a connection that is still open."""
        self.check()
        uploads = {each for message in self._client for each in message.get("streamIds", ())}
        assert self._ended(self._server) == set(self._started(self._client))
        assert self._ended(self._client) == {*uploads, *self._started(self._server)}

    @staticmethod
    def _started(sent: Iterable[dict[str, Any]]) -> list[str]:
        return [
            message["invocationId"]
            for message in sent
            if message["type"] in (_INVOCATION, _STREAM) and "invocationId" in message
        ]

    @staticmethod
    def _ended(sent: Iterable[dict[str, Any]]) -> set[str]:
        return {message["invocationId"] for message in sent if message["type"] == _COMPLETION}

    @staticmethod
    def _check_ends(sent: Iterable[dict[str, Any]], known: set[str]) -> None:
        ended: set[str] = set()
        for message in sent:
            if message["type"] in (_ITEM, _COMPLETION):
                assert message["invocationId"] in known - ended
                if message["type"] == _COMPLETION:
                    ended.add(message["invocationId"])
