"""A pending call of a client: its completion becomes a result or an error (C-8 to C-11)."""

import asyncio
from typing import Any

from msgspec import Raw

from ..errors import ArgumentBindingError, HubException, SignalRError, unreadable_value
from ..hub_protocol import HubProtocol
from ..messages import VOID, Completion


class ClientCall:
    """A ``PendingCall`` whose caller awaits ``answer``.

    Raises TypeError if ``result_type`` is a type that cannot be read.
    """

    def __init__(
        self, hub_protocol: HubProtocol, result_type: Any, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._hub_protocol = hub_protocol
        self._result_type = result_type
        self._read_result = hub_protocol.value_reader(result_type)
        self.answer: asyncio.Future[Any] = loop.create_future()

    def complete(self, completion: Completion) -> None:
        """See PendingCall."""
        if completion.error:
            self.fail(HubException(completion.error))
            return
        result = completion.result
        if result == VOID:  # a completion without a result is read like null (C-25)
            if self._result_type is Raw:
                self._set_result(VOID)
                return
            result = self._hub_protocol.encode_value(None)
        try:
            value = self._read_result(result)
        except ArgumentBindingError as error:
            self.fail(unreadable_value("result", self._result_type, error))
        else:
            self._set_result(value)

    def fail(self, error: SignalRError) -> None:
        """See PendingCall."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def _set_result(self, value: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(value)
