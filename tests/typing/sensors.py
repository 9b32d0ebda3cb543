"""What a type checker knows of sensors; this file is checked by mypy and never run.

Each ``type: ignore`` stands for a mistake that has to be found: one that is not makes the ignore itself an error.
"""

import enum
from typing import Any, Literal, assert_type

from katcp_aio import AggregateSensor, Reading, Sensor, SensorSet, Status
from katcp_aio.model.health import DeviceStatus, device_status, device_status_from
from katcp_aio.model.stream import Stream
from katcp_aio.wire.datatypes import Address, Timestamp


class Mode(enum.Enum):
    IDLE = 0


rate = Sensor(float, "rate", "Rate", units="Hz", default=1.0, nominal=(0.5, 5.0), warn=(0.1, 10.0))
assert_type(rate, Sensor[float])
assert_type(rate.value, float)
assert_type(rate.reading, Reading[float])
assert_type(rate.reading.value, float)
assert_type(rate.status, Status)
assert_type(rate.timestamp, float)
assert_type(rate.nominal, tuple[float, float] | None)
assert_type(rate.readings(), Stream[Reading[float]])
rate.value = 5
rate.set(2.5, status=Sensor.Status.WARN, timestamp=1.5e9)

rate.value = "fast"  # type: ignore[assignment]
rate.set("fast")  # type: ignore[arg-type]
rate.set(1.0, status="warn")  # type: ignore[arg-type]
rate.name = "other"  # type: ignore[misc]
rate.reading.value = 5.0  # type: ignore[misc]

assert_type(Sensor(int, "it").value, int)
assert_type(Sensor(bool, "it").value, bool)
assert_type(Sensor(str, "it").value, str)
assert_type(Sensor(bytes, "it").value, bytes)
assert_type(Sensor(Mode, "it").value, Mode)
assert_type(Sensor(Timestamp, "it").value, Timestamp)
assert_type(Sensor(Address, "it").value, Address)
assert_type(Sensor(Literal["a", "b"], "it").value, Any)  # no type checker can say that Literal[...] is a type of T

sensors = SensorSet()
assert_type(sensors.add(rate), Sensor[float])
assert_type(sensors["rate"], Sensor[Any])

assert_type(AggregateSensor.sum("it", sensors), AggregateSensor[float])
assert_type(AggregateSensor.count("it", sensors), AggregateSensor[int])
assert_type(AggregateSensor.worst("it", sensors), AggregateSensor[Status])
assert_type(AggregateSensor.latest(Mode, "it", sensors), AggregateSensor[Mode])
assert_type(AggregateSensor.latest(Literal["a"], "it", sensors), AggregateSensor[Any])
assert_type(AggregateSensor.all_of("it", sensors), AggregateSensor[bool])
assert_type(AggregateSensor(str, "it", sensors=sensors, rule=lambda found: str(len(found))), AggregateSensor[str])
assert_type(sensors.add(AggregateSensor.count("it", sensors)), AggregateSensor[int])
assert_type(device_status(), Sensor[DeviceStatus])
assert_type(device_status_from(sensors), AggregateSensor[DeviceStatus])
