import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.sampled import Sampled, comparable

from katcp_aio.model import Sensor
from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.reporting import (
    Auto,
    Differential,
    DifferentialRate,
    Event,
    EventRate,
    NoReports,
    Period,
    Strategy,
)

NAN = math.nan
INF = math.inf
NOMINAL, WARN = Status.NOMINAL, Status.WARN


def reports(strategy, history, until, **kwargs):
    """What a client is sent when a sensor that starts at 0 takes the values of ``history`` at its times."""
    sampled = Sampled(strategy, **kwargs)
    for at, value in history:
        sampled.set(value, at=at)
    sampled.until(until)
    return sampled.reports


# ---------------------------------------------------------------------------------------------------------------------
# Table 9, line by line. The first report of each is the one that precedes the reply.

CASES = [
    # none and a strategy that overrides nothing
    (NoReports, (), [(1, 1)], [(0, 0)]),
    (Strategy, (), [(1, 1)], [(0, 0)]),
    # auto: every reading, equal ones too
    (Auto, (), [(1, 5), (2, 5), (2, 6)], [(0, 0), (1, 5), (2, 5), (2, 6)]),
    # period: on the grid, with the value of that moment, changed or not
    (Period, (2.5,), [(3, 7)], [(0, 0), (2.5, 0), (5, 7), (7.5, 7), (10, 7)]),
    (Period, (4,), [(4, 1)], [(0, 0), (4, 0), (8, 1)]),
    # event: changes only, however long it takes
    (Event, (), [(1, 0), (2, 3), (3, 3), (4, 0)], [(0, 0), (2, 3), (4, 0)]),
    (Event, (), [(200_000, 1)], [(0, 0), (200_000, 1)]),
    (Event, (), [(1, NAN), (2, NAN), (3, 1), (4, NAN)], [(0, 0), (1, NAN), (3, 1), (4, NAN)]),
    (Event, (), [(1, "a"), (2, "a"), (3, "b")], [(0, 0), (1, "a"), (3, "b")]),
    # differential: more than, and measured from the last report
    (Differential, (3,), [(1, 3), (2, -3), (3, 4), (4, 1), (5, 0)], [(0, 0), (3, 4), (5, 0)]),
    (Differential, (1.5,), [(1, 1), (2, 1.5), (3, 1.75), (4, 3.25)], [(0, 0), (3, 1.75)]),
    (Differential, (0,), [(1, 0), (2, 1e-300)], [(0, 0), (2, 1e-300)]),
    (Differential, (3,), [(1, NAN), (2, NAN), (3, 1), (4, 2)], [(0, 0), (1, NAN), (3, 1)]),
    (Differential, (3,), [(1, INF), (2, INF), (3, -INF), (4, 0)], [(0, 0), (1, INF), (3, -INF), (4, 0)]),
    (Differential, (10**30,), [(1, 10**30), (2, 10**30 + 1)], [(0, 0), (2, 10**30 + 1)]),
    # event-rate: nothing within shortest, something within longest
    (EventRate, (1, 10), [(2, 1), (2.25, 2), (2.5, 3)], [(0, 0), (2, 1), (3, 3)]),
    (EventRate, (1, 3), [(1, 1)], [(0, 0), (1, 1), (4, 1), (7, 1), (10, 1)]),
    (EventRate, (1.5, 4.5), [(0.5, 1), (1, 2)], [(0, 0), (1.5, 2), (6, 2)]),
    (EventRate, (1, 10), [(0.5, 1), (0.75, 0)], [(0, 0), (10, 0)]),  # back again within shortest: no change
    (EventRate, (1, 10), [(0.5, 1), (0.75, 0), (0.9, 2)], [(0, 0), (1, 2)]),
    (EventRate, (1, 10), [(0.5, 1), (0.75, 0), (3, 2)], [(0, 0), (3, 2)]),
    (EventRate, (1, 10), [(0.5, 0), (2, 0)], [(0, 0), (10, 0)]),
    (EventRate, (0, 4), [(1, 1), (1, 2), (2, 2)], [(0, 0), (1, 1), (1, 2), (5, 2), (9, 2)]),
    (EventRate, (5, 5), [(1, 1), (6, 2)], [(0, 0), (5, 1), (10, 2)]),
    (EventRate, (1, INF), [(0.5, 1), (9, 1)], [(0, 0), (1, 1)]),
    (EventRate, (1, 10), [(0.5, NAN), (3, NAN)], [(0, 0), (1, NAN)]),
    # differential-rate: the same with large changes
    (DifferentialRate, (2, 1, 4), [(1, 2), (2, 3), (2.5, 6)], [(0, 0), (2, 3), (3, 6), (7, 6)]),
    (DifferentialRate, (2, 1, 10), [(0.5, 3), (0.75, 2)], [(0, 0), (10, 2)]),
    (DifferentialRate, (2, 1, INF), [(0.5, NAN), (3, NAN), (4, 1), (9, 2)], [(0, 0), (1, NAN), (4, 1)]),
]


@pytest.mark.parametrize(("kind", "arguments", "history", "expected"), CASES)
def test_reports(kind, arguments, history, expected):
    assert comparable(reports(kind(*arguments), history, until=10)) == comparable(expected)


@pytest.mark.parametrize("strategy", [Event(), Differential(10), EventRate(0, INF), DifferentialRate(10, 0, INF)])
def test_another_status_is_a_change(strategy):
    sampled = Sampled(strategy)
    sampled.set(0, at=1, status=WARN)
    sampled.set(0, at=2, status=WARN)
    sampled.set(0, at=3, status=NOMINAL)
    assert [now for now, _ in sampled.sent] == [0, 1, 3]


@pytest.mark.parametrize("strategy", [EventRate(1, 10), DifferentialRate(10, 1, 10)])
def test_a_status_that_goes_back_within_the_shortest_period_is_no_change(strategy):
    sampled = Sampled(strategy)
    sampled.set(0, at=0.5, status=WARN)
    sampled.set(0, at=0.75, status=NOMINAL)
    sampled.until(5)
    assert [now for now, _ in sampled.sent] == [0]


@pytest.mark.parametrize("strategy", [EventRate(1, 10), DifferentialRate(0, 1, 10)])
def test_a_change_when_the_shortest_period_is_just_over_is_sent_without_a_wake_up(strategy):
    strategy.start(Reading(0.0, NOMINAL, 0), 5.0)
    assert not strategy.on_reading(Reading(0.0, NOMINAL, 1), 5.75)
    assert strategy.on_reading(Reading(0.0, NOMINAL, 1), 6.0)
    assert strategy.wake_at == 16.0


def test_the_timestamp_is_part_of_no_change():
    strategy = Event()
    strategy.start(Reading(1.0, NOMINAL, 5), 0.0)
    assert not strategy.on_reading(Reading(2.0, NOMINAL, 5), 1.0)


def test_what_follows_from_a_report_is_measured_from_that_reading_not_from_the_first():
    assert reports(Differential(1), [(1, 2), (2, 1), (3, 0.5)], until=5) == [(0, 0), (1, 2), (3, 0.5)]


@pytest.mark.parametrize("strategy", [NoReports(), Auto(), Event(), Differential(1), EventRate(0, INF)])
def test_strategies_without_a_clock_never_ask_to_be_woken(strategy):
    sampled = Sampled(strategy)
    sampled.set(5, at=1)
    assert strategy.wake_at == INF


@pytest.mark.parametrize("strategy", [Strategy(), NoReports(), Auto(), Event(), Differential(1)])
def test_a_wake_up_that_nobody_asked_for_reports_nothing(strategy):
    sampled = Sampled(strategy)
    sampled.now = 100
    sampled.wake()
    assert sampled.reports == [(0, 0)]


@pytest.mark.parametrize("strategy", [Period(2), EventRate(1, 2), DifferentialRate(1, 1, 2)])
def test_a_wake_up_that_comes_early_reports_nothing_and_is_asked_for_again(strategy):
    sampled = Sampled(strategy)
    sampled.now = 1.999
    sampled.wake()
    assert sampled.reports == [(0, 0)]
    assert strategy.wake_at == 2


def test_a_change_held_back_and_an_early_wake_up():
    sampled = Sampled(EventRate(1, 10))
    sampled.set(5, at=0.25)
    sampled.now = 0.5
    sampled.wake()
    assert sampled.reports == [(0, 0)]
    assert sampled.strategy.wake_at == 1


def test_none_alone_does_not_even_report_the_first_reading():
    assert not NoReports.reports
    assert all(kind.reports for kind in (Auto, Period, Event, Differential, EventRate, DifferentialRate))


def test_as_an_observer_it_has_its_driver_look_at_readings():
    class Driver:
        told = None

        def on_reading(self, *told):
            self.told = told

    strategy = EventRate(1, 2)
    strategy.driver = Driver()
    sensor = Sensor(int, "it")
    sensor.attach(strategy)
    sensor.set(5, timestamp=1)
    assert strategy.driver.told == (strategy, sensor, Reading(1.0, NOMINAL, 5))


@pytest.mark.parametrize("kind", [Auto, Event])
@given(history=st.lists(st.tuples(st.sampled_from([0, 1, NAN, "a"]), st.sampled_from([NOMINAL, WARN]))))
def test_as_observers_those_without_a_time_say_at_once_what_they_would_say_if_asked(kind, history):
    class Driver:
        def __init__(self):
            self.sent = []

        def report(self, sensor, reading):
            self.sent.append((sensor, reading))

    asked, told, driver, sensor = kind(), kind(), Driver(), Sensor(int, "it")
    told.driver = driver
    for strategy in (asked, told):
        strategy.start(Reading(0.0, NOMINAL, 0), 0.0)
    expected = []
    for at, (value, status) in enumerate(history):
        reading = Reading(float(at), status, value)
        told(sensor, reading)
        if asked.on_reading(reading, float(at)):
            expected.append((sensor, reading))
    assert comparable(enumerate(driver.sent)) == comparable(enumerate(expected))


def test_echo_is_the_name_and_the_parameters_as_given():
    strategy = EventRate(1, 2)
    strategy.name, strategy.params = "event-rate", (b"1.0", b"2e0")
    assert strategy.echo == (b"event-rate", b"1.0", b"2e0")


# ---------------------------------------------------------------------------------------------------------------------
# Late wake-ups: a busy loop is the rule, not the exception


def test_a_late_period_reports_once_and_stays_on_its_grid():
    sampled = Sampled(Period(2), at=1.0)
    for now in (3.5, 10.0, 11.0):
        sampled.now = now
        sampled.wake()
    assert [now for now, _ in sampled.sent] == [1.0, 3.5, 10.0, 11.0]
    assert sampled.strategy.wake_at == 13.0


def test_a_period_does_not_drift():
    assert reports(Period(0.1), [], until=1000.05, at=7.0, late=0.04)[-1][0] == 7.0 + 9930 * 0.1 + 0.04


def test_a_late_sign_of_life_does_not_move_the_grid():
    assert [now for now, _ in reports(EventRate(0, 2), [], until=7, late=0.5)] == [0, 2.5, 4.5, 6.5]


def test_a_very_late_sign_of_life_comes_once():
    sampled = Sampled(EventRate(1, 2))
    sampled.now = 9
    sampled.wake()
    assert sampled.reports == [(0, 0), (9, 0)]
    assert sampled.strategy.wake_at == 10


def test_the_shortest_period_holds_even_where_the_grid_would_break_it():
    sampled = Sampled(EventRate(1.5, 2))
    sampled.now = 3
    sampled.wake()
    assert sampled.strategy.wake_at == 4.5  # 4 is on the grid


def test_a_change_lays_a_new_grid():
    assert reports(EventRate(0, 4), [(1, 1)], until=10, late=0.25)[2:] == [(5.25, 1), (9.25, 1)]
