"""Loads an orchestration from a TOML file or from a Python function (GW-3)."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from ..logs.redaction import describe_failure
from ..orchestration.checks import OrchestrationError
from ..orchestration.orchestrator import Orchestrator
from .file import GatewayConfig, load_config

log = logging.getLogger(__name__)


class UsageError(Exception):
    """The arguments of the command are wrong; `str()` is one line for its user."""


async def load_orchestration(name: str) -> GatewayConfig:
    """Load and check the configuration of ``FILE.toml`` or ``module:function``.

    Raises `ConfigError` for a file, `OrchestrationError` or `UsageError` for a function. An
    orchestration without hubs is an error, too.
    """
    if name.lower().endswith(".toml"):
        return load_config(name)
    orchestrator = Orchestrator()
    await _orchestrate(name, orchestrator)
    if not orchestrator.hubs:
        raise UsageError(f"{name} adds no hub")
    return GatewayConfig(orchestrator=orchestrator)


async def _orchestrate(name: str, orchestrator: Orchestrator) -> None:
    """Import ``module:function``, and call the function with `orchestrator`."""
    function = _imported(name)
    try:
        result = function(orchestrator)
        if inspect.isawaitable(result):
            await result
    except OrchestrationError:
        raise
    except Exception as exc:
        log.debug("%s failed", name, exc_info=True)
        raise UsageError(f"{name} failed: {describe_failure(exc)}") from exc


def _imported(name: str) -> Callable[[Orchestrator], Coroutine[Any, Any, object] | object]:
    module_name, separator, function_name = name.partition(":")
    if not (module_name and separator and function_name):
        raise UsageError(f"{name!r} is not of the form module:function or FILE.toml")
    if "" not in sys.path:
        sys.path.insert(0, "")  # for a console script, the current folder is not on sys.path
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:
        log.debug("import failed", exc_info=True)
        raise UsageError(f"cannot import {module_name!r}: {describe_failure(exc)}") from exc
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(f"module {module_name!r} has no function {function_name!r}")
    return function  # type: ignore[no-any-return]
