"""The host names under which a server may be reached, against DNS rebinding.

A page of ``evil.example`` can make its host name resolve to 127.0.0.1. Its browser then sends the
page's requests to a server on this machine, and takes the server for the page's own origin. Only
the ``Host`` header, which pages cannot set, shows the name that was used.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from .origins import normal_items

LOOPBACK_HOSTS: Final = ("localhost", "*.localhost", "127.0.0.1", "[::1]")
"""The names by which only programs on the same machine can reach a server."""

_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]|\*")
_IPV6: Final = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*")


def normal_host(text: object) -> str:
    """A host name in lower case, an IPv6 address in brackets.

    ``*.app.example`` stands for all names below ``app.example``, and ``*`` for all names. Raises
    ValueError if ``text`` is no such name. The text of the error is a predicate, such as ``must be
    text, not int``: the caller puts the subject in front, as with ``normal_origin``.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be text, not {type(text).__name__}")
    name = text.lower().removesuffix(".")
    if _IPV6.fullmatch(name):
        return f"[{name}]"
    if "://" in name or "/" in name:
        raise ValueError("must be a host name alone, without scheme and path")
    if _NAME.fullmatch(name) is None:
        if _NAME.fullmatch(name.rpartition(":")[0]):
            raise ValueError("has a port; names are compared without it")
        raise ValueError("must be a host name such as app.example, *.app.example or 192.0.2.1")
    return name


def normal_hosts(texts: Collection[object]) -> tuple[str, ...]:
    """Applies ``normal_host`` to each of ``texts``. Raises as ``normal_origins`` does."""
    return normal_items(texts, normal_host)


class HostPolicy:
    """The host names that requests may name. ``allowed_hosts=None`` allows all names."""

    def __init__(self, allowed_hosts: Collection[str] | None) -> None:
        names = normal_hosts(allowed_hosts or ())
        self._is_open = allowed_hosts is None or "*" in names
        self._names = frozenset(name for name in names if name[0] != "*")
        self._suffixes = tuple(name[1:] for name in names if name[0] == "*")

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether the ``Host`` of a request is allowed, its port ignored.

        Every browser sends a ``Host``. A request without one is allowed.
        """
        if self._is_open or (host := headers.get("Host")) is None:
            return True
        name = host.lower()
        if not name.endswith("]"):  # an IPv6 address without a port
            name = name.rpartition(":")[0] or name
        name = name.removesuffix(".")
        return name in self._names or name.endswith(self._suffixes)
