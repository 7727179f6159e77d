"""Addresses below hubs (TG-1a). Which paths hubs may have is tested with ``map_hub``."""

import pytest

from protocol.hosting.hub_path import is_below_hub


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/hub/x", True),
        ("/HUB/x", True),
        ("/hub/", True),
        ("/hub//negotiate", True),
        ("/a/b/c", True),
        ("/hub", False),
        ("/hubs/x", False),
        ("/a/x", False),
        ("/", False),
    ],
)
def test_is_below_hub(path: str, expected: bool) -> None:
    """TG-1a: in any letter case."""
    assert is_below_hub(path, ["/hub", "/a/b"]) is expected
