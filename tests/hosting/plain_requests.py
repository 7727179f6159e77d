"""Requests as a host passes them to an endpoint, built from text."""

from collections.abc import Iterator, Mapping

from protocol import HttpRequestData


class Headers(Mapping[str, str]):
    """Headers that are found by name in any letter case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def request(method: str = "GET", query: str = "", **headers: str) -> HttpRequestData:
    """A request to a hub's path. Underscores in the names of headers become hyphens."""
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return HttpRequestData(method, "/hub", query, named, "127.0.0.1")
