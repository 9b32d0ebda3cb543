"""What ?sensor-list tells. Law: written once for each sensor, since nothing of it changes while the sensor is there."""

from __future__ import annotations

from typing import Any

from ..model.sensor import Sensor
from ..model.sensorset import SensorSet
from ..wire.dialect import Dialect
from ..wire.escapes import escape_all

__all__ = ["Descriptions"]


class Descriptions:
    """The lines of ?sensor-list, without their heads. A sensor costs 250 bytes more once it has been listed.

    Args:
        sensors: of the server; those that go are forgotten.
        dialect: how the server writes its lines.
    """

    __slots__ = ("_dialect", "_has", "_lines")

    def __init__(self, sensors: SensorSet, dialect: Dialect) -> None:
        self._has = sensors.__contains__  # a sensor, this very object
        self._dialect = dialect
        self._lines: dict[Sensor[Any], bytes] = {}
        sensors.on_change(self._changed)

    def _changed(self, _name: str, old: Sensor[Any] | None, _new: Sensor[Any] | None) -> None:
        if old is not None:
            self._lines.pop(old, None)

    def line(self, sensor: Sensor[Any]) -> bytes:
        """Return ``name description units type [param ...]`` (5.1, section 7.2) between a blank and a line end."""
        line = self._lines.get(sensor)
        if line is None:
            arguments = (
                sensor.name.encode(),
                sensor.description.encode(),
                sensor.units.encode(),
                self._dialect.sensor_type(sensor.type_name).encode(),
                *sensor.format_params(self._dialect),
            )
            line = b" %b\n" % escape_all(arguments)
            if self._has(sensor):  # and was not removed since the list was begun: nobody would forget it
                self._lines[sensor] = line
        return line
