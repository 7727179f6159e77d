"""Describes in the OpenAPI document which credentials callers send (GW-47).

`access` reads the credentials of a request. `http.openapi` makes the rest of the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocol import Authenticator
from protocol.relaying import Authorize, needs_user

from ..access.api_keys import HEADER, ApiKeys
from ..access.authenticators import FirstOf

Node = dict[str, Any]

_API_KEY: Node = {
    "type": "apiKey",
    "in": "header",
    "name": HEADER,
    "description": "An API key of this gateway.",
}
_BEARER: Node = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token that this gateway accepts.",
}


@dataclass(frozen=True, slots=True)
class Security:
    """The credentials that callers may send, and whether they need any.

    `schemes` are the security schemes of the document, by name. A caller needs only one of them.
    """

    schemes: Mapping[str, Node]
    are_required: bool

    def requirement(self, *, are_required: bool) -> list[Node]:
        """The member `security` of the document or of an operation."""
        anonymous: list[Node] = [] if are_required else [{}]
        return anonymous + [{name: []} for name in self.schemes]


def security_of(authenticator: Authenticator | None, requirement: Authorize) -> Security | None:
    """What `authenticator` accepts; None without an authenticator.

    If this package does not define the authenticator, its credentials are described as bearer
    tokens, for which the default challenge asks. A policy may allow anonymous callers.
    """
    if authenticator is None:
        return None
    return Security(dict(_schemes(authenticator)), needs_user(requirement))


def _schemes(authenticator: Authenticator) -> Iterator[tuple[str, Node]]:
    if isinstance(authenticator, FirstOf):
        for each in authenticator.authenticators:
            yield from _schemes(each)
    elif isinstance(authenticator, ApiKeys):
        yield "apiKey", _API_KEY
    else:
        yield "bearer", _BEARER
