import gc

import pytest

from katcp_aio.model import Reading, Sensor, Status
from katcp_aio.model.observers import Feed, Staleness
from katcp_aio.testing import ManualClock


def test_staleness_notes_when_the_sensor_was_heard_of():
    clock = ManualClock(monotonic=3)
    sensor = Sensor(int, "it", clock=clock)
    staleness = Staleness(5, clock)
    assert (staleness.after, staleness.heard) == (5.0, 3.0)
    clock.move(2)
    staleness(sensor, sensor.reading)
    assert staleness.heard == 5.0
    with pytest.raises(ValueError, match="stale_after"):
        Staleness(-1, clock)


async def test_a_feed_moves_readings_until_its_stream_is_closed():
    sensor = Sensor(int, "it")
    feed = Feed(sensor)
    stream = feed.open(10)
    sensor.set(1, timestamp=5)
    feed.close()
    sensor.set(2)
    assert [reading async for reading in stream] == [Reading(5.0, Status.NOMINAL, 1)]
    feed.close()


def test_a_feed_whose_stream_is_forgotten_passes_nothing_on():
    sensor = Sensor(int, "it")
    feed = Feed(sensor)
    del feed
    feed = Feed(sensor)
    stream = feed.open(10)
    del stream
    gc.collect()
    feed(sensor, sensor.reading)  # as it is when the sensor is just telling its observers
    feed.close()
    sensor.value = 1
