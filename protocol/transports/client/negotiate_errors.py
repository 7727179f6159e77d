"""The errors of a failed start: they contain the URL without its query, and a hint at the cause.

Their summaries contain no URL from a redirect, because the server has chosen this URL. Their public
summaries contain no URL.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from ...errors import NegotiationError
from ...negotiate import MALFORMED
from .http_client import HttpRequestError, NoHttpResponse

_HINTS: Final[Mapping[int, str]] = {
    401: "the hub needs an access token",
    403: "this client or user is not allowed",
    404: "is a hub mapped there?",
    405: "is a hub mapped there?",
}


class RequestUrl:
    """The URL of a request that starts a connection, for the errors about its answer.

    ``is_configured`` is False for a URL from a redirect.
    """

    def __init__(self, url: str, *, is_configured: bool) -> None:
        scheme, host, path, _, _ = urlsplit(url)
        self._url = urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))
        self._shown_url = self._url if is_configured else "the URL of a redirect"

    def refused(self, error: HttpRequestError) -> NegotiationError:
        """The error of a request that has failed."""
        status, hint = error.status, ""
        got = f"{status} from " if status is not None else ""
        if status is not None and status in _HINTS:
            hint = _HINTS[status]
        elif isinstance(error, NoHttpResponse) and self._url.startswith("http:"):
            hint = "is it an https server?"  # such a server closes at once or sends a TLS alert
        end = f": {hint})" if hint else ")"
        public = error.public_summary
        return NegotiationError(
            f"{error} ({got}{self._url}{end}",
            status,
            summary=f"{error.summary} ({got}{self._shown_url}{end}",
            public_summary=f"{public} ({hint})" if hint else public,
        )

    def unreadable(self, error: NegotiationError, media_type: str) -> NegotiationError:
        """The error of a malformed response. Any other ``error`` is returned unchanged."""
        if str(error) != MALFORMED:
            return error
        got, hint, public = "", "", MALFORMED
        if media_type == "text/html":
            got, hint = "text/html instead of JSON, ", ": a login page?"
            public = f"{MALFORMED} (text/html instead of JSON{hint})"
        text, summary = (f"{got}from {url}{hint}" for url in (self._url, self._shown_url))
        return NegotiationError(
            f"{error} ({text})", summary=f"{error} ({summary})", public_summary=public
        )
