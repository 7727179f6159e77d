"""Decides which pages of other origins may use a hub (section TC).

Browsers let a page of any origin open a WebSocket. So one list of origins decides about the headers
of answers and about WebSockets. ``headers`` are the headers of a request, in a mapping that ignores
case.
"""

from collections.abc import Collection, Mapping

from ..origins import is_own_origin, normal_origins
from .http_answer import HttpAnswer


class CorsPolicy:
    """Lets pages of ``allowed_origins``, such as ``https://app.example``, use a hub.

    With ``allowed_origins=None`` there is no policy: answers get no CORS headers, and all
    WebSockets are allowed.
    """

    def __init__(
        self,
        allowed_origins: Collection[str] | None,
        *,
        exposed_headers: str | None = None,
        preflight_seconds: int | None = None,
    ) -> None:
        """Pages may read the ``exposed_headers`` of answers, a list separated by commas.

        Browsers may use the answer to a preflight for ``preflight_seconds``.
        """
        self._allowed = (
            None if allowed_origins is None else frozenset(normal_origins(allowed_origins))
        )
        self._exposed_headers = exposed_headers
        self._preflight_seconds = preflight_seconds

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request comes from a page of a listed origin."""
        return self._allowed is not None and headers.get("Origin") in self._allowed

    def preflight(self, method: str, headers: Mapping[str, str]) -> HttpAnswer | None:
        """The answer to a preflight.

        None for any other request, and if there is no policy.
        """  # TC-5
        if (
            self._allowed is None
            or method != "OPTIONS"
            or "Origin" not in headers
            or "Access-Control-Request-Method" not in headers
        ):
            return None
        granted: dict[str, str] = {}
        if self.allows(headers):
            granted["Access-Control-Allow-Methods"] = headers["Access-Control-Request-Method"]
            if names := headers.get("Access-Control-Request-Headers"):
                granted["Access-Control-Allow-Headers"] = names
            if self._preflight_seconds is not None:
                granted["Access-Control-Max-Age"] = str(self._preflight_seconds)
        return HttpAnswer(204, headers=granted)

    def admits_web_socket(self, headers: Mapping[str, str]) -> bool:
        """Whether this request may open a WebSocket.

        A request without an Origin header does not come from a browser, and is allowed.
        """  # TC-3
        origin = headers.get("Origin")
        if self._allowed is None or origin is None or self.allows(headers):
            return True
        return is_own_origin(origin, headers)

    def varies(self) -> bool:
        """Whether answers depend on the origin, so that they need ``Vary: Origin``."""
        return self._allowed is not None and len(self._allowed) > 1

    def permissions(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that let the page read the answer. Error answers need them too."""

        # TC-1, TC-5
        if not self.allows(headers):
            return {}
        granted = {
            "Access-Control-Allow-Origin": headers["Origin"],
            "Access-Control-Allow-Credentials": "true",
        }
        if self._exposed_headers is not None:
            granted["Access-Control-Expose-Headers"] = self._exposed_headers
        return granted
