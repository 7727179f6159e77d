"""The arguments of an invocation: strict JSON, split but never decoded (GW-7).

Numbers, dates and key order reach the hub exactly as the caller wrote them, so nothing here changes
a byte; it only refuses what could harm the one connection that all callers of a hub share. What a
refusal looks like to the caller is `problem`'s business.
"""

from __future__ import annotations

import msgspec

from protocol.json_scanner import split_array

from .problem import ProblemCode

MAXIMUM_ARGUMENTS = 10
DEFAULT_MAXIMUM_DEPTH = 32


class InvalidArguments(ValueError):
    """The text is no list of arguments; `code` says which rule it broke, `str()` explains it."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def split_arguments(body: bytes, maximum_depth: int = DEFAULT_MAXIMUM_DEPTH) -> list[msgspec.Raw]:
    """Split a JSON array into its items, each a slice of `body` with its text as written.

    The array itself is the first level of `maximum_depth`. Raises `InvalidArguments`.
    """
    if not body:
        raise InvalidArguments(
            ProblemCode.EMPTY_BODY, "The body is empty; it must be a JSON array of arguments."
        )
    # msgspec takes any bytes inside what it leaves undecoded, and such bytes would be put into a
    # text frame of the shared connection.
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as exc:
            raise InvalidArguments(
                ProblemCode.NOT_UTF8, "The arguments are not UTF-8 text."
            ) from exc
    try:
        items = split_array(body)
    except msgspec.ValidationError as exc:
        raise InvalidArguments(
            ProblemCode.NOT_AN_ARRAY, "The arguments must be a JSON array."
        ) from exc
    except ValueError as exc:
        raise InvalidArguments(
            ProblemCode.INVALID_JSON, f"The arguments are not JSON: {exc}."
        ) from exc
    except RecursionError as exc:
        raise _too_deep(maximum_depth) from exc
    if len(items) > MAXIMUM_ARGUMENTS:
        raise InvalidArguments(
            ProblemCode.TOO_MANY_ARGUMENTS,
            f"There are {len(items)} arguments; at most {MAXIMUM_ARGUMENTS} are allowed.",
        )
    if exceeds_depth(body, maximum_depth):
        raise _too_deep(maximum_depth)
    return items


def _too_deep(maximum_depth: int) -> InvalidArguments:
    return InvalidArguments(
        ProblemCode.TOO_DEEP,
        f"The arguments nest arrays and objects deeper than {maximum_depth} levels.",
    )


_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def exceeds_depth(text: bytes, maximum_depth: int) -> bool:
    """Whether valid JSON `text` nests arrays and objects deeper than `maximum_depth`.

    Works on whole byte strings, never recursively and never character by character: nearly all text
    has too few brackets to be deep; for the rest each pass strikes out the innermost pairs, so the
    number of passes is the depth.
    """
    if text.count(b"[") + text.count(b"{") <= maximum_depth:
        return False
    if b"\\" in text:  # only inside strings; without escapes, every quote opens or closes one
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    skeleton = b"".join(text.split(b'"')[::2]).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(maximum_depth):
        if not skeleton:
            break
        skeleton = skeleton.replace(b"[]", b"")
    return skeleton != b""
