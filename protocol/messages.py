"""The nine hub messages as data.

A message is a frozen Struct whose fields are those of the wire. Payloads (arguments, items,
results) are ``msgspec.Raw``: undecoded text or bytes of the hub protocol that carries the message.
A consumer decodes a payload once, straight into the declared types. A gateway does not decode it. A
received Raw keeps the whole received frame in memory: ``copy()`` a Raw before storing it.

``json`` and ``messagepack`` define the bytes of each message. ``peer_state`` lists the messages
that each end may send. ``client.connection`` and ``server.invoker`` act on received messages.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias, final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

VOID: Final = Raw(b"")
"""The payload of a completion without a result."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
"""The headers of nearly all messages. A new dict for each message would make decoding a tenth
slower."""


Int64: TypeAlias = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""An integer in the range that .NET reads. msgspec checks the range when it decodes."""

RequiredText: TypeAlias = Annotated[str, Meta(min_length=1)]
"""A text that is not empty. .NET treats an empty text as missing. msgspec checks the length when it
decodes."""


class Role(Enum):
    """One of the two ends of a connection."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def other(self) -> "Role":
        """The role of the other end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class MessageType(IntEnum):
    """The number of each message on the wire."""

    INVOCATION = 1
    STREAM_ITEM = 2
    COMPLETION = 3
    STREAM_INVOCATION = 4
    CANCEL_INVOCATION = 5
    PING = 6
    CLOSE = 7
    ACK = 8
    SEQUENCE = 9


# The Structs also define the form of their JSON: tag, camelCase, order of properties (J-12). The
# fast JSON reader decodes into them. It refuses a record with unknown fields; the full reader then
# reads the record and skips those fields: see json/protocol.py.
class _Message(
    Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,  # no message can be part of a reference cycle
):
    pass


@final
class Invocation(_Message, frozen=True, kw_only=True, tag=1):
    """Calls ``target``. An empty ``invocation_id`` means that no answer is expected."""

    headers: Mapping[str, str] = NO_HEADERS
    invocation_id: str = ""
    target: str
    arguments: Raw
    stream_ids: tuple[str, ...] = ()


@final
class StreamItem(_Message, frozen=True, kw_only=True, tag=2):
    """One item of a stream in either direction."""

    headers: Mapping[str, str] = NO_HEADERS
    invocation_id: RequiredText
    item: Raw


@final
class Completion(_Message, frozen=True, kw_only=True, tag=3):
    """The end of a call or stream: an error, a result, or neither (``result`` is ``VOID``).

    A null result, ``Raw(b"null")`` in JSON, is not the same as no result. A receiver treats an
    error of ``""`` as no error, as .NET does.
    """  # C-25, J-12

    headers: Mapping[str, str] = NO_HEADERS
    invocation_id: RequiredText
    error: str | UnsetType = UNSET
    result: Raw = VOID


@final
class StreamInvocation(_Message, frozen=True, kw_only=True, tag=4):
    """Calls ``target``, a method that answers with a stream."""

    headers: Mapping[str, str] = NO_HEADERS
    invocation_id: RequiredText
    target: str
    arguments: Raw
    stream_ids: tuple[str, ...] = ()


@final
class CancelInvocation(_Message, frozen=True, kw_only=True, tag=5):
    """Asks the other end to stop a stream or, from .NET 11 on, a call."""  # S-27

    headers: Mapping[str, str] = NO_HEADERS
    invocation_id: RequiredText


class Ping(_Message, frozen=True, kw_only=True, tag=6):
    """Keeps the connection alive; never answered."""  # K-5


class Close(_Message, frozen=True, kw_only=True, tag=7):
    """Ends the connection. ``allow_reconnect`` says whether the client may reconnect."""

    error: str | UnsetType = UNSET
    allow_reconnect: bool = False


@final
class Ack(_Message, frozen=True, kw_only=True, tag=8):
    """Stateful reconnect: the sender has received all messages up to ``sequence_id``."""

    sequence_id: Int64


@final
class Sequence(_Message, frozen=True, kw_only=True, tag=9):
    """Stateful reconnect: ``sequence_id`` is the number of the next message."""

    sequence_id: Int64


class InvocationBindingFailure(Struct, frozen=True, kw_only=True, gc=False):
    """An invocation whose arguments cannot be read.

    It fails the call, not the connection. ``error`` is the text for detailed errors: the name of
    the .NET exception, a colon and its text.
    """  # S-21

    invocation_id: str
    target: str
    error: str


class StreamBindingFailure(Struct, frozen=True, kw_only=True, gc=False):
    """A stream item that cannot be read. It fails its stream, not the connection."""  # U-7, J-8

    invocation_id: str
    error: str


HubMessage: TypeAlias = (
    Invocation
    | StreamItem
    | Completion
    | StreamInvocation
    | CancelInvocation
    | Ping
    | Close
    | Ack
    | Sequence
)
ReceivedMessage: TypeAlias = HubMessage | InvocationBindingFailure | StreamBindingFailure
