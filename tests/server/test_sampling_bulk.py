"""Many subscriptions at once: made in turns, for sensors that may have gone meanwhile."""

import asyncio

import pytest
from tests.server.sampled import Turns, World, deaf, small

from katcp_aio.errors import ConnectionLost
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.strategies import make_strategy


async def test_a_bulk_subscription_is_made_in_turns(world):
    sampler, reader = world.client()
    sensors = world.many(100)
    turns = Turns(sampler.connection)
    pairs = [(sensor, make_strategy("event", (), sensor)) for sensor in sensors]
    assert await sampler.commit(pairs, turns) == 100
    await world.clock.settle()
    assert len(sampler) == len(reader.lines) == 100
    assert turns.turns >= 3


async def test_a_bulk_subscription_waits_for_a_client_that_does_not_read(manual_clock):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    pairs = [(sensor, make_strategy("event", (), sensor)) for sensor in world.many(100)]
    task = asyncio.create_task(sampler.commit(pairs, Turns(sampler.connection)))
    await world.clock.settle()
    assert 0 < len(sampler) < 20
    reader.transport.resume_reading()
    assert await task == 100
    await world.end()


async def test_sensors_removed_or_replaced_meanwhile_are_left_out(world):
    sampler, reader = world.client()
    stays, goes, replaced = world.many(3)
    pairs = [(sensor, make_strategy("event", (), sensor)) for sensor in (stays, goes, replaced)]
    world.sensors.remove(goes)
    world.sensors.add(Sensor(int, replaced.name))
    assert await sampler.commit(pairs, Turns(sampler.connection)) == 1
    goes.value = replaced.value = stays.value = 1
    await world.clock.settle()
    assert [line.split()[3] for _, line in reader.lines] == [stays.name] * 2


async def test_a_bulk_subscription_ends_with_its_client(world):
    sampler, _ = world.client()
    pairs = [(sensor, make_strategy("event", (), sensor)) for sensor in world.many(1000)]
    task = asyncio.create_task(sampler.commit(pairs, Turns(sampler.connection)))
    await asyncio.sleep(0)
    sampler.connection.abort()
    with pytest.raises(ConnectionLost):
        await task
    assert (len(sampler), sampler.subscribe(world.rate, make_strategy("event", (), world.rate))) == (0, False)


async def test_clear_ends_all(world):
    sampler, reader = world.client()
    sensors = world.many(50)
    for sensor in sensors:
        world.subscribe(sampler, sensor, "event-rate", "0", "1")
    assert await sampler.clear(Turns(sampler.connection)) == 50
    await world.clock.settle()
    for sensor in sensors:
        sensor.value = 7
    await world.clock.advance(5)
    assert (len(sampler), len(reader.lines)) == (0, 50)
