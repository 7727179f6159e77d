"""The URLs of requests, as aiohttp uses them, and the origins that they belong to.

``http_client`` and ``access_tokens`` decide what is sent to which origin.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import quote, urlsplit

from yarl import URL

_NOT_QUOTED: Final = "".join(map(chr, range(0x21, 0x7F)))


def url_as_written(url: str) -> URL:
    """``url`` unchanged, except that characters that are not allowed in a URL are quoted.

    A plain string would be normalized by aiohttp.
    """
    parts = urlsplit(url)
    origin = URL(f"{parts.scheme}://{parts.netloc}")
    # URL.join would read a path that begins with two slashes as another host.
    return URL.build(
        scheme=origin.scheme,
        authority=origin.raw_authority,
        path=quote(parts.path or "/", safe=_NOT_QUOTED),
        query_string=quote(parts.query, safe=_NOT_QUOTED),
        encoded=True,
    )


def origin_of(url: URL) -> URL:
    """The origin of a URL. The origin of a ws or wss URL has the scheme http or https."""
    scheme = {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)
    return URL.build(scheme=scheme, host=url.host or "", port=url.port)


def valid_origins(*urls: str) -> Iterator[URL]:
    """The origins of ``urls``. A URL to which no request can be sent is left out."""
    for url in urls:
        with suppress(ValueError):
            yield origin_of(url_as_written(url))
