"""The package without the packages of its extra."""

import subprocess
import sys

import pytest

from protocol import jwt_bearer
from tests.support.checkout import ROOT


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_without_the_extra(missing: str) -> None:
    """It can be imported, and its names say what to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from protocol import jwt_bearer\n"
        "for name in jwt_bearer.__all__:\n"
        "    try: getattr(jwt_bearer, name)\n"
        "    except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert done.stdout.splitlines() == [
        f"protocol.jwt_bearer.{name} needs PyJWT and cryptography, which are not installed: "
        'pip install "signalr-gateway[jwt]"'
        for name in jwt_bearer.__all__
    ]


def test_the_names() -> None:
    assert set(jwt_bearer.__all__) <= set(dir(jwt_bearer))
    with pytest.raises(AttributeError, match="no attribute 'JwtBaerer'"):
        jwt_bearer.JwtBaerer  # noqa: B018
