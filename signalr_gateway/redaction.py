"""Error texts that may be shown: in answers, on the console, in logs (GW-28).

An error of a client library likes to quote the address it failed on, and with it the connection
token and the access token in its query. What is shown keeps the sense and loses those.
"""

from __future__ import annotations

import re

MAXIMUM_LENGTH = 200

_USER_INFO = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_QUERY = re.compile(r"(?<=[^\s'\"(])[?#][^\s'\")>]*")
_SECRET = re.compile(r"(?i)\b(access_token|token|key|password|secret)(\s*[=:]\s*)[^\s'\",;)]+")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;)]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def describe_error(error: BaseException) -> str:
    """A line of at most `MAXIMUM_LENGTH` characters: the error's text, or its type without one."""
    text = _CONTROL.sub(" ", str(error)).strip()
    text = _USER_INFO.sub("", text)
    text = _QUERY.sub("", text)
    text = _SECRET.sub(r"\1\2…", text)
    text = _CREDENTIALS.sub(r"\1 …", text)
    if not text:
        return type(error).__name__
    return shortened(text, MAXIMUM_LENGTH)


def no_such_route(api: str, key: str) -> str:
    """What a caller is told who names a route that is none: whatever it sent, a line of text."""
    return f"There is no route '{shortened(api)}/{shortened(key)}'."


def shortened(text: str, length: int = 64) -> str:
    """At most `length` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"
