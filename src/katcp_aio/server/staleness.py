"""Sensors that nobody sets any more. Law: one timer a server, set for the first that may be due."""

from __future__ import annotations

import asyncio

from ..clock import Clock
from ..model.sensorset import SensorSet

__all__ = ["StaleWatch"]


class StaleWatch:
    """Has sensors with ``stale_after`` become ``unknown`` in time, while it is started.

    Args:
        sensors: to be watched.
        clock: the one of the set.
    """

    __slots__ = ("_clock", "_loop", "_sensors", "_timer")

    def __init__(self, sensors: SensorSet, clock: Clock) -> None:
        self._sensors = sensors
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None  # while it is started
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch; called in the running loop."""
        self._loop = asyncio.get_running_loop()
        self.look()

    def stop(self) -> None:
        """Watch no longer."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Look now, and again when the next sensor may be due; to be called when a sensor comes that may be earlier."""
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.monotonic()
        due = self._sensors.stale_due(now)
        if due is not None and self._loop is not None:  # an observer may have stopped it
            self._timer = self._loop.call_later(max(0.0, due - now), self.look)
