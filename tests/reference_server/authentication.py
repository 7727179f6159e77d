"""Authentication: the conformance hubs' by query, the connection endpoints' by bearer token."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qsl

from protocol import HttpRequestData, Principal

_ISSUER = "reference-server"
_KEY = b"a signing key that only the reference server uses"


def query_user(request: HttpRequestData) -> Principal | None:
    """``?user=alice`` makes the caller alice, each ``role=admin`` gives a role."""
    user = request.query("user")
    if not user:
        return None
    roles = [value for key, value in parse_qsl(request.query_string) if key.lower() == "role"]
    return Principal(user, frozenset(roles))


def bearer_user(request: HttpRequestData) -> Principal | None:
    """The user of the token in the header or, below ``/auth`` and without one, in the query."""
    authorization = request.headers.get("Authorization", "")
    token: str | None = None
    if authorization.lower().startswith("bearer "):
        token = authorization[len("bearer ") :].strip()
    elif not authorization and request.path.lower().startswith("/auth/"):
        token = request.query("access_token")
    claims = read_token(token) if token else None
    if claims is None:
        return None
    roles = frozenset((claims["role"],)) if "role" in claims else frozenset()
    return Principal(claims["sub"], roles, claims)


def create_token(user: str, role: str | None, lifetime: float) -> str:
    """A JSON Web Token, signed with HMAC-SHA256, that is good for ``lifetime`` seconds."""
    now = int(time.time())
    claims = {
        "sub": user,
        "unique_name": user,
        **({"role": role} if role else {}),
        "iss": _ISSUER,
        "aud": _ISSUER,
        "exp": int(now + lifetime),
    }
    head = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return f"{head}.{_signature(head)}"


def read_token(token: str) -> dict[str, Any] | None:
    """The claims of a token that is ours and has not expired, else None."""
    head, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(head).encode()):
        return None
    payload = head.partition(".")[2]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims if claims["exp"] > time.time() else None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(head: str) -> str:
    return _encode(hmac.digest(_KEY, head.encode(), hashlib.sha256))
