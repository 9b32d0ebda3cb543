"""Time. Law: this is the only module that reads a clock; everything else is told the time or asks a :class:`Clock`.

Wall time stamps readings; monotonic time measures waits, and is the time of the event loop (``loop.time()``), so that
a manual clock that drives the loop drives every deadline of the library.
"""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock(Protocol):
    """Where an object gets the time from."""

    def time(self) -> float:
        """Return the wall time in seconds since the Unix epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds since some moment, never going back; the same scale as the event loop's time."""


class _SystemClock:
    """The machine's clocks, called without a layer in between: a reading costs one of these calls."""

    __slots__ = ()
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)  # last: from here on, `time` is this one


SYSTEM_CLOCK: Clock = _SystemClock()
