"""What a device is: sensors and readings, when to report them, and the shape of its requests. Pure and synchronous.

From below: :mod:`reading`, :mod:`checks`, :mod:`ranges`, :mod:`stream` (the one module here that can wait),
:mod:`observers`, :mod:`sensor` and :mod:`sensorset`; :mod:`reporting` and :mod:`strategies`; then what is made of
sensors: :mod:`follower`, :mod:`aggregate`, :mod:`tree` and :mod:`health`; and, on its own, :mod:`signature`.
"""

from __future__ import annotations

from .reading import Reading, Status
from .sensor import Sensor
from .sensorset import SensorSet
from .stream import Stream

__all__ = ["Reading", "Sensor", "SensorSet", "Status", "Stream"]
