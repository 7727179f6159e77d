"""The shape of the files under ``spec-fixtures`` and how they are loaded.

An unknown kind, an unknown key, a missing key or a file without vectors is an error, so that every
vector is tested. ``test_vectors`` decides what a vector requires of the library.
``spec-fixtures/README.md`` describes the format.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from protocol import messages
from tests.support.checkout import ROOT

FIXTURES: Final = ROOT / "spec-fixtures"
RECORDED: Final = ("wire/", "recorded-client/", "original-gateway/")
_RULE: Final = re.compile(r"(0|[A-Z]{1,3})-[0-9]+[a-z]?")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Hex(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that are no UTF-8."""

    hex: str


Text: TypeAlias = str | Hex
Direction: TypeAlias = Literal["read", "write", "both"]


ReadBytes: TypeAlias = Callable[[Any], bytes]
Octets: TypeAlias = bytes  # where a vector's own `bytes` hides the type


def raw_bytes(text: Text) -> bytes:
    """The bytes that a vector's text stands for."""
    return bytes.fromhex(text.hex) if isinstance(text, Hex) else text.encode()


def hex_bytes(text: Text) -> bytes:
    """The bytes of a vector that has them all in hex."""
    assert isinstance(text, str)
    return bytes.fromhex(text)


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """A hub message; fields that are left out have the library's defaults."""

    type: Literal[
        "Invocation",
        "StreamItem",
        "Completion",
        "StreamInvocation",
        "CancelInvocation",
        "Ping",
        "Close",
        "Ack",
        "Sequence",
    ]
    headers: dict[str, str] | UnsetType = UNSET
    invocation_id: str | UnsetType = UNSET
    target: str | UnsetType = UNSET
    arguments: Text | UnsetType = UNSET
    stream_ids: tuple[str, ...] | UnsetType = UNSET
    item: Text | UnsetType = UNSET
    result: Text | UnsetType = UNSET
    error: str | UnsetType = UNSET
    allow_reconnect: bool | UnsetType = UNSET
    sequence_id: int | UnsetType = UNSET

    def build(self, read: ReadBytes) -> messages.HubMessage:
        """The library's message; ``read`` gives the bytes of a payload.

        Raises TypeError for a field this type of message has not.
        """
        fields: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name != "type" and value is not UNSET:
                is_payload = name in ("arguments", "item", "result")
                fields[name] = Raw(read(value)) if is_payload else value
        kind: type[messages.HubMessage] = getattr(messages, self.type)
        return kind(**fields)


class BindingFailure(Struct, frozen=True, forbid_unknown_fields=True):
    """One call fails; ``exception`` is the name .NET's detailed error begins with."""

    invocation_id: str
    target: str
    exception: str


class StreamBindingFailure(Struct, frozen=True, forbid_unknown_fields=True):
    """One stream fails; ``exception`` as above."""

    invocation_id: str
    exception: str


class _Vector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    rule: str
    note: str | UnsetType = UNSET


class MessageVector(_Vector, frozen=True, kw_only=True):
    """One record of a hub protocol. Exactly one of its meanings is set."""

    read_bytes: ClassVar[ReadBytes]
    direction: Direction
    bytes: Text
    message: Message | UnsetType = UNSET
    error: str | UnsetType | None = UNSET
    exception: str = "InvalidDataException"
    binding_failure: BindingFailure | UnsetType = UNSET
    stream_binding_failure: StreamBindingFailure | UnsetType = UNSET
    ignored: Literal[True] | UnsetType = UNSET

    @property
    def record(self) -> Octets:
        """The bytes on the wire, without the separator or length."""
        return type(self).read_bytes(self.bytes)

    def build(self) -> messages.HubMessage:
        """The message it is."""
        assert self.message is not UNSET
        return self.message.build(type(self).read_bytes)


class JsonVector(MessageVector, frozen=True, kw_only=True):
    """One record of the JSON hub protocol."""

    read_bytes: ClassVar[ReadBytes] = staticmethod(raw_bytes)


class MessagePackVector(MessageVector, frozen=True, kw_only=True):
    """One message of the MessagePack hub protocol; all bytes are in hex."""

    read_bytes: ClassVar[ReadBytes] = staticmethod(hex_bytes)


class MessagePackValueVector(_Vector, frozen=True, kw_only=True):
    """A payload of a declared type in hex, and the same value's JSON text; or it is refused."""

    direction: Direction
    type: str
    bytes: str
    json: str | UnsetType = UNSET
    refused: Literal[True] | UnsetType = UNSET


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """A handshake request."""

    protocol: str
    version: int


class HandshakeRequestVector(_Vector, frozen=True, kw_only=True):
    """A handshake request; ``answer`` is what a server sends back where it can be read."""

    direction: Literal["read", "both"]
    bytes: Text
    message: Request | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    transfer_formats: tuple[str, ...] = ("Text", "Binary")
    maximum_size: int | None = None
    error: str | UnsetType | None = UNSET
    exception: str = "InvalidDataException"


class HandshakeResponseVector(_Vector, frozen=True, kw_only=True):
    """A handshake response; ``refusal`` is the text a server refuses with."""

    direction: Literal["read", "both"]
    bytes: Text
    accepted: Literal[True] | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET


class HttpQueryVector(_Vector, frozen=True, kw_only=True):
    """The query of a request, and the values of a key in it."""

    query: str
    key: str
    values: tuple[str, ...]


class NegotiateVersionVector(_Vector, frozen=True, kw_only=True):
    """The values of negotiateVersion in a query, and the version or error answered with."""

    values: tuple[str, ...]
    minimum: int = 0
    version: int | UnsetType = UNSET
    error: str | UnsetType = UNSET


class Transport(Struct, frozen=True, forbid_unknown_fields=True):
    """One of ``available_transports``."""

    transport: str
    transfer_formats: tuple[str, ...]


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """A negotiate answer; what is left out is absent."""

    use_stateful_reconnect: bool = False
    negotiate_version: int | UnsetType = UNSET
    url: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET
    connection_id: str | UnsetType = UNSET
    connection_token: str | UnsetType = UNSET
    available_transports: tuple[Transport, ...] | UnsetType = UNSET


class NegotiateResponseVector(_Vector, frozen=True, kw_only=True):
    """A negotiate answer; ``token`` is the ``id`` of the requests that follow an offer."""

    direction: Literal["read", "both"]
    bytes: Text
    message: Offer | UnsetType = UNSET
    token: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET


class NegotiateUrlVector(_Vector, frozen=True, kw_only=True):
    """A hub's URL, and those of its negotiate and of its WebSocket."""

    url: str
    negotiate: str
    token: str | None
    web_socket: str


class FramingVector(_Vector, frozen=True, kw_only=True):
    """A stream and its records; ``partial`` when it ends inside one."""

    bytes: Text
    records: tuple[Text, ...]
    maximum_size: int | None = None
    partial: bool | UnsetType = UNSET
    error: str | UnsetType = UNSET


class BinaryFramingVector(_Vector, frozen=True, kw_only=True):
    """A stream of messages behind their lengths; all bytes are in hex."""

    bytes: str
    records: tuple[str, ...]
    maximum_size: int | None = None
    partial: bool | UnsetType = UNSET
    error: str | UnsetType = UNSET
    exception: str = "InvalidDataException"


class TranscodingVector(_Vector, frozen=True, kw_only=True):
    """A value in both hub protocols, or bytes of MessagePack (in hex) that have no JSON form."""

    direction: Literal["both", "to-messagepack", "to-json"]
    messagepack: str
    json: str | UnsetType = UNSET
    error: Literal[True] | UnsetType = UNSET


class _File(Struct, tag_field="kind", forbid_unknown_fields=True):
    about: str


class JsonFile(_File, tag="json"):
    vectors: list[JsonVector]


class HandshakeRequestFile(_File, tag="handshake-request"):
    vectors: list[HandshakeRequestVector]


class HandshakeResponseFile(_File, tag="handshake-response"):
    vectors: list[HandshakeResponseVector]


class HttpQueryFile(_File, tag="http-query"):
    vectors: list[HttpQueryVector]


class NegotiateVersionFile(_File, tag="negotiate-version"):
    vectors: list[NegotiateVersionVector]


class NegotiateResponseFile(_File, tag="negotiate-response"):
    vectors: list[NegotiateResponseVector]


class NegotiateUrlFile(_File, tag="negotiate-url"):
    vectors: list[NegotiateUrlVector]


class FramingFile(_File, tag="framing"):
    vectors: list[FramingVector]


class BinaryFramingFile(_File, tag="binary-framing"):
    vectors: list[BinaryFramingVector]


class MessagePackFile(_File, tag="messagepack"):
    vectors: list[MessagePackVector]


class MessagePackValueFile(_File, tag="messagepack-value"):
    vectors: list[MessagePackValueVector]


class TranscodingFile(_File, tag="transcoding"):
    vectors: list[TranscodingVector]


FixtureFile: TypeAlias = (
    JsonFile
    | HandshakeRequestFile
    | HandshakeResponseFile
    | HttpQueryFile
    | NegotiateVersionFile
    | NegotiateResponseFile
    | NegotiateUrlFile
    | FramingFile
    | TranscodingFile
    | BinaryFramingFile
    | MessagePackFile
    | MessagePackValueFile
)
_V = TypeVar("_V", bound=_Vector)


@dataclass(frozen=True)
class Fixture:
    """One file, decoded."""

    path: str
    content: FixtureFile


def load() -> list[Fixture]:
    """Every file of vectors under ``spec-fixtures``. Raises ValueError naming the culprit.

    What is under ``RECORDED`` are recordings, which other tests play: ``wire``,
    ``recorded_client`` and ``interop``.
    """
    decode = msgspec.json.Decoder[FixtureFile](FixtureFile).decode
    fixtures = []
    for path in sorted(path for path in FIXTURES.rglob("*") if path.is_file()):
        relative = path.relative_to(FIXTURES).as_posix()
        if relative == "README.md" or relative.startswith(RECORDED):
            continue
        try:
            content = decode(path.read_bytes())
            _check(content)
        except ValueError as error:
            raise ValueError(f"spec-fixtures/{relative}: {error}") from error
        fixtures.append(Fixture(relative, content))
    return fixtures


def _check(content: FixtureFile) -> None:
    names = [vector.name for vector in content.vectors]
    if not names:
        raise ValueError("no vectors")
    for vector in content.vectors:
        if not _NAME.fullmatch(vector.name) or names.count(vector.name) != 1:
            raise ValueError(f"bad or repeated name {vector.name!r}")
        if not _RULE.fullmatch(vector.rule):
            raise ValueError(f"{vector.name}: no rule {vector.rule!r}")
        outcomes = _outcomes(vector)
        if outcomes is not None and outcomes != 1:
            raise ValueError(f"{vector.name}: {outcomes} outcomes")


def _outcomes(vector: _Vector) -> int | None:
    """The number of meanings of a vector; None for kinds with only one."""
    said: tuple[object, ...]
    match vector:
        case MessageVector():
            failures = (vector.binding_failure, vector.stream_binding_failure)
            said = (vector.message, vector.error, vector.ignored, *failures)
        case HandshakeRequestVector() | NegotiateResponseVector():
            said = (vector.message, vector.error)
        case HandshakeResponseVector():
            said = (vector.accepted, vector.error)
        case NegotiateVersionVector():
            said = (vector.version, vector.error)
        case FramingVector() | BinaryFramingVector():
            said = (vector.partial, vector.error)
        case MessagePackValueVector():
            said = (vector.json, vector.refused)
        case TranscodingVector():
            said = (vector.json, vector.error)
        case _:
            return None
    return sum(outcome is not UNSET for outcome in said)


def vectors_of(fixtures: list[Fixture], kind: type[_V]) -> dict[str, _V]:
    """All vectors of one kind by test id: ``json/type/null``."""
    return {
        f"{fixture.path.removesuffix('.json')}/{vector.name}": vector
        for fixture in fixtures
        for vector in fixture.content.vectors
        if isinstance(vector, kind)
    }
