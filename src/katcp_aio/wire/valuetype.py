"""One Python type as the wire sees it, and the plain ones. Law: resolved once, then closures."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import attrs

from ..reports import plain as plain_text
from ..reports import printable
from . import formats
from .datatypes import Address
from .dialect import Dialect
from .formats import bad_value, wrong_type, wrong_value

__all__ = [
    "ValueType",
    "address_type",
    "boolean_type",
    "bytes_type",
    "custom_type",
    "float_type",
    "integer_type",
    "plain",
    "plain_decoder",
    "text_type",
    "timestamp_type",
    "unwrap_scalar",
]

T = TypeVar("T")

# Between these, whole numbers have at most 640 digits, which Python writes and reads whatever its limit is set to.
_BELOW, _ABOVE = -(10**640), 10**640


@attrs.frozen(eq=False)
class ValueType(Generic[T]):
    """One Python type as the wire sees it. Immutable; get one from :meth:`TypeRegistry.resolve`."""

    name: str  #: type of the specification (5.1, section 3), or the registered name
    python: Any  #: the annotation that it was made from
    params: tuple[bytes, ...]  #: the options of a discrete type, as ?sensor-list gives them
    usage: str  #: for usage lines: ``integer``, ``float:[0,10]``, ``hz|rpm``
    default: T  #: a value of the type; see :meth:`first`
    rank: int  #: in a union, types of a lower rank are tried first
    check_value: Callable[[object], T] = attrs.field(repr=False)
    make_encoder: Callable[[Dialect], Callable[[T], bytes]] = attrs.field(repr=False)
    make_decoder: Callable[[Dialect, bool], Callable[[bytes], T]] = attrs.field(repr=False)
    make_first: Callable[[], T] | None = attrs.field(default=None, repr=False)

    def first(self) -> T:
        """Return the value of a sensor that was given none: a new one for each where values can be changed."""
        return self.default if self.make_first is None else self.make_first()

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


def unwrap_scalar(value: object) -> object:
    """Return what a numpy scalar holds as Python's own type; any other object as it is.

    numpy's numbers are ``numbers.Integral`` or ``Real`` and need no help; its booleans and texts are nothing known.
    """
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


def plain(encode: Callable[[T], bytes]) -> Callable[[Dialect], Callable[[T], bytes]]:
    """Return the maker of an encoder that is the same in every dialect."""
    return lambda _dialect: encode


def plain_decoder(
    strict: Callable[[bytes], T], lenient: Callable[[bytes], T] | None = None
) -> Callable[[Dialect, bool], Callable[[bytes], T]]:
    """Return the maker of a decoder that is the same in every dialect."""
    return lambda _dialect, leniently: (lenient or strict) if leniently else strict


def _converted(decode: Callable[[bytes], Any], cls: type[Any], exact: type[Any]) -> Callable[[bytes], Any]:
    """Return ``decode``, its values as ``cls`` where that is not what it makes anyway."""

    def convert(raw: bytes) -> Any:
        try:
            return cls(decode(raw))
        except OverflowError:  # of a class with a bound
            raise bad_value(raw, cls.__name__) from None

    return decode if cls is exact else convert


def _as_float(value: Any) -> float:
    """Convert any real number; unlike ``float()``, one that is too large is a ValueError."""
    try:
        return float(value)
    except OverflowError:
        raise wrong_value(value, "float") from None


def _as_class(cls: type[Any], number: float) -> Any:
    """Convert a Python number; one that is too large, for numpy's int32 or as an infinite Fraction, is a ValueError."""
    try:
        return cls(number)
    except OverflowError:
        raise wrong_value(number, cls.__name__) from None


def _start(cls: type[Any], value: object) -> Any:
    """Return the first value of a sensor of class ``cls``; the plain ``value`` where the class cannot hold it."""
    try:
        return cls(value)
    except (TypeError, ValueError):
        return value


def integer_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``int``, or for another class of whole numbers that ``cls(int)`` builds."""
    if cls is numbers.Integral:
        cls = int
    exact = cls is int

    def check(value: Any) -> Any:
        if exact and type(value) is int and _BELOW < value < _ABOVE:
            return value  # nearly all of them
        whole = value
        if type(value) is not cls:
            if not isinstance(value, numbers.Integral):
                inner = unwrap_scalar(value)
                if inner is value:
                    raise wrong_type(value, "integer")
                return check(inner)
            whole = _as_class(cls, int(value))
        if not _BELOW < int(whole) < _ABOVE:
            formats.encode_integer(whole)  # raises if there are too many digits
        return whole

    encoder = plain(formats.encode_integer)
    decode, lenient = (_converted(f, cls, int) for f in (formats.decode_integer, formats.decode_integer_leniently))
    return ValueType("integer", cls, (), "integer", _start(cls, 0), 2, check, encoder, plain_decoder(decode, lenient))


def float_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``float``, or for another class of real numbers that ``cls(float)`` builds."""
    if cls is numbers.Real:
        cls = float

    def check(value: object) -> Any:
        if type(value) is cls:
            if cls is not float:
                _as_float(value)  # raises for what is too large to be written, as a Fraction may be
            return value
        if isinstance(value, numbers.Real):
            return _as_class(cls, _as_float(value))
        inner = unwrap_scalar(value)
        if inner is value:
            raise wrong_type(value, "float")
        return check(inner)

    encode = formats.encode_float if cls is float else lambda value: formats.encode_float(_as_float(value))
    decode, lenient = (_converted(f, cls, float) for f in (formats.decode_float, formats.decode_float_leniently))
    return ValueType(
        "float", cls, (), "float", _start(cls, 0.0), 4, check, plain(encode), plain_decoder(decode, lenient)
    )


def boolean_type(cls: type[bool]) -> ValueType[bool]:
    """Make the type for ``bool``."""

    def check(value: object) -> bool:
        if isinstance(value, bool):
            return value
        inner = unwrap_scalar(value)
        if inner is value:
            raise wrong_type(value, "boolean")
        return check(inner)

    decoder = plain_decoder(formats.decode_boolean)
    return ValueType("boolean", cls, (), "boolean", False, 1, check, plain(formats.encode_boolean), decoder)


def text_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``str``, which is UTF-8 on the wire, or for a subclass of it."""

    def check(value: object) -> Any:
        if not isinstance(value, str):
            raise wrong_type(value, "string")
        if not value.isascii():
            formats.encode_text(value)  # raises for what is no Unicode
        return value if isinstance(value, cls) else cls(value)

    decode, lenient = (_converted(f, cls, str) for f in (formats.decode_text, formats.decode_text_leniently))
    encoder = plain(formats.encode_text)
    return ValueType("string", cls, (), "string", _start(cls, ""), 7, check, encoder, plain_decoder(decode, lenient))


def bytes_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for ``bytes``: a string of no particular encoding."""
    fixed = issubclass(cls, bytes)

    def check(value: object) -> Any:
        if fixed and type(value) is cls:
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return cls(bytes(value))  # what is filled anew later must not change what was said before
        raise wrong_type(value, "string of bytes")

    return ValueType(
        "string",
        cls,
        (),
        "string",
        _start(cls, b""),
        8,
        check,
        plain(bytes),
        plain_decoder(_converted(bytes, cls, bytes)),
        None if fixed else lambda: cls(b""),
    )


def timestamp_type(cls: type[Any]) -> ValueType[Any]:
    """Make the type for :class:`Timestamp`, the one whose unit depends on the dialect."""

    def check(value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise wrong_type(value, "timestamp")
        seconds: Any = value if type(value) is cls else cls(_as_float(value))
        if not 0.0 <= seconds < math.inf:
            raise wrong_value(value, "timestamp")
        return seconds

    def make_decoder(dialect: Dialect, lenient: bool) -> Callable[[bytes], Any]:
        decode = formats.time_decoder(dialect, lenient=lenient)
        return lambda raw: cls(decode(raw))

    return ValueType("timestamp", cls, (), "timestamp", cls(0.0), 3, check, formats.time_encoder, make_decoder)


def address_type(cls: type[Address]) -> ValueType[Address]:
    """Make the type for :class:`Address`."""

    def check(value: object) -> Address:
        if isinstance(value, Address):
            return value
        raise wrong_type(value, "address")

    default = cls("0.0.0.0")  # noqa: S104 - nothing is bound to it
    return ValueType("address", cls, (), "address", default, 5, check, plain(bytes), plain_decoder(cls.parse))


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
        raise wrong_type(value, name)

    def decode_checked(raw: bytes) -> T:
        try:
            return decode(raw)
        except ValueError as error:
            reason = plain_text(str(error))
            raise ValueError(f"{bad_value(raw, name)}: {reason}" if reason else str(bad_value(raw, name))) from error

    def encode_checked(value: T) -> bytes:
        raw = encode(value)
        if type(raw) is not bytes:
            raise TypeError(f"the encoder of {printable(name)} returned {type(raw).__name__}, not bytes")
        return raw

    start = cast(T, None) if default is None else default()
    return ValueType(
        name, cls, (), name, start, 6, check, plain(encode_checked), plain_decoder(decode_checked), default
    )
