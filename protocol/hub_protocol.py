"""What every hub protocol can do, whatever its bytes look like.

A hub protocol turns records into messages and back, and values into payloads and back. Framing,
names of hub methods and what a message causes are decided elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, ClassVar, Final

from msgspec import Raw

from .errors import LocalProtocolError
from .framing import Framer
from .messages import HubMessage, Invocation, ReceivedMessage


class TransferFormat(Enum):
    """What a transport has to be able to carry."""  # LA-4

    TEXT = "Text"
    BINARY = "Binary"


class HubProtocol(ABC):
    """A hub protocol; stateless, one instance serves any number of connections."""

    name: ClassVar[str]
    version: ClassVar[int]
    transfer_format: ClassVar[TransferFormat]

    @abstractmethod
    def framer(self, maximum_size: int | None) -> Framer:
        """A new framer for one connection's stream."""

    @abstractmethod
    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        """The message in one record, or None for a type that is to be ignored.

        Raises RemoteProtocolError with .NET's text when the record is no hub message. Whether the
        arguments of an invocation are an array may be left to ``require_arguments`` and the
        arguments readers.
        """  # J-9

    def decode_all(self, records: Iterable[bytes], /) -> Iterator[ReceivedMessage | None]:
        """``decode`` of each record, in turn, as far as the iterator is advanced."""
        return map(self.decode, records)

    @abstractmethod
    def require_arguments(self, arguments: Raw) -> None:
        """Raises RemoteProtocolError when arguments are no array.

        For callers that pass arguments on or drop them without reading them.
        """  # J-3

    @abstractmethod
    def encode(self, message: HubMessage) -> bytes:
        """The whole frame of ``message``."""

    @abstractmethod
    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """The frame of a completion with a result that is no Raw yet: both steps in one.

        Raises LocalProtocolError when the result has no representation.
        """

    @abstractmethod
    def encode_value(self, value: Any) -> Raw:
        """The payload for a result or an item; a Raw is taken as it is.

        Raises LocalProtocolError when the value has no representation.
        """

    @abstractmethod
    def encode_arguments(self, values: Sequence[Any]) -> Raw:
        """The payload for arguments; a Raw among the values is taken as it is.

        Raises LocalProtocolError when a value has no representation.
        """

    @abstractmethod
    def arguments_reader(self, annotations: Sequence[Any]) -> "ArgumentsReader":
        """A reader, made once per handler, of arguments declared as ``annotations``."""

    @abstractmethod
    def value_reader(self, annotation: Any, /) -> "ValueReader":
        """A reader, made once per annotation, of a result or an item."""


ArgumentsReader = Callable[[Raw], Sequence[Any]]
"""Payload → one value per declared parameter. Raises ArgumentBindingError, or
RemoteProtocolError where the payload is no array."""  # S-5, S-6, J-3

ValueReader = Callable[[Raw], Any]
"""Payload → value. Raises ArgumentBindingError."""


class SerializedHubMessage:
    """An invocation that goes to many connections, encoded once per hub protocol in use."""  # G-8

    __slots__ = ("_arguments", "_frames", "target")

    def __init__(self, target: str, arguments: Sequence[Any]) -> None:
        self.target: Final = target
        self._arguments = arguments
        self._frames: dict[str, bytes | LocalProtocolError] = {}

    def frame(self, hub_protocol: HubProtocol) -> bytes:
        """The frame for connections that speak ``hub_protocol``: the same object each time.

        Raises LocalProtocolError when an argument has no representation in it.
        """
        frame = self._frames.get(hub_protocol.name)
        if type(frame) is bytes:  # as for all receivers but the first
            return frame
        if frame is None:
            frame = self._frames[hub_protocol.name] = self._encode(hub_protocol)
        if isinstance(frame, LocalProtocolError):
            raise frame.with_traceback(None)  # else it would collect those of all receivers
        return frame

    def _encode(self, hub_protocol: HubProtocol) -> bytes | LocalProtocolError:
        try:
            arguments = hub_protocol.encode_arguments(self._arguments)
            return hub_protocol.encode(Invocation(target=self.target, arguments=arguments))
        except LocalProtocolError as error:  # which is found out once, too
            return error
