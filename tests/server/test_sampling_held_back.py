"""Sampling for a client that does not read: what is kept for it, and what it gets when it reads again."""

import asyncio
import logging

import attrs
from tests.server.sampled import World, deaf, small


async def test_what_was_held_back_is_sent_in_turns(manual_clock):
    world = World(manual_clock, small(), ticking=True)
    sampler, reader = await deaf(world)
    sensors = world.many(10)
    for sensor in sensors:
        world.subscribe(sampler, sensor, "auto")
    for value in (1, 2):
        for sensor in sensors:
            sensor.value = value
    reader.transport.resume_reading()
    await world.clock.settle()
    assert [value for _, value in reader.values[11:]] == ["2"] * 10
    await world.end()


async def test_a_deaf_client_costs_one_line_a_subscription_and_gets_the_newest(manual_clock, caplog):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    sensors = world.many(10)
    for sensor in sensors:
        world.subscribe(sampler, sensor, "event")
    backlog = sampler.connection.backlog
    with caplog.at_level(logging.WARNING):
        for value in range(1, 1000):
            for sensor in sensors:
                sensor.value = value
    await world.clock.settle()
    assert sampler.connection.backlog == backlog
    assert (sampler.held, sampler.conflated) == (10, 9980)
    assert [record.getMessage() for record in caplog.records] == [
        "client memory does not keep up and gets only the newest reports"
    ]
    reader.transport.resume_reading()
    await world.clock.settle()
    assert [value for _, value in reader.values[1:]] == ["0"] * 10 + ["999"] * 10
    assert sampler.held == 0
    sensors[0].value = 5
    await world.clock.settle()
    assert reader.values[-1] == (0, "5")
    await world.end()


async def test_as_many_reports_of_a_sensor_are_kept_as_the_limit_says(manual_clock):
    world = World(manual_clock, attrs.evolve(small(), max_held=3))
    sampler, reader = await deaf(world)
    sensor, other = world.many(2)
    for sampled in (sensor, other):
        world.subscribe(sampler, sampled, "event")
    for value in range(1, 6):
        sensor.value = value
    other.value = 7
    assert (sampler.held, sampler.conflated) == (4, 2)
    reader.transport.resume_reading()
    await world.clock.settle()
    assert [value for _, value in reader.values[1:]] == ["0", "0", "3", "4", "5", "7"]
    assert sampler.held == 0
    await world.end()


async def test_reports_keep_their_order_while_a_client_catches_up(manual_clock):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    sensor, other = world.many(2)
    world.subscribe(sampler, sensor, "auto")
    world.subscribe(sampler, other, "auto")
    sensor.value = 1
    reader.transport.resume_reading()
    for _ in range(100):
        if not sampler.connection.paused:
            break
        await asyncio.sleep(0)
    assert (sampler.connection.paused, sampler.held) == (False, 1)
    sensor.value = 2  # the client reads again, and the older report has not left yet
    other.value = 3
    await world.clock.settle()
    assert [line.split()[3:] for _, line in reader.lines[3:]] == [
        [sensor.name, "nominal", "2"],
        [other.name, "nominal", "3"],
    ]
    await world.end()


async def test_a_deaf_client_delays_nobody(manual_clock):
    world = World(manual_clock, small())
    held_back, _ = await deaf(world)
    sampler, reader = world.client()
    for client in (held_back, sampler):
        world.subscribe(client, world.rate, "period", "1")
    for value in range(5):
        world.rate.value = float(value)
        await world.clock.advance(1)
    assert reader.values == [(0, "1.0"), (1, "0.0"), (2, "1.0"), (3, "2.0"), (4, "3.0"), (5, "4.0")]
    await world.end()


async def test_periods_missed_by_a_deaf_client_are_one_report(manual_clock):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    world.subscribe(sampler, world.rate, "period", "1")
    await world.clock.advance(10.5)
    reader.transport.resume_reading()
    await world.clock.advance(0.6)
    assert reader.values[1:] == [(10.5, "1.0"), (10.5, "1.0"), (11, "1.0")]
    await world.end()


async def test_a_client_deaf_for_too_long_is_disconnected(manual_clock):
    world = World(manual_clock, small())
    sampler, _ = await deaf(world)
    world.subscribe(sampler, world.rate, "auto")
    world.rate.value = 2.0
    await world.clock.advance(61)
    assert sampler.connection.lost
    assert sampler.connection.reason == "did not read for 30 s"
    assert (len(sampler), sampler.held, len(world.sampling.samplers)) == (0, 0, 0)
    await world.end()


async def test_what_waits_of_a_subscription_that_ends_is_not_sent(manual_clock):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    sensor = world.many(1)[0]
    world.subscribe(sampler, sensor, "auto")
    sensor.value = 1
    world.subscribe(sampler, sensor, "none")
    reader.transport.resume_reading()
    await world.clock.settle()
    assert [value for _, value in reader.values[1:]] == ["0"]
    await world.end()


async def test_a_strategy_that_begins_while_reports_are_held_back_is_woken_in_time(manual_clock):
    world = World(manual_clock, small())
    sampler, reader = await deaf(world)
    world.subscribe(sampler, world.rate, "auto")
    world.rate.value = 2.0
    await world.clock.settle()
    world.subscribe(sampler, world.many(1)[0], "period", "1")
    reader.transport.resume_reading()
    await world.clock.advance(1)
    assert reader.values[1:] == [(0, "1.0"), (0, "0"), (0, "2.0"), (1, "0")]
    await world.end()
