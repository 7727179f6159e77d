"""Authentication: by query, by bearer token, and by cookies that no client has."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qsl, quote

from protocol import (
    AuthenticationFailure,
    Authenticator,
    Challenge,
    HttpRequestData,
    Principal,
)

_ISSUER = "reference-server"
_KEY = b"a signing key that only the reference server uses"


def query_user(request: HttpRequestData) -> Principal | None:
    """``?user=alice`` makes the caller alice, each ``role=admin`` gives a role."""
    user = request.query("user")
    if not user:
        return None
    roles = [value for key, value in parse_qsl(request.query_string) if key.lower() == "role"]
    return Principal(user, frozenset(roles))


class CookieAuthenticator(Authenticator):
    """Knows no cookie, and sends all clients to the login page."""

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Finds no user."""
        return None

    def challenge(
        self, request: HttpRequestData, failure: AuthenticationFailure | None
    ) -> Challenge:
        """401 with a Location, as ASP.NET Core answers on the paths of hubs."""
        back = quote(f"{request.path}?{request.query_string}", safe="")
        host = request.headers["Host"]
        return Challenge(401, {"Location": f"http://{host}/Account/Login?ReturnUrl={back}"})


def bearer_user(request: HttpRequestData) -> Principal | AuthenticationFailure | None:
    """The user of the token in the header or, below ``/auth`` and without one, in the query."""
    authorization = request.headers.get("Authorization", "")
    token: str | None = None
    if authorization.lower().startswith("bearer "):
        token = authorization[len("bearer ") :].strip()
    elif not authorization and request.path.lower().startswith("/auth/"):
        token = request.query("access_token")
    if not token:
        return None
    claims = read_token(token)
    if claims is None:
        return AuthenticationFailure()
    if claims["exp"] <= time.time():
        expired_at = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(claims["exp"]))
        return AuthenticationFailure(f"The token expired at '{expired_at}'")
    roles = frozenset((claims["role"],)) if "role" in claims else frozenset()
    return Principal(claims["sub"], roles, claims, float(claims["exp"]))


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
    """The claims of a token of this server, or None for another one."""
    head, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(head).encode()):
        return None
    payload = head.partition(".")[2]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(head: str) -> str:
    return _encode(hmac.digest(_KEY, head.encode(), hashlib.sha256))
