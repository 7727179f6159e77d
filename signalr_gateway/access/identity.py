"""What a hub learns about the caller of a call: headers, and the access token (GW-54, GW-55).

The options of the hub name the request headers and the claims. `orchestration.orchestrator` has
checked these names. `downstream.hub` sends the headers with the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from protocol import HttpRequestData, Principal

from ..orchestration.hub_options import DownstreamHubOptions
from .account import account_of
from .api_keys import HEADER, PREFIX


class UnwritableClaim(TypeError):
    """A claim has no form in JSON. The text contains the name of the claim, and not its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller as the hub learns it. `headers` and `token` are secrets, so do not log them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of the invocation."""
    user_id: str | None = None
    account: str | None = None
    """What `account_of` returns for the user; None for an anonymous caller."""
    token: str | None = field(default=None, repr=False)
    """The access token for a connection of this user; None if there is none to pass on."""
    expires_at: float | None = None
    """When the user's authentication expires, in seconds since the epoch; None: never."""


def identity_of(
    hub: DownstreamHubOptions,
    request: HttpRequestData,
    user: Principal | None,
    user_id: str | None,
) -> Identity | None:
    """The identity of the caller for calls of `hub`; None if the hub gets no identity.

    `request` is the POST, or the request that opened the connection of a client. `user` is None for
    an anonymous caller, and `user_id` for a user without an id, too. Raises `UnwritableClaim`.
    """
    if not hub.needs_identity:
        return None
    headers = {
        name: value
        for name in hub.forwarded_headers
        if (value := request.headers.get(name)) is not None and _is_text(value)
    }
    if hub.forwarded_user_id is not None and user_id is not None:
        headers[hub.forwarded_user_id] = user_id
    if user is not None:
        for claim, name in hub.forwarded_claims.items():
            value = user.claims.get(claim)
            if value is not None:
                headers[name] = _written(claim, value)
    return Identity(
        headers=headers,
        user_id=user_id,
        account=None if user is None else account_of(user, user_id),
        token=token_of(request) if hub.is_per_user else None,
        expires_at=None if user is None else user.expires_at,
    )


def token_of(request: HttpRequestData) -> str | None:
    """The bearer token of a request. An API key is for the gateway only, so it is not passed on."""
    if HEADER in request.headers:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else request.query("access_token") or ""
    return token if token and not token.startswith(PREFIX) else None


def _is_text(value: str) -> bool:
    """Whether the value of a request header was UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _written(claim: str, value: object) -> str:
    """The value of a claim itself if it is text, else as JSON. Raises `UnwritableClaim`."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except Exception as exc:
        problem = f"claim {claim!r} has a value without a form in JSON ({type(value).__name__})"
        raise UnwritableClaim(problem) from exc
