"""Who hears of a sensor's readings: observers, loops, and other threads that set it."""

import asyncio
import gc
import threading
import weakref

import pytest

from katcp_aio.errors import UsageError
from katcp_aio.model import Reading, Sensor
from katcp_aio.model.reading import Status


def float_sensor(clock=None, **options):
    return Sensor(float, "pump.rate", "Rate", "Hz", clock=clock, **options)


def test_observers_are_told_each_reading_in_the_order_they_were_attached(heard):
    sensor = float_sensor()
    for name in "abc":
        sensor.attach(lambda sensor, reading, name=name: heard.append((name, sensor, reading)))
    sensor.value = 1
    sensor.value = 1
    assert [name for name, _, _ in heard] == list("abcabc")
    assert all(told is sensor for _, told, _ in heard)
    assert heard[-1][2] is sensor.reading


def test_attaching_twice_and_detaching_what_is_not_there_do_nothing(heard):
    sensor = float_sensor()

    def observer(sensor, reading):
        heard.append(reading.value)

    sensor.attach(observer)
    sensor.attach(observer)
    sensor.value = 1
    assert heard == [1]
    sensor.detach(observer)
    sensor.detach(observer)
    sensor.value = 2
    assert heard == [1]


def test_bound_methods_are_one_observer(heard):
    class Watcher:
        def update(self, sensor, reading):
            heard.append(reading.value)

    watcher = Watcher()
    sensor = float_sensor()
    sensor.attach(watcher.update)
    sensor.attach(watcher.update)
    sensor.value = 1
    sensor.detach(watcher.update)
    sensor.value = 2
    assert heard == [1]


def test_an_observer_that_raises_is_logged_and_the_others_are_told(heard, caplog):
    sensor = float_sensor()

    def failing(sensor, reading):
        raise RuntimeError("out of paper")

    sensor.attach(failing)
    sensor.attach(lambda sensor, reading: heard.append(reading.value))
    sensor.value = 1
    assert heard == [1]
    (record,) = caplog.records
    assert "failing" in record.getMessage()
    assert "pump.rate" in record.getMessage()
    assert "out of paper" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_is_to_end_the_program_or_task_is_not_held_up(error):
    sensor = float_sensor()

    def interrupted(sensor, reading):
        raise error

    sensor.attach(interrupted)
    with pytest.raises(error):
        sensor.value = 1
    sensor.detach(interrupted)
    sensor.value = 2
    assert sensor.value == 2


def test_an_observer_may_detach_itself_and_others(heard):
    sensor = float_sensor()

    def once(sensor, reading):
        heard.append("once")
        sensor.detach(once)
        sensor.detach(never)

    def never(sensor, reading):
        heard.append("never")

    def always(sensor, reading):
        heard.append("always")

    for observer in (once, never, always):
        sensor.attach(observer)
    sensor.value = 1
    sensor.value = 2
    assert heard == ["once", "always", "always"]


def test_one_attached_from_inside_hears_of_the_next_reading_first(heard):
    sensor = float_sensor()

    def late(sensor, reading):
        heard.append(reading.value)

    sensor.attach(lambda sensor, reading: sensor.attach(late))
    sensor.value = 1
    assert not heard
    sensor.value = 2
    assert heard == [2]


def test_setting_from_inside_all_see_all_readings_in_order(heard):
    sensor = float_sensor()

    def clamp(sensor, reading):
        if reading.value > 10:
            sensor.value = 10

    sensor.attach(clamp)
    sensor.attach(lambda sensor, reading: heard.append((reading.value, sensor.value)))
    sensor.value = 50
    assert heard == [(50, 10), (10, 10)]  # told of the reading that caused the call, while the sensor has moved on


def test_observers_that_never_come_to_an_end_are_stopped():
    sensor = Sensor(int, "it")

    def more(sensor, reading):
        sensor.value = reading.value + 1

    sensor.attach(more)
    with pytest.raises(UsageError, match="'it'"):
        sensor.value = 0
    sensor.detach(more)
    sensor.value = 5
    assert sensor.value == 5


# ---------------------------------------------------------------------------------------------------------------------
# Iterating


async def test_readings_from_now_on():
    sensor = float_sensor()
    sensor.value = 0
    readings = sensor.readings()
    for value in (1, 2, 3):
        sensor.value = value
    sensor.close()
    assert [reading.value async for reading in readings] == [1, 2, 3]


async def test_readings_beginning_with_the_current():
    sensor = float_sensor(default=7)
    readings = sensor.readings(current=True)
    sensor.value = 1
    sensor.close()
    assert [reading.value async for reading in readings] == [7, 1]


async def test_readings_wait_for_the_next():
    sensor = float_sensor()
    readings = sensor.readings()
    task = asyncio.create_task(anext(readings))
    await asyncio.sleep(0)
    assert not task.done()
    sensor.value = 5
    assert (await task).value == 5


async def test_a_reader_that_is_too_slow_loses_the_oldest_and_is_told_how_many():
    sensor = float_sensor()
    readings = sensor.readings(limit=2)
    for value in range(5):
        sensor.value = value
    sensor.close()
    assert [reading.value async for reading in readings] == [3, 4]
    assert readings.dropped == 3


async def test_a_loop_that_is_left_costs_nothing_more(heard):
    sensor = float_sensor()
    readings = sensor.readings()
    watch = weakref.ref(readings)
    sensor.value = 1
    async for reading in readings:
        heard.append(reading.value)
        break
    del readings
    gc.collect()
    assert watch() is None
    sensor.value = 2
    assert heard == [1]


async def test_each_loop_has_its_own_readings():
    sensor = float_sensor()
    first = sensor.readings()
    sensor.value = 1
    second = sensor.readings()
    sensor.value = 2
    first.close()
    sensor.value = 3
    second.close()
    assert [reading.value async for reading in first] == [1, 2]
    assert [reading.value async for reading in second] == [2, 3]


def test_closing_leaves_the_sensor_and_its_observers(heard):
    sensor = float_sensor()
    sensor.attach(lambda sensor, reading: heard.append(reading.value))
    sensor.close()
    sensor.value = 1
    assert heard == [1]


# ---------------------------------------------------------------------------------------------------------------------
# Other threads


async def test_set_from_another_thread(clock, heard):
    sensor = float_sensor(clock, nominal=(0, 1))
    sensor.attach(lambda sensor, reading: heard.append((reading, threading.current_thread())))
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(sensor.set_threadsafe, loop, 5)
    await asyncio.to_thread(sensor.set_threadsafe, loop, 6, Status.FAILURE, 900)
    readings = sensor.readings(current=True)
    await anext(readings)
    here = threading.current_thread()
    assert heard == [(Reading(1000.0, Status.WARN, 5.0), here), (Reading(900.0, Status.FAILURE, 6.0), here)]


async def test_another_thread_is_told_what_is_wrong():
    sensor = float_sensor()
    with pytest.raises(TypeError, match="no float"):
        await asyncio.to_thread(sensor.set_threadsafe, asyncio.get_running_loop(), "5")


def test_setting_in_a_loop_that_is_closed_raises():
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        float_sensor().set_threadsafe(loop, 5)
