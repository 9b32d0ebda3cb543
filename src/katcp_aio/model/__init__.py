"""What a device is: sensors and readings, when to report them, and the shape of its requests. Pure and synchronous.

From below: :mod:`.reading`, :mod:`.checks`, :mod:`.ranges`, :mod:`.nameplate`, :mod:`.stream` (the one module here that
can wait), :mod:`.observers`, :mod:`.sensor` and :mod:`.sensorset`; :mod:`.reporting` and :mod:`.strategies`; what is
made of sensors: :mod:`.follower`, :mod:`.tallies`, :mod:`.aggregate`, :mod:`.tree` and :mod:`.health`; on its own,
:mod:`.signature`.
"""

from __future__ import annotations

from .aggregate import AggregateSensor
from .health import DeviceStatus, device_status, device_status_from
from .reading import Reading, Status
from .sensor import Sensor
from .sensorset import SensorSet
from .stream import Stream
from .tallies import Tally
from .tree import SensorTree

__all__ = [
    "AggregateSensor",
    "DeviceStatus",
    "Reading",
    "Sensor",
    "SensorSet",
    "SensorTree",
    "Status",
    "Stream",
    "Tally",
    "device_status",
    "device_status_from",
]
