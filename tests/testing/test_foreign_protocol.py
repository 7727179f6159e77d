"""A hub protocol that uses only public names: it passes the contract suite and serves a hub."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from protocol import (
    ArgumentBindingError,
    ArgumentsReader,
    Framer,
    Hub,
    HubConnectionBuilder,
    HubMessage,
    HubOptions,
    HubProtocol,
    LocalProtocolError,
    ReceivedMessage,
    RemoteProtocolError,
    TransferFormat,
    ValueReader,
    hub_method,
)
from protocol.testing import HubProtocolContract
from tests.transports.host import Host

HEADER = 4  # bytes with the length of what follows them


class BlockFramer:
    """Messages behind their lengths."""

    def __init__(self, maximum_size: int | None) -> None:
        self._maximum_size = maximum_size
        self._begun = b""

    @property
    def has_partial(self) -> bool:
        return bool(self._begun)

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._begun += data
        while len(self._begun) >= HEADER:
            end = HEADER + int.from_bytes(self._begun[:HEADER])
            if self._maximum_size is not None and end > self._maximum_size:
                raise RemoteProtocolError("The message is too large.")
            if len(self._begun) < end:
                return
            record, self._begun = self._begun[HEADER:end], self._begun[end:]
            yield record


class BlockProtocol(HubProtocol):
    """Messages and values as msgspec writes them in JSON, in blocks."""

    name: ClassVar[str] = "blocks"
    version: ClassVar[int] = 1
    transfer_format: ClassVar[TransferFormat] = TransferFormat.BINARY

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(HubMessage)

    def framer(self, maximum_size: int | None) -> Framer:
        return BlockFramer(maximum_size)

    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        try:
            message: HubMessage = self._decoder.decode(record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteProtocolError("The message cannot be read.") from error
        return message

    def require_arguments(self, arguments: Raw) -> None:
        if not bytes(arguments).startswith(b"["):
            raise RemoteProtocolError("The arguments are no array.")

    def encode(self, message: HubMessage) -> bytes:
        return self._block(msgspec.json.encode(message))

    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        payload = self.encode_value(result)
        return self._block(
            msgspec.json.encode({"type": 3, "invocationId": invocation_id, "result": payload})
        )

    def encode_value(self, value: Any) -> Raw:
        try:
            return Raw(msgspec.json.encode(value))
        except TypeError as error:
            raise LocalProtocolError(str(error)) from error

    def encode_arguments(self, values: Sequence[Any]) -> Raw:
        return self.encode_value(list(values))

    def arguments_reader(
        self, annotations: Sequence[Any], required: int | None = None
    ) -> ArgumentsReader:
        readers = [self.value_reader(annotation) for annotation in annotations]
        minimum = len(readers) if required is None else required

        def read(arguments: Raw) -> Sequence[Any]:
            self.require_arguments(arguments)
            values = msgspec.json.decode(arguments, type=list[Raw])
            if not minimum <= len(values) <= len(readers):
                raise ArgumentBindingError(f"Expected {len(readers)} arguments.")
            return [reader(value) for reader, value in zip(readers, values, strict=False)]

        return read

    def value_reader(self, annotation: Any, /) -> ValueReader:
        decoder = msgspec.json.Decoder(annotation)

        def read(payload: Raw) -> Any:
            try:
                return decoder.decode(payload)
            except msgspec.DecodeError as error:
                raise ArgumentBindingError(str(error)) from error

        return read

    @staticmethod
    def _block(body: bytes) -> bytes:
        return len(body).to_bytes(HEADER) + body


class TestBlockProtocol(HubProtocolContract):
    def make(self) -> HubProtocol:
        return BlockProtocol()


class AddingHub(Hub):
    @hub_method
    async def add(self, left: int, right: int) -> int:
        await self.clients.caller.send("Added", [left, right])
        return left + right


async def test_a_hub_and_its_client_speak_it() -> None:
    host = Host()
    host.map(hub_class=AddingHub, hub_options=HubOptions(supported_protocols=(BlockProtocol(),)))
    added: list[Any] = []
    async with host.run():
        builder = HubConnectionBuilder().with_url(f"{host.url}/hub")
        connection = builder.with_hub_protocol(BlockProtocol()).build()
        connection.on("Added", added.append)
        async with connection:
            assert await connection.invoke("Add", 1, 2, result_type=int) == 3
    assert added == [[1, 2]]
