"""Sets of sensors. Law: every change is told, once, to all who asked, in the order in which the changes were made.

Who follows a set (a server's subscriptions, aggregates, a mirror) goes by sensor objects, never by names alone: a
sensor that replaces another of the same name is another sensor, however alike they look.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from .. import reports
from ..clock import SYSTEM_CLOCK, Clock
from . import matching
from .sensor import Sensor

__all__ = ["ChangeCallback", "Match", "SensorSet"]

S = TypeVar("S", bound=Sensor[Any])

#: is told of each change: ``callback(name, old, new)``; old None: added; new None: removed; neither: replaced
ChangeCallback = Callable[[str, Sensor[Any] | None, Sensor[Any] | None], object]
Match = matching.Match[Sensor[Any]]  #: which sensors


class SensorSet(Mapping[str, Sensor[Any]]):
    """Sensors by name, in the order in which the names were first added.

    A read-only mapping besides :meth:`add` and :meth:`remove`. ``in`` takes names, and sensors, which are then compared
    by identity. Not to be changed from other threads than the one of the device's event loop.

    Args:
        sensors: to begin with.
        clock: where sensors that are added, and have no clock of their own, get the time from.
    """

    def __init__(self, sensors: Iterable[Sensor[Any]] = (), *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock  #: wall and monotonic time of the sensors in the set
        self._sensors: dict[str, Sensor[Any]] = {}
        self._callbacks: tuple[ChangeCallback, ...] = ()
        self._untold: deque[tuple[str, Sensor[Any] | None, Sensor[Any] | None]] = deque()
        self._telling = False
        self._watched: dict[str, int] = {}  # sensors with stale_after: name -> the number of its entry in _due
        self._due: list[tuple[float, int, str]] = []  # a heap; entries that _watched does not have are void
        self._numbers = itertools.count()
        for sensor in sensors:
            self.add(sensor)

    def __repr__(self) -> str:
        return f"<SensorSet of {len(self)}>"

    def __getitem__(self, name: str) -> Sensor[Any]:
        """Return the sensor of that name; KeyError if there is none."""
        return self._sensors[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the sensor of that name, or ``default``; for requests that name ten thousand, a third of Mapping's."""
        return self._sensors.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._sensors)

    def __len__(self) -> int:
        """How many sensors there are."""
        return len(self._sensors)

    def __contains__(self, key: object) -> bool:
        """Return whether there is a sensor of that name, or this very sensor."""
        if isinstance(key, Sensor):
            return self._sensors.get(key.name) is key
        return key in self._sensors

    def add(self, sensor: S) -> S:
        """Add ``sensor`` and return it. Another one of the same name is replaced; adding again does nothing.

        Raises:
            TypeError: it is no sensor.
        """
        if not isinstance(sensor, Sensor):
            raise TypeError(f"a set of sensors has no place for {sensor!r}")
        old = self._sensors.get(sensor.name)
        if old is not sensor:
            sensor.use_clock(self.clock)
            self._sensors[sensor.name] = sensor
            self._watched.pop(sensor.name, None)
            if sensor.stale_after is not None:
                self._note(sensor.name, sensor.clock.monotonic())  # it may be stale: looked at once all know of it
            self._changed(sensor.name, old, sensor)
        return sensor

    def remove(self, sensor: str | Sensor[Any]) -> Sensor[Any]:
        """Remove a sensor, given by name or itself, and return it; ``async for`` loops over its readings end.

        Raises:
            KeyError: it is not in the set. Another sensor of the same name does not count.
        """
        name = sensor if isinstance(sensor, str) else sensor.name
        old = self._sensors[name]
        if isinstance(sensor, Sensor) and old is not sensor:
            raise KeyError(name)
        del self._sensors[name]
        self._watched.pop(name, None)
        self._changed(name, old, None)
        return old

    def discard(self, sensor: str | Sensor[Any]) -> None:
        """Remove a sensor, if it is there."""
        if sensor in self:
            self.remove(sensor)

    def clear(self) -> None:
        """Remove all sensors, one after another."""
        for sensor in list(self._sensors.values()):
            self.discard(sensor)

    def match(self, match: Match = None) -> list[Sensor[Any]]:
        """Return the sensors in whose name a regular expression is found, or for which a predicate is true.

        ``match("/^dsp[.]/")`` and ``match("^dsp[.]")`` are the same; None means all.

        Raises:
            ValueError: a text that is no regular expression.
        """
        wanted = matching.selector(match)
        return [sensor for sensor in self._sensors.values() if wanted(sensor)]

    def on_change(self, callback: ChangeCallback) -> None:
        """Call ``callback(name, old, new)`` at every change from now on, after those registered before.

        ``old`` is None when ``new`` is added, ``new`` is None when ``old`` is removed, and both are given when one
        takes the other's place. The set has changed already. An exception that a callback raises is logged, and the
        others are called all the same. Changes that a callback makes are told after the one in progress. Registering
        again does nothing.
        """
        if callback not in self._callbacks:
            self._callbacks = (*self._callbacks, callback)

    def off_change(self, callback: ChangeCallback) -> None:
        """Stop calling ``callback``; nothing happens if it is not registered."""
        self._callbacks = tuple(other for other in self._callbacks if other != callback)

    def stale_due(self, now: float) -> float | None:
        """Set each sensor whose ``stale_after`` has passed to ``unknown``; see :meth:`Sensor.check_stale`.

        Whoever runs the device calls this when it is due, and when a sensor was added, for that may be due earlier.
        Only sensors which may be due are looked at: each about once in its ``stale_after``, however many there are and
        however often they are set.

        Args:
            now: monotonic time, in seconds, of the clock of the set.

        Returns:
            When to call again, in the same time; None if no sensor has a ``stale_after``.
        """
        due: list[tuple[int, str]] = []
        while self._due and (self._due[0][0] <= now or self._is_void(self._due[0])):
            due.append(heapq.heappop(self._due)[1:])
        for number, name in due:
            if self._watched.get(name) == number:
                self._watch(self._sensors[name], now)
        return self._due[0][0] if self._due else None

    def _watch(self, sensor: Sensor[Any], now: float) -> None:
        """Look at a sensor now, and note when to look again."""
        try:
            due = sensor.check_stale(now)
        except Exception:  # noqa: BLE001 - its observers never come to an end; the others go stale all the same
            reports.report_exception("looking whether sensor %s is stale failed", sensor.name)
            due = now + (sensor.stale_after or 0.0)
        if due is None or self._sensors.get(sensor.name) is not sensor:
            return  # an observer has removed it
        self._note(sensor.name, due)

    def _note(self, name: str, due: float) -> None:
        """Note when to look at a sensor."""
        if len(self._due) > 2 * len(self._watched) + 16:  # mostly entries of sensors that have gone
            self._due = [entry for entry in self._due if not self._is_void(entry)]
            heapq.heapify(self._due)
        self._watched[name] = number = next(self._numbers)
        heapq.heappush(self._due, (due, number, name))

    def _is_void(self, entry: tuple[float, int, str]) -> bool:
        """Return whether the sensor has gone since it was noted when to look at it."""
        return self._watched.get(entry[2]) != entry[1]

    def _changed(self, name: str, old: Sensor[Any] | None, new: Sensor[Any] | None) -> None:
        self._untold.append((name, old, new))
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                self._tell(*self._untold.popleft())
        finally:
            self._telling = False

    def _tell(self, name: str, old: Sensor[Any] | None, new: Sensor[Any] | None) -> None:
        callbacks = self._callbacks
        for callback in callbacks:
            if self._callbacks is not callbacks and callback not in self._callbacks:
                continue  # taken away by one before it
            try:
                callback(name, old, new)
            except Exception:  # noqa: BLE001 - the others have to hear of it, whatever this one did
                reports.report_exception("callback %r for the change of sensor %s failed", callback, name)
        if old is not None:
            old.close()
