"""Sends the exact bytes of HTTP requests, also of invalid ones."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: Mapping[str, str]
    """Header names are in lower case."""
    body: bytes


async def raw_request(
    port: int, request: str, headers: Mapping[str, str], body: bytes | None
) -> RawAnswer:
    """Sends ``METHOD target`` to 127.0.0.1 and reads the answer, chunked or not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"{request} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        sending = asyncio.create_task(_send(writer, body or b""))
        try:
            return await _answer(reader)
        finally:
            sending.cancel()
            await asyncio.wait({sending})
    finally:
        writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # a server that refuses a body need not read it
        writer.write(body)
        await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> RawAnswer:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        if status >= 200:  # 100 Continue is not the final answer
            break
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        return RawAnswer(status, headers, body)
    return RawAnswer(status, headers, await reader.read())
