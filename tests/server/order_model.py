"""A simple model of a server, which handles a client's messages one at a time, without tasks.

The rules are P-1, P-2, L-2…L-5, S-20, S-24 and S-26. For each event, ``ModelServer`` returns which
calls start and end, and what is sent. ``Message`` is a message that a client may send.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.hub_messages import CLOSE, CLOSE_AND_RECONNECT, PING, call, failure, result

from .endings import closed

Kind = Literal["call", "unknown", "misfit", "stream", "ping", "close", "garbage"]
Outcome = Literal["value", "failure", "abort"]


@dataclass(frozen=True)
class Message:
    """``gates`` are the events that a call waits for, one after another, before its ``outcome``."""

    kind: Kind
    number: int
    gates: tuple[str, ...] = ()
    outcome: Outcome = "value"
    is_async: bool = True
    yields: int = 0
    has_id: bool = True

    @property
    def id(self) -> str | None:
        return str(self.number) if self.has_id else None

    def record(self) -> Any:
        """The message that the client sends."""
        match self.kind:
            case "call":
                name = "Wait" if self.is_async else "Act"
                return call(name, str(self.number), id=self.id)
            case "unknown":
                return call("Nobody", id=self.id)
            case "misfit":
                return call("Act", 1, 2, id=self.id)
            case "stream":
                return {**call("Act", "x", id=str(self.number)), "type": 4}
            case "ping":
                return PING
            case "close":
                return CLOSE
            case "garbage":
                return {"type": 3}

    def refusal(self) -> Any:
        """The answer that needs no slot (P-2, P-3)."""
        match self.kind:
            case "unknown":
                text = (
                    "Failed to invoke 'Nobody' due to an error on the server."
                    " HubException: Method does not exist."
                )
            case "misfit":
                text = "Failed to invoke 'Act' due to an error on the server."
            case _:
                text = (
                    "The client attempted to invoke the non-streaming 'Act' method with a"
                    " streaming invocation."
                )
        return failure(text, str(self.number))

    def answer(self) -> Any:
        """The completion of the call."""
        if self.outcome == "failure":
            name = "Wait" if self.is_async else "Act"
            return failure(
                f"An unexpected error occurred invoking '{name}' on the server.", str(self.number)
            )
        return result(str(self.number), str(self.number))


@dataclass
class ModelServer:
    """``slots`` calls at once; ``connecting`` until OnConnected is through."""

    slots: int
    connecting: bool
    journal: list[str] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """The error that OnDisconnected was called with."""

    def __post_init__(self) -> None:
        self._queue: deque[Message] = deque()
        self._running: list[tuple[Message, int]] = []  # with the gates after it
        self._open: set[str] = set()
        self._ending: str | None = None
        self._left = False
        self._inside = False

    @property
    def awaited(self) -> list[str]:
        """The gates at which calls wait."""
        return [message.gates[passed] for message, passed in self._running]

    def receive(self, messages: list[Message]) -> None:
        self._queue += messages
        self._serve()

    def finish(self, inside_message: bool) -> None:
        """Ends the client's stream."""
        self._left, self._inside = True, inside_message
        self._end_when_served()

    def open(self, gates: list[str]) -> None:
        self._open |= set(gates)
        for gate in gates:
            for waiting in [it for it in self._running if it[0].gates[it[1]] == gate]:
                self._running.remove(waiting)
                self._go_on(*waiting)
                self._serve()
        self._end_when_served()

    def connect(self, succeeds: bool) -> None:
        """OnConnected has ended (L-2, L-3)."""
        self.connecting = False
        if not succeeds:
            self.end("lost", {"type": 7, "error": closed()["error"]})
        elif self._ending is not None:
            self.told.append(self._ending)
        self._serve()
        self._end_when_served()

    def end(self, error: str, farewell: Any) -> None:
        if self._ending is None:
            self._ending = error
            if farewell is not None:
                self.sent.append(farewell)
            if not self.connecting and error != "lost":
                self.told.append(error)

    def _end_when_served(self) -> None:
        waits = self._queue or (self.connecting and self._inside)
        if self._left and not waits:
            if self._inside:
                self.end("RemoteProtocolError", closed())
            else:
                self.end("None", CLOSE_AND_RECONNECT)

    def _serve(self) -> None:
        while self._queue and self._ending is None and not self.connecting:
            message = self._queue[0]
            if message.kind == "call" and len(self._running) == self.slots:
                return
            self._queue.popleft()
            match message.kind:
                case "call":
                    self._start(message)
                case "ping":
                    pass
                case "close":
                    self.end("None", CLOSE)
                case "garbage":
                    self.end("RemoteProtocolError", closed())
                case _:
                    if message.has_id:
                        self._send(message.refusal())

    def _start(self, message: Message) -> None:
        self.journal.append(f"+{message.number}")
        if message.yields:  # with one slot, messages that need no slot come first
            self._running.append((message, 0))
            self._serve()
            self._running.pop()
        self._go_on(message, 0)

    def _go_on(self, message: Message, passed: int) -> None:
        while passed < len(message.gates):
            if message.gates[passed] not in self._open:
                self._running.append((message, passed))
                return
            passed += 1
        self.journal.append(f"-{message.number}")
        if message.outcome == "abort":
            self.end("None", CLOSE)
        elif message.has_id:
            self._send(message.answer())

    def _send(self, answer: Any) -> None:
        if self._ending is None:
            self.sent.append(answer)
