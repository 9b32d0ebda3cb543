import enum

import pytest

from katcp_aio.errors import UnsupportedProtocol
from katcp_aio.model import Reading, Sensor
from katcp_aio.model.reading import Status
from katcp_aio.wire.datatypes import Timestamp


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


def test_what_is_said_of_a_sensor():
    sensor = Sensor(
        float, "pump.rate", "Rate", "Hz", 2, Status.WARN, nominal=(1, 3), warn=(0, 4), auto=("event-rate", 1, 60)
    )
    assert (sensor.name, sensor.description, sensor.units) == ("pump.rate", "Rate", "Hz")
    assert (sensor.nominal, sensor.warn) == ((1.0, 3.0), (0.0, 4.0))
    assert sensor.auto == ("event-rate", 1, 60)
    assert sensor.stale_after is None
    assert (sensor.value, sensor.status) == (2.0, Status.WARN)
    assert repr(sensor) == "<Sensor pump.rate float 2.0 warn>"


def test_what_is_not_said():
    sensor = Sensor(int, "it")
    assert (sensor.description, sensor.units, sensor.nominal, sensor.warn, sensor.auto) == ("", "", None, None, None)
    assert sensor.params == ()
    assert sensor.status is Sensor.Status.UNKNOWN


def test_params_as_sensor_list_has_them():
    assert Sensor(Mode, "it").params == (b"idle", b"fast-slew")
    assert Sensor(int, "it", nominal=(1, 2)).params == (b"1", b"2")
    assert Sensor(float, "it", nominal=(1, 2), warn=(0, 3)).params == (b"1.0", b"2.0", b"0.0", b"3.0")
    assert Sensor(str, "it").params == ()


def test_version_4_requires_a_range_of_numbers():
    assert len(Sensor(int, "it").format_params("4.0")) == 2
    assert Sensor(int, "it", nominal=(1, 2), warn=(0, 3)).format_params("4.0") == (b"0", b"3")
    assert Sensor(Mode, "it").format_params("4.0") == (b"idle", b"fast-slew")


def test_a_reading_as_each_version_writes_it():
    sensor = Sensor(Timestamp, "it")
    reading = Reading(12345.0, Status.UNREACHABLE, Timestamp(1001.9))
    assert sensor.format_reading(reading, "5.1") == (b"12345.0", b"unreachable", b"1001.9")
    v4 = sensor.format_reading(reading, "4.0")
    assert (v4[0], v4[2]) == (b"12345000", b"1001900")
    assert v4[1] != b"unreachable"  # new in version 5
    with pytest.raises(UnsupportedProtocol):
        sensor.format_reading(reading, "7.0")
    with pytest.raises(UnsupportedProtocol):
        sensor.format_params("7.0")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"name": "a b"}, ValueError, "no sensor name"),
        ({"description": "\x00"}, ValueError, "description of sensor it"),
        ({"units": "\x1b"}, ValueError, "units of sensor it"),
        ({"units": None}, TypeError, "units of sensor it"),
        ({"default": "1"}, TypeError, "no float"),
        ({"status": "warn"}, TypeError, "a status is a Status"),
        ({"nominal": (2, 1)}, ValueError, "no values in it"),
        ({"auto": "none"}, ValueError, "auto cannot mean"),
        ({"auto": ("period", -1)}, ValueError, "period must be above zero"),
        ({"auto": ("event-rate", 1)}, ValueError, "expected 2 parameters for event-rate"),
        ({"type": str, "auto": ("differential", 1)}, ValueError, "differential is for integer and float sensors only"),
        ({"stale_after": 0}, ValueError, "stale_after"),
    ],
)
def test_what_is_wrong_raises_where_the_sensor_is_made(options, error, text):
    with pytest.raises(error, match=text):
        Sensor(**({"type": float, "name": "it"} | options))


def test_what_is_said_cannot_be_changed():
    sensor = Sensor(int, "it")
    for name in ("name", "description", "units", "type", "auto", "nominal", "reading", "timestamp"):
        with pytest.raises(AttributeError):
            setattr(sensor, name, None)
