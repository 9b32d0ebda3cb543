"""Which request a reply belongs to. Law: pure, told the time; a reply is never given to a request it may not answer.

A request is *queued* until it can be sent, then *outstanding* until it is answered. One that its caller has given up
stays outstanding as a ghost: with an id, so that a late reply is known as one; without an id, because the device's
answer to it is still to come, and would pass for the answer to the next (5.1, section 2.2). So without ids one request
is outstanding at a time, and it holds up those behind it until it is answered or the connection is made anew.

Some devices give ids in some replies only. A reply without an id goes to the oldest outstanding request of its name.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from ..wire.dialect import Dialect
from ..wire.message import MAX_MID, Message

__all__ = ["Future", "Pending", "Sink", "Slot"]


class Future(Protocol):
    """What a slot needs of a future; asyncio's is one."""

    def done(self) -> bool:
        """Whether the caller has its outcome, or no longer waits for one."""

    def set_result(self, result: Message | Exception, /) -> None:
        """Give the caller its outcome."""


class Sink(Protocol):
    """Takes informs as they come, instead of the list that goes with the reply."""

    def push(self, inform: Message, /) -> bool:
        """Take one inform; False if nobody reads any more."""

    def wake(self) -> None:
        """Take note that the request has its outcome."""

    def __len__(self) -> int:
        """How many informs wait to be read."""


F = TypeVar("F", bound=Future)


class Slot(Generic[F]):
    """One request, from its call to its outcome."""

    # Class attributes instead of slots: most requests never change them, and setting eleven more costs as much as
    # writing the line.
    mid: int | None = None
    sent = False
    given_up: float | None = None  #: since when (s, monotonic) nobody waits for the outcome
    deadline = math.inf  #: s, monotonic
    timeout = math.inf  #: s, from which the deadline was made
    log_mark = 0  #: how many #log informs there had been when it was sent
    log: tuple[Message, ...] = ()  #: those that explain a reply without a reason
    flaw: Exception | None = None  #: a malformed line that looked like part of the reply

    def __init__(
        self,
        name: str,
        values: tuple[object, ...],
        arguments: tuple[bytes, ...],
        dialect: Dialect,
        future: F,
        sink: Sink | None = None,
    ) -> None:
        self.name = name
        self.values = values  #: the arguments as the program gave them
        self.arguments = arguments  #: the same as they are sent
        self.dialect = dialect  #: by whose rules
        self.future = future  #: gets the reply, or the exception to raise
        self.sink = sink  #: takes the informs, if they are not to be kept
        self.informs: list[Message] = []


class Pending(Generic[F]):
    """The requests of one client.

    Args:
        max_ghosts: requests with an id that were given up and are remembered until a late reply comes; more: the
            oldest is forgotten, and its reply, should it come, counts as unknown.
    """

    __slots__ = ("_bare", "_ghosts", "_head", "_next_mid", "expected", "max_ghosts", "outstanding", "queue")

    def __init__(self, max_ghosts: int = 1000, first_mid: int = 1) -> None:
        self.max_ghosts = max_ghosts
        self.queue: OrderedDict[Slot[F], None] = OrderedDict()  #: not sent yet, in order
        self.expected: dict[str, int] = {}  #: names of outstanding requests, ghosts included, and how many of each
        self.outstanding: dict[int, Slot[F]] = {}  #: sent with an id, by it, in the order sent; ghosts included
        self._head: Slot[F] | None = None  # sent without an id
        self._ghosts: dict[int, Slot[F]] = {}  # those of outstanding that were given up, in that order
        self._bare: set[str] = set()  # names answered without the id that the request had
        self._next_mid = first_mid

    def __len__(self) -> int:
        """How many requests somebody waits for, sent or not."""
        return len(self.queue) + self.in_flight

    @property
    def in_flight(self) -> int:
        """How many requests are sent, not answered and not given up."""
        head = self._head is not None and self._head.given_up is None
        return len(self.outstanding) - len(self._ghosts) + head

    @property
    def bulk(self) -> int:
        """All that is remembered, ghosts included; quicker than ``len``, which is never more."""
        return len(self.outstanding) + len(self.queue) + 1

    def __iter__(self) -> Iterator[Slot[F]]:
        """Yield every request, ghosts included: outstanding ones first."""
        if self._head is not None:
            yield self._head
        yield from self.outstanding.values()
        yield from self.queue

    # Out

    def send(self, slot: Slot[F]) -> int:
        """Take note that ``slot`` is sent with an id, and return which."""
        mid = self._next_mid
        while mid in self.outstanding:
            mid = mid + 1 if mid < MAX_MID else 1
        self._next_mid = mid + 1 if mid < MAX_MID else 1
        slot.mid = mid
        slot.sent = True
        self.outstanding[mid] = slot
        name = slot.name
        self.expected[name] = self.expected.get(name, 0) + 1
        return mid

    def next(self, *, ids: bool) -> Slot[F] | None:
        """Return the next queued request, now sent with or without an id; None if there is none that may go."""
        if not self.queue or (not ids and self._head is not None):
            return None
        slot, _ = self.queue.popitem(last=False)
        if ids:
            self.send(slot)
        else:
            slot.sent = True
            self._head = slot
            self.expected[slot.name] = self.expected.get(slot.name, 0) + 1
        return slot

    # In

    def take(self, name: str, mid: int | None) -> Slot[F] | None:
        """Return the request that a reply answers, and forget it; None if there is none. It may be a ghost."""
        slot = self.outstanding.get(mid) if mid is not None else None
        if slot is None or slot.name != name:
            slot = self.find(name, mid)
            if slot is None:
                return None
        if slot is self._head:
            self._head = None
        else:
            del self.outstanding[slot.mid]  # type: ignore[arg-type]
            if slot.given_up is not None:
                del self._ghosts[slot.mid]  # type: ignore[arg-type]
            if mid is None:
                self._bare.add(name)
        left = self.expected[name] - 1
        if left:
            self.expected[name] = left
        else:
            del self.expected[name]
        return slot

    def find(self, name: str, mid: int | None) -> Slot[F] | None:
        """Return the outstanding request that a reply or inform belongs to. It may be a ghost."""
        if mid is not None:
            slot = self.outstanding.get(mid)
            return slot if slot is not None and slot.name == name else None
        if name not in self.expected:
            return None
        if self._head is not None and self._head.name == name:
            return self._head
        return next((slot for slot in self.outstanding.values() if slot.name == name), None)

    # The end of waiting

    def give_up(self, slot: Slot[F], now: float) -> None:
        """Take note that nobody waits for the outcome any more. Does nothing for a request that has been answered."""
        if not slot.sent:
            self.queue.pop(slot, None)
            return
        if slot.given_up is not None or (slot is not self._head and self.outstanding.get(slot.mid or 0) is not slot):
            return
        slot.given_up = now
        # What is kept is a name and an id, for an unknown time.
        slot.informs, slot.sink, slot.values, slot.arguments = [], None, (), ()
        slot.deadline = math.inf
        if slot.mid is not None:
            self._ghosts[slot.mid] = slot
            if len(self._ghosts) > self.max_ghosts:
                self.take(*next((ghost.name, mid) for mid, ghost in self._ghosts.items()))

    def due(self, now: float) -> tuple[list[Slot[F]], float]:
        """Return the requests whose deadline is over, and the next deadline (inf: none)."""
        over = []
        following = math.inf
        for slot in self:
            if slot.deadline <= now:
                over.append(slot)
            elif slot.deadline < following:
                following = slot.deadline
        return over, following

    def stuck_since(self) -> float | None:
        """Return since when (s, monotonic) a ghost has been holding up another request; None: nothing is held up.

        A ghost with an id does so only where replies of its name have come without ids.
        """
        head = self._head
        if head is not None and head.given_up is not None and self.queue:
            return head.given_up
        if self._bare:
            for ghost in self._ghosts.values():
                if ghost.name in self._bare and any(
                    slot.name == ghost.name and slot.given_up is None for slot in self.outstanding.values()
                ):
                    return ghost.given_up
        return None

    def lose(self) -> list[Slot[F]]:
        """Forget all that was sent, ghosts included, and return those that somebody waits for."""
        waited_for = [slot for slot in self if slot.sent and slot.given_up is None]
        self._head = None
        for table in (self.outstanding, self._ghosts, self.expected, self._bare):
            table.clear()
        return waited_for
