"""Aggregates of aggregates, and what becomes of them and of their sensors."""

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.model import AggregateSensor, Reading, Sensor, SensorSet, Status
from katcp_aio.testing import ManualClock


def nominal(value, timestamp):
    return Reading(timestamp, Status.NOMINAL, value)


def test_an_aggregate_never_follows_itself(pumps):
    total = pumps.add(AggregateSensor.sum("total-rate", pumps, match="rate"))
    pumps["a.rate"].value = 5
    assert total.value == 5
    assert total not in total.members
    pumps.remove(total)
    pumps.add(total)
    assert total not in total.members
    pumps["a.rate"].value = 6
    assert total.value == 6


def test_two_aggregates_never_follow_each_other(pumps, caplog):
    first = pumps.add(AggregateSensor.sum("first", pumps))
    second = pumps.add(AggregateSensor.sum("second", pumps))
    third = pumps.add(AggregateSensor.sum("third", pumps))
    assert first not in second.members or second not in first.members
    pumps["a.rate"].value = 1
    assert (first.value, second.value, third.value) == (1.0, 2.0, 4.0)
    assert not caplog.records


def test_an_aggregate_of_aggregates(pumps):
    rates = pumps.add(AggregateSensor.sum("rates", pumps, match=r"\.rate"))
    double = AggregateSensor.sum("double", pumps)
    pumps["a.rate"].set(2, timestamp=1001)
    assert rates in double.members
    assert double.aggregates == (rates,)
    assert rates.aggregates == ()
    assert double.reading == nominal(4.0, 1001.0)
    pumps.remove(rates)
    assert double.aggregates == ()
    assert double.value == 2.0


# ---------------------------------------------------------------------------------------------------------------------
# Lifetimes


def test_a_forgotten_aggregate_leaves_nothing_attached(pumps):
    observed = []

    class Watched(Sensor):
        __slots__ = ()

        def attach(self, observer):
            observed.append(observer)
            super().attach(observer)

        def detach(self, observer):
            observed.remove(observer)
            super().detach(observer)

    sensor = pumps.add(Watched(float, "w.rate"))
    total = AggregateSensor.sum("total", pumps, match="rate")
    watch = weakref.ref(total)
    assert len(observed) == 1
    del total
    assert watch() is None  # at once, without a collection
    assert not observed
    sensor.value = 5
    pumps.add(Sensor(float, "late.rate"))


def test_a_sensor_that_left_the_set_is_not_kept(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    pumps["a.rate"].value = 5
    watch = weakref.ref(pumps.remove("a.rate"))
    assert watch() is None
    assert total.value == 0.0


def test_a_set_is_not_kept(pumps):
    total = AggregateSensor.sum("total", SensorSet([Sensor(int, "a")]))
    gc.collect()
    assert total.value == 0.0
    total.release()


def test_released_it_stays_as_it_is(pumps):
    total = AggregateSensor.sum("total", pumps, match="rate")
    pumps["a.rate"].value = 5
    total.release()
    total.release()
    pumps["a.rate"].value = 6
    pumps.add(Sensor(float, "c.rate", default=7, status=Status.NOMINAL))
    assert total.value == 5
    assert total.members == ()


def test_an_aggregate_lets_go_of_a_sensor_while_that_tells_its_observers(pumps):
    sensor = pumps["a.rate"]
    sensor.attach(lambda told, reading: total.release())
    total = AggregateSensor.sum("total", pumps, match="rate")
    sensor.value = 5
    assert total.value == 0.0


# ---------------------------------------------------------------------------------------------------------------------
# Whatever becomes of the set

CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from(["add", "remove", "set"]), st.integers(), st.sampled_from(Status)
    ),
    max_size=40,
)


@given(CHANGES)
def test_aggregates_say_what_is_so(changes):
    clock = ManualClock(wall=1000.0)
    sensors = SensorSet([Sensor(int, "a"), Sensor(int, "b")], clock=clock)
    total = sensors.add(AggregateSensor.sum("total", sensors, match="^.$", type=int))
    valid = sensors.add(AggregateSensor.count("valid", sensors, match="^.$"))
    worst = sensors.add(AggregateSensor.worst("worst", sensors, match="^.$"))
    before = 1000.0
    for name, what, value, status in changes:
        clock.move(1)
        if what == "add":
            sensors.add(Sensor(int, name, default=value, status=status))
        elif what == "remove":
            sensors.discard(name)
        elif name in sensors:
            sensors[name].set(value, status)
        there = sensors.match("^.$")
        values = [sensor.value for sensor in there if sensor.status.valid]
        assert total.value == sum(values)
        assert total.status is (Status.NOMINAL if values else Status.UNKNOWN)
        assert valid.value == len(values)
        assert worst.value is max([s.status for s in there], key=lambda s: s.severity, default=Status.UNKNOWN)
        assert set(total.members) == set(there)
        assert before <= total.timestamp <= clock.time()
        before = total.timestamp
