import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.tallies import AllOf, Count, Latest, RuleTally, Sum, Tally, Worst

SENSORS = [Sensor(float, f"s{i}") for i in range(4)]

statuses = st.sampled_from(Status)
floats = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 5e-324, 1.7e308, 0.1, -0.0])


def histories(values):
    """What becomes of four sensors: (which, its new reading, or None: it goes)."""
    readings = st.builds(Reading, st.integers(0, 9).map(float), statuses, values)
    return st.lists(st.tuples(st.sampled_from(SENSORS), st.none() | readings), max_size=30)


def play(tally, history):
    """Tell a tally of a history, and return what there is in the end, the last to come last."""
    there = {}
    for sensor, reading in history:
        if sensor in there:
            tally.exclude(sensor, there.pop(sensor))
        if reading is not None:
            there[sensor] = reading
            tally.include(sensor, reading)
        tally.outcome()
    return list(there.values())


def valid(readings):
    return [reading.value for reading in readings if reading.status.valid]


def same(found, expected):
    return found == expected or (math.isnan(found) and math.isnan(expected))


def exact_sum(values):
    if not all(map(math.isfinite, values)):
        return sum(value for value in values if not math.isfinite(value))
    total = sum(map(Fraction, values))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


@given(histories(floats | st.integers()))
def test_a_sum_is_that_of_what_is_there_exactly(history):
    tally = Sum()
    values = valid(play(tally, history))
    status, found = tally.outcome()
    assert same(found, exact_sum(values))
    assert status is (None if values else Status.UNKNOWN)


@given(histories(st.integers()))
def test_a_sum_of_integers_has_no_bound(history):
    tally = Sum(whole=True)
    values = valid(play(tally, history))
    _, found = tally.outcome()
    assert type(found) is int
    assert found == sum(values)


def test_a_sum_does_not_remember_what_was_rounded_away():
    tally = Sum()
    small, large = Reading(0, Status.NOMINAL, 0.1), Reading(0, Status.NOMINAL, 1e300)
    tally.include(SENSORS[0], small)
    for _ in range(1000):
        tally.include(SENSORS[1], large)
        tally.exclude(SENSORS[1], large)
    assert tally.outcome() == (None, 0.1)


def test_infinity_and_nan_come_and_go():
    tally = Sum()
    found = []
    for sensor, value in zip(SENSORS, (1.0, math.inf, -math.inf, math.nan), strict=True):
        tally.include(sensor, Reading(0, Status.NOMINAL, value))
        found.append(tally.outcome()[1])
    for sensor, value in zip(SENSORS[:0:-1], (math.nan, -math.inf, math.inf), strict=True):
        tally.exclude(sensor, Reading(0, Status.NOMINAL, value))
        found.append(tally.outcome()[1])
    assert list(map(str, found)) == ["1.0", "inf", "nan", "nan", "nan", "inf", "1.0"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_all_floats_is_infinite(sign):
    tally = Sum()
    for sensor in SENSORS:
        tally.include(sensor, Reading(0, Status.NOMINAL, sign * 1.7e308))
    assert tally.outcome() == (None, sign * math.inf)


def test_a_sum_needs_as_many_readings_as_it_is_told():
    tally = Sum(least=2)
    tally.include(SENSORS[0], Reading(0, Status.NOMINAL, 1.0))
    assert tally.outcome() == (Status.UNKNOWN, 1.0)
    tally.include(SENSORS[1], Reading(0, Status.WARN, 2.0))
    assert tally.outcome() == (None, 3.0)
    tally.include(SENSORS[2], Reading(0, Status.UNKNOWN, 5.0))
    assert tally.outcome() == (None, 3.0)


@given(histories(st.integers()))
def test_a_count_is_that_of_what_is_there(history):
    by_default, large = Count(), Count(lambda reading: reading.value > 5)
    there = play(by_default, history)
    play(large, history)
    assert by_default.outcome() == len(valid(there))
    assert large.outcome() == sum(reading.value > 5 for reading in there)


def test_a_count_stays_right_when_its_condition_changes_its_mind():
    mind = [True, False]
    tally = Count(lambda reading: mind.pop(0))
    reading = Reading(0, Status.NOMINAL, 1)
    tally.include(SENSORS[0], reading)
    assert tally.outcome() == 1
    tally.exclude(SENSORS[0], reading)
    tally.include(SENSORS[0], reading)
    assert tally.outcome() == 0


@given(histories(st.integers()))
def test_the_worst_status_of_what_is_there(history):
    tally = Worst()
    there = [reading.status for reading in play(tally, history)]
    worst = max(there, key=lambda status: status.severity, default=None)
    assert tally.worst is worst
    assert tally.outcome() == ((worst, worst) if worst else (Status.UNKNOWN, Status.UNKNOWN))


def test_error_is_the_worst_and_nominal_the_best():
    tally = Worst()
    found = []
    for status in (Status.NOMINAL, Status.INACTIVE, Status.UNKNOWN, Status.WARN, Status.FAILURE, Status.ERROR):
        tally.include(SENSORS[0], Reading(0, status, 0))
        found.append(tally.outcome()[0])
    assert found == [Status.NOMINAL, Status.INACTIVE, Status.UNKNOWN, Status.WARN, Status.FAILURE, Status.ERROR]


@given(histories(st.integers()))
def test_the_latest_of_what_is_there(history):
    class Remembering(Latest):
        last = None

        def outcome(self):
            found = super().outcome()
            self.last = found or self.last
            return found

    tally = Remembering("integer", 42)
    there = [reading for reading in play(tally, history) if reading.status.valid]
    tally.outcome()
    if there:
        newest = max(reading.timestamp for reading in there)
        assert tally.last in [(reading.status, reading.value) for reading in there if reading.timestamp == newest]
    else:
        assert tally.outcome()[0] is Status.UNKNOWN


def test_the_latest_reading_step_by_step():
    tally = Latest("integer", 42)
    a, b, c, _ = SENSORS
    assert tally.outcome() == (Status.UNKNOWN, 42)
    old, new, newer = (Reading(time, Status.NOMINAL, time * 10) for time in (1, 2, 3))
    tally.include(a, new)
    assert tally.outcome() == (Status.NOMINAL, 20)
    assert tally.outcome() is None  # it is still that reading
    tally.include(b, old)
    assert tally.outcome() is None
    tally.include(c, newer)
    assert tally.outcome() == (Status.NOMINAL, 30)
    tally.exclude(c, newer)
    tally.include(c, Reading(4, Status.UNKNOWN, 99))
    assert tally.outcome() == (Status.NOMINAL, 20)
    tally.exclude(a, new)
    tally.include(a, Reading(0.5, Status.WARN, 5))  # the latest is set to something older
    assert tally.outcome() == (Status.NOMINAL, 10)
    tally.exclude(b, old)
    assert tally.outcome() == (Status.WARN, 5)
    tally.exclude(a, Reading(0.5, Status.WARN, 5))
    assert tally.outcome() == (Status.UNKNOWN, 5)


def test_of_several_latest_readings_the_one_that_came_last_counts():
    tally = Latest("integer", 0)
    a, b, c, _ = SENSORS
    for sensor, value in ((a, 1), (b, 2), (c, 3)):
        tally.include(sensor, Reading(7, Status.NOMINAL, value))
    assert tally.outcome() == (Status.NOMINAL, 3)
    tally.exclude(c, Reading(7, Status.NOMINAL, 3))
    assert tally.outcome() == (Status.NOMINAL, 2)


@given(histories(st.booleans()))
def test_all_of_what_is_there(history):
    tally = AllOf()
    there = play(tally, history)
    status, value = tally.outcome()
    assert value is all(reading.value and reading.status.valid for reading in there)
    if all(valid(there)) and len(valid(there)) < len(there):
        assert status is Status.UNKNOWN
    else:
        assert status is None


def test_a_rule_sees_the_sensors_in_the_order_in_which_they_came():
    seen = []
    tally = RuleTally(seen.append)
    reading = Reading(0, Status.NOMINAL, 1)
    for sensor in SENSORS[:3]:
        tally.include(sensor, reading)
    tally.exclude(SENSORS[0], reading)  # an update is a going and a coming
    tally.include(SENSORS[0], reading)
    tally.outcome()
    tally.exclude(SENSORS[1], reading)
    tally.outcome()
    tally.include(SENSORS[1], reading)
    tally.outcome()
    a, b, c, _ = SENSORS
    assert seen == [[a, b, c], [a, c], [a, c, b]]


def test_a_tally_of_ones_own_says_what_it_comes_to():
    tally = Tally()
    tally.include(SENSORS[0], Reading(0, Status.NOMINAL, 1))
    tally.exclude(SENSORS[0], Reading(0, Status.NOMINAL, 1))
    with pytest.raises(NotImplementedError):
        tally.outcome()
