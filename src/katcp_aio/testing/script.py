"""What a scripted device answers to one request. Law: a script only says what is to be sent; the device sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

import attrs

from ..errors import RequestError
from ..wire.message import Message
from .peer import Peer

__all__ = ["Ending", "Handler", "Script", "as_ending", "as_tuple"]

Ending = Literal["close", "half-close", "reset"]  #: how a device ends a connection
Handler = Callable[[Peer, Message], Any | Awaitable[Any]]  #: answers a request of the client at the other end


def as_ending(how: str) -> Ending:
    """Return ``how`` if it is one.

    Raises:
        ValueError: it is none: a connection that ended in another way than was meant would spoil a test.
    """
    endings: tuple[Ending, ...] = get_args(Ending)
    for ending in endings:
        if how == ending:
            return ending
    raise ValueError(f"a connection ends by one of {endings}, and not by {how!r}")


def as_tuple(values: object) -> tuple[object, ...]:
    """Return a tuple as it is, None as an empty one, and anything else as a tuple of one."""
    if values is None:
        return ()
    return values if isinstance(values, tuple) else (values,)


@attrs.frozen(kw_only=True)
class Script:
    """An answer, and how it goes wrong; ``FakeDevice.on`` describes each part."""

    reply: tuple[object, ...] | None = ("ok",)
    informs: tuple[tuple[object, ...], ...] = ()
    handler: Handler | None = None
    delay: float = 0.0
    raw: bytes | None = None
    copies: int = 1
    mids: bool | None = None
    cut: int | None = None
    then: Ending | None = attrs.field(default=None, converter=attrs.converters.optional(as_ending))
    times: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))

    def data(self, request: Message, *, mids: bool, encode: Callable[[object], bytes]) -> bytes:
        """Return the whole answer to ``request``.

        Args:
            mids: whether it carries the request's id, unless the script says otherwise.
            encode: how a value is written.
        """
        data = self.raw
        if data is None:
            if not (mids if self.mids is None else self.mids):
                request = request._replace(mid=None)
            lines = [Message.inform_to(request, *map(encode, inform)) for inform in self.informs]
            if self.reply is not None:
                lines += [Message.reply_to(request, *map(encode, self.reply))] * self.copies
            data = b"".join(map(bytes, lines))
        return data if self.cut is None else data[: self.cut]

    def returned(self, result: object) -> Script:
        """Return the script with what its handler returned: the values that follow ``ok``."""
        return attrs.evolve(self, reply=("ok", *as_tuple(result)))

    def raised(self, error: RequestError) -> Script:
        """Return the script with the refusal that its handler raised."""
        return attrs.evolve(self, reply=(error.code, *([error.text] if error.text else [])))
