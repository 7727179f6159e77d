"""Where a JSON Web Key Set is read from: a file, or a URL.

``CachedKeySet`` decides when it is read.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from pathlib import Path
from ssl import SSLContext
from typing import ClassVar, Final

import aiohttp
from yarl import URL

from ..aio.system_errors import system_reason
from ..option_checks import described
from .key_set import MAXIMUM_SIZE, KeySetError, read_key_set

_TIMEOUT: Final = 10.0  # seconds
_CHUNK: Final = 16 * 1024  # bytes
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


class KeySetSource(ABC):
    """Reads the document of a key set."""

    with_secrets: ClassVar[bool]
    """Whether secrets in the set are used."""

    @abstractmethod
    async def read(self) -> bytes:
        """Returns the document. Raises KeySetError if it cannot be read or is too large."""


class JwksFile(KeySetSource):
    """A file that contains a JSON Web Key Set. It may contain secrets (``oct``).

    The file is read again when a token names a key that is not known, and once an hour.
    """

    with_secrets = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path is a str or a Path, not {described(path)}.")
        self._path = Path(path)

    def require_keys(self) -> None:
        """Reads the file now, to find a mistake before the first token arrives.

        Raises ValueError if the file cannot be read, or has no key that verifies signatures.
        """
        try:
            read_key_set(self._read(), with_secrets=self.with_secrets)
        except KeySetError as error:
            raise ValueError(f"The key set cannot be read: {error}.") from None

    async def read(self) -> bytes:
        """Reads the file in a thread."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return _checked_size(file.read(MAXIMUM_SIZE + 1))
        except OSError as error:
            raise KeySetError(system_reason(error)) from None
        except ValueError:  # a null character
            raise KeySetError("its path is not valid") from None


class JwksUrl(KeySetSource):
    """The address of a JSON Web Key Set, such as that of an identity provider.

    The set is requested again when a token names a key that is not known, and once an hour.
    Redirects are not followed, and secrets (``oct``) in the set are ignored. ``ssl`` replaces the
    default context, for example for a private certificate authority.

    Raises ValueError for an address that is not https, because its keys could be replaced on the
    way. Addresses of this machine may be http. ``require_https=False`` allows http everywhere.
    """

    with_secrets = False

    def __init__(
        self, url: str, *, require_https: bool = True, ssl: SSLContext | None = None
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(f"url is a str, not {described(url)}.")
        self._url = URL(url)
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ValueError("The URL of a key set begins with https://.")
        is_safe = self._url.scheme == "https" or self._url.host in _LOOPBACK
        if require_https and not is_safe:
            raise ValueError(
                "The URL of a key set begins with https://, because its keys could be replaced on "
                "the way; require_https=False allows http."
            )
        self._ssl: Final = True if ssl is None else ssl

    async def read(self) -> bytes:
        """Requests the set, for at most 10 seconds."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=timeout, auto_decompress=False, headers=_HEADERS
                ) as session,
                session.get(self._url, allow_redirects=False, ssl=self._ssl) as response,
            ):
                if response.status != 200:
                    raise KeySetError(f"its server answers with status {response.status}")
                return await _read_body(response.content)
        except TimeoutError:
            raise KeySetError("its server does not answer in time") from None
        except OSError as error:
            raise KeySetError(system_reason(_cause(error))) from None
        except aiohttp.ClientError as error:
            raise KeySetError(type(error).__name__) from None
        except ValueError:  # UnicodeError of the codec for domain names
            raise KeySetError("the host of its URL is not valid") from None


async def _read_body(content: aiohttp.StreamReader) -> bytes:
    body = b""
    async for chunk in content.iter_chunked(_CHUNK):
        body = _checked_size(body + chunk)
    return body


def _checked_size(data: bytes) -> bytes:
    if len(data) > MAXIMUM_SIZE:
        raise KeySetError(f"it is larger than {MAXIMUM_SIZE // 1024} KiB")
    return data


def _cause(error: OSError) -> OSError:
    """The error of the operating system that aiohttp's error is about."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    return inner if isinstance(inner, OSError) else error
