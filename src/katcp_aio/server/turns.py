"""Long pieces of work. Law: whoever has much to do for one client does it in turns, and the others have theirs between.

A turn lasts for ``Limits.batch_time``; it is over, too, when the client does not take what it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Protocol, TypeVar

__all__ = ["Turns", "in_turns"]

T = TypeVar("T")

_ITEMS = 8  # between two looks at the time, which cost 0.2 us; items of a few us each are meant


class Turns(Protocol):
    """The time budget of one client; a ``ClientConnection`` is one."""

    def begin_turn(self) -> None:
        """Start a turn."""

    def turn_is_over(self) -> bool:
        """Return whether it is time for others, or the client does not take what it is sent."""

    async def end_turn(self) -> None:
        """Let the others have a turn, wait while the client does not read, and start the next turn."""


async def in_turns(items: Iterable[T], turns: Turns, *, together: int = _ITEMS) -> list[T]:
    """Return what ``items`` yields, worked out in turns. Cancelling it leaves the rest undone.

    Args:
        items: an iteration that does the work.
        turns: of the client that it is done for.
        together: how many items are worked out between two looks at the time.

    Raises:
        ConnectionLost: the client went.
        Exception: whatever the iteration raises.
    """
    done: list[T] = []
    left = iter(items)
    turns.begin_turn()
    while some := list(islice(left, together)):
        done += some
        if turns.turn_is_over():
            await turns.end_turn()
    return done
