"""The query of a request, read as ASP.NET Core reads it (TG-12)."""

import re
from typing import Final

_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def query_values(query_string: str, name: str) -> list[str]:
    """Returns the values of the key ``name`` in order, each decoded once. Keys ignore case.

    ``query_string`` is the query as it was sent, without the question mark.
    """
    key = _without_case(name)
    pairs = (part.partition("=") for part in query_string.split("&") if part)
    return [_decoded(value) for each, _, value in pairs if _without_case(_decoded(each)) == key]


def _decoded(text: str) -> str:
    return _ESCAPES.sub(_decode_escapes, text.replace("+", " "))


def _decode_escapes(run: re.Match[str]) -> str:
    """The text of a run of escapes. Escapes of bytes that are not UTF-8 stay as they are."""
    escapes = run[0]
    data = bytes.fromhex(escapes.replace("%", ""))
    parts: list[str] = []
    start = 0
    while start < len(data):
        try:
            parts.append(data[start:].decode())
            break
        except UnicodeDecodeError as error:
            bad, end = start + error.start, start + error.end
            parts += (data[start:bad].decode(), escapes[3 * bad : 3 * end])
            start = end
    return "".join(parts)


def _without_case(key: str) -> str:
    """``key`` in a form that is the same for keys that differ only in case.

    As in .NET, letters are compared one by one, and a letter outside ASCII never equals an ASCII
    letter.
    """
    if key.isascii():
        return key.upper()
    return "".join(map(_upper, key))


def _upper(letter: str) -> str:
    upper = letter.upper()
    return upper if len(upper) == 1 and upper.isascii() == letter.isascii() else letter
