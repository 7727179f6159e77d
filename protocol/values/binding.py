"""Reads payloads into the types a handler or method declares, as strictly as .NET does.

A reader is compiled once per annotation. Containers, classes and alternatives are put together
here, the same for every wire format; what a single value or a name looks like on the wire is the
format's: ``json.binding``, ``messagepack.binding``. What msgspec reads exactly as .NET would goes
to msgspec in one step; where that fails, or where a format has spellings of its own, converters
work piece by piece on undecoded values.
"""

import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, Union, get_args, get_origin

from msgspec import Meta, Raw

from ..errors import DECODING_FAILURES, ArgumentBindingError
from ..hub_protocol import ArgumentsReader, ValueReader
from .naming import Member, has_members, members_of
from .number_types import constrain

Converter: TypeAlias = Callable[[Raw], Any]
"""Payload → value. May raise anything: types of the user's own do."""

FAILURES: Final = (*DECODING_FAILURES, OverflowError)
"""What msgspec and the converters raise at a value that does not fit."""

BINDING_FAILED: Final = (
    "Error binding arguments. Make sure that the types of the provided values match the types of "
    "the hub method being invoked."
)
"""What a caller with detailed errors is told of arguments that do not fit (S-6)."""

_ANY_TUPLE: Final = (tuple, typing.Tuple)  # noqa: UP006 - as opposed to tuple[()], which is empty
_COLLECTIONS: Final[dict[Any, Callable[[Iterable[Any]], Any]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    Iterable: list,
}


class Binder(ABC):
    """Compiles annotations for one wire format, whose part the abstract members are.

    ``leaves`` converts single values by their type, ``direct_leaves`` are the annotations that
    msgspec reads as .NET does. ``ignores_case`` is about the names of members (J-14, M-11); a class
    with an attribute ``__ignores_case__`` that is true wants it so in every format.
    ``counts_first``: arguments are counted before they are bound (S-6).
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

    # ---- what a format says of itself

    @abstractmethod
    def split_array(self, raw: Raw, /) -> Sequence[Raw]:
        """The elements of an array. Raises any of FAILURES when it is none."""

    @abstractmethod
    def split_object(self, raw: Raw, /) -> Mapping[str, Raw]:
        """The members of an object; of those given twice the last. Raises any of FAILURES."""

    @abstractmethod
    def entries_reader(self, key: Any) -> Callable[[Raw], Iterable[tuple[Any, Raw]]]:
        """A reader of a map whose keys are declared as ``key``; it may raise anything.

        Raises TypeError, when compiled, for a type that keys cannot have.
        """

    @abstractmethod
    def read_any(self, raw: Raw, /) -> Any:
        """A plain value of whatever kind."""

    @abstractmethod
    def enumeration(self, kind: type[Enum]) -> Converter:
        """A converter to members of ``kind`` (J-18, M-12)."""

    @abstractmethod
    def member_name(self, member: Member) -> str:
        """What a member is called on the wire (J-14, M-11)."""

    @abstractmethod
    def decoder(self, whole: Any, annotations: Sequence[Any]) -> Converter:
        """Reads a ``whole`` made of direct ``annotations`` in one step; raises FAILURES."""

    @abstractmethod
    def require_array(self, arguments: Raw) -> None:
        """Raises the format's own error when arguments are no array (J-3, S-6m)."""

    # ---- readers

    def arguments_reader(self, annotations: Sequence[Any]) -> ArgumentsReader:
        """A reader of exactly ``len(annotations)`` arguments.

        Raises TypeError, when compiled, for an annotation that no payload can be read into.
        """
        converters = [self.converter(annotation) for annotation in annotations]
        direct = self._direct(tuple[tuple(annotations)], annotations)  # type: ignore[misc]
        counts_first = self.counts_first

        def read(arguments: Raw) -> Sequence[Any]:
            if direct is not None:
                try:
                    values: Sequence[Any] = direct(arguments)
                    return values
                except FAILURES:
                    pass  # one by one, to tell what was wrong; and some values are right after all
            try:
                given = self.split_array(arguments)
                if counts_first and len(given) != len(converters):
                    raise _wrong_number(given, converters)
                values = [convert(raw) for convert, raw in zip(converters, given, strict=False)]
            except ArgumentBindingError:
                raise
            except Exception as error:
                self.require_array(arguments)
                raise ArgumentBindingError(BINDING_FAILED) from error
            if len(given) != len(converters):
                raise _wrong_number(given, converters)
            return values

        return read

    def value_reader(self, annotation: Any) -> ValueReader:
        """A reader of one value of a type, compiled once. Raises as ``arguments_reader`` does."""
        # ``A | B`` equals ``B | A``, but means to try A first.
        order = "" if isinstance(annotation, type) else repr(annotation)
        return self._readers(annotation, order)

    def _compile(self, annotation: Any, _order: str) -> ValueReader:
        convert = self.converter(annotation)
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
        """Reads ``whole`` in one step, raises FAILURES; None where it cannot be."""
        if not all(map(self._is_direct, annotations)):
            return None
        return self.decoder(whole, annotations)

    def _is_direct(self, annotation: Any) -> bool:
        """Whether what msgspec accepts for ``annotation`` is what .NET accepts, equal values."""
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
            return self._constrained(annotation, arguments[0])
        if origin in (Union, types.UnionType):
            return _alternatives([self.converter(argument) for argument in arguments])
        if origin is Literal:
            return self._literal(arguments)
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
        if kind is tuple and annotation not in _ANY_TUPLE and arguments[-1:] != (Ellipsis,):
            return _fixed_tuple(split, [self.converter(argument) for argument in arguments])
        builder = _COLLECTIONS.get(kind)
        if builder is None:
            raise TypeError(f"{annotation!r} is no type that a hub message can be read into")
        item = self.converter(arguments[0] if arguments else Any)
        return lambda raw: builder(item(element) for element in split(raw))

    def _constrained(self, annotation: Any, base: Any) -> Converter:
        convert = self.converter(base)
        if base not in (str, int, float):
            return convert
        return lambda raw: constrain(convert(raw), annotation)

    def _literal(self, values: tuple[Any, ...]) -> Converter:
        def convert(raw: Raw) -> Any:
            value = self.read_any(raw)
            for literal in values:
                if type(literal) is type(value) and literal == value:
                    return literal
            raise ValueError("none of the allowed values")

        return convert

    def _typed_dict(self, kind: Any) -> Converter:
        """A TypedDict's keys are its wire names as they are."""
        hints = typing.get_type_hints(kind)
        by_name = {key: (key, self.converter(hint)) for key, hint in hints.items()}
        find = _finder(by_name, self.ignores_case)
        required = kind.__required_keys__

        def convert(raw: Raw) -> dict[str, Any]:
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
        find: _Find | None = None

        def convert(raw: Raw) -> Any:
            nonlocal find
            if find is None:  # compiled at first use: a type may mention itself
                find = _finder(
                    {
                        self.member_name(member): (
                            member.attribute,
                            self.converter(member.annotation),
                        )
                        for member in members_of(kind)
                    },
                    self.ignores_case or getattr(kind, "__ignores_case__", False),
                )
            values = {}
            for name, value in self.split_object(raw).items():
                if entry := find(name):
                    values[entry[0]] = entry[1](value)
            return kind(**values)

        return convert


_Entry: TypeAlias = tuple[str, Converter]  # what to call it in Python, and how to read it
_Find: TypeAlias = Callable[[str], _Entry | None]


def _finder(by_name: dict[str, _Entry], ignores_case: bool) -> _Find:
    if not ignores_case:
        return by_name.get
    by_lower_name = {name.lower(): entry for name, entry in by_name.items()}
    return lambda name: by_lower_name.get(name.lower())


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
