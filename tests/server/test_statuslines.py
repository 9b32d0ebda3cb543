from typing import Literal

from katcp_aio.model.sensor import Sensor
from katcp_aio.server.statuslines import StatusLines
from katcp_aio.wire.dialect import V4, V51


def sensor(kind, name, value, **options):
    made = Sensor(kind, name, **options)
    made.set(value, timestamp=1.5e9)
    return made


def test_one_sensor_in_each_dialect():
    rate = sensor(float, "rate", 2.5, nominal=(0, 1))
    assert StatusLines(V51, float).line(rate, rate.reading) == b"#sensor-status 1500000000.0 1 rate warn 2.5\n"
    assert StatusLines(V4, float).line(rate, rate.reading) == b"#sensor-status 1500000000000 1 rate warn 2.5\n"


def test_the_time_is_taken_once_for_each_reading():
    times = iter(range(10, 20))
    lines = StatusLines(V51, lambda: next(times))
    rate = sensor(float, "rate", 2.5)
    first = rate.reading
    assert [lines.heard(first) for _ in range(3)] == [10, 10, 10]
    rate.value = 2.5
    assert [lines.heard(rate.reading) for _ in range(3)] == [11, 11, 11]
    assert lines.heard(first) == 12


def test_the_line_is_made_once_for_each_reading():
    lines = StatusLines(V51, float)
    rate = sensor(float, "rate", 2.5)
    assert lines.line(rate, rate.reading) is lines.line(rate, rate.reading)


def test_two_sensors_with_the_same_reading_are_told_apart():
    lines = StatusLines(V51, float)
    rate, other = sensor(float, "rate", 2.5), sensor(float, "other", 1.0)
    assert b" rate " in lines.line(rate, rate.reading)
    assert b" other " in lines.line(other, rate.reading)


def test_a_type_for_each_sensor_does_not_pile_up():
    lines = StatusLines(V51, float)
    for number in range(2500):
        mode = Sensor(Literal[f"state {number}", "other"], "mode")
        line = lines.line(mode, mode.reading)
        assert line.endswith(b" unknown state\\_%d\n" % number)
