"""``JwtBearer``: authenticates requests by the JSON Web Token that they carry.

It needs PyJWT and cryptography, which the extra ``jwt`` installs. The names below are loaded when
they are first used, so that this package can be imported without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bearer import JwtBearer as JwtBearer
    from .key_sources import JwksFile as JwksFile
    from .key_sources import JwksUrl as JwksUrl
    from .keys import PemKey as PemKey
    from .keys import SecretKey as SecretKey

_HOME_OF = {
    "JwksFile": ".key_sources",
    "JwksUrl": ".key_sources",
    "JwtBearer": ".bearer",
    "PemKey": ".keys",
    "SecretKey": ".keys",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(module, __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("jwt", "cryptography"):
            raise
        raise ImportError(
            f"{__name__}.{name} needs PyJWT and cryptography, which are not installed: "
            'pip install "signalr-gateway[jwt]"'
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
