"""When strategies are woken, and that nothing piles up while time goes by."""

import asyncio
import gc
import tracemalloc

import pytest
from tests.server.sampled import Picky

from katcp_aio.model.reporting import Strategy
from katcp_aio.model.sensor import Sensor


async def test_period_stays_on_its_grid(world):
    sampler, reader = world.client()
    await world.clock.advance(0.3)
    world.subscribe(sampler, world.rate, "period", "0.1")
    for _ in range(10):
        await world.clock.advance(0.1)
    assert [when for when, _ in reader.values] == pytest.approx([0.3 + k / 10 for k in range(11)])


async def test_event_rate_holds_a_change_back_and_tells_that_it_lives(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "event-rate", "1", "10")
    for _ in range(3):
        await world.clock.advance(0.25)
        world.rate.value += 1.0
    await world.clock.advance(20.25)
    assert reader.values == [(0, "1.0"), (1, "4.0"), (11, "4.0"), (21, "4.0")]


async def test_the_earliest_of_many_deadlines_wakes_the_task(world):
    sampler, reader = world.client()
    first, second, third = world.many(3)
    world.subscribe(sampler, first, "period", "5")
    await world.clock.settle()  # the task sleeps, and is roused twice in one turn
    world.subscribe(sampler, third, "period", "3")
    world.subscribe(sampler, second, "period", "2")
    await world.clock.advance(6)
    names = [(when, line.split()[3]) for when, line in reader.lines[3:]]
    assert sorted(names) == sorted(
        [(5, first.name), *((when, second.name) for when in (2, 4, 6)), (3, third.name), (6, third.name)]
    )
    assert [when for when, _ in names] == [2, 3, 4, 5, 6, 6]


async def test_a_late_wake_up_reports_once(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "period", "1")
    await world.clock.settle()
    world.clock.move(5.5)  # the machine was suspended
    await world.clock.settle()
    await world.clock.advance(1)
    assert [when for when, _ in reader.values] == [0, 5.5, 6]


async def test_ten_thousand_periods_keep_their_times(world):
    sampler, reader = world.client()
    for sensor in world.many(10_000):
        world.subscribe(sampler, sensor, "period", "1")
    await world.clock.advance(2.5)
    times = [when for when, _ in reader.values]
    assert (times.count(1), times.count(2), len(times)) == (10_000, 10_000, 30_000)
    assert sampler.conflated == 0


async def test_long_work_gives_the_loop_its_turns(world):
    order = []

    class Slow(Strategy):
        def start(self, reading, now):
            self.wake_at = 1

        def on_wake(self, reading, now):
            world.clock.move(2 * world.limits.batch_time)
            self.wake_at = 100
            order.append("strategy")
            return False

    async def other():
        await asyncio.sleep(1)
        for _ in range(5):
            order.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    sampler, _ = world.client()
    for sensor in world.many(5):
        sampler.subscribe(sensor, Slow())
    await world.clock.advance(1)
    await task
    assert sorted(order[:4]) == ["other", "other", "strategy", "strategy"]


async def test_a_strategy_that_raises_or_never_looks_ahead_is_not_asked_without_end(world, caplog):
    class Stuck(Strategy):
        calls = 0

        def start(self, reading, now):
            self.wake_at = now

        def on_wake(self, reading, now):
            self.calls += 1
            raise ZeroDivisionError

    sampler, reader = world.client()
    stuck = Stuck()
    sampler.subscribe(world.rate, stuck)
    other = world.many(1)[0]
    world.subscribe(sampler, other, "period", "0.01")
    await world.clock.advance(0.0205)
    assert 10 < stuck.calls <= 22  # every `min_period`
    assert len(reader.lines) == 4
    assert "ZeroDivisionError" in caplog.text


async def test_a_value_that_cannot_be_written_ends_nothing_else(world, caplog):
    kind = Picky()
    sensor = world.sensors.add(Sensor(kind.type, "picky", default="0"))
    sampler, reader = world.client()
    other = world.many(1)[0]
    world.subscribe(sampler, sensor, "period", "1")
    world.subscribe(sampler, other, "period", "1")
    await world.clock.settle()
    reader.lines.clear()
    kind.refused = "0"
    sensor.value = "0"
    await world.clock.advance(2)
    assert [line.split()[3] for _, line in reader.lines] == [other.name] * 2
    assert "ZeroDivisionError" in caplog.text


async def test_one_task_for_a_client_and_none_without_a_deadline(world):
    before = asyncio.all_tasks()
    sampler, _ = world.client()
    sensors = world.many(20)
    for sensor in sensors:
        world.subscribe(sampler, sensor, "event")
    assert asyncio.all_tasks() == before
    for sensor in sensors:
        world.subscribe(sampler, sensor, "period", "1")
    assert len(asyncio.all_tasks() - before) == 1


async def test_a_day_of_sampling_leaves_nothing_behind(world):
    sampler, reader = world.client()
    rates = world.many(5)
    for sensor in rates:
        world.subscribe(sampler, sensor, "event-rate", "1", "3600")
    world.subscribe(sampler, world.rate, "period", "60")

    async def hours(count):
        for hour in range(count * 12):
            await world.clock.advance(300)
            for sensor in rates:
                sensor.value = hour + 1
            world.subscribe(sampler, world.rate, "none")
            world.subscribe(sampler, world.rate, "period", "60")
            reader.lines.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = await hours(2)
        late = await hours(24)
    finally:
        tracemalloc.stop()
    assert late - early < 20_000  # bytes


async def test_strategies_that_come_and_go_leave_nothing_behind(world):
    sampler, reader = world.client()
    reader.data_received = lambda data: None

    async def turn_over(times):
        for _ in range(times):
            world.subscribe(sampler, world.rate, "period", "1000")
            await asyncio.sleep(0)
        await world.clock.settle()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = await turn_over(500)
        late = await turn_over(2000)
    finally:
        tracemalloc.stop()
    assert late - early < 20_000  # bytes
