"""Converts events and results to the hub protocol of their receiver (GW-8).

Large values are converted over several turns of the event loop, so that other connections do not
wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Raw

from protocol import Payload, TranscodingError

_FORMATS = {"json": "JSON", "messagepack": "MessagePack"}


async def transcode(payload: Payload, protocol_name: str) -> None:
    """Transcode `payload` to a hub protocol, over several turns of the event loop if it is large.

    If this is impossible, no exception is raised here; `Payload.form` raises it later.
    """
    for _ in payload.steps(protocol_name):
        await asyncio.sleep(0)


async def transcode_for_clients(payload: Payload, clients_by_protocol: Mapping[str, int]) -> None:
    """Transcode `payload` to the hub protocols of all connected clients. See `transcode`.

    `clients_by_protocol` is the number of connected clients by hub protocol. It may change
    meanwhile.
    """
    for name in [name for name, count in clients_by_protocol.items() if count > 0]:
        await transcode(payload, name)


class UnwritableResult(Exception):
    """The hub ran the call, but its result has no form in the caller's hub protocol."""


async def require_form(result: Payload, protocol_name: str) -> Raw:
    """The result in the caller's hub protocol. Raises `UnwritableResult`.

    A large result is transcoded in several turns of the event loop.
    """
    if result.origin != protocol_name:
        await transcode(result, protocol_name)
    try:
        return result.form(protocol_name)
    except TranscodingError as exc:
        written = f"its result cannot be written as {_FORMATS[protocol_name]}"
        raise UnwritableResult(f"The hub ran the call, but {written}: {exc}") from exc
