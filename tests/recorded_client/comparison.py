"""Compares what two clients sent in one scenario, by requests and hub messages.

These differences are ignored:

- what HTTP and JSON leave open: the order of headers, a Content-Length of 0, escapes;
- what varies in .NET's client, too: which messages share a POST or a frame, the Close message at an
  end, the first Ping of a socket that ends at that time;
- the number of successive Pings, and of attempts of an HTTP library after a lost connection;
- the name of the client in its User-Agent.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

Step = dict[str, Any]

_RS: Final = "\x1e"
_CLOSES: Final = ('{"type": 7}', "04 93 07 c0 c2")
_HANDSHAKE: Final = '{"protocol": '
_PINGS: Final = ('{"type": 6}', "02 91 06")
_USER_AGENT: Final = re.compile(r"Microsoft SignalR/\d+\.\d+ \([^;)]+; \w+; [^;)]+; [^;)]+\)")
_CUT_OUT: Final = re.compile(r"^.*\(\d+ bytes\)")  # parts that a scenario does not record
_CLOSE: Final = 8
_CONTROL: Final = 8  # opcodes from here on


def differences(theirs: Sequence[Step], ours: Sequence[Step]) -> list[str]:
    """Line by line; empty when both sent the same."""
    return [
        *_differ("request", _requests(theirs), _requests(ours)),
        *_differ("head of a POST", _heads_of_posts(theirs), _heads_of_posts(ours)),
        *_differ("hub messages", _messages(theirs), _messages(ours)),
    ]


def _differ(what: str, theirs: Sequence[Any], ours: Sequence[Any]) -> Iterator[str]:
    for number in range(max(len(theirs), len(ours))):
        one = theirs[number] if number < len(theirs) else "(nothing)"
        other = ours[number] if number < len(ours) else "(nothing)"
        if one != other:
            yield f"{what} {number + 1}: .NET {one}, ours {other}"


def _is_send(step: Step) -> bool:
    path = step.get("target", "").partition("?")[0]
    return step.get("method") == "POST" and not path.endswith(("/negotiate", "/refresh"))


def _head(step: Step) -> tuple[Any, ...]:
    headers = sorted(
        (name.lower(), _USER_AGENT.sub("<user agent>", value))
        for name, value in step["headers"]
        if name.lower() != "content-length"
    )
    return (step["method"], step["target"], headers)


def _requests(steps: Sequence[Step]) -> list[tuple[Any, ...]]:
    """All but sends, in order; one that is cut and asked again is one."""
    served = {step.get("answered", step.get("end")) for step in steps}
    found: list[tuple[Any, ...]] = []
    was_cut = False
    for step in steps:
        if "request" in step and not _is_send(step):
            head = (*_head(step), step["body"])
            if not (was_cut and head == found[-1]):
                found.append(head)
            was_cut = step["request"] not in served
    return found


def _heads_of_posts(steps: Sequence[Step]) -> list[tuple[Any, ...]]:
    """Each kind once, because their number depends on the time."""
    return sorted({repr(_head(it)): _head(it) for it in steps if _is_send(it)}.values())


def _messages(steps: Sequence[Step]) -> list[tuple[str, list[str], list[Any]]]:
    """What each connection sent, in order: hub messages, and the codes of Close frames."""
    sockets: dict[int, str] = {}
    pieces: dict[str, list[Any]] = {}
    codes: dict[str, list[Any]] = {}
    for step in steps:
        if "request" in step:
            sockets[step["request"]] = f"{len(sockets)} {step['target']}"
            if _is_send(step):
                pieces.setdefault(step["target"], []).append(step["body"])
        elif "frame" in step:
            name = sockets[step["frame"]]
            if step["opcode"] < _CONTROL:
                pieces.setdefault(name, []).append(step["data"])
            elif step["opcode"] == _CLOSE:
                pieces.setdefault(name, [])
                codes.setdefault(name, []).append(step["data"].get("code"))
    names = set(sockets.values())
    return [
        (name, _without_races(list(_records(them)), name in names), codes.get(name, []))
        for name, them in pieces.items()
    ]


def _without_races(records: list[str], is_socket: bool) -> list[str]:
    kept: list[str] = []
    for record in records:
        if record.startswith(_HANDSHAKE) and kept[-1:] == [_CLOSES[0]]:
            kept.pop()  # the end of an earlier connection to the same address
        if record not in _PINGS or record not in kept[-1:]:
            kept.append(record)
    if kept and kept[-1] in _CLOSES:
        kept.pop()
    if is_socket and len(kept) == 2 and kept[-1] in _PINGS:  # after the handshake, and no more
        kept.pop()
    return kept


def _records(pieces: Sequence[Any]) -> Iterator[str]:
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text = _CUT_OUT.sub("", text + piece)
            *records, text = text.split(_RS)
            yield from map(_meaning, records)
        elif "hex" in piece:
            yield from _hex_records(piece["hex"])
        else:
            yield repr(piece)
    if text:
        yield text


def _meaning(record: str) -> str:
    try:
        return json.dumps(json.loads(record))
    except ValueError:
        return record


def _hex_records(text: str) -> Iterator[str]:
    """MessagePack, framed by its length."""
    data = bytes.fromhex(text)
    while data:
        size = shift = used = 0
        while True:
            byte = data[used]
            size |= (byte & 0x7F) << shift
            used += 1
            shift += 7
            if not byte & 0x80:
                break
        yield data[: used + size].hex(" ")
        data = data[used + size :]
