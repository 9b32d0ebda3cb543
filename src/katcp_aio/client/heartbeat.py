"""Whether a silent device is still there. Law: asks only when nothing else would tell, and never holds up a request.

A device that answers requests one after another does not answer ?watchdog while it is busy with another, so a request
under way suspends the heartbeat. One whose time is over is as good as a question that was not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from ..errors import UsageError
from .desk import Desk
from .slot import Slot

__all__ = ["Heartbeat"]

_MISSED = 2  # questions without any sign of life


class Heartbeat:
    """Asks ?watchdog after each ``period`` of silence, and calls ``on_dead`` when two in a row had no answer.

    Anything that the device sends is a sign of life, and so is any reply: some devices do not know ?watchdog.

    Args:
        period: s.
    """

    __slots__ = ("_asked", "_desk", "_heard", "_missed", "_on_dead", "_period", "_since", "_timer")

    def __init__(self, desk: Desk, period: float, on_dead: Callable[[str], None]) -> None:
        self._desk = desk
        self._period = period
        self._on_dead = on_dead
        self._asked: Slot | None = None
        self._heard = desk.batches
        self._missed = 0
        self._since = asyncio.get_running_loop().time()  # s, from when on nothing has been heard
        self._timer: asyncio.TimerHandle | None = None
        self._schedule()

    def stop(self) -> None:
        """Ask no more, nor on the next connection what was still to be sent."""
        if self._asked is not None:
            self._desk.give_up(self._asked)
        if self._timer is not None:  # pragma: no branch - it is stopped once
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._period, self._look)

    def _look(self) -> None:
        desk = self._desk
        asked, self._asked = self._asked, None
        signs, self._heard = desk.batches - self._heard, desk.batches
        if signs:
            self._missed = 0
            self._since = asyncio.get_running_loop().time()
        elif asked is not None or desk.overdue(self._since):
            self._missed += 1
        if asked is not None:
            signs -= asked.done()  # but for the answer to that, it was silent
            desk.give_up(asked)
        if self._missed >= _MISSED:
            self._on_dead(f"no sign of life in {_MISSED * self._period:g} s")
            return
        if signs <= 0 and not len(desk):
            with contextlib.suppress(UsageError):  # the client was closed in this very turn
                self._asked = desk.submit("watchdog", (), None)
        self._schedule()
