"""Exceptions of calls that the gateway itself ends or refuses.

Each says whether the hub may have run the call. The modules of `downstream` raise them, and
`downstream.failures` maps them to problem codes.
"""

from __future__ import annotations

DRAINING = "The gateway is shutting down."
OVERLOADED = "The gateway is short of memory."


class HubUnavailable(Exception):
    """The hub was not connected while the call waited; nothing was sent."""

    def __init__(self, api: str) -> None:
        super().__init__(f"Hub '{api}' is not connected.")
        self.api = api


class GatewayDraining(HubUnavailable):
    """The gateway is shutting down and refuses new calls; nothing was sent."""

    def __str__(self) -> str:
        return DRAINING


class HubBusy(HubUnavailable):
    """The hub or the route has its maximum of calls under way; nothing was sent."""

    def __init__(self, api: str, what: str, maximum: int | None) -> None:
        super().__init__(api)
        self.args = (f"The {what} has {maximum} calls under way, and may have no more.",)


class CircuitOpen(HubUnavailable):
    """Calls of the route timed out, so further calls are refused for a while; nothing was sent."""

    def __init__(self, api: str, route: str, retry_after: float) -> None:
        super().__init__(api)
        self.args = (f"The calls of route '{route}' timed out; it is not called for a while.",)
        self.retry_after = retry_after
        """Seconds until a call may be made again."""


class TokenRefused(HubUnavailable):
    """The hub does not accept the access token of the caller; nothing was sent."""

    def __init__(self, api: str) -> None:
        super().__init__(api)
        self.args = (f"Hub '{api}' does not accept the token of this caller.",)


class TooManyUsers(HubUnavailable):
    """The hub has its maximum of connections of users; nothing was sent."""

    def __init__(self, api: str, maximum: int) -> None:
        super().__init__(api)
        self.args = (f"Hub '{api}' has connections of {maximum} users, and may have no more.",)


class HubTimeout(Exception):
    """The hub did not complete the invocation in time; the method may still run."""

    def __init__(self, api: str, seconds: float) -> None:
        super().__init__(f"Hub '{api}' did not answer within {seconds:g} seconds.")
        self.api = api
        self.seconds = seconds


class StreamIdle(HubTimeout):
    """The hub sent no item of a stream in time, and the stream was cancelled."""

    def __init__(self, api: str, seconds: float) -> None:
        super().__init__(api, seconds)
        self.args = (f"Hub '{api}' sent no item for {seconds:g} seconds.",)


class CallCutOff(Exception):
    """The gateway stopped before the hub completed the invocation; the method may still run."""

    def __init__(self, api: str) -> None:
        super().__init__(
            f"The gateway stopped before hub '{api}' answered; it may or may not have run the call."
        )
