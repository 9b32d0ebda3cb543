"""Following sensors. Law: each reading is told once as it comes and once as it goes, and keeps nobody alive.

A :class:`Follower` stands between sensors and an owner that wants their readings: the sensors know the follower, the
follower knows its owner by a weak reference only. When the owner is forgotten, the follower lets go of the sensors;
when a sensor leaves the set that is followed, nothing here keeps it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from .reading import Reading, Status
from .sensor import Sensor
from .sensorset import SensorSet

__all__ = ["Follower", "Outcome", "settle"]

#: what a sensor made from others is to become: a value; (status, value), where the status None is that which the
#: sensor's own ranges or ``status_func`` say; or None: it stays as it is
Outcome = Any


class Owner(Protocol):
    """What a follower needs of its owner, which must allow weak references."""

    def followed(self, sensor: Sensor[Any], old: Reading[Any] | None, new: Reading[Any] | None) -> None:
        """``sensor`` had the reading ``old`` (None: it was not followed) and has ``new`` (None: it no longer is).

        For one sensor, ``old`` is always the ``new`` of the call before.
        """


class Follower:
    """Attaches to sensors for an owner; an observer of each of them.

    Args:
        owner: who is told; not kept alive.
    """

    __slots__ = ("_set", "_wanted", "owner", "readings")

    def __init__(self, owner: Owner) -> None:
        #: returns the owner, or None once it is forgotten
        self.owner: Callable[[], Owner | None] = weakref.ref(owner, self._forgotten)
        self._set: Callable[[], SensorSet | None] = _nothing
        self._wanted: Callable[[Sensor[Any]], object] = _nothing
        #: the sensors that are followed, each with the reading that the owner was last told
        self.readings: dict[Sensor[Any], Reading[Any]] = {}

    def follow(self, sensor: Sensor[Any]) -> None:
        """Follow one sensor; nothing happens if it is followed already."""
        owner = self.owner()
        if owner is None or sensor in self.readings:
            return
        reading = self.readings[sensor] = sensor.reading
        sensor.attach(self)
        owner.followed(sensor, None, reading)

    def leave(self, sensor: Sensor[Any]) -> None:
        """Follow one sensor no longer; nothing happens if it is not followed."""
        old = self.readings.pop(sensor, None)
        owner = self.owner()
        if old is None or owner is None:
            return
        sensor.detach(self)
        owner.followed(sensor, old, None)

    def follow_set(self, sensors: SensorSet, wanted: Callable[[Sensor[Any]], object]) -> None:
        """Follow the sensors of a set for which ``wanted`` is true, now and later. Call it once.

        ``wanted`` is asked when a sensor is added, and must not keep the owner alive.
        """
        self._wanted = wanted
        self._set = weakref.ref(sensors)
        sensors.on_change(self._changed)
        for sensor in tuple(sensors.values()):
            if wanted(sensor):
                self.follow(sensor)

    def close(self) -> None:
        """Let go of the set and of all sensors, without telling the owner. Closing again does nothing."""
        self.owner = _nothing
        sensors, self._set = self._set(), _nothing
        self._wanted = _nothing
        if sensors is not None:
            sensors.off_change(self._changed)
        while self.readings:
            self.readings.popitem()[0].detach(self)

    def __call__(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Tell the owner of a new reading."""
        old = self.readings.get(sensor)
        owner = self.owner()
        if old is None or owner is None:
            return
        self.readings[sensor] = reading
        owner.followed(sensor, old, reading)

    def _changed(self, _name: str, old: Sensor[Any] | None, new: Sensor[Any] | None) -> None:
        if old is not None:
            self.leave(old)
        if new is not None and self._wanted(new):
            self.follow(new)

    def _forgotten(self, _ref: object) -> None:
        self.close()


def settle(sensor: Sensor[Any], outcome: Outcome, timestamp: float, *, repeats: bool) -> None:
    """Set a sensor that is made from others to what they come to; its timestamp never goes back.

    Args:
        sensor: the sensor to set.
        outcome: see :data:`Outcome`.
        timestamp: of the reading that it follows from: seconds since the Unix epoch, UTC.
        repeats: whether a value and status which the sensor has already are a new reading.
    """
    if outcome is None:
        return
    status: Status | None = None
    value = outcome
    if isinstance(outcome, tuple) and len(outcome) == 2 and (outcome[0] is None or isinstance(outcome[0], Status)):
        status, value = outcome
    current = sensor.reading
    same = value == current.value or (value != value and current.value != current.value)  # noqa: PLR0124 - both are NaN
    if same and not repeats and (sensor.judge(value) if status is None else status) is current.status:
        return
    sensor.set(value, status, max(timestamp, current.timestamp))


def _nothing(*_: object) -> None:
    """Stand for what is not there."""
