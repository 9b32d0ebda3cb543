import gc
import re
import weakref

import pytest

from katcp_aio.model import Sensor, SensorSet, Status
from katcp_aio.model.matching import selector
from katcp_aio.testing import ManualClock


@pytest.fixture
def told():
    return []


def names(sensors):
    return [sensor.name for sensor in sensors]


def sensors(*names, **options):
    return SensorSet((Sensor(int, name) for name in names), **options)


def listening(told, *names):
    """A set whose changes go into ``told``."""
    found = sensors(*names)
    found.on_change(lambda name, old, new: told.append((name, old, new)))
    return found


def test_a_mapping_in_the_order_of_adding():
    found = sensors("b", "a", "c")
    assert list(found) == ["b", "a", "c"]
    assert len(found) == 3
    assert found["a"].name == "a"
    assert found.get("x") is None
    assert names(found.values()) == ["b", "a", "c"]
    assert repr(found) == "<SensorSet of 3>"
    with pytest.raises(KeyError, match="x"):
        found["x"]


def test_in_takes_names_and_sensors_by_identity():
    found = sensors("a")
    assert "a" in found
    assert found["a"] in found
    assert Sensor(int, "a") not in found
    assert "b" not in found
    assert 5 not in found


def test_add_returns_the_sensor_and_tells(told):
    found = listening(told)
    sensor = Sensor(int, "a")
    assert found.add(sensor) is sensor
    assert found.add(sensor) is sensor
    assert told == [("a", None, sensor)]
    with pytest.raises(TypeError, match="no place for 'a'"):
        found.add("a")


def test_remove_by_name_or_sensor(told):
    found = listening(told, "a", "b")
    a, b = found["a"], found["b"]
    assert found.remove("a") is a
    assert found.remove(b) is b
    assert told == [("a", a, None), ("b", b, None)]
    assert not found
    for missing in ("a", b):
        with pytest.raises(KeyError):
            found.remove(missing)


def test_another_sensor_of_the_same_name_is_another_sensor(told):
    found = listening(told, "a")
    with pytest.raises(KeyError, match="a"):
        found.remove(Sensor(int, "a"))
    found.discard(Sensor(int, "a"))
    assert len(found) == 1
    assert not told
    found.discard("a")
    found.discard("a")
    assert not found


async def test_replacing_tells_once_with_both_and_ends_the_loops_over_the_old(told):
    found = listening(told, "a", "b")
    old, new = found["a"], Sensor(int, "a")
    readings = old.readings()
    found.add(new)
    assert told == [("a", old, new)]
    assert list(found) == ["a", "b"]  # the name keeps its place
    assert [reading async for reading in readings] == []
    assert found["a"] is new


async def test_removing_ends_the_loops_over_the_readings():
    found = sensors("a")
    readings = found["a"].readings()
    found["a"].value = 1
    found.clear()
    assert [reading.value async for reading in readings] == [1]


def test_clear_tells_of_each(told):
    found = listening(told, "a", "b")
    found.clear()
    assert [(name, new) for name, _, new in told] == [("a", None), ("b", None)]
    assert not found


def test_what_was_removed_is_not_kept():
    found = sensors("a")
    found["a"].value = 5
    watch = weakref.ref(found.remove("a"))
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (None, ["dsp.a", "dsp.b", "pump"]),
        ("^dsp[.]", ["dsp.a", "dsp.b"]),
        ("/^dsp[.]/", ["dsp.a", "dsp.b"]),
        ("p", ["dsp.a", "dsp.b", "pump"]),
        ("//", ["dsp.a", "dsp.b", "pump"]),
        (re.compile("PUMP", re.IGNORECASE), ["pump"]),
        (lambda sensor: sensor.name.endswith("b"), ["dsp.b"]),
        ("nothing", []),
    ],
)
def test_match(match, expected):
    assert names(sensors("dsp.a", "dsp.b", "pump").match(match)) == expected


def test_what_is_no_regular_expression():
    with pytest.raises(ValueError, match="is no regular expression: the repetition number is too large"):
        SensorSet().match("a{99999999999999999999}")
    with pytest.raises(ValueError, match="is no regular expression"):
        SensorSet().match("(" * 5000 + ")" * 5000)
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        selector("(")


def test_callbacks_in_order_and_isolated(told, caplog):
    found = sensors()

    def failing(name, old, new):
        raise RuntimeError("out of paper")

    found.on_change(failing)
    found.on_change(lambda name, old, new: told.append(name))
    found.add(Sensor(int, "a"))
    assert told == ["a"]
    assert "out of paper" in caplog.text
    assert "sensor a" in caplog.text


def test_registering_twice_and_taking_away(told):
    found = sensors()

    def callback(name, old, new):
        told.append(name)

    found.on_change(callback)
    found.on_change(callback)
    found.add(Sensor(int, "a"))
    found.off_change(callback)
    found.off_change(callback)
    found.add(Sensor(int, "b"))
    assert told == ["a"]


def test_changes_from_inside_are_told_after_the_one_in_progress(told):
    found = sensors()

    def follow(name, old, new):
        if name == "a" and new is not None:
            found.add(Sensor(int, "a2"))
            found.remove("a")

    found.on_change(follow)
    found.on_change(lambda name, old, new: told.append((name, old is None, new is None)))
    found.add(Sensor(int, "a"))
    assert told == [("a", True, False), ("a2", True, False), ("a", False, True)]


def test_a_callback_taken_away_by_one_before_it_is_not_called(told):
    found = sensors()

    def first(name, old, new):
        found.off_change(second)

    def second(name, old, new):
        told.append(name)

    found.on_change(first)
    found.on_change(second)
    found.add(Sensor(int, "a"))
    assert not told


def test_the_clock_of_the_set():
    clock = ManualClock(wall=50.0)
    found = sensors("a", clock=clock)
    assert found.clock is clock
    assert found["a"].clock is clock
    assert found["a"].timestamp == 50.0


# ---------------------------------------------------------------------------------------------------------------------
# Stale sensors


def stale(name, after, **options):
    return Sensor(int, name, stale_after=after, status=Status.NOMINAL, **options)


def unknown(found):
    return [name for name, sensor in found.items() if sensor.status is Status.UNKNOWN]


def test_nothing_is_due_where_nothing_goes_stale():
    assert SensorSet().stale_due(0) is None
    assert sensors("a").stale_due(1e9) is None


def test_each_is_found_when_it_is_due():
    clock = ManualClock()
    found = SensorSet([stale("a", 5), stale("b", 10), Sensor(int, "c", status=Status.NOMINAL)], clock=clock)
    assert found.stale_due(clock.monotonic()) == 5
    clock.move(4)
    found["a"].value = 1
    assert found.stale_due(clock.monotonic()) == 5  # looked at again only when it may be due
    clock.move(1)
    assert found.stale_due(clock.monotonic()) == 9
    assert unknown(found) == []
    clock.move(4)
    assert found.stale_due(clock.monotonic()) == 10
    assert unknown(found) == ["a"]
    clock.move(100)
    assert found.stale_due(clock.monotonic()) == 114
    assert unknown(found) == ["a", "b"]
    found["b"].value = 1
    assert unknown(found) == ["a"]


def test_what_is_added_removed_and_replaced_counts_at_once():
    clock = ManualClock()
    found = SensorSet(clock=clock)
    found.add(stale("a", 5))
    assert found.stale_due(0) == 5
    found.add(stale("a", 7))
    assert found.stale_due(0) == 7
    found.add(stale("b", 3))
    assert found.stale_due(0) == 3
    found.remove("b")
    found.add(Sensor(int, "a"))
    assert found.stale_due(0) is None


def test_a_sensor_that_an_observer_removes_when_it_goes_stale():
    clock = ManualClock()
    found = SensorSet([stale("a", 5)], clock=clock)
    found["a"].attach(lambda sensor, reading: found.discard(sensor))
    assert found.stale_due(5) is None


def test_a_sensor_that_is_stale_when_it_is_added_is_told_of_before_an_observer_removes_it(told):
    clock = ManualClock()
    found = SensorSet(clock=clock)
    found.on_change(lambda name, old, new: told.append((name, old, new)))
    sensor = stale("a", 5, clock=clock)
    sensor.attach(lambda sensor, _reading: found.discard(sensor))
    clock.move(6)
    found.add(sensor)
    assert found.stale_due(clock.monotonic()) is None
    assert told == [("a", None, sensor), ("a", sensor, None)]
    assert sensor.status is Status.UNKNOWN


def test_one_whose_observers_never_come_to_an_end_does_not_keep_others_from_going_stale(caplog):
    clock = ManualClock()
    found = SensorSet([stale("a", 5), stale("b", 5)], clock=clock)
    found["a"].attach(lambda sensor, _reading: sensor.set(1))
    for _ in range(2):
        clock.move(5)
        assert found.stale_due(clock.monotonic()) == clock.monotonic() + 5
        assert found["b"].status is Status.UNKNOWN
        assert "UsageError" in caplog.text
        found["b"].value = 1
        caplog.clear()


def test_a_stale_after_too_short_for_the_clock_to_tell():
    clock = ManualClock(monotonic=1e9)
    found = SensorSet([stale("a", 1e-12)], clock=clock)
    assert found.stale_due(1e9) == 1e9
    assert unknown(found) == ["a"]


def test_sensors_that_come_and_go_leave_nothing_behind():
    clock = ManualClock()
    found = SensorSet([stale("kept", 50)], clock=clock)
    removed = []
    for _ in range(100):
        found.add(stale("a", 500))
        removed.append(weakref.ref(found.remove("a")))
    gc.collect()
    assert not any(ref() for ref in removed)
    assert found.stale_due(0) == 50


def test_setting_costs_no_look():
    """However often they are set, sensors are looked at about once in their stale_after."""
    clock = ManualClock()
    looks = []

    class Counted(Sensor):
        __slots__ = ()

        def check_stale(self, now):
            looks.append(now)
            return super().check_stale(now)

    found = SensorSet([Counted(int, f"s{i}", stale_after=10) for i in range(10)], clock=clock)
    looks.clear()
    for _ in range(100):
        clock.move(1)
        for sensor in found.values():
            sensor.value = 1
        found.stale_due(clock.monotonic())
    assert 100 <= len(looks) <= 120
    assert unknown(found) == []
