"""``HttpRequestData``: an HTTP request as plain data, as authenticators and hub methods see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..query_string import query_values


@dataclass(frozen=True, slots=True)
class HttpRequestData:
    """An HTTP request, such as the request that opened the transport of a connection.

    ``headers`` ignores the case of its keys. The values of a repeated header are joined by commas.
    ``query_string`` is the query as it was sent: percent-encoded and without the question mark. It
    may contain tokens, so do not log it. ``remote`` is the address of the client, if known.
    """  # TG-11, TG-12, TG-13

    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    remote: str | None

    def query(self, name: str) -> str | None:
        """Returns the first value of a query key, decoded, or None. Keys ignore case.

        Escapes that are not UTF-8 are unchanged.
        """  # LA-3
        return next(iter(self.query_values(name)), None)

    def query_values(self, name: str) -> list[str]:
        """Returns all values of a query key, decoded, in order. Keys ignore case."""
        return query_values(self.query_string, name)
