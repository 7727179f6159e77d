"""All vectors of ``spec-fixtures``, by kind, as parameters of tests."""

from typing import Any, Final, TypeVar

import pytest

from .schema import (
    BinaryFramingVector,
    FramingVector,
    HandshakeRequestVector,
    HandshakeResponseVector,
    HttpQueryVector,
    JsonVector,
    MessagePackValueVector,
    MessagePackVector,
    NegotiateResponseVector,
    NegotiateUrlVector,
    NegotiateVersionVector,
    TranscodingVector,
    load,
    vectors_of,
)

LOADED: Final = load()
JSON: Final = vectors_of(LOADED, JsonVector)
MESSAGEPACK: Final = vectors_of(LOADED, MessagePackVector)
MESSAGEPACK_VALUES: Final = vectors_of(LOADED, MessagePackValueVector)
REQUESTS: Final = vectors_of(LOADED, HandshakeRequestVector)
RESPONSES: Final = vectors_of(LOADED, HandshakeResponseVector)
QUERIES: Final = vectors_of(LOADED, HttpQueryVector)
VERSIONS: Final = vectors_of(LOADED, NegotiateVersionVector)
OFFERS: Final = vectors_of(LOADED, NegotiateResponseVector)
URLS: Final = vectors_of(LOADED, NegotiateUrlVector)
STREAMS: Final = vectors_of(LOADED, FramingVector)
BINARY_STREAMS: Final = vectors_of(LOADED, BinaryFramingVector)
VALUES: Final = vectors_of(LOADED, TranscodingVector)


_V = TypeVar("_V")


def each(vectors: dict[str, _V]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", list(vectors.values()), ids=list(vectors))


def directed(vectors: dict[str, Any], direction: str) -> dict[str, Any]:
    return {key: it for key, it in vectors.items() if it.direction in (direction, "both")}
