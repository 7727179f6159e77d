"""The cookies of one ``HubConnection``, sent back to the server unchanged (C-2)."""

from http.cookies import BaseCookie

import aiohttp
from yarl import URL

from .options import HttpConnectionOptions


class HubCookieJar(aiohttp.CookieJar):
    """Starts with the user's cookies, and adds those that responses set. aiohttp limits their size.

    Cookies are also sent to IP addresses. Unlike aiohttp's own jar, and like .NET, this jar does
    not add or remove quotes around values, because a server may treat quotes as a part of the
    value.
    """

    def __init__(self, options: HttpConnectionOptions) -> None:
        super().__init__(unsafe=True, quote_cookie=False)
        self.update_cookies(options.cookies, URL(options.url))

    def filter_cookies(self, request_url: URL = URL()) -> "BaseCookie[str]":  # noqa: B008
        """The cookies for a request, with their original quotes."""
        cookies = super().filter_cookies(request_url)
        quoted = {(it.key, it.value): it.coded_value for it in self if it.coded_value[:1] == '"'}
        for name, cookie in cookies.items():
            value = quoted.get((name, cookie.value))
            if value is not None:
                cookie.set(name, cookie.value, value)
        return cookies
