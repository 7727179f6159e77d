"""The parameters of users' functions, and what their annotations mean.

What may be annotated, and which kinds of parameters there may be, is decided by those who ask.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints


def annotation_of(function: Callable[..., Any], parameter: inspect.Parameter, name: str) -> Any:
    """The type that a parameter of ``function`` is declared as; without any it is Any.

    Raises TypeError that calls the function ``name`` for an annotation that means nothing where
    the function is defined.
    """
    if parameter.annotation is parameter.empty:
        return Any
    # By itself: what the others mean, and what is returned, is of no interest here.
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(holder, _names(function), include_extras=True)[parameter.name]
    except Exception as error:  # whatever evaluating it comes to
        raise TypeError(
            f"{name}: the annotation of parameter '{parameter.name}' cannot be resolved: {error}"
        ) from error


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """What annotations that are texts may mention: the names of the module they were written in."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__  # an object that can be called
    function = inspect.unwrap(function)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(function, "__globals__", None) or (vars(module) if module else {})
