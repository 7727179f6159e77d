"""The paths that hubs may have, and the addresses below them."""

from collections.abc import Iterable
from typing import Final

_UNREACHABLE: Final = {"", ".", ".."}  # segments that clients remove before they send a request


def require_hub_path(path: object) -> None:
    """Raises TypeError or ValueError for a path that no hub can have."""
    if not isinstance(path, str):
        raise TypeError(f"A hub's path is text, not {type(path).__name__}.")
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"A hub's path begins with a slash and ends without one, unlike {path!r}.")
    if not _UNREACHABLE.isdisjoint(path[1:].split("/")):
        raise ValueError(f"A hub's path has no empty, '.' or '..' segments, unlike {path!r}.")
    if any(character in "?#" or not character.isprintable() for character in path):
        raise ValueError(
            f"A hub's path has no query, fragment or unprintable characters, unlike {path!r}."
        )


def is_below_hub(path: str, hub_paths: Iterable[str]) -> bool:
    """Whether ``path`` is below one of ``hub_paths``, which are in lower case (TG-1a)."""
    lowered = path.lower()
    return any(lowered.startswith(f"{hub_path}/") for hub_path in hub_paths)
