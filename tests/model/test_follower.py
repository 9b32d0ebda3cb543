import gc
import math

import pytest

from katcp_aio.model import Reading, Sensor, SensorSet, Status
from katcp_aio.model.follower import Follower, settle


class Owner:
    def __init__(self):
        self.told = []

    def followed(self, sensor, old, new):
        self.told.append((sensor.name, old and old.value, new and new.value))


@pytest.fixture
def owner():
    return Owner()


def test_each_reading_is_told_as_it_comes_and_as_it_goes(owner):
    sensor = Sensor(int, "a", default=1)
    follower = Follower(owner)
    follower.follow(sensor)
    follower.follow(sensor)
    sensor.value = 2
    sensor.value = 3
    follower.leave(sensor)
    follower.leave(sensor)
    sensor.value = 4
    assert owner.told == [("a", None, 1), ("a", 1, 2), ("a", 2, 3), ("a", 3, None)]
    assert not follower.readings


def test_a_set_is_followed_as_it_changes(owner):
    sensors = SensorSet([Sensor(int, "a1", default=1), Sensor(int, "b1", default=2)])
    follower = Follower(owner)
    follower.follow_set(sensors, lambda sensor: sensor.name.startswith("a"))
    sensors.add(Sensor(int, "a2", default=3))
    sensors.add(Sensor(int, "b2", default=4))
    sensors.add(Sensor(int, "a1", default=5))
    sensors.remove("a2")
    sensors.remove("b2")
    assert owner.told == [("a1", None, 1), ("a2", None, 3), ("a1", 1, None), ("a1", None, 5), ("a2", 3, None)]


def test_a_follower_without_an_owner_follows_nothing():
    owner = Owner()
    sensor, other = Sensor(int, "a"), Sensor(int, "b")
    follower = Follower(owner)
    follower.follow(sensor)
    told = owner.told
    del owner
    gc.collect()
    assert follower.owner() is None
    assert not follower.readings
    follower.follow(other)
    follower(sensor, sensor.reading)  # as it is when the sensor is just telling its observers
    follower.close()
    assert len(told) == 1


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (None, Reading(5.0, Status.WARN, 1)),
        (2, Reading(9.0, Status.NOMINAL, 2)),
        ((None, 2), Reading(9.0, Status.NOMINAL, 2)),
        ((Status.ERROR, 2), Reading(9.0, Status.ERROR, 2)),
        (1, Reading(9.0, Status.NOMINAL, 1)),  # the same value with another status
        ((Status.WARN, 1), Reading(5.0, Status.WARN, 1)),  # nothing new
    ],
)
def test_settle(outcome, expected):
    sensor = Sensor(int, "a")
    sensor.set(1, Status.WARN, 5)
    settle(sensor, outcome, 9.0, repeats=False)
    assert sensor.reading == expected


def test_settle_again_and_never_back():
    sensor = Sensor(int, "a")
    sensor.set(1, Status.WARN, 5)
    settle(sensor, (Status.WARN, 1), 9.0, repeats=True)
    assert sensor.reading == Reading(9.0, Status.WARN, 1)
    settle(sensor, (Status.WARN, 2), 8.0, repeats=False)
    assert sensor.reading == Reading(9.0, Status.WARN, 2)


def test_nan_again_is_nothing_new():
    sensor = Sensor(float, "a")
    sensor.set(math.nan, Status.WARN, 5)
    settle(sensor, (Status.WARN, math.nan), 9.0, repeats=False)
    assert sensor.timestamp == 5.0
    settle(sensor, (Status.WARN, 1.0), 9.0, repeats=False)
    assert sensor.timestamp == 9.0
