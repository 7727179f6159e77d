"""Reads what users' functions declare: the types of their parameters and results.

``server.hub`` and ``client.handlers`` decide which types and kinds of parameters they accept.
"""

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Never, NoReturn, get_args, get_origin, get_type_hints

from ..errors import ArgumentBindingError
from ..hub_protocol import ArgumentsReader, HubProtocol, ValueReader


def annotation_of(function: Callable[..., Any], parameter: inspect.Parameter, name: str) -> Any:
    """Returns the type that a parameter of ``function`` is annotated with, by default Any.

    Raises TypeError if the annotation cannot be resolved in the module that defines the function.
    ``name`` is the function's name in the error text.
    """
    if parameter.annotation is parameter.empty:
        return Any
    try:
        return _resolved(function, parameter.name, parameter.annotation)
    except Exception as error:  # an annotation is evaluated, so it can raise anything
        raise TypeError(
            f"{name}: the annotation of parameter '{parameter.name}' cannot be resolved: {error}"
        ) from error


def return_annotation_of(function: Callable[..., Any]) -> Any:
    """Returns the type that ``function`` is annotated to return, or Signature.empty.

    Raises ValueError for a callable without a signature, such as some built-in functions, and
    TypeError if the annotation cannot be resolved in the module that defines the function.
    """
    annotation = inspect.signature(function).return_annotation
    if annotation is inspect.Signature.empty:
        return annotation
    try:
        return _resolved(function, "return", annotation)
    except Exception as error:
        raise TypeError(f"the type of the result cannot be resolved: {error}") from error


def _resolved(function: Callable[..., Any], key: str, annotation: Any) -> Any:
    # Only this annotation is resolved: one of another parameter must not cause an error here.
    holder = SimpleNamespace(__annotations__={key: annotation})
    return get_type_hints(holder, _names(function), include_extras=True)[key]


def arguments_reader(
    hub_protocol: HubProtocol,
    parameters: Mapping[str, Any],
    required: int,
    name: str,
    advice: Callable[[Any], str] = lambda _: "",
) -> ArgumentsReader:
    """Returns a reader of arguments, of which the first ``required`` have to be present.

    ``parameters`` maps the names of the parameters to their types. Raises TypeError for a type that
    no payload can be read into. ``name`` is the function's name in the error text. ``advice``
    returns the end of this text for a type.
    """
    try:
        return hub_protocol.arguments_reader(tuple(parameters.values()), required)
    except TypeError:
        value_readers(hub_protocol, parameters, name, advice)  # raises with the parameter's name
        raise


def value_readers(
    hub_protocol: HubProtocol,
    parameters: Mapping[str, Any],
    name: str,
    advice: Callable[[Any], str] = lambda _: "",
) -> Sequence[ValueReader]:
    """Returns a reader for the single values of each parameter, for example the items of a stream.

    Raises TypeError as ``arguments_reader`` does.
    """
    readers = []
    for parameter, annotation in parameters.items():
        try:
            readers.append(hub_protocol.value_reader(annotation))
        except TypeError as error:
            text = f"{name}: parameter '{parameter}': {error}{advice(annotation)}"
            raise TypeError(text) from error
    return readers


def returns_value(function: Callable[..., Any]) -> bool | None:
    """Returns whether ``function`` is declared to return a value, or None if nothing is declared.

    For a function that is declared to return an awaitable, the result of the awaitable decides. A
    return type that cannot be resolved counts as a value.
    """
    try:
        annotation = return_annotation_of(function)
    except ValueError:
        return None
    except TypeError:
        return True
    if annotation is inspect.Signature.empty:
        return None
    origin = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Awaitable):
        annotation = get_args(annotation)[-1]
    return annotation not in (None, type(None), Never, NoReturn)


def misfit_text(error: ArgumentBindingError, parameters: Iterable[str]) -> str:
    """Why arguments do not fit the function that has ``parameters``, without any value."""
    if error.argument is None:
        return error.summary
    name = list(parameters)[error.argument - 1]
    return f"parameter {error.argument} '{name}': {error.summary}"


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """The global names of the function's module, which string annotations may use."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__  # a callable object
    function = inspect.unwrap(function)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(function, "__globals__", None) or (vars(module) if module else {})
