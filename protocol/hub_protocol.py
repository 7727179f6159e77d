"""The interface of a hub protocol, and messages that are encoded once for many connections.

A hub protocol converts records to messages and back, and values to payloads and back. A record is
the bytes of one message. A frame is a record with its delimiter: the separator after it in JSON, or
its length before it in MessagePack. Splitting bytes into records is left to ``framing`` and
``messagepack.framing``. ``peer`` decides which messages are legal. ``client.connection`` and
``server.invoker`` decide what a message causes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, ClassVar, Final

from msgspec import Raw

from .errors import LocalProtocolError
from .framing import Framer
from .messages import HubMessage, Invocation, ReceivedMessage, StreamItem


class TransferFormat(Enum):
    """What a transport must be able to carry: text, or any bytes."""  # LA-4

    TEXT = "Text"
    BINARY = "Binary"


class HubProtocol(ABC):
    """A hub protocol. It is stateless: one instance serves any number of connections.

    ``name`` is its name in the handshake, ``version`` the highest version that a client may ask
    for. ``transfer_format`` is what a transport must be able to carry.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    transfer_format: ClassVar[TransferFormat]

    @abstractmethod
    def framer(self, maximum_size: int | None) -> Framer:
        """A new framer for the bytes of one connection.

        ``maximum_size`` limits the bytes of one frame; None means no limit.
        """

    @abstractmethod
    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        """The message in one record, or None for a message type that is ignored.

        Raises RemoteProtocolError with .NET's text if the record is not a hub message. A subclass
        need not check here whether the arguments of an invocation are an array, because
        ``require_arguments`` and the arguments readers check it.
        """  # J-9

    def decode_all(self, records: Iterable[bytes], /) -> Iterator[ReceivedMessage | None]:
        """The result of ``decode`` for each record, decoded as the iterator advances."""
        return map(self.decode, records)

    @abstractmethod
    def require_arguments(self, arguments: Raw) -> None:
        """Raises RemoteProtocolError if ``arguments`` is not an array.

        Callers use it for arguments that they forward or drop without reading them.
        """  # J-3

    @abstractmethod
    def encode(self, message: HubMessage) -> bytes:
        """The frame of ``message``, delimiter included.

        Raises LocalProtocolError if a payload in it cannot be part of a frame.
        """

    @abstractmethod
    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """The frame of a completion with a result: ``encode_value`` and ``encode`` in one step.

        Raises LocalProtocolError if the result has no representation.
        """

    def encode_item(self, invocation_id: str, item: Any) -> bytes:
        """The frame of a stream item: ``encode_value`` and ``encode`` in one step.

        Raises LocalProtocolError if the item has no representation.
        """
        return self.encode(StreamItem(invocation_id=invocation_id, item=self.encode_value(item)))

    @abstractmethod
    def encode_value(self, value: Any) -> Raw:
        """The payload for a result or an item; a Raw is used unchanged.

        Raises LocalProtocolError if the value has no representation.
        """

    @abstractmethod
    def encode_arguments(self, values: Sequence[Any]) -> Raw:
        """The payload for arguments, which is an array. A Raw among the values is used unchanged.

        Raises LocalProtocolError if a value has no representation.
        """

    @abstractmethod
    def arguments_reader(
        self, annotations: Sequence[Any], required: int | None = None
    ) -> "ArgumentsReader":
        """A reader of arguments declared as ``annotations``; made once per handler.

        The arguments after the first ``required`` ones may be missing; by default none may. Raises
        TypeError for an annotation that no payload can be read into.
        """

    @abstractmethod
    def value_reader(self, annotation: Any, /) -> "ValueReader":
        """A reader of a result or an item declared as ``annotation``; made once per annotation.

        Raises TypeError for an annotation that no payload can be read into.
        """


ArgumentsReader = Callable[[Raw], Sequence[Any]]
"""Payload → one value per argument.

Raises ArgumentBindingError. If the payload is not an array, it may raise RemoteProtocolError.
"""  # S-5, S-6, J-3

ValueReader = Callable[[Raw], Any]
"""Payload → value. Raises ArgumentBindingError."""


class SerializedHubMessage:
    """An invocation for many connections, encoded once per hub protocol that they use."""  # G-8

    __slots__ = ("_arguments", "_frames", "target")

    def __init__(self, target: str, arguments: Sequence[Any]) -> None:
        self.target: Final = target
        self._arguments = arguments
        self._frames: dict[str, bytes | LocalProtocolError] = {}

    def frame(self, hub_protocol: HubProtocol) -> bytes:
        """The frame for connections that speak ``hub_protocol``, the same object each time.

        Raises LocalProtocolError if an argument has no representation in that hub protocol.
        """
        frame = self._frames.get(hub_protocol.name)
        if type(frame) is bytes:  # true for all receivers but the first
            return frame
        if frame is None:
            frame = self._frames[hub_protocol.name] = self._encode(hub_protocol)
        if isinstance(frame, LocalProtocolError):
            raise frame.with_traceback(None)  # the tracebacks of earlier receivers would stay in it
        return frame

    def _encode(self, hub_protocol: HubProtocol) -> bytes | LocalProtocolError:
        try:
            arguments = hub_protocol.encode_arguments(self._arguments)
            return hub_protocol.encode(Invocation(target=self.target, arguments=arguments))
        except LocalProtocolError as error:  # kept, so that encoding is tried once
            return error
