import enum
import math

import pytest

from katcp_aio.model import AggregateSensor, Reading, Sensor, SensorSet, Status, Tally


class Mode(enum.Enum):
    IDLE = 0
    BUSY = 1


def nominal(value, timestamp):
    return Reading(timestamp, Status.NOMINAL, value)


def test_a_sum_follows_its_sensors(pumps, clock):
    total = AggregateSensor.sum("total", pumps, match="rate")
    assert total.reading == Reading(1000.0, Status.UNKNOWN, 0.0)
    pumps["a.rate"].set(1.5, timestamp=1001)
    assert total.reading == nominal(1.5, 1001.0)
    pumps["b.rate"].set(2, timestamp=1002)
    assert total.reading == nominal(3.5, 1002.0)
    clock.move(5)
    c = pumps.add(Sensor(float, "c.rate", default=10, status=Status.NOMINAL))
    assert total.reading == nominal(13.5, 1005.0)
    clock.move(5)
    pumps.remove("a.rate")
    assert total.reading == nominal(12.0, 1010.0)
    assert total.members == (pumps["b.rate"], c)


def test_a_reading_that_becomes_invalid_leaves_the_sum_and_comes_back(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    a, b = pumps["a.rate"], pumps["b.rate"]
    a.set(1.5, timestamp=1001)
    b.set(2, timestamp=1002)
    b.set(2, Status.UNKNOWN, timestamp=1003)
    assert total.reading == nominal(1.5, 1003.0)
    b.set(5, timestamp=1004)
    assert total.reading == nominal(6.5, 1004.0)
    a.set(1.5, Status.FAILURE, timestamp=1005)
    b.set(5, Status.INACTIVE, timestamp=1006)
    assert total.reading == Reading(1006.0, Status.UNKNOWN, 0.0)


def test_sensors_without_a_valid_reading_at_first_make_no_difference_when_they_go(pumps):
    """What was not counted when the aggregate was made is not taken away later."""
    count = AggregateSensor.count("count", pumps, match="rate")
    assert count.reading == nominal(0, 1000.0)
    pumps["a.rate"].status = Status.FAILURE
    pumps.remove("b.rate")
    assert count.value == 0
    pumps["a.rate"].value = 1
    assert count.value == 1


def test_time_never_goes_back(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    pumps["a.rate"].set(1, timestamp=2000)
    pumps["b.rate"].set(1, timestamp=1500)
    assert total.reading == nominal(2.0, 2000.0)
    pumps.remove("b.rate")
    assert total.reading == nominal(1.0, 2000.0)


def test_a_sensor_that_is_replaced_is_another_sensor(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    old = pumps["a.rate"]
    old.value = 5
    pumps.add(Sensor(float, "a.rate", default=7, status=Status.NOMINAL))
    assert total.value == 7
    old.value = 100
    assert total.value == 7


def test_a_sum_takes_numbers_only(pumps):
    total = AggregateSensor.sum("total", pumps)
    assert [sensor.name for sensor in total.members] == ["a.rate", "b.rate"]
    whole = AggregateSensor.sum("whole", pumps, type=int, units="count")
    assert [sensor.name for sensor in whole.members] == ["b.rate"]
    pumps["b.rate"].value = 2**70
    assert (whole.value, whole.units) == (2**70, "count")


def test_a_sum_with_ranges_and_a_least(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate", least=2, nominal=(0, 5))
    pumps["a.rate"].value = 6
    assert total.status is Status.UNKNOWN
    pumps["b.rate"].value = 1
    assert total.status is Status.WARN


def test_a_sum_has_no_memory_of_infinity(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    pumps["b.rate"].value = 3
    for value in (math.inf, math.nan, 1e300, 0.5):
        pumps["a.rate"].value = value
    assert total.value == 3.5


def test_a_count_with_a_condition(pumps):
    fast = AggregateSensor.count(
        "fast", pumps, match="rate", where=lambda reading: reading.status.valid and reading.value > 5
    )
    pumps["a.rate"].value = 6
    pumps["b.rate"].value = 5
    assert fast.value == 1
    pumps["b.rate"].value = 50
    assert fast.value == 2


def test_what_has_not_changed_makes_no_reading(pumps):
    count = AggregateSensor.count("count", pumps, match="rate")
    worst = AggregateSensor.worst("worst", pumps, match="rate")
    pumps["a.rate"].set(1, timestamp=1001)
    before = count.reading, worst.reading
    pumps["a.rate"].set(2, timestamp=1002)
    assert (count.reading, worst.reading) == before


def test_a_sum_that_has_not_changed_is_read_again(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    pumps["a.rate"].set(1, timestamp=1001)
    pumps["a.rate"].set(1, timestamp=1002)
    assert total.timestamp == 1002.0


def test_the_worst_status(pumps):
    worst = AggregateSensor.worst("worst", pumps, match="rate")
    assert worst.reading == Reading(1000.0, Status.UNKNOWN, Status.UNKNOWN)
    assert worst.type_name == "discrete"
    assert b"unreachable" in worst.params
    a, b = pumps["a.rate"], pumps["b.rate"]
    a.value = b.value = 1
    assert worst.value is worst.status is Status.NOMINAL
    a.status = Status.ERROR
    b.status = Status.WARN
    assert worst.value is worst.status is Status.ERROR
    a.status = Status.INACTIVE
    assert worst.value is worst.status is Status.WARN
    pumps.remove("a.rate")
    pumps.remove("b.rate")
    assert worst.value is worst.status is Status.UNKNOWN


def test_the_latest_reading(clock):
    modes = SensorSet([Sensor(Mode, "a.mode"), Sensor(Mode, "b.mode"), Sensor(int, "c")], clock=clock)
    latest = AggregateSensor.latest(Mode, "latest", modes, default=Mode.BUSY)
    assert latest.reading == Reading(1000.0, Status.UNKNOWN, Mode.BUSY)
    modes["a.mode"].set(Mode.IDLE, Status.WARN, 1005)
    assert latest.reading == Reading(1005.0, Status.WARN, Mode.IDLE)
    modes["b.mode"].set(Mode.BUSY, timestamp=1003)
    assert latest.reading == Reading(1005.0, Status.WARN, Mode.IDLE)
    modes["b.mode"].set(Mode.BUSY, timestamp=1006)
    assert latest.reading == nominal(Mode.BUSY, 1006.0)
    clock.move(10)
    modes.remove("b.mode")
    assert latest.reading == Reading(1010.0, Status.WARN, Mode.IDLE)


def test_all_of(clock):
    checks = SensorSet([Sensor(bool, "a"), Sensor(bool, "b"), Sensor(int, "c")], clock=clock)
    ok = AggregateSensor.all_of("ok", checks, status_func=lambda value: Status.NOMINAL if value else Status.ERROR)
    assert (ok.value, ok.status) == (False, Status.UNKNOWN)
    checks["a"].value = False
    assert (ok.value, ok.status) == (False, Status.ERROR)  # one is false: whatever the other may be
    checks["a"].value = True
    assert (ok.value, ok.status) == (False, Status.UNKNOWN)
    checks["b"].value = True
    assert (ok.value, ok.status) == (True, Status.NOMINAL)
    checks["b"].status = Status.UNREACHABLE
    assert (ok.value, ok.status) == (False, Status.UNKNOWN)
    checks.clear()
    assert (ok.value, ok.status) == (True, Status.NOMINAL)


def test_a_rule_of_ones_own(pumps):
    def mean(sensors):
        values = [sensor.value for sensor in sensors if sensor.status.valid]
        return sum(values) / len(values) if values else (Status.INACTIVE, 0.0)

    average = AggregateSensor(float, "mean", "Mean rate", "Hz", sensors=pumps, match="rate", rule=mean)
    assert (average.description, average.units) == ("Mean rate", "Hz")
    assert average.status is Status.INACTIVE
    pumps["a.rate"].value = 1
    assert (average.status, average.value) == (Status.NOMINAL, 1.0)
    pumps["b.rate"].value = 2
    assert average.value == 1.5


def test_a_rule_that_says_nothing_leaves_the_reading(pumps):
    still = AggregateSensor(int, "still", sensors=pumps, rule=lambda sensors: None, default=5)
    before = still.reading
    pumps["a.rate"].value = 1
    assert still.reading is before
    assert before == Reading(1000.0, Status.UNKNOWN, 5)


def test_a_rule_for_a_type_whose_values_are_tuples(pumps):
    pair = AggregateSensor(str, "pair", sensors=pumps, rule=lambda sensors: (None, "it"))
    assert (pair.status, pair.value) == (Status.NOMINAL, "it")
    with pytest.raises(TypeError, match="no string"):
        AggregateSensor(str, "pair", sensors=pumps, rule=lambda sensors: ("a", "b"))


def test_a_tally_of_ones_own(pumps):
    class Longest(Tally):
        types = ("string",)

        def __init__(self):
            self.texts = {}

        def include(self, sensor, reading):
            self.texts[sensor] = reading.value

        def exclude(self, sensor, reading):
            assert self.texts.pop(sensor) == reading.value

        def outcome(self):
            return max(self.texts.values(), key=len, default="")

    longest = AggregateSensor(str, "longest", sensors=pumps, rule=Longest())
    pumps["a.name"].value = "pump"
    pumps.add(Sensor(str, "b.name", default="a longer one"))
    assert longest.value == "a longer one"
    pumps.remove("b.name")
    assert longest.value == "pump"


@pytest.mark.parametrize(("odd", "totals"), [(7, [2, 6, 5, 4]), (8, [9, 9, 5, 4])])
def test_a_tally_that_refuses_a_reading_is_right_again_with_the_next(pumps, caplog, odd, totals):
    class Fussy(Tally):
        types = ("integer",)
        total = 0

        def include(self, sensor, reading):
            if reading.value == 7:
                raise ValueError("it is odd: 7")
            self.total += reading.value

        def exclude(self, sensor, reading):
            self.total -= reading.value
            if reading.value == 8:
                raise ValueError("it is odd: 8")

        def outcome(self):
            return self.total

    first, second = (pumps.add(Sensor(int, name, default=1)) for name in ("m", "n"))
    total = AggregateSensor(int, "total", sensors=pumps, match="^[mn]$", rule=Fussy())
    found = []
    for value in (odd, 5, 4, 3):
        first.value = value
        found.append(total.value)
    assert found == totals
    assert f"it is odd: {odd}" in caplog.text
    first.value = odd
    pumps.remove(first)
    second.value = 2
    assert total.value == 2
    assert total.members == (second,)


def test_a_rule_that_raises_is_logged_and_keeps_the_reading(pumps, caplog):
    def inverse(sensors):
        return sum(1 / sensor.value for sensor in sensors)

    for name in ("a.rate", "b.rate"):
        pumps[name].value = 2
    inverted = AggregateSensor(float, "inverse", sensors=pumps, match="rate", rule=inverse)
    pumps["a.rate"].value = 0
    assert inverted.value == 1.0
    assert "ZeroDivisionError" in caplog.text
    pumps["a.rate"].value = 1
    assert inverted.value == 1.5


def test_a_rule_that_raises_at_once_raises_where_the_aggregate_is_made(pumps):
    calls = []

    def inverse(sensors):
        calls.append(len(sensors))
        return 1 / sensors[0].value

    with pytest.raises(ZeroDivisionError):
        AggregateSensor(float, "inverse", sensors=pumps, match="rate", rule=inverse)
    pumps["a.rate"].value = 1
    assert calls == [2]  # and nothing of it is left


def test_what_is_no_regular_expression_raises(pumps):
    with pytest.raises(ValueError, match="no regular expression"):
        AggregateSensor.sum("total", pumps, match="(")


def test_of_sensors_that_are_in_no_set(clock):
    a, b = Sensor(int, "x", clock=clock), Sensor(int, "x", clock=clock)  # of two devices
    total = AggregateSensor.sum("total", [a, b, Sensor(str, "x")], clock=clock)
    a.set(1, timestamp=1001)
    b.set(2, timestamp=1002)
    assert total.reading == nominal(3.0, 1002.0)
    assert AggregateSensor.sum("total", [a, a, b], match=lambda sensor: sensor is not b).value == 1.0


def test_observers_and_strategies_see_it_as_any_sensor(pumps):
    heard = []
    total = pumps.add(AggregateSensor.sum("total", pumps, match="rate", auto=("event-rate", 1, 60)))
    total.attach(lambda sensor, reading: heard.append((sensor, reading)))
    pumps["a.rate"].set(5, timestamp=1001)
    assert heard == [(total, nominal(5.0, 1001.0))]
    assert total.auto == ("event-rate", 1, 60)
