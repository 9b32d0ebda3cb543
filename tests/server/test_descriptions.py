"""The lines of ?sensor-list."""

import gc
import weakref

from katcp_aio import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.server.descriptions import Descriptions
from katcp_aio.wire.dialect import V51


def test_a_sensor_that_goes_while_it_is_listed_is_forgotten_all_the_same():
    sensors = SensorSet()
    descriptions = Descriptions(sensors, V51)
    sensor = sensors.add(Sensor(int, "count", "Counted so far"))
    assert descriptions.line(sensor) == b" count Counted\\_so\\_far \\@ integer\n"
    sensors.remove(sensor)
    assert descriptions.line(sensor) == b" count Counted\\_so\\_far \\@ integer\n"  # the list was begun before
    forgotten = weakref.ref(sensor)
    del sensor
    gc.collect()
    assert forgotten() is None
