"""Reads payloads into the types a handler or method declares, as strictly as .NET does.

A reader is compiled once per annotation. This module decides how containers, classes and
alternatives are read, the same for every wire format. How single values and names look on the wire
is left to ``json.binding`` and ``messagepack.binding``. msgspec decodes in one step
the types that it reads exactly as .NET does. For other types, and for a payload that msgspec
refuses, converters read the undecoded values one by one.
"""

import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, Union, get_args, get_origin

from msgspec import Meta, Raw

from ..errors import DECODING_FAILURES, ArgumentBindingError
from ..hub_protocol import ArgumentsReader, ValueReader
from .naming import annotations_of, has_members
from .number_types import constrain
from .other_types import full_name, reading_advice

Converter: TypeAlias = Callable[[Raw], Any]
"""Payload → value. May raise any exception, because users' own types do."""

FAILURES: Final = (*DECODING_FAILURES, OverflowError)
"""The exceptions that msgspec and the converters raise for a value that does not fit."""

BINDING_FAILED: Final = (
    "Error binding arguments. Make sure that the types of the provided values match the types of "
    "the hub method being invoked."
)
"""The text of detailed errors for arguments that do not fit (S-6)."""

_BARE_TUPLES: Final = (tuple, typing.Tuple)  # noqa: UP006 - of any length; tuple[()] is empty
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
    case (J-14, M-11). For a class whose ``__ignores_case__`` is true they always are.
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
    def entries_reader(self, key: Any) -> Callable[[Raw], Iterable[tuple[Any, Raw]]]:
        """A reader of maps whose keys are declared as ``key``; the reader may raise any exception.

        Raises TypeError for a type that keys cannot have.
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

        ``annotations`` are the direct annotations of which ``whole`` is composed.
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
        converters = [_checked_converter(self, annotation) for annotation in annotations]
        direct = self._direct(tuple[tuple(annotations)], annotations)  # type: ignore[misc]
        counts_first = self.counts_first
        maximum = len(converters)
        minimum = maximum if required is None else required

        def read(arguments: Raw) -> Sequence[Any]:
            if direct is not None:
                try:
                    values: Sequence[Any] = direct(arguments)
                    return values
                except FAILURES:
                    pass  # the code below may accept them, or raises the exact error
            try:
                given = self.split_array(arguments)
                if counts_first and not minimum <= len(given) <= maximum:
                    raise _wrong_number(given, converters)
                values = [convert(raw) for convert, raw in zip(converters, given, strict=False)]
            except ArgumentBindingError:
                raise
            except Exception as error:
                self.require_array(arguments)
                raise ArgumentBindingError(BINDING_FAILED) from error
            if not minimum <= len(given) <= maximum:
                raise _wrong_number(given, converters)
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
                raise ArgumentBindingError(
                    f"The value does not fit {annotation!r}: {error}"
                ) from error

        return read

    # ---- in one step

    def _direct(self, whole: Any, annotations: Sequence[Any]) -> Converter | None:
        """The decoder of ``whole``, or None if msgspec cannot read all ``annotations`` directly."""
        if not all(map(self._is_direct, annotations)):
            return None
        return self.decoder(whole, annotations)

    def _is_direct(self, annotation: Any) -> bool:
        """Whether msgspec accepts for ``annotation`` only what .NET does, as equal values."""
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
        """The converter for ``annotation``; raises TypeError where there is none."""
        if annotation is None:
            annotation = type(None)
        if annotation is Any or annotation is object:
            return self.read_any
        leaf = self.leaves.get(annotation) if isinstance(annotation, type) else None
        if leaf is not None:
            return leaf
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return _constrained(self.converter(arguments[0]), annotation, arguments[0])
        if origin in (Union, types.UnionType):
            return _alternatives([self.converter(argument) for argument in arguments])
        if origin is Literal:
            return _literal(self.read_any, arguments)
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
            return _mapping(self.entries_reader(key), self.converter(value))
        split = self.split_array
        if kind is tuple and annotation not in _BARE_TUPLES and arguments[-1:] != (Ellipsis,):
            return _fixed_tuple(split, [self.converter(argument) for argument in arguments])
        builder = _COLLECTIONS.get(kind)
        if builder is None:
            raise TypeError(
                f"{full_name(annotation)} is not a type that a hub message can be read into"
                f"{reading_advice(annotation)}"
            )
        item = self.converter(arguments[0] if arguments else Any)
        return lambda raw: builder(item(element) for element in split(raw))

    def _typed_dict(self, kind: Any) -> Converter:
        """Reads an object into a TypedDict, whose keys are the names on the wire unchanged."""

        @cache
        def find_member() -> _Find:  # compiled at first use: a type may contain itself
            annotations = annotations_of(kind)
            return _finder(
                {key: (key, self.converter(each)) for key, each in annotations.items()},
                self.ignores_case,
            )

        required = kind.__required_keys__

        def convert(raw: Raw) -> dict[str, Any]:
            find = find_member()
            result = {}
            for name, value in self.split_object(raw).items():
                if entry := find(name):
                    result[entry[0]] = entry[1](value)
            if missing := required - result.keys():
                raise ValueError(f"missing {sorted(missing)}")
            return result

        return convert

    def members(self, kind: type) -> Converter:
        """Reads an object into a Struct or dataclass; unknown members are skipped."""

        @cache
        def find_member() -> _Find:  # compiled at first use: a class may contain itself
            annotations = annotations_of(kind)
            return _finder(
                {
                    name: (attribute, self.converter(annotations[attribute]))
                    for attribute, name in self.member_names(kind)
                },
                self.ignores_case or getattr(kind, "__ignores_case__", False),
            )

        def convert(raw: Raw) -> Any:
            find = find_member()
            values = {}
            for name, value in self.split_object(raw).items():
                if entry := find(name):
                    values[entry[0]] = entry[1](value)
            return kind(**values)

        return convert


def _constrained(convert: Converter, annotation: Any, base: Any) -> Converter:
    if base not in (str, int, float):
        return convert
    return lambda raw: constrain(convert(raw), annotation)


def _literal(read_any: Converter, values: tuple[Any, ...]) -> Converter:
    def convert(raw: Raw) -> Any:
        value = read_any(raw)
        for literal in values:
            if type(literal) is type(value) and literal == value:
                return literal
        raise ValueError("none of the allowed values")

    return convert


_Entry: TypeAlias = tuple[str, Converter]  # the name in Python, and the converter of the value
_Find: TypeAlias = Callable[[str], _Entry | None]


def _finder(by_name: dict[str, _Entry], ignores_case: bool) -> _Find:
    if not ignores_case:
        return by_name.get
    by_lower_name = {name.lower(): entry for name, entry in by_name.items()}
    return lambda name: by_lower_name.get(name.lower())


def _checked_converter(binder: Binder, annotation: Any) -> Converter:
    """The result of ``binder.converter``, after a check of the members of all classes.

    ``converter`` compiles the members of a class only at first use. This function raises TypeError
    at once for a member, at any depth, that has no converter.
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


def _wrong_number(given: Sequence[Raw], expected: Sequence[Converter]) -> ArgumentBindingError:
    return ArgumentBindingError(
        f"Invocation provides {len(given)} argument(s) but target expects {len(expected)}."
    )


def _alternatives(converters: Sequence[Converter]) -> Converter:
    def convert(raw: Raw) -> Any:
        for alternative in converters:
            try:
                return alternative(raw)
            except Exception:
                continue
        raise ValueError("fits none of the alternatives")

    return convert


def _mapping(
    read_entries: Callable[[Raw], Iterable[tuple[Any, Raw]]], convert_value: Converter
) -> Converter:
    return lambda raw: {key: convert_value(value) for key, value in read_entries(raw)}


def _fixed_tuple(
    split_array: Callable[[Raw], Sequence[Raw]], converters: Sequence[Converter]
) -> Converter:
    return lambda raw: tuple(
        convert(element) for convert, element in zip(converters, split_array(raw), strict=True)
    )
