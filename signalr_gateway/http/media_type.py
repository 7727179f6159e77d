"""Parses a Content-Type by the grammar of RFC 9110, and decides whether it is JSON in UTF-8 (GW-9).

A value that does not follow the grammar has no media type, because implementations interpret such
values differently. `http.api` refuses bodies with such a Content-Type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf"[\t ]*;[\t ]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_QUOTED_PAIR = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A parsed Content-Type. Type, subtype and the names of parameters are in lower case."""

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...]
    """Names with unquoted values, in their order; a name may occur several times."""

    @staticmethod
    def parse(text: str) -> MediaType | None:
        """The media type that `text` states; None if it does not follow the grammar."""
        text = text.strip("\t ")
        found = _TYPE.match(text)
        if found is None:
            return None
        parameters = []
        end = found.end()
        while end < len(text):
            parameter = _PARAMETER.match(text, end)
            if parameter is None:
                return None
            if parameter[1] is not None:  # RFC 9110 allows a semicolon without a parameter
                parameters.append((parameter[1].lower(), _unquoted(parameter[2])))
            end = parameter.end()
        return MediaType(found[1].lower(), found[2].lower(), tuple(parameters))


def _unquoted(value: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether a Content-Type is ``application/json``, ``text/json`` or ``application/…+json``.

    A charset must be UTF-8. Two charsets are refused, and so are the encoded forms of RFC 2231,
    such as ``charset*``, because implementations differ in which one they use.
    """
    media_type = MediaType.parse(content_type)
    if media_type is None:
        return False
    charsets = [each for each in media_type.parameters if each[0].partition("*")[0] == "charset"]
    return _has_json_syntax(media_type) and [(name, value.lower()) for name, value in charsets] in (
        [],
        [("charset", "utf-8")],
    )


def _has_json_syntax(media_type: MediaType) -> bool:
    match media_type.type, media_type.subtype:
        case "application" | "text", "json":
            return True
        case "application", subtype:
            return subtype.endswith("+json") and subtype != "+json"
        case _:
            return False
