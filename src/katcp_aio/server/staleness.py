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

    __slots__ = ("_clock", "_running", "_sensors", "_timer")

    def __init__(self, sensors: SensorSet, clock: Clock) -> None:
        self._sensors = sensors
        self._clock = clock
        self._running = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch; called in the running loop."""
        self._running = True
        self.look()

    def stop(self) -> None:
        """Watch no longer."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Look now, and again when the next sensor may be due; to be called when a sensor comes that may be earlier."""
        if not self._running:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.monotonic()
        due = self._sensors.stale_due(now)
        if due is not None and self._running:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self.look)
