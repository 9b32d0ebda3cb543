"""How the types of the specification are written (5.1, table 6). Law: bytes <-> one value, strict both ways.

Strict means: what the table does not show is refused, also where Python's own ``int()`` and ``float()`` would read it:
blanks, ``1_000``, hexadecimal, ``+5`` or ``007`` for an integer, ``nan`` and ``inf``, a sign or exponent in a time.
The lenient decoders are for a client that has to live with what devices in the field send.

Every decoder raises ValueError with one line that names type and value. They run once for every argument; the guards
are those that were found cheapest, and the numbers beside them nanoseconds on one core of a 2020s server (Python 3.11).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from ..reports import plain, printable
from .dialect import Dialect

__all__ = [
    "bad_value",
    "decode_boolean",
    "decode_float",
    "decode_float_leniently",
    "decode_integer",
    "decode_integer_leniently",
    "decode_text",
    "decode_text_leniently",
    "encode_boolean",
    "encode_float",
    "encode_integer",
    "encode_text",
    "encode_text_leniently",
    "shown",
    "time_decoder",
    "time_encoder",
    "wrong_type",
    "wrong_value",
]

_LONGEST = 60  # characters of a value in an error text


def bad_value(raw: bytes, kind: str) -> ValueError:
    """Return the error for an argument that cannot be read as ``kind``, fit for the wire and for a log."""
    return ValueError(f"'{plain(raw, _LONGEST)}' is no {plain(kind)}")


def shown(value: object) -> str:
    """Return ``repr(value)`` as one bounded line, also of an object that cannot show itself."""
    try:
        return printable(repr(value), _LONGEST)
    except Exception:  # noqa: BLE001 - repr runs anybody's code; even that of an int fails beyond 4300 digits
        return f"<{type(value).__name__}>"


def wrong_type(value: object, kind: str) -> TypeError:
    """Return the error for a value that cannot be written as ``kind``, being of another type."""
    return TypeError(f"{shown(value)} of type {type(value).__name__} is no {printable(kind)}")


def wrong_value(value: object, kind: str) -> ValueError:
    """Return the error for a value of the right type that cannot be written as ``kind`` all the same."""
    return ValueError(f"{shown(value)} is no {printable(kind)}")


# --- integer ---

_INTEGER = re.compile(rb"-?[1-9][0-9]*|0").fullmatch
_UNDERSCORE = ord("_")  # looked for as a number: 20, and 130 as b"_" (Python 3.11)


def encode_integer(value: Any) -> bytes:
    """Write any ``numbers.Integral`` as C's ``%d`` does. Python refuses more than 4300 digits, to write and to read."""
    try:
        return b"%d" % value
    except ValueError:
        raise ValueError(f"{shown(value)} of {int(value).bit_length()} bits is too long for an integer") from None


def decode_integer(raw: bytes) -> int:
    """Read what C's ``%d`` writes, and nothing else."""
    # isdigit() and int() take 90 together, the expression 130 more.
    if (raw.isdigit() and raw[0] != 48) or _INTEGER(raw):
        try:
            return int(raw)
        except ValueError:  # more digits than Python converts, a defence against just such arguments
            digits = len(raw.removeprefix(b"-"))
            raise bad_value(raw, f"integer: its {digits} digits are too many") from None
    raise bad_value(raw, "integer")


def decode_integer_leniently(raw: bytes) -> int:
    """Read as :func:`decode_integer`, or with a plus, with leading zeros, or within blanks."""
    try:
        if _UNDERSCORE not in raw:
            return int(raw)
    except ValueError:
        pass
    raise bad_value(raw, "integer")


# --- float ---

_DECIMAL = b"0123456789.+-eE"


def encode_float(value: float) -> bytes:
    """Write the shortest decimal that reads back as the same float; NaN and infinities as ``nan``, ``inf``, ``-inf``.

    These three are no decimals, but C's ``strtod`` reads them, and a failed sensor may have nothing better to report.
    """
    return repr(value).encode()


def decode_float(raw: bytes) -> float:
    """Read a decimal as C's ``strtod`` does; no blanks before it, no ``nan``, no ``inf``, nothing beyond the range."""
    try:
        value = float(raw)
    except ValueError:
        raise bad_value(raw, "float") from None
    # What float() reads beyond decimals (blanks, underscores, the words) has characters that are not in decimals.
    if raw.translate(None, _DECIMAL) or value - value != 0.0:
        raise bad_value(raw, "float")
    return value


def decode_float_leniently(raw: bytes) -> float:
    """Read as :func:`decode_float`, and also ``nan``, ``inf``, too large numbers, and within blanks."""
    try:
        if _UNDERSCORE not in raw:
            return float(raw)
    except ValueError:
        pass
    raise bad_value(raw, "float")


# --- boolean ---

_BOOLEANS = {b"0": False, b"1": True}


def encode_boolean(value: bool) -> bytes:
    """Write ``1`` or ``0``."""
    return b"1" if value else b"0"


def decode_boolean(raw: bytes) -> bool:
    """Read ``1`` or ``0``."""
    value = _BOOLEANS.get(raw)
    if value is None:
        raise bad_value(raw, "boolean")
    return value


# --- string ---


def encode_text(value: str) -> bytes:
    """Write UTF-8."""
    try:
        return value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, mostly from os.fsdecode
        raise ValueError(f"{shown(value)} is no string in UTF-8") from None


def encode_text_leniently(value: object) -> bytes:
    r"""Write any text, and whatever else as ``str`` shows it; what UTF-8 cannot say becomes a ``\udcNN`` to read."""
    return str(value).encode("utf-8", "backslashreplace")


def decode_text(raw: bytes) -> str:
    """Read UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise bad_value(raw, "string in UTF-8") from None


def decode_text_leniently(raw: bytes) -> str:
    r"""Read UTF-8; a byte that is none becomes a ``\xNN`` to read."""
    return raw.decode("utf-8", "backslashreplace")


# --- timestamp, and every other time ---

_TIME = re.compile(rb"[0-9]+(?:\.[0-9]+)?").fullmatch
_EXACT = Context(prec=20)  # a float has 17 digits; the program's own context may have fewer


def _encode_rare_time(seconds: Any, places: int) -> bytes:
    """Write what ``repr`` would write with an exponent, or what is no time at all."""
    seconds = float(seconds)
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"{seconds!r} is no timestamp")
    text = format(Decimal(repr(abs(seconds))).scaleb(places, _EXACT), "f")  # abs: -0.0 is a time, "-0" is not
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()


_repr = float.__repr__  # that of a Timestamp is for people


def _encode_seconds(seconds: float) -> bytes:
    # repr has no exponent within these bounds, and is exact: 1795345731.392 stays that.
    try:
        if 1e-4 <= seconds < 1e16:
            return _repr(seconds).encode()
    except TypeError:  # no float, but another number
        pass
    return _encode_rare_time(seconds, 0)


def _encode_milliseconds(seconds: float) -> bytes:
    # The point moves in the text, not in the number: 1.001 * 1000.0 is 1000.9999999999999.
    if not (1.0 <= seconds < 1e16 and isinstance(seconds, float)):
        return _encode_rare_time(seconds, 3)
    whole, _, fraction = _repr(seconds).partition(".")
    rest = fraction[3:]
    text = whole + fraction[:3].ljust(3, "0")
    return (f"{text}.{rest}" if rest else text).encode()


def time_encoder(dialect: Dialect) -> Callable[[float], bytes]:
    """Return the function that writes seconds as this dialect does, exactly, never with an exponent.

    It raises ValueError for what is no time: below zero, NaN, infinite.
    """
    return _encode_seconds if dialect.time_scale == 1.0 else _encode_milliseconds


def time_decoder(dialect: Dialect, *, lenient: bool = False) -> Callable[[bytes], float]:
    """Return the function that reads seconds as this dialect writes them.

    Args:
        dialect: whose unit of time it is.
        lenient: read whatever is a number, negative or with an exponent too; NaN and infinities as well.
    """
    milliseconds = dialect.time_scale != 1.0

    def decode(raw: bytes) -> float:
        if _TIME(raw):
            # An exponent divides without rounding twice, so that what was written is what is read.
            value = float(raw + b"e-3") if milliseconds else float(raw)
            if value < math.inf:
                return value
        raise bad_value(raw, "timestamp")

    def decode_leniently(raw: bytes) -> float:
        try:
            if _UNDERSCORE not in raw:
                if milliseconds:
                    return float(raw + b"e-3") if _TIME(raw) else float(raw) / 1000.0
                return float(raw)
        except ValueError:
            pass
        raise bad_value(raw, "timestamp")

    return decode_leniently if lenient else decode
