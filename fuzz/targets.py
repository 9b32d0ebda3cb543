"""What is fuzzed. Law: a target takes any bytes at all, and raises only if a promise of the library is broken.

The test suite runs each of them on the corpus, and on what hypothesis thinks of; atheris goes on from there.
"""

import enum
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, Literal

from katcp_aio import Address, InvalidReply, MalformedMessage, Message, Range, Timestamp
from katcp_aio.model.signature import Signature
from katcp_aio.wire.dialect import V51, parse_version
from katcp_aio.wire.escapes import escape, unescape_known
from katcp_aio.wire.parser import MessageParser
from katcp_aio.wire.values import registry

__all__ = ["TARGETS"]

_LIMITS = [1, 20, 1000, 16 * 1024 * 1024]  # bytes a line
_BAD = {"Cc", "Cs", "Zl", "Zp"}  # controls, half pairs and line ends of Unicode
_DIALECTS = [parse_version("4.0"), parse_version("5.0"), V51]


class _Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


_TYPES = [
    registry.resolve(annotation)
    for annotation in (int, float, bool, str, bytes, Timestamp, Address, _Mode, Literal["hz", "rpm"])
]


def _shown(items: list[Message | MalformedMessage]) -> list[tuple[type, str]]:
    return [(type(item), repr(item) if isinstance(item, Message) else str(item)) for item in items]


def _spoils(error: Exception) -> bool:
    """Whether a text would forge a line of a log, or move a cursor."""
    return any(unicodedata.category(character) in _BAD for character in str(error))


def parser(data: bytes) -> None:
    """The parser never raises, minds no boundaries of chunks, and what it returns can be written and read again."""
    how, stream = data[:2].ljust(2, b"\0"), data[2:]
    limit, size = _LIMITS[how[0] % len(_LIMITS)], 1 + how[1]
    whole = MessageParser(limit).feed(stream)
    piecewise = MessageParser(limit)
    pieces: list[Message | MalformedMessage] = []
    for start in range(0, len(stream), size):
        pieces += piecewise.feed(stream[start : start + size])
    if _shown(pieces) != _shown(whole):
        raise AssertionError(f"in pieces of {size}: {_shown(pieces)}; whole: {_shown(whole)}")
    for item in whole:
        if isinstance(item, Message):
            if Message.parse(bytes(item)) != item:
                raise AssertionError(f"{item!r} is written as {bytes(item)!r}")
        elif _spoils(item):
            raise AssertionError(f"{str(item)!r} would spoil a log")


def escapes(data: bytes) -> None:
    """What is escaped can be put in a line, and comes back; what was escaped otherwise is refused or understood."""
    written = escape(data)
    if not set(written).isdisjoint(b" \0\r\n\x1b\t"):
        raise AssertionError(f"{data!r} is escaped as {written!r}")
    if unescape_known(written) != data:
        raise AssertionError(f"{written!r} is read as {unescape_known(written)!r}")
    try:
        unescape_known(data)
    except ValueError:
        pass


def values(data: bytes) -> None:
    """An argument is a value or a ValueError of one line, in every type and dialect, and a value is written as read."""
    how, raw = data[:1].ljust(1, b"\0")[0], data[1:]
    kind = _TYPES[how % len(_TYPES)]
    dialect = _DIALECTS[how // len(_TYPES) % len(_DIALECTS)]
    for lenient in (False, True):
        try:
            value = kind.decoder(dialect, lenient=lenient)(raw)
        except ValueError as error:
            if _spoils(error):
                raise AssertionError(f"{str(error)!r} would spoil a log") from error
            continue
        try:
            checked = kind.check(value)
        except ValueError:  # such as a time before the epoch, which devices in the field do send
            continue
        written = kind.encoder(dialect)(checked)
        again = kind.decoder(dialect, lenient=lenient)(written)
        if not _same(again, value):
            raise AssertionError(f"{raw!r} is {value!r}, is written as {written!r}, and that is {again!r}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Timestamp):  # as exact as the wire, which has microseconds at the least
        return abs(one - other) <= max(1e-3, 1e-15 * abs(one))
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - that is what nan is


def _handler(
    ctx: object,
    rate: Annotated[float, Range(0, 10)],
    mode: _Mode,
    unit: Literal["hz", "rpm"] = "hz",
    *rest: Timestamp,
) -> None:
    """Take arguments of many types."""


def _short(ctx: object, count: int, there: Address | None = None) -> None:
    """Take few."""


_SIGNATURES = [Signature(handler, skip=1) for handler in (_handler, _short)]


def signature(data: bytes) -> None:
    """Any arguments give values, or an InvalidReply of one line."""
    how, arguments = data[:1], data[1:].split(b" ")
    try:
        values_ = _SIGNATURES[how == b"2"].bind([] if arguments == [b""] else arguments)
    except InvalidReply as error:
        if _spoils(error):
            raise AssertionError(f"{str(error)!r} would spoil a log") from error
        return
    if not values_:
        raise AssertionError(f"no values for {data!r}")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "parser": parser,
    "escapes": escapes,
    "values": values,
    "signature": signature,
}
