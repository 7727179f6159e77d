"""A hub whose users have a number, which a refresh of the access token changes."""

from protocol import HttpRequestData, Hub, Principal, hub_method


class NumberHub(Hub):
    @hub_method
    def number(self) -> str:
        assert self.context.user is not None
        number: str = self.context.user.claims["number"]
        return number

    async def on_authentication_refreshed(self) -> None:
        await self.clients.caller.send("Refreshed", self.number())


def token_user(request: HttpRequestData) -> Principal | None:
    """The user of ``Bearer name:number:expiry``."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token:
        return None
    name, number, expires_at = token.split(":")
    return Principal(name, claims={"number": number}, expires_at=float(expires_at))
