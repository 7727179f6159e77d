"""The cookies of a hub: kept for as long as it is connected to, sent back as they came (C-2)."""

from http.cookies import BaseCookie

import aiohttp
from yarl import URL

from .options import HttpConnectionOptions


class HubCookieJar(aiohttp.CookieJar):
    """Begins with the user's own; from then on those that any answer sets. Bounded by aiohttp.

    They go to bare IP addresses too. aiohttp would put values into quotes, or would take them out
    of theirs; .NET does neither, and who reads them may take quotes for a part of the value.
    """

    def __init__(self, options: HttpConnectionOptions) -> None:
        super().__init__(unsafe=True, quote_cookie=False)
        self.update_cookies(options.cookies, URL(options.url))

    def filter_cookies(self, request_url: URL = URL()) -> "BaseCookie[str]":  # noqa: B008
        """Those for a request, quotes as they were."""
        cookies = super().filter_cookies(request_url)
        quoted = {(it.key, it.value): it.coded_value for it in self if it.coded_value[:1] == '"'}
        for name, cookie in cookies.items():
            value = quoted.get((name, cookie.value))
            if value is not None:
                cookie.set(name, cookie.value, value)
        return cookies
