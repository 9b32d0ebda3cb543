"""One request while it is being answered. Law: exactly one reply leaves, whatever the handler does.

The context is what a handler sees of its client. Early replies, informs and the final reply all go through it, so the
rule is kept in one place; formatting is here too, because a handler's values become bytes exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, MutableMapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..reports import logger, safely, text_of
from ..wire.escapes import escape
from ..wire.formats import encode_text_leniently
from ..wire.values import TypeRegistry, registry

if TYPE_CHECKING:
    from ..wire.dialect import Dialect
    from ..wire.message import Message
    from .handlers import Handler
    from .session import ClientConnection

__all__ = ["RequestContext", "format_line"]


def format_line(head: bytes, arguments: Iterable[object], dialect: Dialect, types: TypeRegistry = registry) -> bytes:
    """Return a whole line: ``head``, and the values as arguments in ``dialect``, as ``types`` say.

    Raises:
        TypeError, ValueError: a value that has no form on the wire.
    """
    encode = types.encode
    return b" ".join([head, *[escape(encode(argument, dialect)) for argument in arguments]]) + b"\n"


class RequestLogger(logging.LoggerAdapter[Any]):
    """Adds who asked what to each line."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put client and request behind the text."""
        extra = self.extra or {}
        who = f"{extra['client']} ?{extra['request']}".replace("%", "%%")  # the path of a Unix socket may have one
        return f"{msg} [{who}]", kwargs


class RequestContext:
    """What a handler knows of the request that it answers.

    Attributes:
        client: who asked; ``client.address``, ``client.inform()``, ``client.disconnect()``.
        message: the request as it came, arguments undecoded.
        replied: whether the reply has left.
        handler: what answers it.
        task: in which the handler runs, and can be cancelled; None for a plain function, and once it has ended.
        held: whether nothing else of this client is looked at until the reply has left.
    """

    __slots__ = ("client", "handler", "held", "message", "replied", "task")

    def __init__(self, client: ClientConnection, message: Message, handler: Handler) -> None:
        self.client = client
        self.message = message
        self.handler = handler
        self.replied = False
        self.task: asyncio.Task[object] | None = None
        self.held = False

    @property
    def logger(self) -> logging.LoggerAdapter[Any]:
        """A logger whose lines name the client and the request; as Python knows it, ``katcp_aio.request``."""
        extra = {"client": self.client.description, "request": self.message.name}
        return RequestLogger(logger.getChild("request"), extra)

    @property
    def inform_head(self) -> bytes:
        """The start of an inform that belongs to the reply: name and id as the request has them (5.1, section 2.3)."""
        mid = self.message.mid
        return self.handler.inform_head if mid is None else b"%b[%d]" % (self.handler.inform_head, mid)

    def inform(self, *arguments: object) -> None:
        """Send one inform that belongs to the reply, without waiting; see :meth:`informs` for many.

        Raises:
            UsageError: the reply has left already.
            TypeError, ValueError: a value that has no form on the wire.
        """
        self._open("inform")
        client = self.client
        client.connection.write(format_line(self.inform_head, arguments, client.dialect, client.server.types))

    async def informs(self, rows: Iterable[object]) -> int:
        """Send many informs, each a tuple of values or one value, and return how many.

        Gives the other clients a turn after every ``Limits.batch_time`` of work, and waits while this one does not
        read. Cancelling it ends after a whole inform.

        Raises:
            UsageError: the reply has left already.
            ConnectionLost: the client went.
        """
        head, dialect, types = self.inform_head, self.client.dialect, self.client.server.types
        return await self.send_lines(
            format_line(head, row if isinstance(row, tuple) else (row,), dialect, types) for row in rows
        )

    async def send_lines(self, lines: Iterator[bytes], *, together: int = 1) -> int:
        """Send whole lines that were formatted already, as :meth:`informs` does, and return how many.

        Args:
            lines: an iterator that makes them.
            together: how many are made between two looks at the time; for lines that are made in no time.
        """
        self._open("informs")
        count = 0
        client = self.client
        write, due = client.connection.write, client.turn_is_over
        async with client.long_reply:
            client.begin_turn()
            while some := list(islice(lines, together)):
                write(b"".join(some))
                count += len(some)
                if due():
                    await client.end_turn()
        return count

    def reply(self, code: object, /, *arguments: object) -> None:
        """Reply before the handler ends, with a return code (5.1, table 4). What the handler returns is then moot.

        Raises:
            UsageError: the reply has left already.
            TypeError, ValueError: a value that has no form on the wire; nothing was sent.
        """
        self._open("reply")
        line = format_line(self._reply_head(), (code, *arguments), self.client.dialect, self.client.server.types)
        self.replied = True
        self.client.connection.write(line)

    def finish(self, result: object) -> None:
        """Send the successful reply with what the handler returned, unless it has replied itself."""
        if self.replied:
            if result is not None:
                safely(logger.error, "?%s replied and returned a value as well, which is dropped", self.message.name)
            return
        mid = self.message.mid
        handler = self.handler
        if result is None:  # most replies: 0.2 us
            line = handler.ok if mid is None else b"%b[%d] ok\n" % (handler.head, mid)
        elif body := handler.write(result):
            # join() is as quick as % for a short reply, and takes a fiftieth of its time for a megabyte
            start = handler.ok_start if mid is None else b"%b[%d] ok " % (handler.head, mid)
            line = b"".join((start, body, b"\n"))
        else:  # an empty tuple
            line = b"%b ok\n" % self._reply_head()
        self.replied = True
        self.client.connection.write(line)

    def refuse(self, code: str, text: object) -> None:
        """Send an unsuccessful reply, unless the handler has replied itself. Never raises, whatever the text."""
        if not self.replied:
            text = text if isinstance(text, bytes) else encode_text_leniently(text_of(text))
            self.reply(encode_text_leniently(code), text)

    def deny(self, text: str) -> None:
        """Refuse a request that its client may not make."""
        self.refuse("fail", text)

    def _reply_head(self) -> bytes:
        mid = self.message.mid
        return self.handler.head if mid is None else b"%b[%d]" % (self.handler.head, mid)

    def _open(self, what: str) -> None:
        if self.replied:
            raise UsageError(f"?{self.message.name}: {what} after the reply has left")
