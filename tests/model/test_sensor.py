import enum
import math
from fractions import Fraction
from ipaddress import IPv4Address
from typing import Annotated, Literal

import numpy as np
import pytest

from katcp_aio.clock import SYSTEM_CLOCK
from katcp_aio.model import Reading, Sensor
from katcp_aio.model.reading import Status
from katcp_aio.testing import ManualClock
from katcp_aio.wire.datatypes import Address, Lru, Range, Timestamp
from katcp_aio.wire.dialect import V51
from katcp_aio.wire.values import registry


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


class Opaque:
    pass


def float_sensor(clock=None, **options):
    return Sensor(float, "pump.rate", "Rate", "Hz", clock=clock, **options)


# ---------------------------------------------------------------------------------------------------------------------
# Types and values

TYPES = [
    # type, name, first value, (value given, value kept, value on the wire)
    (int, "integer", 0, (5, 5, b"5")),
    (float, "float", 0.0, (2.5, 2.5, b"2.5")),
    (bool, "boolean", False, (True, True, b"1")),
    (str, "string", "", ("é", "é", "é".encode())),
    (bytes, "string", b"", (b"\xff", b"\xff", b"\xff")),
    (Mode, "discrete", Mode.IDLE, (Mode.FAST_SLEW, Mode.FAST_SLEW, b"fast-slew")),
    (Literal["hz", "rpm"], "discrete", "hz", ("rpm", "rpm", b"rpm")),
    (Timestamp, "timestamp", 0.0, (1.5, Timestamp(1.5), b"1.5")),
    (Address, "address", Address("0.0.0.0"), (Address("1.2.3.4", 80), Address("1.2.3.4", 80), b"1.2.3.4:80")),
    (Lru, "lru", Lru.NOMINAL, (Lru.ERROR, Lru.ERROR, b"error")),
    (float, "float", 0.0, (3, 3.0, b"3.0")),
    (float, "float", 0.0, (Fraction(1, 2), 0.5, b"0.5")),
    (float, "float", 0.0, (np.float32(0.5), 0.5, b"0.5")),
    (float, "float", 0.0, (np.int16(3), 3.0, b"3.0")),
    (int, "integer", 0, (np.uint8(200), 200, b"200")),
    (int, "integer", 0, (True, 1, b"1")),
    (int, "integer", 0, (-(2**70), -(2**70), b"-1180591620717411303424")),
    (bool, "boolean", False, (np.bool_(True), True, b"1")),
    (bytes, "string", b"", (bytearray(b"x"), b"x", b"x")),
    (Timestamp, "timestamp", 0.0, (5, Timestamp(5), b"5.0")),
    (Annotated[int, Range(3, 9)], "integer", 3, (9, 9, b"9")),
]


@pytest.mark.parametrize(("type_", "name", "first", "value"), TYPES)
def test_every_type(type_, name, first, value):
    given, kept, written = value
    sensor = Sensor(type_, "it")
    assert (sensor.type_name, sensor.value) == (name, first)
    sensor.value = given
    assert sensor.value == kept
    assert type(sensor.value) is type(kept)
    assert sensor.format_reading(sensor.reading, "5.1")[2] == written
    assert Sensor(type_, "it", default=given).value == kept


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (bool, "True"),
        (bool, 1),
        (int, "1234"),
        (int, 1234.5),
        (int, 1.0),
        (float, "1"),
        (float, 1 + 2j),
        (str, b"text"),
        (str, {}),
        (bytes, "text"),
        (Mode, 1),
        (Mode, "idle"),
        (Mode, Lru.ERROR),
        (Literal["hz", "rpm"], "kHz"),
        (Literal[1, 2], True),
        (Timestamp, "1"),
        (Address, "0.0.0.0"),
        (Address, IPv4Address("0.0.0.0")),
        (float, None),
    ],
)
def test_a_value_of_another_type_raises_and_changes_nothing(type_, value, heard):
    sensor = Sensor(type_, "it")
    sensor.attach(lambda *what: heard.append(what))
    before = sensor.reading
    with pytest.raises(TypeError):
        sensor.value = value
    with pytest.raises(TypeError):
        sensor.set(value, Status.WARN, 5)
    assert sensor.reading is before
    assert not heard


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Timestamp, -1),
        (str, "\ud800"),
        (Annotated[int, Range(0, 9)], 10),
        (float, 10**400),
        (int, 10**5000),
        (int, -(10**5000)),
        (Fraction, Fraction(10**400)),
        (Fraction, math.inf),
        (np.int32, 2**40),
    ],
    ids=lambda it: it.__name__ if isinstance(it, type) else "",
)
def test_a_value_that_cannot_be_told_raises(type_, value):
    with pytest.raises(ValueError) as caught:
        Sensor(type_, "it").set(value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_type_of_ones_own():
    types = registry.child()
    types.register(complex, "complex", lambda z: b"%g,%g" % (z.real, z.imag), lambda raw: complex(0), lambda: 0j)
    sensor = Sensor(types.resolve(complex), "gain")
    sensor.value = 1 + 2j
    assert (sensor.type_name, sensor.format_reading(sensor.reading, V51)[2]) == ("complex", b"1,2")
    assert sensor.type.name == "complex"


def test_each_sensor_has_a_first_value_of_its_own():
    types = registry.child()
    types.register(list, "list", b",".join, lambda raw: raw.split(b","), list)
    for type_ in (types.resolve(list), types.resolve(list | int), bytearray):
        one, other = Sensor(type_, "one"), Sensor(type_, "other")
        one.value.append(5)
        assert not other.value


def test_what_is_filled_anew_does_not_change_what_was_said():
    for type_ in (bytearray, memoryview, bytes):
        sensor = Sensor(type_, "buffer")
        buffer = bytearray(b"one")
        sensor.value = memoryview(buffer) if type_ is memoryview else buffer
        buffer[:] = b"two"
        assert type(sensor.value) is type_
        assert sensor.value == b"one"


def test_a_type_without_a_first_value_needs_a_default():
    types = registry.child()
    types.register(Opaque, "opaque", lambda _it: b"", lambda _raw: Opaque())
    with pytest.raises(ValueError, match="sensor it needs a default"):
        Sensor(types.resolve(Opaque), "it")
    assert Sensor(types.resolve(Opaque), "it", default=Opaque()).type_name == "opaque"


def test_what_is_no_type_is_told_at_once():
    with pytest.raises(TypeError, match="no KATCP type"):
        Sensor(dict, "it")


# ---------------------------------------------------------------------------------------------------------------------
# Setting


def test_the_first_reading_is_unknown_and_now(clock):
    assert float_sensor(clock, default=1).reading == Reading(1000.0, Status.UNKNOWN, 1.0)


def test_set_takes_the_time_and_finds_the_status(clock):
    sensor = float_sensor(clock)
    clock.move(5)
    sensor.set(1)
    assert sensor.reading == Reading(1005.0, Status.NOMINAL, 1.0)
    assert (sensor.timestamp, sensor.status, sensor.value) == sensor.reading


def test_set_with_all_it_takes(clock):
    sensor = float_sensor(clock)
    sensor.set(5, status=Sensor.Status.WARN, timestamp=1.5e9)
    assert sensor.reading == Reading(1.5e9, Status.WARN, 5.0)


@pytest.mark.parametrize("wrong", [{"status": "warn"}, {"status": 3}, {"timestamp": "now"}])
def test_set_with_what_is_none_of_it(clock, wrong):
    sensor = float_sensor(clock)
    before = sensor.reading
    with pytest.raises(TypeError):
        sensor.set(5, **wrong)
    with pytest.raises(TypeError):
        sensor.set_threadsafe(None, 5, **wrong)
    assert sensor.reading is before


@pytest.mark.parametrize("timestamp", [-1, math.nan, math.inf])
def test_set_with_a_time_that_cannot_be_told(clock, timestamp):
    with pytest.raises(ValueError):
        float_sensor(clock).set(5, timestamp=timestamp)


def test_the_status_follows_from_the_ranges():
    sensor = float_sensor(nominal=(1, 2), warn=(0, 3))
    found = []
    for value in (1, 2.5, 4, math.nan, 1.5):
        sensor.value = value
        found.append(sensor.status.value)
    assert found == ["nominal", "warn", "error", "error", "nominal"]
    assert sensor.judge(2.5) is Status.WARN


def test_the_status_follows_from_status_func_before_the_ranges():
    sensor = float_sensor(nominal=(0, 9), status_func=lambda value: Status.ERROR if value == 5 else Status.NOMINAL)
    sensor.value = 5
    assert sensor.status is Status.ERROR
    sensor.set(5, Status.INACTIVE)  # given explicitly: that holds
    assert sensor.status is Status.INACTIVE


def test_a_status_func_that_returns_no_status_raises():
    sensor = float_sensor(status_func=lambda value: "warn")
    with pytest.raises(TypeError, match="a status is a Status"):
        sensor.value = 1
    with pytest.raises(TypeError, match="a status is a Status"):
        sensor.judge(1.0)


def test_assigning_the_status_keeps_the_value(clock):
    sensor = float_sensor(clock, default=7)
    clock.move(1)
    sensor.status = Status.INACTIVE
    assert sensor.reading == Reading(1001.0, Status.INACTIVE, 7.0)


# ---------------------------------------------------------------------------------------------------------------------
# Stale sensors, and clocks


def test_a_sensor_without_news_becomes_unknown_and_comes_back(clock, heard):
    sensor = float_sensor(clock, stale_after=10, default=1, status=Status.NOMINAL)
    sensor.attach(lambda sensor, reading: heard.append(reading))
    assert sensor.stale_after == 10
    clock.move(4)
    sensor.value = 2
    assert sensor.check_stale(clock.monotonic()) == 14
    clock.move(9.5)
    assert sensor.check_stale(clock.monotonic()) == 14
    assert sensor.status is Status.NOMINAL
    clock.move(1)
    assert sensor.check_stale(clock.monotonic()) == 24.5
    assert heard[-1] == sensor.reading == Reading(1014.5, Status.UNKNOWN, 2.0)
    sensor.value = 3
    assert sensor.status is Status.NOMINAL
    assert len(heard) == 3


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.FAILURE, Status.INACTIVE, Status.UNREACHABLE])
def test_what_has_no_valid_value_does_not_go_stale(clock, heard, status):
    sensor = float_sensor(clock, stale_after=10, status=status)
    sensor.attach(lambda sensor, reading: heard.append(reading))
    clock.move(20)
    assert sensor.check_stale(clock.monotonic()) == 30
    assert (sensor.status, heard) == (status, [])


def test_a_sensor_that_never_goes_stale():
    assert float_sensor().check_stale(1e9) is None


def test_a_clock_is_taken_over_unless_one_was_given(clock):
    sensor = float_sensor()
    assert sensor.clock is SYSTEM_CLOCK
    sensor.use_clock(clock)
    assert sensor.timestamp == 1000.0  # stamped again: it is the reading of the constructor
    other = ManualClock(wall=5.0)
    sensor.use_clock(other)
    assert sensor.clock is clock


def test_a_reading_that_was_set_keeps_its_time(clock):
    sensor = float_sensor(stale_after=5)
    sensor.set(1, timestamp=123)
    sensor.use_clock(clock)
    assert sensor.timestamp == 123.0
    assert sensor.check_stale(clock.monotonic()) == 5.0
