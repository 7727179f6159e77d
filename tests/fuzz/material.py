"""Bytes to send: recorded, made by a grammar, and mutated, all drawn from one random generator.

It decides what is sent, and leaves to `attacks` where and how. The same generator in the same state
makes the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, Final, TypeVar

import msgspec

from protocol.messagepack.framing import frame
from tests.support.checkout import ROOT

T = TypeVar("T")

SEPARATOR: Final = b"\x1e"
TARGETS: Final = (
    *("Echo", "Ten", "Nothing", "SendMessage", "Count", "Collect", "Ask", "Crash", "NoSuchMethod"),
    *("SubscribeToGroup", "SubscribeToRoute", "InvokeDownstreamHub", "StreamDownstreamHub"),
    *("ReceiveMessage", "Spread", "Typed"),
)
IDS: Final = ("1", "2", "3", "4", "", "x" * 300, "\u0000", "é")
_NUMBERS: Final = (0, 1, -1, 127, 128, 255, 2**31 - 1, -(2**31), 2**53, 2**63, 2**64 - 1, -(2**63))
_TEXTS: Final = (
    "",
    "Sample",
    "Echo",
    "ReceiveMessage",
    "text",
    "é",
    "\u2028",
    "\U0001f600",
    "a\x1eb",
)
_BROKEN_JSON: Final = (
    *(b"1e999", b"-0", b"01", b"0.1e-400", b"NaN", b'"\\ud800"', b'"\\u0000"', b"[,]", b"{,}"),
    *(b'{"a":1,"a":2}', b"[1,]", b"tru", b'"', b"\xff", b'"\xed\xa0\x80"', b"9" * 5000, b"/**/"),
)
_BROKEN_MESSAGEPACK: Final = (
    *(b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xa5a"),
    *(
        b"\xd6\xff\xff\xff\xff\xff",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xc7\x00\xff",
        b"\xa2\xff\xff",
    ),
    *(
        b"\xd9\x02\xed\xa0",
        b"\xc8\xff\xff\x01",
        b"\x81\x91\x01\x02",
        b"\x81\x80\x80",
        b"\xcb\x7f\xf8",
    ),
)


@cache
def _recorded() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The records of `spec-fixtures`: those in JSON, and those in MessagePack."""
    found: dict[str, list[bytes]] = {"json": [], "messagepack": []}
    for path in sorted(ROOT.glob("spec-fixtures/json/*.json")):
        vectors = json.loads(path.read_bytes())["vectors"]
        found["json"] += [text.encode("utf-8", "replace") for text in _strings(vectors)]
    for path in sorted(ROOT.glob("spec-fixtures/messagepack/*.json")):
        vectors = json.loads(path.read_bytes())["vectors"]
        found["messagepack"] += [bytes.fromhex(text) for text in _strings(vectors)]
    return tuple(found["json"]), tuple(found["messagepack"])


def _strings(vectors: Sequence[dict[str, Any]]) -> list[str]:
    return [each["bytes"] for each in vectors if isinstance(each.get("bytes"), str)]


class Material:
    """Draws bytes and decisions from `random`."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def one_of(self, *choices: T) -> T:
        return self.random.choice(choices)

    def noise(self, maximum: int = 200) -> bytes:
        """Random bytes, mostly few."""
        return self.random.randbytes(self.random.randrange(self.one_of(4, 32, maximum) + 1))

    # ---- values and records

    def value(self, depth: int = 3) -> Any:
        """A value that both hub protocols can write."""
        kind = self.random.randrange(10 if depth else 6)
        if kind < 2:
            return self.one_of(*_NUMBERS)
        if kind < 4:
            return self.one_of(*_TEXTS)
        if kind < 6:
            return self.one_of(None, True, False, 0.5, -1.5e300)
        if kind == 6:
            return self._downstream_call(depth)
        count = self.random.randrange(4)
        if kind < 8:
            return [self.value(depth - 1) for _ in range(count)]
        return {self.one_of(*_TEXTS): self.value(depth - 1) for _ in range(count)}

    def _downstream_call(self, depth: int) -> dict[str, Any]:
        """The argument of a method of the gateway hub, right or nearly so."""
        call = {
            "api": self.one_of("Sample", "sample", "Hostile", "none"),
            "key": self.one_of("Echo", "one", "group", "listen", "Count", "none"),
            "receiveGroup": "ChatGroup",
            "userId": self.one_of("u", None),
            "data": self.value(depth - 1),
        }
        if self.chance(0.3):
            call[self.one_of(*call)] = self.value(depth - 1)
        return call

    def message(self) -> list[Any]:
        """A hub message as an array of MessagePack, right or nearly so."""
        id = self.one_of(*IDS, None)
        arguments = [self.value() for _ in range(self.random.randrange(4))]
        streams = [self.one_of(*IDS) for _ in range(self.random.choice((0, 0, 0, 1, 3)))]
        target = self.one_of(*TARGETS)
        kind = self.random.choice((1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 99, -1))
        match kind:
            case 1 | 4:
                made: list[Any] = [kind, {}, id, target, arguments, streams]
            case 2:
                made = [2, {}, id, self.value()]
            case 3:
                outcome = self.random.randrange(1, 5)
                made = [3, {}, id, outcome, *([self.value()] if outcome != 2 else [])]
            case 5:
                made = [5, {}, id]
            case 7:
                made = [7, self.one_of(None, "error"), self.one_of(True, False)]
            case 8 | 9:
                made = [kind, self.one_of(*_NUMBERS)]
            case _:
                made = [kind]
        if self.chance(0.2):
            made[self.random.randrange(len(made))] = self.value()
        if self.chance(0.1):
            made.append(self.value())
        return made

    def json_message(self) -> bytes:
        """A hub message in JSON, without its separator, right or nearly so."""
        names = {
            1: ("type", "headers", "invocationId", "target", "arguments", "streamIds"),
            2: ("type", "headers", "invocationId", "item"),
            3: ("type", "headers", "invocationId", "_", "result"),
            5: ("type", "headers", "invocationId"),
            7: ("type", "error", "allowReconnect"),
            8: ("type", "sequenceId"),
        }
        names |= {4: names[1], 9: names[8]}
        made = self.message()
        kind = made[0] if isinstance(made[0], int) else 6
        pairs = list(zip(names.get(kind, ("type", "x", "y")), made, strict=False))
        if kind == 3 and len(made) > 4 and made[3] == 1:
            pairs[-1] = ("error", made[4])
        pairs = [(name, it) for name, it in pairs if name != "_" and (it not in (None, {}))]
        if self.chance(0.2):
            self.random.shuffle(pairs)
        if self.chance(0.1) and pairs:
            pairs.append(self.one_of(*pairs))
        texts = [json.dumps(name).encode() + b":" + self.json_text(it) for name, it in pairs]
        return b"{" + b",".join(texts) + b"}"

    def json_text(self, value: Any) -> bytes:
        """`value` in JSON, seldom broken."""
        if self.chance(0.03):
            return self.one_of(*_BROKEN_JSON)
        if self.chance(0.01):
            depth = self.one_of(31, 32, 33, 63, 64, 65, 2000)
            return b"[" * depth + b"]" * depth
        return json.dumps(value, ensure_ascii=self.chance(0.5)).encode()

    def messagepack_message(self) -> bytes:
        """A hub message in MessagePack, without its length, right or nearly so."""
        made: list[Any] = self.message()
        if self.chance(0.2):
            place = self.random.randrange(len(made))
            broken = self.one_of(*_BROKEN_MESSAGEPACK)
            if self.chance(0.1):
                broken = self.one_of(b"\x91", b"\x81\x01") * self.one_of(31, 500, 3000) + b"\xc0"
            made[place] = msgspec.Raw(broken)
        return msgspec.msgpack.encode(made)

    def records(self, hub_protocol: str) -> bytes:
        """A few records as they are on the wire, possibly broken."""
        return b"".join(
            self.record(hub_protocol) for _ in range(self.random.choice((1, 1, 2, 5, 40)))
        )

    def record(self, hub_protocol: str) -> bytes:
        """One record as it is on the wire, possibly broken."""
        recorded = _recorded()[hub_protocol == "messagepack"]
        make: Callable[[], bytes]
        if self.chance(0.4):
            made = self.random.choice(recorded)
        else:
            make = self.json_message if hub_protocol == "json" else self.messagepack_message
            made = make()
        if self.chance(0.25):
            made = self.mutated(made)
        if self.chance(0.01):
            made += b" " * self.one_of(32_000, 33_000, 70_000)
        framed = made + SEPARATOR if hub_protocol == "json" else frame(made)
        return self.mutated(framed) if self.chance(0.03) else framed

    def handshake(self, hub_protocol: str) -> bytes:
        """A handshake request, mostly right."""
        right = b'{"protocol":"%b","version":1}\x1e' % hub_protocol.encode()
        if self.chance(0.9):
            return right
        odd = self.one_of(
            b'{"protocol":"%b","version":%b}\x1e' % (hub_protocol.encode(), self.json_text(2**40)),
            b"{" + b'"a":[' * 100 + b"\x1e",
            b"\x1e",
            b"{}\x1e",
            self.noise(2000),
            b"x" * 40_000,
        )
        return self.mutated(self.one_of(right, odd))

    # ---- mutation

    def mutated(self, data: bytes) -> bytes:
        """`data` with one to three mistakes."""
        made = bytearray(data)
        for _ in range(self.random.randrange(1, 4)):
            place = self.random.randrange(len(made) + 1)
            end = min(len(made), place + self.random.choice((1, 1, 2, 8, 64)))
            match self.random.randrange(6):
                case 0 if place < len(made):
                    made[place] ^= 1 << self.random.randrange(8)
                case 1:
                    del made[place:end]
                case 2:
                    made[place:place] = made[place:end]
                case 3:
                    made[place:place] = self.noise(16)
                case 4:
                    del made[place:]
                case _:
                    made[place:end] = self.one_of(
                        b"\x00", b"\xff", b"\r\n", b'"', b"\x1e", b"[", b"{"
                    )
        return bytes(made)

    def pieces(self, data: bytes) -> list[bytes]:
        """`data` in one piece or in several."""
        if self.chance(0.6) or len(data) < 2:
            return [data]
        cuts = sorted(self.random.randrange(len(data)) for _ in range(self.random.randrange(1, 6)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    # ---- HTTP

    def request(
        self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]
    ) -> bytes:
        """An HTTP request, mostly right."""
        lines = [("Host", "localhost"), *headers]
        if body or method == "POST":
            length = len(body)
            if self.chance(0.03):
                length = self.one_of(length + 1, max(0, length - 1), 10**9, 10**30)
            if self.chance(0.1):
                lines.append(("Transfer-Encoding", "chunked"))
                body = b"".join(b"%x\r\n%b\r\n" % (len(it), it) for it in self.pieces(body) if it)
                body += b"0\r\n\r\n"
            else:
                lines.append(("Content-Length", str(length)))
        if self.chance(0.1):
            lines.append(self._odd_header())
        text = "".join(f"{name}: {value}\r\n" for name, value in lines)
        head = f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode("latin-1", "replace")
        return (self.mutated(head) if self.chance(0.08) else head) + body

    def _odd_header(self) -> tuple[str, str]:
        return self.one_of(
            ("Expect", self.one_of("100-continue", "200-ok")),
            ("Content-Encoding", self.one_of("gzip", "br", "x")),
            ("Transfer-Encoding", self.one_of("chunked", "gzip, chunked", "identity")),
            ("Content-Length", self.one_of("0", "-1", "1, 1", "+5")),
            ("Origin", self.one_of("null", "http://[", "http://localhost", "\xff", "file://")),
            ("Accept", self.one_of("text/event-stream", "text/event-stream;q=x", "\xff", ",;,")),
            ("Authorization", "Bearer \xff"),
            ("Cookie", "a=" + "x" * 5000),
            ("Upgrade", self.one_of("websocket", "h2c", "foo, websocket")),
            ("Connection", self.one_of("close", "upgrade", "keep-alive, upgrade, \xff")),
            ("Range", "bytes=0-1,5-,-3"),
            ("If-None-Match", '"x", W/"y"'),
            ("If-Modified-Since", "Thu, 99 Foo 0000 99:99:99 GMT"),
            ("X-Request-Id", "\x7f" * 40),
            ("X" * 300, "y" * 20_000),
        )

    def frames(self, payload: bytes, *, opcode: int, masked: bool) -> bytes:
        """`payload` as a WebSocket message in one or more frames, mostly right."""
        parts = self.pieces(payload)
        made = b""
        for number, part in enumerate(parts):
            first = (opcode if number == 0 else 0) | (0x80 if number == len(parts) - 1 else 0)
            if self.chance(0.01):
                first ^= 1 << self.random.randrange(8)
            made += self._frame(first, part, masked != self.chance(0.005))
            if self.chance(0.02):
                made += self._frame(self.one_of(0x89, 0x8A, 0x09), self.noise(), masked)
        return made

    def closing_frame(self, *, masked: bool) -> bytes:
        """A Close frame, right or not."""
        code = self.one_of(1000, 1001, 1005, 1006, 3000, 0, 65535).to_bytes(2, "big")
        return self._frame(
            0x88, self.one_of(b"", code, code + b"bye", b"\x03", self.noise()), masked
        )

    def _frame(self, first: int, payload: bytes, masked: bool) -> bytes:
        size = len(payload)
        mark = 0x80 if masked else 0
        width = 0 if size < 126 else 2 if size < 1 << 16 else 8
        if self.chance(0.01):
            width = self.one_of(2, 8)
        if width == 0:
            head = bytes((first, mark | min(size, 125)))
        elif self.chance(0.01):
            head = bytes((first, mark | 127)) + self.random.randbytes(8)
        else:
            size = min(size, 2 ** (8 * width) - 1)
            head = bytes((first, mark | (126 if width == 2 else 127))) + size.to_bytes(width, "big")
        if not masked:
            return head + payload
        key = self.random.randbytes(4)
        return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
