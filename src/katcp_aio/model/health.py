"""The health of a device. Law: ``device-status`` is what the worst of its sensors makes it (5.1, appendix B.2)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from .aggregate import AggregateSensor, Sources
from .follower import Outcome
from .reading import Status
from .sensor import Sensor
from .sensorset import Match
from .tallies import Worst

__all__ = ["DeviceStatus", "device_status", "device_status_from"]


class DeviceStatus(enum.Enum):
    """What a unit is capable of (table 14)."""

    OK = 0  #: full operation
    DEGRADED = 1  #: operation with reduced performance or reliability
    FAIL = 2  #: the unit is unusable

    @property
    def status(self) -> Status:
        """The status that a sensor with this value has."""
        return _STATUSES[self]


_STATUSES = {DeviceStatus.OK: Status.NOMINAL, DeviceStatus.DEGRADED: Status.WARN, DeviceStatus.FAIL: Status.ERROR}

_NAME = "device-status"
_DESCRIPTION = "Health of the device as a whole"

#: what one sensor's status makes of the device. Only ``error`` tells of "a critical condition for the device" (table
#: 8); what cannot be read makes it less reliable, and is no proof that it is unusable.
_LEVELS = {
    Status.NOMINAL: DeviceStatus.OK,
    Status.INACTIVE: DeviceStatus.OK,
    Status.UNKNOWN: DeviceStatus.DEGRADED,
    Status.WARN: DeviceStatus.DEGRADED,
    Status.UNREACHABLE: DeviceStatus.DEGRADED,
    Status.FAILURE: DeviceStatus.DEGRADED,
    Status.ERROR: DeviceStatus.FAIL,
}


class _Health(Worst):
    """What the statuses of the sensors make of the device; a device without any is ok."""

    def __init__(self, levels: Mapping[Status, DeviceStatus]) -> None:
        super().__init__()
        self._levels = {**_LEVELS, **levels}

    def outcome(self) -> Outcome:
        """Return the worst of what the statuses that there are make of the device."""
        there = [self._levels[status] for status, count in self.counts.items() if count]
        return max(there, key=_rank, default=DeviceStatus.OK)


def device_status(name: str = _NAME, description: str = _DESCRIPTION, **options: Any) -> Sensor[DeviceStatus]:
    """Return the sensor ``device-status`` for a device that decides by itself: set its value, the status follows.

    ``options`` are those of :class:`Sensor`.
    """
    return Sensor(DeviceStatus, name, description, status_func=_status_of, **options)


def device_status_from(
    sensors: Sources,
    match: Match = None,
    *,
    levels: Mapping[Status, DeviceStatus] | None = None,
    name: str = _NAME,
    description: str = _DESCRIPTION,
    **options: Any,
) -> AggregateSensor[DeviceStatus]:
    """Return the sensor ``device-status`` as the worst of what other sensors' statuses make of the device.

    By default ``nominal`` and ``inactive`` sensors leave it ok; ``error`` makes it fail; all else makes it degraded,
    ``unknown`` too: a device is not known to be well before each of its sensors has been read.

    Args:
        sensors: as for an :class:`AggregateSensor`; so are ``match``, which of them, and ``options``.
        levels: for some statuses, what they make of the device instead.
    """
    return AggregateSensor(
        DeviceStatus,
        name,
        description,
        sensors=sensors,
        match=match,
        rule=_Health(levels or {}),
        status_func=_status_of,
        **options,
    )


def _status_of(value: DeviceStatus) -> Status:
    return value.status


def _rank(value: DeviceStatus) -> int:
    return value.value
