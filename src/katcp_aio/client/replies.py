"""What a request brings back. Law: ``ok`` becomes a :class:`Reply`, anything else an exception that says all there is.

Also the one place that knows which requests carry times in their arguments: users of a client deal in seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from ..errors import FailReply, InvalidReply, ProtocolError, RequestError
from ..wire.dialect import V51, Dialect
from ..wire.message import Message, MessageType
from ..wire.values import TypeRegistry, encode, registry

__all__ = ["Reply", "decode_values", "encode_values", "in_seconds", "reply_error", "telling_log"]


@attrs.frozen
class Reply:
    """A reply with the informs that came before it. Immutable; ``arguments, informs = reply`` works."""

    message: Message  #: the whole reply
    informs: list[Message] = attrs.field(factory=list)  #: those that are part of it, in order

    @property
    def code(self) -> str:
        """The return code: ``ok`` unless the request was made with ``check=False`` (5.1, section 2.1)."""
        arguments = self.message.arguments
        return arguments[0].decode("utf-8", "backslashreplace") if arguments else ""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.message.ok

    @property
    def arguments(self) -> list[bytes]:
        """What follows the return code, unescaped."""
        return list(self.message.arguments[1:])

    def __iter__(self) -> Iterator[Any]:
        """Yield the arguments, then the informs."""
        yield self.arguments
        yield self.informs


def reply_error(
    request: Message, reply: Message, informs: Sequence[Message], log: Sequence[Message], device: str
) -> RequestError:
    """Return the exception for a reply that is not ``ok``. A code of the device's own is kept (5.1, table 4)."""
    arguments = reply.arguments
    code = arguments[0].decode("utf-8", "backslashreplace") if arguments else ""
    text = arguments[1].decode("utf-8", "replace") if len(arguments) > 1 else ""
    if not arguments:
        text = "reply without a return code"
    kind = InvalidReply if code == "invalid" else FailReply
    return kind(text, code=code, request=request, reply=reply, informs=informs, log=log, device=device)


_TELLING = (b"warn", b"error", b"fatal")


def telling_log(log: Iterable[Message]) -> tuple[Message, ...]:
    """Return the #log informs that explain a failure: those of a warning or worse, or else all (5.1, section 6)."""
    kept = tuple(log)
    return tuple(inform for inform in kept if inform.arguments[:1] and inform.arguments[0] in _TELLING) or kept


@functools.lru_cache(maxsize=1024)
def _decoder(annotation: Any, dialect: Dialect, types: TypeRegistry) -> Callable[[bytes], Any]:
    # Lenient: what devices in use send is theirs to choose, and a client that refuses it is of no use to anybody.
    return types.resolve(annotation).decoder(dialect, lenient=True)


def decode_values(
    request: Message, reply: Message, returns: Sequence[Any], dialect: Dialect, types: TypeRegistry = registry
) -> tuple[Any, ...]:
    """Return the values of a reply, by their types; arguments beyond these are left alone.

    Raises:
        ProtocolError: too few arguments, or one that is not of its type.
        TypeError: a type that has no KATCP data type.
    """
    arguments = reply.arguments[1:]
    if len(arguments) < len(returns):
        raise ProtocolError(f"reply to ?{request.name} has {len(arguments)} values, not {len(returns)}")
    values = []
    for index, (annotation, raw) in enumerate(zip(returns, arguments, strict=False), 1):
        try:
            values.append(_decoder(annotation, dialect, types)(raw))
        except ValueError as error:
            raise ProtocolError(f"reply to ?{request.name}, value {index}: {error}") from error
    return tuple(values)


def encode_values(
    name: str, values: Sequence[object], dialect: Dialect, types: TypeRegistry = registry
) -> tuple[bytes, ...]:
    """Return the arguments of a request as they are sent. Times are seconds here, and what the dialect has there.

    Raises:
        TypeError: a value of a type that has no KATCP data type.
        ValueError: a value outside its type.
    """
    seconds = dialect.time_scale == 1.0
    if seconds and types is registry:
        return Message.request(name, *values).arguments  # the quickest way to encode what is plain
    arguments = tuple([types.encode(value, dialect) for value in values])
    if not seconds and name == _SAMPLING and arguments[1:2] == (b"period",):
        return tuple(_scale(arguments, 2, lambda period: _whole(period * dialect.time_scale)))
    return arguments


def in_seconds(reply: Message, dialect: Dialect) -> Message:
    """Return a reply whose times are seconds: the counterpart of :func:`encode_values`."""
    if dialect.time_scale == 1.0 or reply.name != _SAMPLING or reply.arguments[2:3] != (b"period",):
        return reply
    arguments = _scale(reply.arguments, 3, lambda period: encode(period / dialect.time_scale))
    return Message(MessageType.REPLY, reply.name, tuple(arguments), reply.mid)


_SAMPLING = "sensor-sampling"
_SECONDS = V51  # a dialect that writes numbers as they are


def _whole(milliseconds: float) -> bytes:
    """Write a period as the integer that version 4 devices read, at least 1 unless it is 0 (Rev 4, section 7)."""
    return encode(max(round(milliseconds), 1) if milliseconds else 0)


def _scale(arguments: Sequence[bytes], index: int, convert: Callable[[float], bytes]) -> Iterator[bytes]:
    """Yield the arguments with one of them converted; one that is no number is for the device to complain about."""
    for position, argument in enumerate(arguments):
        if position != index:
            yield argument
            continue
        try:
            yield convert(_decoder(float, _SECONDS, registry)(argument))
        except (ValueError, OverflowError):
            yield argument
