"""Decides what a received message does, and when the next message has to wait.

``connection`` receives the messages. Handlers of events run in ``event_queue``.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..aio.transport import Transport
from ..errors import ConnectionClosed
from ..hub_protocol import HubProtocol
from ..messages import (
    Ack,
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    ReceivedMessage,
    StreamBindingFailure,
    StreamItem,
)
from ..peer import HubPeer
from .calls import SEND_HIGH_WATER, ClientCalls
from .downloads import DownloadCounts
from .endings import closed_by
from .event_queue import EventQueue
from .handlers import UNREADABLE, HandlerRegistry

Wait = Callable[[], Coroutine[Any, Any, None]]


class MessageHandler:
    """Handles the messages of one connection.

    Completions and items go to the calls of ``peer``, invocations to ``events``. If the server asks
    for a result and no handler can return one, ``handlers`` supplies the error for the answer.
    ``end`` ends the connection. ``acknowledged`` is called after an Ack.
    """

    __slots__ = (
        "_acknowledged",
        "_calls",
        "_downloads",
        "_end",
        "_events",
        "_handlers",
        "_hub_protocol",
        "_loop",
        "_peer",
        "_transport",
    )

    def __init__(
        self,
        peer: HubPeer,
        transport: Transport,
        hub_protocol: HubProtocol,
        handlers: HandlerRegistry,
        events: EventQueue,
        downloads: DownloadCounts,
        calls: ClientCalls,
        end: Callable[[ConnectionClosed], None],
        acknowledged: Callable[[], None],
    ) -> None:
        self._peer = peer
        self._transport = transport
        self._hub_protocol = hub_protocol
        self._handlers = handlers
        self._events = events
        self._downloads = downloads
        self._calls = calls
        self._end = end
        self._acknowledged = acknowledged
        self._loop = asyncio.get_running_loop()

    def handle(self, message: ReceivedMessage) -> Wait | None:
        """Handles a message. If the next message has to wait, returns the function to await."""
        match message:
            case StreamItem() | StreamBindingFailure():
                self._peer.calls.add_item(message)
                return self._wait_for_program if self._downloads.is_full else None
            case Completion():
                self._peer.calls.settle(message)
            case Invocation():
                return self._handle_invocation(message)
            case InvocationBindingFailure():
                if message.invocation_id:
                    self._calls.answer(message.invocation_id, None, UNREADABLE)
            case Close():
                self._end(closed_by(message))
            case Ack():
                self._acknowledged()
            case _:
                pass
        return None

    def _handle_invocation(self, invocation: Invocation) -> Wait | None:
        self._hub_protocol.require_arguments(invocation.arguments)
        invocation_id = invocation.invocation_id
        if not invocation_id:
            self._events.put(invocation)
        else:
            error = self._handlers.refusal(invocation)
            if error is None:
                self._events.ask(invocation, partial(self._calls.answer, invocation_id))
            else:
                self._events.put(invocation)
                self._calls.answer(invocation_id, None, error)
            # If the server does not read these answers, the client stops reading too. If the server
            # does not read the client's calls, the client continues to read: the server may be
            # waiting until the client has read.
            if self._transport.buffered > SEND_HIGH_WATER:
                return self._transport.drain
        return self._wait_for_program if self._events.is_full else None

    async def _wait_for_program(self) -> None:
        """Returns when handlers and loops over streams have taken enough received messages."""
        self._peer.keep_alive.suspend()
        with self._downloads.pause():
            await self._events.pauses.wait_while(
                lambda: self._events.is_full or self._downloads.is_full
            )
        self._peer.keep_alive.resume(self._loop.time())
