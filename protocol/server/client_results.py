"""Client results: the server calls one client and waits for its answer (section CR).

``ClientResults`` assigns the ids, matches answers to calls, and converts results. ``clients`` has
the methods that hubs call. ``lifetime`` finds the connection. ``call_slot`` frees the slot of a hub
method that waits for an answer.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, Raw

from ..errors import (
    ArgumentBindingError,
    ConnectionClosed,
    HubException,
    RemoteProtocolError,
    unreadable_value,
)
from ..hub_protocol import ValueReader
from ..messages import VOID, Completion, Invocation
from .connection_context import HubConnectionContext

# What .NET raises for an answer with neither a result nor an error.
_NOTHING: Final = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."


class ClientResults:
    """The calls of one lifetime manager that wait for the answers of connections of this process.

    A call ends once: with the first answer, with the end of its connection, or because its caller
    stops waiting. Later answers are ignored.
    """

    __slots__ = ("_asked", "_last_id")

    def __init__(self) -> None:
        self._last_id = 0
        self._asked: dict[str, HubConnectionContext] = {}  # by invocation id

    def __len__(self) -> int:
        return len(self._asked)

    async def ask(
        self,
        connection: HubConnectionContext,
        target: str,
        arguments: Sequence[Any],
        result_type: Any,
    ) -> Any:
        """Calls ``target`` on ``connection`` and returns the result, converted to ``result_type``.

        Raises HubException when the client answers with an error, or with a result that does not
        fit. Raises ConnectionClosed when the connection ends before the answer. Raises TypeError
        when no result can be read into ``result_type``, and LocalProtocolError when an argument
        cannot be written.
        """  # CR-5
        hub_protocol = connection.hub_protocol
        read_result = hub_protocol.value_reader(result_type)
        payload = hub_protocol.encode_arguments(arguments)
        self._last_id += 1
        invocation_id = f"s{self._last_id}"  # CR-1
        call = Invocation(invocation_id=invocation_id, target=target, arguments=payload)
        frame = hub_protocol.encode(call)
        answer = connection.open_result(invocation_id)
        self._asked[invocation_id] = connection
        try:
            connection.write(frame)
            await connection.drain()
            completion = await answer
        finally:
            self._asked.pop(invocation_id, None)
            connection.results.pop(invocation_id, None)
        if completion is None:
            raise ConnectionClosed(f"Connection '{connection.connection_id}' disconnected.")
        return _result_of(completion, read_result, result_type)

    def settle(self, connection: HubConnectionContext, completion: Completion) -> None:
        """Ends the call that ``completion`` answers, which was received on ``connection``.

        An answer to no pending call is ignored. Raises RemoteProtocolError if the call was sent to
        another connection; the call stays pending.
        """  # S-25, CR-7
        invocation_id = completion.invocation_id
        asked = self._asked.get(invocation_id)
        if asked is None:
            return
        if asked is not connection:
            raise RemoteProtocolError(
                f"Connection ID '{connection.connection_id}' is not valid for invocation ID "
                f"'{invocation_id}'.",
                "InvalidOperationException",
                summary="It answered a call that was sent to another connection.",
            )
        del self._asked[invocation_id]
        answer = connection.results.pop(invocation_id, None)
        if answer is not None and not answer.done():  # the caller may be cancelled in this turn
            answer.set_result(completion)


def _result_of(completion: Completion, read_result: ValueReader, result_type: Any) -> Any:
    if completion.error is not UNSET:  # even an empty text is an error here
        raise HubException(completion.error)
    if completion.result == VOID:
        raise HubException(_NOTHING)
    try:
        result = read_result(completion.result)
    except ArgumentBindingError as error:
        raise unreadable_value("result", result_type, error.__cause__ or error) from error
    return result.copy() if type(result) is Raw else result
