"""``Payload``: a value that is given by its bytes in one hub protocol, or in several.

Programs use it to forward values without reading them. ``transcoding`` makes the bytes of the same
value in another hub protocol. ``writing`` accepts a Payload in place of any value.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from ..errors import DECODING_FAILURES, LocalProtocolError, TranscodingError
from ..json.scanner import split_array
from .transcoding import json_to_messagepack, messagepack_to_json_in_steps

Steps = Generator[None, None, Raw]


def _in_one_step(payload: Raw) -> Steps:
    """msgspec transcodes a MiB of JSON in a tenth of a second."""
    yield from ()
    return json_to_messagepack(payload)


_TRANSCODERS: Final[dict[tuple[str, str], Callable[[Raw], Steps]]] = {
    ("json", "messagepack"): _in_one_step,
    ("messagepack", "json"): messagepack_to_json_in_steps,
}
_SPLITTERS: Final[dict[str, Callable[[Raw], list[Raw]]]] = {
    "json": split_array,
    "messagepack": msgspec.msgpack.Decoder(list[Raw]).decode,
}


class Payload:
    """One value, as payloads of one or more hub protocols.

    A form that is not given is transcoded when it is first needed, once for all receivers.
    """

    __slots__ = ("_failures", "_forms", "_origin")

    def __init__(self, forms: Mapping[str, Raw]) -> None:
        """``Payload({"json": Raw(b"[1]")})``. Other forms are made from the first of ``forms``."""
        self._forms = dict(forms)
        self._origin = next(iter(self._forms))
        self._failures: dict[str, str] = {}  # texts by the names of forms that do not exist

    @property
    def origin(self) -> str:
        """The name of the hub protocol from whose payload other forms are made."""
        return self._origin

    def form(self, protocol_name: str) -> Raw:
        """The payload in the hub protocol of that name.

        Raises TranscodingError if the value has no form in that hub protocol.
        """
        form = self._forms.get(protocol_name)
        if form is None:
            for _ in self.steps(protocol_name):
                pass
            if protocol_name in self._failures:
                raise TranscodingError(self._failures[protocol_name])
            form = self._forms[protocol_name]
        return form

    def steps(self, protocol_name: str) -> Iterator[None]:
        """Transcodes the payload in steps of a few milliseconds. ``form`` then returns the result.

        Between two steps of a large payload an event loop can do other work. If the payload has no
        form in that hub protocol, ``steps`` does not raise an exception, but ``form`` does.
        """
        if protocol_name in self._forms or protocol_name in self._failures:
            return
        transcode = _TRANSCODERS.get((self._origin, protocol_name))
        try:
            if transcode is None:
                raise TranscodingError(
                    f"A {self._origin!r} payload cannot be converted to {protocol_name!r}."
                )
            self._forms[protocol_name] = yield from transcode(self._forms[self._origin])
        except TranscodingError as error:
            self._failures[protocol_name] = str(error)

    def elements(self) -> "list[Payload]":
        """The elements of an array. Raises LocalProtocolError if the value is not an array."""
        try:
            split = _SPLITTERS[self._origin]
            return [Payload({self._origin: item}) for item in split(self._forms[self._origin])]
        except (KeyError, *DECODING_FAILURES) as error:
            raise LocalProtocolError("The payload is not an array.") from error
