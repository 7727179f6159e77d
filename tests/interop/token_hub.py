"""``dotnet/chat-hub/TokenHub.cs`` on this library's server: a hub for callers with a token."""

import sys

from aiohttp import web

from protocol import AuthenticationFailure, HttpRequestData, Hub, Principal, hub_method

_REVOKED: set[str] = set()


class TokenHub(Hub):
    @hub_method
    def who(self) -> str | None:
        return self.context.user_identifier

    @hub_method
    async def tell(self) -> None:
        await self.clients.caller.send("Told", self.who())


def user_of_token(request: HttpRequestData) -> Principal | AuthenticationFailure | None:
    """Any text is the token of the user before its dot, unless it was revoked."""
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        token, place = header.removeprefix("Bearer "), "header"
    else:
        token, place = request.query("access_token") or "", "query"
    if not token:
        return None
    if token in _REVOKED:
        return AuthenticationFailure("The token is revoked")
    sys.stdout.write(f"TOKEN {token} {place} {request.method}\n")
    sys.stdout.flush()
    return Principal(token.partition(".")[0])


async def revoke(request: web.Request) -> web.Response:
    """Makes a token invalid."""
    _REVOKED.add(request.match_info["token"])
    return web.Response()
