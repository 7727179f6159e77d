"""Removes tokens from the lines that aiohttp logs about requests.

Browsers send access tokens in the query of WebSockets and Server-Sent Events (A-3), and all clients
send the token of their connection in the query (N-13). The access log shows queries. If aiohttp
cannot read the head of a request, it logs an exception that quotes the head. The head may contain a
token, for example an access token that is too long.
"""

import logging
import re
from typing import Any, Final
from urllib.parse import unquote

from aiohttp.http import HttpProcessingError

_PARAMETER: Final = re.compile(r'([?&])([^=&\s"]+)=([^&\s"]+)')
_CONNECTION_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_HIDDEN: Final = "…"


def hide_tokens() -> None:
    """From now on aiohttp's two loggers of servers show no tokens. Repeated calls do nothing."""
    logging.getLogger("aiohttp.access").addFilter(_hide_in_queries)
    logging.getLogger("aiohttp.server").addFilter(_hide_heads)


def _hide_in_queries(record: logging.LogRecord) -> bool:
    record.msg, record.args = record.getMessage(), None
    # aiohttp also puts the parts of a line into attributes of the record.
    for name, value in vars(record).items():
        setattr(record, name, _without_tokens(value))
    return True


def _hide_heads(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, HttpProcessingError):
        record.msg = f"{record.getMessage()}: {type(error).__name__}"
        record.args = record.exc_info = None
    return True


def _without_tokens(value: Any) -> Any:
    if isinstance(value, str):
        return _PARAMETER.sub(_shown, value)
    if isinstance(value, dict):
        return {key: _without_tokens(each) for key, each in value.items()}
    return value


def _shown(parameter: re.Match[str]) -> str:
    start, key, value = parameter.groups()
    name = unquote(key).lower()
    # A client with a mistake sends ``amp;access_token`` or ``?access_token``.
    is_token = "access_token" in name or (
        # An ``id`` of another form belongs to another route of the application.
        name == "id" and _CONNECTION_TOKEN.fullmatch(unquote(value)) is not None
    )
    return f"{start}{key}={_HIDDEN}" if is_token else parameter.group()
