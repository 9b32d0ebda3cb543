"""One request, from its call to its outcome. Law: its caller, and nobody else, awaits it, and is woken at once.

A slot stands in for an asyncio future: a task that awaits one goes on in the very step that brings the reply. A real
future would wake it in the next turn of the loop, and in a conversation of one request at a time such a turn, which
looks at all sockets once more, is a fifth of the time. See docs/decisions/0005.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from typing import Protocol

from ..errors import RequestError
from ..wire.dialect import Dialect
from ..wire.message import Message, MessageType
from .replies import Reply, in_seconds

__all__ = ["InformSink", "Slot"]

_TAKEN = Reply(Message(MessageType.REPLY, "taken"))  # an outcome that its caller has


class InformSink(Protocol):
    """Takes informs as they come, instead of the list that goes with the reply."""

    def push(self, inform: Message, /) -> bool:
        """Take one inform; False if nobody reads any more."""

    def wake(self) -> None:
        """Take note that the request has its outcome."""

    def __len__(self) -> int:
        """How many informs wait to be read."""


def _raise(error: BaseException) -> None:
    raise error


class Slot:
    """A request and what has become of it; ``await slot`` returns the reply, or the exception to raise.

    Args:
        loop: the loop whose tasks may await it.
        name: of the request.
        values: its arguments as the program gave them.
        arguments: the same as they are sent.
        dialect: by whose rules.
        timeout: s that the caller waits at most.
        deadline: s, monotonic: when that will be over.
        sink: takes the informs, if they are not to be kept.
    """

    __slots__ = (
        "_asyncio_future_blocking",  # the name by which asyncio knows what a task may wait for
        "_cancelled",
        "_loop",
        "_waiter",
        "arguments",
        "deadline",
        "dialect",
        "flaw",
        "given_up",
        "informs",
        "log_mark",
        "mid",
        "name",
        "outcome",
        "sent",
        "sink",
        "timeout",
        "values",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        values: tuple[object, ...],
        arguments: tuple[bytes, ...],
        dialect: Dialect,
        timeout: float = math.inf,
        deadline: float = math.inf,
        sink: InformSink | None = None,
    ) -> None:
        self._loop = loop
        self.name = name
        self.values = values
        self.arguments = arguments
        self.dialect = dialect
        self.timeout = timeout
        self.deadline = deadline
        self.sink = sink
        self.informs: list[Message] = []
        self.log_mark = 0  #: how many #log informs there had been when it was sent
        self.mid: int | None = None
        self.sent = False
        self.given_up: float | None = None  #: since when (s, monotonic) nobody waits for the outcome
        self.flaw: Exception | None = None  #: a malformed line that looked like part of the reply
        self.outcome: Reply | Exception | None = None  #: None: not known yet
        self._waiter: tuple[Callable[[Slot], object], Context] | None = None  # wakes the task that waits
        self._cancelled: tuple[object, ...] | None = None  # what the caller's cancellation said

    @property
    def request(self) -> Message:
        """The request as it was, or would have been, sent."""
        return Message(MessageType.REQUEST, self.name, self.arguments, self.mid)

    def settle(self, outcome: Reply | Exception) -> None:
        """Give the caller the outcome, unless there is one; a task that awaits it goes on before this returns.

        Only to be called where no task is running: what runs then are that task's next steps.
        """
        if self.outcome is None:
            self.outcome = outcome
            if self._waiter is not None:
                waiter, context = self._waiter
                self._waiter = None
                try:
                    context.run(waiter, self)
                except (KeyboardInterrupt, SystemExit) as error:
                    # Ends the loop from a step of its own, as it would have; a transport would take it for its failure.
                    self._loop.call_soon(_raise, error)

    def settle_soon(self, outcome: Reply | Exception) -> None:
        """Give the caller the outcome, unless there is one; a task that awaits it goes on in the next turn."""
        if self.outcome is None:
            self.outcome = outcome
            self._wake_soon()

    def _wake_soon(self) -> None:
        if self._waiter is not None:
            waiter, context = self._waiter
            self._waiter = None
            self._loop.call_soon(waiter, self, context=context)

    # What a task needs of a future that it awaits

    def __await__(self) -> Generator[Slot, None, Reply | Exception]:
        """Wait for the outcome and return it. Cancelling is safe.

        Raises:
            RuntimeError: a task waits already.
        """
        if self._waiter is not None:
            raise RuntimeError("a request is awaited by the task that made it, and by no other")
        if self.outcome is None:
            self._asyncio_future_blocking = True
            yield self
        assert self.outcome is not None  # noqa: S101 - it goes on with one, or with a cancellation
        return self.outcome

    def add_done_callback(self, waiter: Callable[[Slot], object], *, context: Context | None = None) -> None:
        """Have ``waiter(slot)`` called when there is an outcome; one is all that there may be."""
        self._waiter = waiter, copy_context() if context is None else context

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop whose tasks may await it."""
        return self._loop

    def done(self) -> bool:
        """Whether the caller has its outcome, or no longer waits for one."""
        return self.outcome is not None or self._cancelled is not None

    def result(self) -> Reply | Exception:
        """Return the outcome.

        Raises:
            CancelledError: the task that awaited it was cancelled.
        """
        if self._cancelled is not None:
            raise asyncio.CancelledError(*self._cancelled)
        assert self.outcome is not None  # noqa: S101 - a task asks when it was woken
        return self.outcome

    def reply(self, *, check: bool = True) -> Reply:
        """Return the reply, once there is an outcome, or raise what there is instead.

        Args:
            check: raise for a reply that is not ``ok``, too.
        """
        outcome = self.outcome
        if isinstance(outcome, Reply):
            return outcome
        if not check and isinstance(outcome, RequestError) and outcome.reply is not None:
            return Reply(in_seconds(outcome.reply, self.dialect), outcome.informs)
        assert outcome is not None  # noqa: S101 - its caller was woken
        self.outcome = _TAKEN  # once raised it holds frames, and a slot may wait long for a late reply
        try:
            raise outcome
        finally:
            del outcome  # else the traceback's frames would hold the error, and the error them, until a collection

    def cancel(self, msg: object = None) -> bool:
        """End the wait, for the task that awaits this and is cancelled."""
        if self.done():
            return False
        self._cancelled = () if msg is None else (msg,)
        self._wake_soon()
        return True
