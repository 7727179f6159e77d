"""Tools for tests of code that uses or extends this library.

The tools are a clock that a test moves, a transport in memory, links that a test cuts or delays,
and contract suites. A suite contains the tests that every implementation of an extension point has
to pass. Only the suites need pytest; they need no plugin.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client_results_contract import ClientResultsContract as ClientResultsContract
    from .clock import LoopClock as LoopClock
    from .hub_protocol_contract import HubProtocolContract as HubProtocolContract
    from .lifetime_contract import HubLifetimeContract as HubLifetimeContract
    from .link import LinkDirection as LinkDirection
    from .memory_link import MemoryLink as MemoryLink
    from .memory_transport import MemoryTransport as MemoryTransport
    from .memory_transport import memory_pair as memory_pair
    from .retry_contract import RetryPolicyContract as RetryPolicyContract
    from .tcp_link import TcpLink as TcpLink

_TOOLS = {
    "LinkDirection": ".link",
    "LoopClock": ".clock",
    "MemoryLink": ".memory_link",
    "MemoryTransport": ".memory_transport",
    "TcpLink": ".tcp_link",
    "memory_pair": ".memory_transport",
}
_CONTRACTS = {
    "ClientResultsContract": ".client_results_contract",
    "HubLifetimeContract": ".lifetime_contract",
    "HubProtocolContract": ".hub_protocol_contract",
    "RetryPolicyContract": ".retry_contract",
}

__all__ = sorted({**_TOOLS, **_CONTRACTS})


def __getattr__(name: str) -> Any:
    module = _TOOLS.get(name) or _CONTRACTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(module, __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise ImportError(
            f"{__name__}.{name} needs pytest, which is not installed: pip install pytest"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if (_pytest := sys.modules.get("pytest")) is not None:
    # Lets pytest show the values of a failed assertion in a suite. This call has to come before the
    # first import of these modules.
    _pytest.register_assert_rewrite(*(__name__ + module for module in _CONTRACTS.values()))
