"""Reads the signature of a hub method: arguments from clients, services and streams.

``hub`` decides which methods clients may call. ``aio.signatures`` resolves annotations.
"""

import inspect
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from ..aio.signatures import annotation_of, return_annotation_of
from ..values.naming import has_members
from .options import Services

_UPLOADS: Final = (AsyncIterator, AsyncIterable)
_UNIONS: Final = (Union, UnionType)
_AWAITABLES: Final = (Awaitable, Coroutine)
_STREAMS: Final = (*_UPLOADS, AsyncGenerator)
_NAMES_OF_STREAMS: Final = re.compile("|".join(kind.__name__ for kind in _STREAMS))


@dataclass(frozen=True, slots=True)
class MethodSignature:
    """The parts of a hub method's signature.

    ``parameters`` are the types of the arguments that clients send. The arguments after the first
    ``required`` ones may be missing. ``uploads`` are the item types of the parameters that are
    streams from the client. ``is_streaming`` says whether the method answers with a stream.
    ``function`` takes the hub, the arguments from the client, and any streams as the keyword
    ``uploads``.
    """

    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    required: int
    uploads: Mapping[str, Any]
    is_streaming: bool


def read_signature(where: str, function: Callable[..., Any], services: Services) -> MethodSignature:
    """Reads the signature of ``function``, which ``where`` names in error texts.

    ``services`` maps types to factories. Clients send no argument for a parameter of such a type.
    The factory returns the value of the parameter (S-2). A parameter without an annotation takes
    any value.

    Raises TypeError for parameters that are not positional, for annotations that cannot be
    resolved, and for generators that are not async. Raises TypeError for a stream that has a
    default value or whose annotation also names another type, and for a method without ``self``.
    """
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{where} is a generator; a method that streams is an async generator.")
    parameters = _positional_parameters(where, function)
    types: dict[str, Any] = {}
    defaults: list[Any] = []
    uploads: dict[str, Any] = {}
    # The functions of services by position after self; None stands for a stream.
    inserted: dict[int, Callable[[], Any] | None] = {}
    for position, parameter in enumerate(parameters):
        annotation = annotation_of(function, parameter, where)
        default = parameter.default
        kind = _service_type(annotation)
        if kind is not None and kind in services:
            inserted[position] = services[kind]
        elif _is_upload(annotation):
            if default is not parameter.empty or _origin(annotation) not in _UPLOADS:
                raise TypeError(
                    f"{where}: parameter '{parameter.name}' is a stream from the client, which is "
                    "always sent: remove its default value, and any other type from its annotation."
                )
            inserted[position] = None
            uploads[parameter.name] = _item_type(annotation)
        else:
            types[parameter.name] = annotation
            if default is not parameter.empty:
                defaults.append(default)
    required = len(types) - len(defaults)
    return MethodSignature(
        _with_inserted(where, function, inserted, required, defaults) if inserted else function,
        types,
        required,
        uploads,
        _is_streaming(where, function),
    )


def parameter_advice(annotation: Any) -> str:
    """Advice for the error text about a parameter whose type cannot be read. Empty if unknown."""
    if _names_stream(annotation):
        return "; a stream from the client is a parameter of its own, annotated AsyncIterator"
    kind = _service_type(annotation)
    if kind is None or has_members(kind):
        return ""
    return f"; if no client sends it, list {kind.__name__} in HubOptions.services"


def _service_type(annotation: Any) -> type[Any] | None:
    """The class in an annotation (S-2), for example ``Clock`` in ``Clock | None``.

    None if the annotation contains no class, or several.
    """
    if get_origin(annotation) is Annotated:
        return _service_type(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _service_type(kinds[0]) if len(kinds) == 1 else None
    return annotation if isinstance(annotation, type) else None


def _positional_parameters(where: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters after self."""
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(
                f"{where}: parameter '{parameter.name}' is not positional; clients send positional "
                "arguments only."
            )
    if not parameters:
        raise TypeError(f"{where} has no parameter for the hub itself (self).")
    if parameters[0].name != "self" and parameters[0].annotation is not parameters[0].empty:
        raise TypeError(
            f"{where}: the first parameter is the hub itself, and named self; "
            f"'{parameters[0].name}' would be given the hub."
        )
    return parameters[1:]


def _is_streaming(where: str, function: Callable[..., Any]) -> bool:
    """Whether a method is an async generator, or is declared to return an async iterable.

    Raises TypeError if the return annotation names a stream and cannot be resolved. Any other
    annotation that cannot be resolved is ignored.
    """
    if inspect.isasyncgenfunction(function):
        return True
    try:
        return _is_stream(return_annotation_of(function))
    except TypeError as error:
        if _NAMES_OF_STREAMS.search(str(function.__annotations__.get("return"))):
            raise TypeError(f"{where}: {error}") from error
        return False


def _is_upload(annotation: Any) -> bool:
    origin = _origin(annotation)
    if origin in _UNIONS:
        return any(map(_is_upload, get_args(annotation)))
    return origin in _UPLOADS


def _names_stream(annotation: Any) -> bool:
    return _origin(annotation) in _STREAMS or any(map(_names_stream, get_args(annotation)))


def _is_stream(annotation: Any) -> bool:
    origin = _origin(annotation)
    if origin in _AWAITABLES or origin in _UNIONS:
        return any(map(_is_stream, get_args(annotation)))
    return isinstance(origin, type) and issubclass(origin, AsyncIterable)


def _origin(annotation: Any) -> Any:
    """The class of a generic annotation, without Annotated. Other annotations are unchanged."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _origin(get_args(annotation)[0])
    return annotation if origin is None else origin


def _item_type(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _item_type(get_args(annotation)[0])
    return next(iter(get_args(annotation)), Any)


def _with_inserted(
    where: str,
    function: Callable[..., Any],
    inserted: Mapping[int, Callable[[], Any] | None],
    required: int,
    defaults: Sequence[Any],
) -> Callable[..., Any]:
    """Wraps ``function`` in a function that adds the services and streams.

    The result takes the arguments from the client. Those after the first ``required`` ones may be
    missing and get their ``defaults``. The result raises TypeError if a filter passes too few or
    too many arguments or streams.
    """
    maximum = required + len(defaults)
    expected = sum(make is None for make in inserted.values())

    def call(hub: object, *sent: Any, uploads: Sequence[Any] = ()) -> Any:
        if not required <= len(sent) <= maximum or len(uploads) != expected:
            raise TypeError(
                f"{where} takes {required} to {maximum} arguments and {expected} streams from the "
                f"client; it got {len(sent)} and {len(uploads)}."
            )
        arguments = [*sent, *defaults[len(sent) - required :]]
        streams = iter(uploads)
        for position, make in inserted.items():  # ascending: an insertion shifts only later ones
            arguments.insert(position, next(streams) if make is None else make())
        return function(hub, *arguments)

    return call
