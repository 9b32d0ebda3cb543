import pytest

from katcp_aio.model import AggregateSensor, DeviceStatus, Sensor, SensorSet, Status, device_status, device_status_from
from katcp_aio.testing import ManualClock

TABLE_14 = [("ok", Status.NOMINAL), ("degraded", Status.WARN), ("fail", Status.ERROR)]


@pytest.fixture
def sensors():
    return SensorSet([Sensor(int, "a"), Sensor(int, "b")], clock=ManualClock(wall=1000.0))


@pytest.mark.parametrize(("name", "status"), TABLE_14)
def test_value_and_status_as_in_table_14(name, status):
    sensor = device_status()
    assert (sensor.name, sensor.type_name) == ("device-status", "discrete")
    assert sensor.params == (b"ok", b"degraded", b"fail")
    sensor.value = DeviceStatus[name.upper()]
    assert sensor.status is status is sensor.value.status
    assert sensor.format_reading(sensor.reading, "5.1")[1:] == (status.wire, name.encode())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.NOMINAL, DeviceStatus.OK),
        (Status.INACTIVE, DeviceStatus.OK),
        (Status.UNKNOWN, DeviceStatus.DEGRADED),
        (Status.WARN, DeviceStatus.DEGRADED),
        (Status.UNREACHABLE, DeviceStatus.DEGRADED),
        (Status.FAILURE, DeviceStatus.DEGRADED),
        (Status.ERROR, DeviceStatus.FAIL),
    ],
)
def test_what_one_sensor_makes_of_the_device(sensors, status, expected):
    health = device_status_from(sensors)
    sensors["a"].value = 1
    sensors["b"].set(1, status)
    assert health.value is expected
    assert health.status is expected.status


def test_the_worst_decides_and_what_goes_counts_no_more(sensors):
    health = sensors.add(device_status_from(sensors))
    assert isinstance(health, AggregateSensor)
    a, b = sensors["a"], sensors["b"]
    assert health.value is DeviceStatus.DEGRADED  # nothing has been read yet
    a.value = b.value = 1
    assert health.value is DeviceStatus.OK
    a.status, b.status = Status.ERROR, Status.WARN
    assert health.value is DeviceStatus.FAIL
    sensors.remove("a")
    assert health.value is DeviceStatus.DEGRADED
    sensors.remove("b")
    assert health.value is DeviceStatus.OK


def test_which_sensors_and_what_they_mean_can_be_chosen(sensors):
    health = device_status_from(
        sensors, match="^a$", levels={Status.FAILURE: DeviceStatus.FAIL}, name="dsp.device-status", description="DSP"
    )
    assert (health.name, health.description) == ("dsp.device-status", "DSP")
    sensors["b"].status = Status.ERROR
    sensors["a"].value = 1
    assert health.value is DeviceStatus.OK
    sensors["a"].status = Status.FAILURE
    assert health.value is DeviceStatus.FAIL
