"""Reads payloads into the types a handler or method declares, as strictly as .NET does.

A reader is compiled once per annotation. This module decides how a type is read, the same for every
wire format. The form of single values and names on the wire is left to ``json.binding`` and
``messagepack.binding``. msgspec decodes in one step the types that it reads exactly as .NET does.
For other types, and for a payload that msgspec refuses, the converters of ``converters`` read the
undecoded values one by one, and report the value that does not fit.
"""

import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

from msgspec import Meta, Raw

from ..errors import DECODING_FAILURES, ArgumentBindingError
from ..hub_protocol import ArgumentsReader, ValueReader
from .converters import (
    Converter,
    Entry,
    Find,
    KindOf,
    Part,
    alternatives,
    constrained,
    finder,
    fixed_tuple,
    instance,
    literal,
    mapping,
    require_fields,
    sequence,
    structure,
)
from .misfit import misfit
from .naming import annotations_of, has_members
from .other_types import full_name, reading_advice

FAILURES: Final = (*DECODING_FAILURES, OverflowError)
"""The exceptions that msgspec and the converters raise for a value that does not fit."""

BINDING_FAILED: Final = (
    "Error binding arguments. Make sure that the types of the provided values match the types of "
    "the hub method being invoked."
)
"""The text of detailed errors for arguments that do not fit (S-6)."""

_BARE_TUPLES: Final = (tuple, typing.Tuple)  # noqa: UP006 - any length, unlike the empty tuple[()]
_COLLECTIONS: Final[dict[Any, Callable[[Iterable[Any]], Any]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    Iterable: list,
}


class Binder(ABC):
    """Compiles annotations into readers for one wire format, which a subclass describes.

    ``leaves``: the converters of single values, by type. ``direct_leaves``: the annotations without
    type arguments that msgspec reads as .NET does. ``has_direct_maps``: whether msgspec reads maps
    with str keys as .NET does. ``ignores_case``: whether names of members are matched in any letter
    case (J-14, M-11); a class whose ``__ignores_case__`` is true is always matched so.
    ``counts_first``: whether arguments are counted before they are bound (S-6).
    """

    leaves: ClassVar[Mapping[Any, Converter]]
    direct_leaves: ClassVar[frozenset[Any]]
    has_direct_maps: ClassVar[bool]
    ignores_case: ClassVar[bool]
    counts_first: ClassVar[bool]

    def __init__(self) -> None:
        self._readers: Final[Callable[[Any, str], ValueReader]] = lru_cache(maxsize=1024)(
            self._compile
        )

    # ---- what a subclass implements

    @abstractmethod
    def split_array(self, raw: Raw, /) -> Sequence[Raw]:
        """The elements of an array. Raises any of FAILURES if ``raw`` is not an array."""

    @abstractmethod
    def split_object(self, raw: Raw, /) -> Mapping[str, Raw]:
        """The members of an object by name; if a name is given twice, the last value counts.

        Raises any of FAILURES if ``raw`` is not an object.
        """

    @abstractmethod
    def kind_of(self, raw: Raw, /) -> str:
        """The kind of a value: dict, list, str, int, float, bool, None, bytes or extension.

        The kind of an empty payload is ``nothing``.
        """

    @abstractmethod
    def entries_reader(self, key: Any) -> Callable[[Raw], Iterable[tuple[Any, Raw]]]:
        """A reader of maps whose keys are declared as ``key``. The reader may raise any exception.

        Raises TypeError if ``key`` is not a type for keys.
        """

    @abstractmethod
    def read_any(self, raw: Raw, /) -> Any:
        """The value of a payload that is declared as Any."""

    @abstractmethod
    def enumeration(self, kind: type[Enum]) -> Converter:
        """A converter to members of ``kind`` (J-18, M-12)."""

    @abstractmethod
    def member_names(self, kind: type) -> Sequence[tuple[str, str]]:
        """The members of a class, each with its name on the wire (J-14, M-11); see wire_names."""

    @abstractmethod
    def decoder(self, whole: Any, annotations: Sequence[Any]) -> Converter:
        """A converter that decodes ``whole`` in one step; the converter raises FAILURES.

        ``annotations`` are the parts of ``whole``, for example the types of its members.
        """

    @abstractmethod
    def require_array(self, arguments: Raw) -> None:
        """Raises the format's own error if ``arguments`` is not an array (J-3, S-6m)."""

    # ---- readers

    def arguments_reader(
        self, annotations: Sequence[Any], required: int | None = None
    ) -> ArgumentsReader:
        """A reader of ``required`` to ``len(annotations)`` arguments; by default all are required.

        Raises TypeError for an annotation that no payload can be read into.
        """
        parts = [Part(each, _checked_converter(self, each)) for each in annotations]
        direct = self._direct(tuple[tuple(annotations)], annotations)  # type: ignore[misc]
        counts_first = self.counts_first
        maximum = len(parts)
        minimum = maximum if required is None else required

        def read(arguments: Raw) -> Sequence[Any]:
            if direct is not None:
                try:
                    values: Sequence[Any] = direct(arguments)
                    return values
                except FAILURES:
                    pass  # the code below may accept these arguments, or raises the exact error
            given: Sequence[Raw] = ()
            values = []
            try:
                given = self.split_array(arguments)
                if counts_first and not minimum <= len(given) <= maximum:
                    raise _wrong_number(len(given), minimum, maximum)
                for part, raw in zip(parts, given, strict=False):
                    values.append(part.read(raw))
            except ArgumentBindingError:
                raise
            except Exception as error:
                self.require_array(arguments)
                raise _unbound(error, self.kind_of, parts, given, len(values)) from error
            if not minimum <= len(given) <= maximum:
                raise _wrong_number(len(given), minimum, maximum)
            return values

        return read

    def value_reader(self, annotation: Any) -> ValueReader:
        """A reader of one value, compiled once per annotation. Raises as ``arguments_reader``."""
        # ``A | B`` equals ``B | A``, but the reader of the first tries A first.
        order = "" if isinstance(annotation, type) else repr(annotation)
        return self._readers(annotation, order)

    def _compile(self, annotation: Any, _order: str) -> ValueReader:
        convert = _checked_converter(self, annotation)
        direct = self._direct(annotation, [annotation])

        def read(value: Raw) -> Any:
            if direct is not None:
                try:
                    return direct(value)
                except FAILURES:
                    pass
            try:
                return convert(value)
            except Exception as error:
                reason = str(misfit(error, annotation, self.kind_of(value)))
                raise ArgumentBindingError(
                    f"The value does not fit {annotation!r}: {reason}", summary=reason
                ) from error

        return read

    # ---- in one step

    def _direct(self, whole: Any, annotations: Sequence[Any]) -> Converter | None:
        """The decoder of ``whole``, or None if msgspec cannot read all ``annotations`` directly."""
        if not all(map(self._is_direct, annotations)):
            return None
        return self.decoder(whole, annotations)

    def _is_direct(self, annotation: Any) -> bool:
        """Whether .NET reads all that msgspec accepts for ``annotation``, as equal values."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is None:
            return annotation in self.direct_leaves
        if origin is Annotated:
            return arguments[0] in (str, int, float) and all(
                isinstance(item, Meta) for item in arguments[1:]
            )
        if origin in (list, Union, types.UnionType):
            return all(self._is_direct(argument) for argument in arguments)
        return (
            self.has_direct_maps
            and origin is dict
            and arguments[0] is str
            and self._is_direct(arguments[1])
        )

    # ---- piece by piece

    def converter(self, annotation: Any) -> Converter:
        """The converter for ``annotation``. Raises TypeError if there is none."""
        if annotation is None:
            annotation = type(None)
        if annotation is Any or annotation is object:
            return self.read_any
        leaf = self.leaves.get(annotation) if isinstance(annotation, type) else None
        if leaf is not None:
            return leaf
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return constrained(self.converter(arguments[0]), annotation, arguments[0])
        if origin in (Union, types.UnionType):
            return alternatives([self.converter(argument) for argument in arguments])
        if origin is Literal:
            return literal(self.read_any, arguments)
        if isinstance(annotation, typing.NewType):
            return self.converter(annotation.__supertype__)
        if typing.is_typeddict(annotation):
            return self._typed_dict(annotation)
        if isinstance(annotation, type):
            if issubclass(annotation, Enum):
                return self.enumeration(annotation)
            if has_members(annotation):
                return self.members(annotation)
        return self._container(annotation, origin or annotation, arguments)

    def _container(self, annotation: Any, kind: Any, arguments: tuple[Any, ...]) -> Converter:
        if kind in (dict, Mapping, typing.Mapping):
            key, value = arguments or (Any, Any)
            return mapping(self.entries_reader(key), self._part(value), self.kind_of)
        split = self.split_array
        if kind is tuple and annotation not in _BARE_TUPLES and arguments[-1:] != (Ellipsis,):
            return fixed_tuple(split, [self._part(each) for each in arguments], self.kind_of)
        builder = _COLLECTIONS.get(kind)
        if builder is None:
            raise TypeError(
                f"{full_name(annotation)} is not a type that a hub message can be read into"
                f"{reading_advice(annotation)}"
            )
        item = self._part(arguments[0] if arguments else Any)
        return sequence(split, builder, item, self.kind_of)

    def _part(self, annotation: Any) -> Part:
        return Part(annotation, self.converter(annotation))

    def _typed_dict(self, kind: Any) -> Converter:
        """Reads an object into a TypedDict, whose keys are the names on the wire unchanged."""

        @cache
        def find_member() -> Find:  # compiled at first use: a type may contain itself
            entries = (Entry(key, key, self._part(it)) for key, it in annotations_of(kind).items())
            return finder(entries, ignores_case=self.ignores_case)

        required = {key: key for key in sorted(kind.__required_keys__)}

        def build(values: dict[str, Any]) -> dict[str, Any]:
            require_fields(required, values)
            return values

        return structure(self.split_object, find_member, build, self.kind_of)

    def members(self, kind: type) -> Converter:
        """Reads an object into a Struct or dataclass; unknown members are skipped."""
        names = self.member_names

        @cache
        def find_member() -> Find:  # compiled at first use: a class may contain itself
            annotations = annotations_of(kind)
            entries = (
                Entry(attr, name, self._part(annotations[attr])) for attr, name in names(kind)
            )
            ignores_case = self.ignores_case or getattr(kind, "__ignores_case__", False)
            return finder(entries, ignores_case=ignores_case)

        return structure(
            self.split_object,
            find_member,
            lambda values: instance(kind, values, names(kind)),
            self.kind_of,
        )


def _checked_converter(binder: Binder, annotation: Any) -> Converter:
    """Returns the result of ``binder.converter``, and checks the members of classes.

    ``converter`` compiles the members of a class only at first use. This function raises TypeError
    at once if a member, at any depth, has no converter.
    """
    convert = binder.converter(annotation)
    _require_readable_members(binder, annotation, set())
    return convert


def _require_readable_members(binder: Binder, annotation: Any, checked: set[type]) -> None:
    for argument in get_args(annotation):
        _require_readable_members(binder, argument, checked)
    is_class = has_members(annotation) or typing.is_typeddict(annotation)
    if not is_class or annotation in binder.leaves or annotation in checked:
        return
    checked.add(annotation)
    where = annotation.__qualname__
    try:
        if has_members(annotation):
            binder.member_names(annotation)  # raises if two have the same name
        for name, member in annotations_of(annotation).items():
            where = f"{annotation.__qualname__}.{name}"
            binder.converter(member)
            _require_readable_members(binder, member, checked)
    except (TypeError, NameError) as error:
        raise TypeError(f"{where}: {error}") from error


def _unbound(
    error: Exception, kind_of: KindOf, parts: Sequence[Part], given: Sequence[Raw], index: int
) -> ArgumentBindingError:
    """The error for the argument at ``index``, which does not fit."""
    if index >= len(given):
        return ArgumentBindingError(BINDING_FAILED, summary="the arguments cannot be read")
    reason = misfit(error, parts[index].annotation, kind_of(given[index]))
    return ArgumentBindingError(BINDING_FAILED, index + 1, summary=str(reason))


def _wrong_number(given: int, minimum: int, maximum: int) -> ArgumentBindingError:
    expected = str(maximum) if minimum == maximum else f"{minimum} to {maximum}"
    return ArgumentBindingError(
        f"Invocation provides {given} argument(s) but target expects {maximum}.",
        summary=f"got {given} argument{'' if given == 1 else 's'}, expected {expected}",
    )
