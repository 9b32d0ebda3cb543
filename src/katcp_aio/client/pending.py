"""Which request a reply belongs to. Law: pure, told the time; a reply is never given to a request it may not answer.

A request is *queued* until it can be sent, then *outstanding* until it is answered. One that its caller has given up
stays outstanding as a ghost: with an id, so that a late reply is known as one; without an id, because the device's
answer to it is still to come, and would pass for the answer to the next (5.1, section 2.2). So without ids one request
is outstanding at a time, and it holds up those behind it until it is answered or the connection is made anew.

Some devices give ids in some replies only. A reply without an id goes to the oldest outstanding request of its name,
but to none that was sent after it had come.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

from ..wire.message import MAX_MID
from .slot import Slot

__all__ = ["Pending"]


_MAX_ASKED = 2000  # names; a program uses a few hundred at most


class Pending:
    """The requests of one client.

    Args:
        max_ghosts: requests with an id that were given up and are remembered until a late reply comes; more: the
            oldest is forgotten, and its reply, should it come, counts as unknown.
    """

    __slots__ = (
        "_bare",
        "_ghosts",
        "_head",
        "_head_mark",
        "asked",
        "mark",
        "max_ghosts",
        "next_mid",
        "outstanding",
        "queue",
    )

    def __init__(self, max_ghosts: int = 1000, first_mid: int = 1) -> None:
        self.max_ghosts = max_ghosts
        self.queue: OrderedDict[Slot, None] = OrderedDict()  #: not sent yet, in order
        self.asked: set[str] = set()  #: names of outstanding requests, ghosts included, and of others before
        self.outstanding: dict[int, Slot] = {}  #: sent with an id, by it, in the order sent; ghosts included
        self._head: Slot | None = None  # sent without an id
        self._ghosts: dict[int, Slot] = {}  # those of outstanding that were given up, in that order
        self._bare: set[str] = set()  # names answered without the id that the request had
        self._head_mark = first_mid  # next_mid when _head was sent
        self.next_mid = first_mid  #: where the search for a free id begins
        self.mark: int | None = None  #: next_mid when what is being taken in had come; None: nothing is

    def __len__(self) -> int:
        """How many requests somebody waits for, sent or not."""
        return len(self.queue) + self.in_flight

    @property
    def in_flight(self) -> int:
        """How many requests are sent, not answered and not given up."""
        head = self._head is not None and self._head.given_up is None
        return len(self.outstanding) - len(self._ghosts) + head

    def __iter__(self) -> Iterator[Slot]:
        """Yield every request, ghosts included: outstanding ones first."""
        if self._head is not None:
            yield self._head
        yield from self.outstanding.values()
        yield from self.queue

    # Out

    def send(self, slot: Slot) -> int:
        """Take note that ``slot`` is sent with an id, and return which."""
        mid = self.next_mid
        while mid > MAX_MID or mid in self.outstanding:
            mid = mid + 1 if mid < MAX_MID else 1
        self.next_mid = mid + 1
        slot.mid = mid
        slot.sent = True
        self.outstanding[mid] = slot
        if slot.name not in self.asked:
            self._ask(slot.name)
        return mid

    def _ask(self, name: str) -> None:
        """Remember a name, and no longer those that nothing is outstanding of if there are too many."""
        if len(self.asked) >= _MAX_ASKED:
            self.asked.intersection_update([slot.name for slot in self if slot.sent])
        self.asked.add(name)

    def next(self, *, ids: bool) -> Slot | None:
        """Return the next queued request, now sent with or without an id; None if there is none that may go."""
        # What is being taken in is no answer to it, and without ids would pass for one: it waits for the end of that.
        if not self.queue or (not ids and (self._head is not None or self.mark is not None)):
            return None
        slot, _ = self.queue.popitem(last=False)
        if ids:
            self.send(slot)
        else:
            slot.sent = True
            self._head = slot
            self._head_mark = self.next_mid
            self._ask(slot.name)
        return slot

    # In

    def take(self, name: str, mid: int | None) -> Slot | None:
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
        return slot

    def find(self, name: str, mid: int | None) -> Slot | None:
        """Return the outstanding request that a reply or inform belongs to. It may be a ghost."""
        if mid is not None:
            slot = self.outstanding.get(mid)
            return slot if slot is not None and slot.name == name else None
        if name not in self.asked:
            return None
        oldest = next((slot for slot in self.outstanding.values() if slot.name == name), None)
        head = self._head
        if head is not None and head.name == name and (oldest is None or self._sent_since(self._head_mark, oldest)):
            return head  # the other way round where a device has said in mid-connection that it has no ids
        if oldest is not None and self.mark is not None and self._sent_since(self.mark, oldest):
            return None  # its caller was woken by what came before, in the same batch
        return oldest

    def _sent_since(self, mark: int, slot: Slot) -> bool:
        """Whether a request with an id was sent when ``next_mid`` had been ``mark`` already; ids go round."""
        return (slot.mid - mark) % MAX_MID < (self.next_mid - mark) % MAX_MID  # type: ignore[operator]

    # The end of waiting

    def give_up(self, slot: Slot, now: float) -> None:
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

    def due(self, now: float) -> tuple[list[Slot], float]:
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

    def lose(self) -> list[Slot]:
        """Forget all that was sent, ghosts included, and return those that somebody waits for."""
        waited_for = [slot for slot in self if slot.sent and slot.given_up is None]
        self._head = self.mark = None
        for table in (self.outstanding, self._ghosts, self._bare):
            table.clear()
        return waited_for
