"""Informs as they come. Law: the request lives as long as its reader; a reader that is dropped is a request given up.

What the client holds is the mailbox, never the stream, so that a loop left with ``break`` frees the stream at once, and
the next inform, or the deadline, finds nobody reading.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..errors import UsageError
from ..wire.message import Message
from .replies import Reply
from .slot import Slot

__all__ = ["InformStream", "Mailbox"]


class Mailbox:
    """Where informs wait for the reader of a stream.

    Args:
        reader: the stream.
        on_taken: called when the reader has taken the last inform, waits for the next, or is gone.
    """

    __slots__ = ("_on_taken", "_reader", "_waiter", "informs")

    def __init__(self, reader: InformStream, on_taken: Callable[[], None]) -> None:
        self.informs: deque[Message] = deque()
        self._on_taken = on_taken
        self._reader = weakref.ref(reader, lambda _reader: on_taken())
        self._waiter: asyncio.Future[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether somebody may still read."""
        return self._reader() is not None

    @property
    def waiting(self) -> bool:
        """Whether the reader waits for the next inform."""
        return self._waiter is not None

    def take(self) -> Message:
        """Take the oldest inform out."""
        inform = self.informs.popleft()
        if not self.informs:
            self._on_taken()
        return inform

    def push(self, inform: Message) -> bool:
        """Take one inform; False if the reader is gone."""
        if self._reader() is None:
            return False
        self.informs.append(inform)
        self.wake()
        return True

    def __len__(self) -> int:
        """How many informs wait."""
        return len(self.informs)

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until there is something to look at. Cancelling it is safe.

        Raises:
            UsageError: another task is waiting already.
        """
        if self._waiter is not None:
            raise UsageError("a stream of informs has one reader")
        self._waiter = asyncio.get_running_loop().create_future()
        self._on_taken()  # another stream may be what holds the device back: not any more
        try:
            await self._waiter
        finally:
            self._waiter = None


class InformStream:
    """The informs of one request: ``async for inform in client.stream("calibrate")``.

    The request is sent when the reading begins. The loop ends with the reply, which is then in :attr:`reply`. Leaving
    it early gives the request up: at once after ``async with`` or :meth:`aclose`, otherwise when the next inform comes.
    """

    def __init__(
        self,
        submit: Callable[[Mailbox], Slot],
        give_up: Callable[[Slot], None],
        on_taken: Callable[[], None],
    ) -> None:
        self._submit = submit
        self._give_up = give_up
        self._mailbox = Mailbox(self, on_taken)
        self._slot: Slot | None = None
        self._finished = False
        self.reply: Reply | None = None  #: the reply, once the loop has ended; its ``informs`` are empty

    def __aiter__(self) -> Self:
        """Return the stream itself: it can be read once."""
        return self

    async def __anext__(self) -> Message:
        """Return the next inform. Cancelling it loses nothing: the next call returns what this one would have.

        Raises:
            StopAsyncIteration: the request succeeded.
            FailReply, InvalidReply, ConnectionLost, NotConnected, RequestTimeout, ReplyTooLong: as of a request.
        """
        mailbox = self._mailbox
        while not self._finished:
            if self._slot is None:
                self._slot = self._submit(mailbox)
            if mailbox.informs:
                return mailbox.take()
            if self._slot.outcome is not None:
                self._finished = True
                self.reply = self._slot.reply()
                break
            await mailbox.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give the request up unless it is answered; does not wait, and ends a loop that does. Again does nothing."""
        if not self._finished and self._slot is not None:
            self._give_up(self._slot)
        self._finished = True
        self._mailbox.wake()

    async def __aenter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the stream."""
        await self.aclose()
