"""``Payload``: a value that is given by its bytes in one hub protocol, or in several.

For those who pass on what they do not look at. Which bytes are the same value in another protocol
is decided by ``transcoding``; where such a value may stand, by ``writing``: wherever others
may.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from ..errors import DECODING_FAILURES, LocalProtocolError, TranscodingError
from ..json.scanner import split_array
from .transcoding import json_to_messagepack, messagepack_to_json

_TRANSCODERS: Final[dict[tuple[str, str], Callable[[Raw], Raw]]] = {
    ("json", "messagepack"): json_to_messagepack,
    ("messagepack", "json"): messagepack_to_json,
}
_SPLITTERS: Final[dict[str, Callable[[Raw], list[Raw]]]] = {
    "json": split_array,
    "messagepack": msgspec.msgpack.Decoder(list[Raw]).decode,
}


class Payload:
    """One value, by the names of the hub protocols whose payloads are given.

    Written in another protocol it is transcoded, once for all who get it.
    """

    __slots__ = ("_forms", "_origin")

    def __init__(self, forms: Mapping[str, Raw]) -> None:
        """``Payload({"json": Raw(b"[1]")})``. Of several the first is what others are made of."""
        self._forms = dict(forms)
        self._origin = next(iter(self._forms))

    @property
    def origin(self) -> str:
        """The name of the hub protocol that other forms are made of."""
        return self._origin

    def form(self, protocol_name: str) -> Raw:
        """Its bytes in a hub protocol. Raises TranscodingError when it has none there."""
        form = self._forms.get(protocol_name)
        if form is None:
            transcode = _TRANSCODERS.get((self._origin, protocol_name))
            if transcode is None:
                raise TranscodingError(
                    f"Nothing is known of {protocol_name!r} as another form of {self._origin!r}."
                )
            form = self._forms[protocol_name] = transcode(self._forms[self._origin])
        return form

    def elements(self) -> "list[Payload]":
        """Those of an array. Raises LocalProtocolError when it is none."""
        try:
            split = _SPLITTERS[self._origin]
            return [Payload({self._origin: item}) for item in split(self._forms[self._origin])]
        except (KeyError, *DECODING_FAILURES) as error:
            raise LocalProtocolError("The payload is no array.") from error
