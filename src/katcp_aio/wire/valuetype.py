"""One Python type as the wire sees it. Law: resolved once, then closures; nothing here looks at an annotation twice."""

from __future__ import annotations

import enum
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

import attrs

from ..reports import printable
from . import formats
from .datatypes import Address, Lru, Now, Range
from .dialect import Dialect
from .formats import bad_value, shown

__all__ = [
    "ValueType",
    "address_type",
    "boolean_type",
    "bounded_type",
    "bytes_type",
    "custom_type",
    "discrete_type",
    "enum_type",
    "float_type",
    "integer_type",
    "text_type",
    "timestamp_type",
    "union_type",
    "unwrap_scalar",
    "wire_names",
]

T = TypeVar("T")


@attrs.frozen(eq=False)
class ValueType(Generic[T]):
    """One Python type as the wire sees it. Immutable; get one from :meth:`TypeRegistry.resolve`."""

    name: str  #: type of the specification (5.1, section 3), or the registered name
    python: Any  #: the annotation that it was made from
    params: tuple[bytes, ...]  #: the options of a discrete type, as ?sensor-list gives them
    usage: str  #: for usage lines: ``integer``, ``float:[0,10]``, ``hz|rpm``
    default: T  #: a value of the type, for a sensor that was given none
    rank: int  #: in a union, types of a lower rank are tried first
    check_value: Callable[[object], T] = attrs.field(repr=False)
    make_encoder: Callable[[Dialect], Callable[[T], bytes]] = attrs.field(repr=False)
    make_decoder: Callable[[Dialect, bool], Callable[[bytes], T]] = attrs.field(repr=False)

    def check(self, value: object) -> T:
        """Return ``value`` as this type: itself, or converted where nothing is lost (int to float, numpy's scalars).

        Raises:
            TypeError: it is of another type.
            ValueError: the type is right and the value is not. Both name type and value in one line.
        """
        return self.check_value(value)

    def encoder(self, dialect: Dialect) -> Callable[[T], bytes]:
        """Return the function that writes values of this type, those that :meth:`check` returns."""
        return self.make_encoder(dialect)

    def decoder(self, dialect: Dialect, *, lenient: bool = False) -> Callable[[bytes], T]:
        """Return the function that reads one argument; it raises ValueError naming type and value in one line.

        Args:
            dialect: of the peer that wrote it.
            lenient: read also what devices in the field send: see :mod:`katcp_aio.wire.formats`.
        """
        return self.make_decoder(dialect, lenient)


def _wrong_type(value: object, kind: str) -> TypeError:
    return TypeError(f"{shown(value)} of type {type(value).__name__} is no {printable(kind)}")


def _wrong_value(value: object, kind: str) -> ValueError:
    return ValueError(f"{shown(value)} is no {printable(kind)}")


def unwrap_scalar(value: object) -> object:
    """Return what a numpy scalar holds as Python's own type; any other object as it is.

    numpy's numbers are ``numbers.Integral`` or ``Real`` and need no help; its booleans and texts are nothing known.
    """
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


def _plain(encode: Callable[[T], bytes]) -> Callable[[Dialect], Callable[[T], bytes]]:
    """Return the maker of an encoder that is the same in every dialect."""
    return lambda _dialect: encode


def _plain_decoder(
    strict: Callable[[bytes], T], lenient: Callable[[bytes], T] | None = None
) -> Callable[[Dialect, bool], Callable[[bytes], T]]:
    """Return the maker of a decoder that is the same in every dialect."""
    return lambda _dialect, leniently: (lenient or strict) if leniently else strict


def _converted(decode: Callable[[bytes], Any], cls: type[Any], exact: type[Any]) -> Callable[[bytes], Any]:
    """Return ``decode``, its values as ``cls`` where that is not what it makes anyway."""
    return decode if cls is exact else lambda raw: cls(decode(raw))


def integer_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``int``, or for another class of whole numbers that ``cls(int)`` builds."""

    def check(value: object) -> Any:
        if type(value) is cls:
            return value
        if isinstance(value, numbers.Integral):
            return cls(int(value))
        inner = unwrap_scalar(value)
        if inner is value:
            raise _wrong_type(value, "integer")
        return check(inner)

    encode = formats.encode_integer if cls is int else lambda value: formats.encode_integer(int(value))
    decode, lenient = (_converted(f, cls, int) for f in (formats.decode_integer, formats.decode_integer_leniently))
    return ValueType("integer", cls, (), "integer", cls(0), 2, check, _plain(encode), _plain_decoder(decode, lenient))


def float_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``float``, or for another class of real numbers that ``cls(float)`` builds."""

    def check(value: object) -> Any:
        if type(value) is cls:
            return value
        if isinstance(value, numbers.Real):
            try:
                return cls(float(value))
            except OverflowError:
                raise _wrong_value(value, "float") from None
        inner = unwrap_scalar(value)
        if inner is value:
            raise _wrong_type(value, "float")
        return check(inner)

    encode = formats.encode_float if cls is float else lambda value: formats.encode_float(float(value))
    decode, lenient = (_converted(f, cls, float) for f in (formats.decode_float, formats.decode_float_leniently))
    return ValueType("float", cls, (), "float", cls(0.0), 4, check, _plain(encode), _plain_decoder(decode, lenient))


def boolean_type(cls: type[bool]) -> ValueType[bool]:
    """Make the type for ``bool``."""

    def check(value: object) -> bool:
        if isinstance(value, bool):
            return value
        inner = unwrap_scalar(value)
        if inner is value:
            raise _wrong_type(value, "boolean")
        return check(inner)

    decoder = _plain_decoder(formats.decode_boolean)
    return ValueType("boolean", cls, (), "boolean", False, 1, check, _plain(formats.encode_boolean), decoder)


def text_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``str``, which is UTF-8 on the wire, or for a subclass of it."""

    def check(value: object) -> Any:
        if not isinstance(value, str):
            raise _wrong_type(value, "string")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:  # half a surrogate pair, mostly from os.fsdecode
                raise _wrong_value(value, "string in UTF-8") from None
        return value if isinstance(value, cls) else cls(value)

    decode, lenient = (_converted(f, cls, str) for f in (formats.decode_text, formats.decode_text_leniently))
    encoder = _plain(formats.encode_text)
    return ValueType("string", cls, (), "string", cls(), 7, check, encoder, _plain_decoder(decode, lenient))


def bytes_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``bytes``: a string of no particular encoding."""

    def check(value: object) -> Any:
        if type(value) is cls:
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return cls(value)
        raise _wrong_type(value, "string of bytes")

    return ValueType(
        "string", cls, (), "string", cls(), 8, check, _plain(bytes), _plain_decoder(_converted(bytes, cls, bytes))
    )


def timestamp_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for :class:`Timestamp`, the one whose unit depends on the dialect."""

    def check(value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _wrong_type(value, "timestamp")
        seconds = value if type(value) is cls else cls(float(value))
        if not 0.0 <= seconds < math.inf:
            raise _wrong_value(value, "timestamp")
        return seconds

    def make_encoder(dialect: Dialect) -> Callable[[Any], bytes]:
        encode = formats.time_encoder(dialect)
        return lambda value: encode(float(value))

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decode = formats.time_decoder(dialect, lenient=lenient)
        return lambda raw: cls(decode(raw))

    return ValueType("timestamp", cls, (), "timestamp", cls(0.0), 3, check, make_encoder, make_decoder)


def address_type(cls: type[Address]) -> ValueType[Address]:
    """Make the type for :class:`Address`."""

    def check(value: object) -> Address:
        if isinstance(value, Address):
            return value
        raise _wrong_type(value, "address")

    default = cls("0.0.0.0")  # noqa: S104 - nothing is bound to it
    return ValueType("address", cls, (), "address", default, 5, check, _plain(bytes), _plain_decoder(cls.parse))


def custom_type(
    cls: type[T],
    name: str,
    encode: Callable[..., bytes],
    decode: Callable[..., T],
    default: Callable[[], T] | None,
) -> ValueType[T]:
    """Make a type of one's own from its two functions; see :meth:`TypeRegistry.register`."""

    def check(value: object) -> T:
        if isinstance(value, cls):
            return value
        raise _wrong_type(value, name)

    def decode_checked(raw: bytes) -> T:
        try:
            return decode(raw)
        except ValueError as error:
            reason = printable(str(error))
            raise ValueError(f"{bad_value(raw, name)}: {reason}" if reason else str(bad_value(raw, name))) from error

    start = cast(T, None) if default is None else default()
    return ValueType(name, cls, (), name, start, 6, check, _plain(encode), _plain_decoder(decode_checked))


def discrete_type(
    python: Any, name: str, options: Sequence[tuple[bytes, Any]], *, params: tuple[bytes, ...] | None = None
) -> ValueType[Any]:
    """Make a type from its options, as (argument, value) pairs in the order in which they are announced."""
    values = dict(options)
    if len(values) != len(options) or not options:
        names = [wire for wire, _ in options]
        twice = b", ".join(sorted({wire for wire in names if names.count(wire) > 1}))
        trouble = f"has '{printable(twice)}' twice on the wire" if twice else "has no options"
        raise TypeError(f"{shown(python)} {trouble}")
    wires = {(type(value), value): wire for wire, value in options}
    usage = "|".join(printable(wire) for wire in values)
    kind = f"{name} {usage}"

    def check(value: object) -> Any:
        try:
            wire = wires.get((type(value), value))
        except TypeError:  # unhashable, so certainly none of them
            wire = None
        if wire is None:
            raise _wrong_type(value, kind)
        return values[wire]

    def encode(value: Any) -> bytes:
        wire = wires.get((type(value), value))
        if wire is None:
            raise _wrong_type(value, kind)
        return wire

    def decode(raw: bytes) -> Any:
        try:
            return values[raw]
        except KeyError:
            raise bad_value(raw, kind) from None

    shape = tuple(values) if params is None else params
    return ValueType(name, python, shape, usage, options[0][1], 0, check, _plain(encode), _plain_decoder(decode))


def wire_names(members: Iterable[enum.Enum]) -> list[tuple[bytes, Any]]:
    """Pair each member with its name on the wire: its ``katcp_value``, or its name in lower case with dashes."""
    options = []
    for member in members:
        wire = getattr(member, "katcp_value", None)
        if wire is None:
            wire = str(member.name).lower().replace("_", "-")
        options.append((wire.encode() if isinstance(wire, str) else bytes(wire), member))
    return options


def enum_type(cls: type[enum.Enum]) -> ValueType[Any]:
    """Make the type for an Enum: discrete by name, also where its members are numbers."""
    if issubclass(cls, Lru):
        return discrete_type(cls, "lru", wire_names(cls), params=())
    name = "timestamp" if issubclass(cls, Now) else "discrete"
    return discrete_type(cls, name, wire_names(cls), params=() if issubclass(cls, Now) else None)


def bounded_type(inner: ValueType[Any], python: Any, bounds: Range) -> ValueType[Any]:
    """Narrow a type of numbers to a range."""
    if inner.name not in ("integer", "float", "timestamp") or inner.rank == 0:
        raise TypeError(f"{bounds!r} bounds numbers, and {inner.usage} is none")
    usage = f"{inner.usage}:{bounds}"

    def check(value: object) -> Any:
        checked = inner.check(value)
        if checked in bounds:
            return checked
        raise _wrong_value(value, usage)

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decode = inner.decoder(dialect, lenient=lenient)
        low = -math.inf if bounds.low is None else bounds.low
        high = math.inf if bounds.high is None else bounds.high

        def decode_bounded(raw: bytes) -> Any:
            value = decode(raw)
            if low <= value <= high:
                return value
            raise bad_value(raw, usage)

        return decode_bounded

    default = inner.default
    if default not in bounds:
        default = inner.check(bounds.high if bounds.low is None or default > bounds.low else bounds.low)
    return attrs.evolve(
        inner, python=python, usage=usage, default=default, check_value=check, make_decoder=make_decoder
    )


def union_type(python: Any, members: Sequence[ValueType[Any]]) -> ValueType[Any]:
    """Make the type for a union: the most specific member that can read or hold a value does."""
    ordered = sorted(members, key=lambda member: member.rank)
    names = {member.name for member in members}
    usage = "|".join(member.usage for member in members)
    if names == {"integer", "float"}:
        name = "float"  # an integer is a float on the wire
    else:
        name = names.pop() if len(names) == 1 else "string"

    def choose(value: object) -> tuple[ValueType[Any], Any]:
        wrong: Exception | None = None
        for member in sorted(ordered, key=lambda member: member.python is not type(value)):
            try:
                return member, member.check(value)
            except ValueError as error:
                wrong = error
            except TypeError:
                pass
        raise wrong or _wrong_type(value, usage)

    def make_encoder(dialect: Dialect) -> Callable[[Any], bytes]:
        encoders = {id(member): member.encoder(dialect) for member in members}

        def encode(value: Any) -> bytes:
            member, checked = choose(value)
            return encoders[id(member)](checked)

        return encode

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decoders = [member.decoder(dialect, lenient=lenient) for member in ordered]

        def decode(raw: bytes) -> Any:
            for decode_one in decoders:
                try:
                    return decode_one(raw)
                except ValueError:
                    pass
            raise bad_value(raw, usage)

        return decode

    params = tuple(param for member in members for param in member.params)
    default = members[0].default
    rank = max(member.rank for member in members)
    return ValueType(
        name, python, params, usage, default, rank, lambda value: choose(value)[1], make_encoder, make_decoder
    )


def remote_discrete_type(params: Sequence[bytes]) -> ValueType[str]:
    """Make the type for another device's discrete sensor: its values are texts, listed ones when strict."""
    options = [(param, formats.decode_text_leniently(param)) for param in dict.fromkeys(params)]
    strict = discrete_type(str, "discrete", options)

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], str]:
        return formats.decode_text_leniently if lenient else strict.decoder(dialect)

    return attrs.evolve(strict, params=tuple(params), make_decoder=make_decoder)
