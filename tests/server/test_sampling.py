"""What a client hears of the sensors it samples, over a connection in memory and at a manual clock's pace."""

import asyncio
import enum
import gc
import logging
import tracemalloc

import pytest

from katcp_aio.connection import ConnectionProtocol
from katcp_aio.errors import ConnectionLost
from katcp_aio.limits import Limits
from katcp_aio.model.reporting import Strategy
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.model.strategies import make_strategy
from katcp_aio.reports import TroubleLog
from katcp_aio.server.sampling import Sampling
from katcp_aio.testing import memory_pair
from katcp_aio.wire.dialect import V4, V51

START = 1_500_000_000  # wall time of a ManualClock to begin with


class Reader(asyncio.Protocol):
    """The client's end: lines with the time at which they came."""

    def __init__(self, loop):
        self.loop = loop
        self.lines = []
        self._rest = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [(round(self.loop.time(), 6), line.decode()) for line in lines]

    @property
    def values(self):
        """(seconds, value) of each line."""
        return [(when, line.split()[-1]) for when, line in self.lines]


class Turns:
    """As a server's client is, but each turn takes a given number of looks."""

    def __init__(self, connection, looks=3):
        self.connection = connection
        self.looks = self.left = looks
        self.turns = 0

    def begin_turn(self):
        self.left = self.looks

    def turn_is_over(self):
        self.left -= 1
        return self.left < 0 or self.connection.paused

    async def end_turn(self):
        self.turns += 1
        await self.connection.drain()
        await asyncio.sleep(0)
        self.begin_turn()


class World:
    """Sensors, and clients that sample them."""

    def __init__(self, clock, limits=None, dialect=V51, *, ticking=False):
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.dialect = dialect
        self.sensors = SensorSet(clock=clock)
        self.trouble = TroubleLog(logging.getLogger("test"), clock.monotonic, 10)
        self.sampling = Sampling(self.sensors, dialect, Ticking(clock) if ticking else clock, self.trouble)
        self.rate = self.sensors.add(Sensor(float, "rate", default=1.0))
        self.connections = []

    def client(self):
        reader = Reader(self.loop)
        memory_pair(ConnectionProtocol(self.limits, on_connection=self.connections.append), reader)
        connection = self.connections[-1]
        sampler = self.sampling.sampler(connection)
        connection.on_lost(sampler.close)
        return sampler, reader

    def subscribe(self, sampler, sensor, strategy, *params):
        made = make_strategy(strategy, [param.encode() for param in params], sensor, self.dialect, self.limits)
        return sampler.subscribe(sensor, made)

    def many(self, count):
        return [self.sensors.add(Sensor(int, f"n-{number:05d}")) for number in range(count)]

    async def end(self):
        for connection in self.connections:
            connection.abort()
        self.sampling.close()
        await self.clock.settle()


@pytest.fixture
async def world(manual_clock):
    made = World(manual_clock)
    yield made
    await made.end()


# The first report


async def test_the_current_reading_is_sent_at_once(world):
    sampler, reader = world.client()
    assert world.subscribe(sampler, world.rate, "event")
    sampler.connection.write(b"!sensor-sampling ok rate event\n")
    await world.clock.settle()
    assert [line for _, line in reader.lines] == [
        f"#sensor-status {START}.0 1 rate unknown 1.0",
        "!sensor-sampling ok rate event",
    ]


async def test_none_sends_nothing_and_ends_what_there_was(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "none")
    assert (len(sampler), sampler.strategy(world.rate)) == (0, None)
    world.subscribe(sampler, world.rate, "event")
    assert len(sampler) == 1
    world.subscribe(sampler, world.rate, "none")
    world.rate.value = 2.0
    await world.clock.settle()
    assert len(reader.lines) == 1
    assert (len(sampler), sampler.strategy(world.rate)) == (0, None)


async def test_a_strategy_is_told_as_it_was_asked_for(world):
    sampler, _ = world.client()
    world.subscribe(sampler, world.rate, "event-rate", "0.50", "10")
    assert sampler.strategy(world.rate).echo == (b"event-rate", b"0.50", b"10")


async def test_a_new_strategy_takes_the_place_of_the_old_one(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "period", "1")
    await world.clock.advance(1)
    world.subscribe(sampler, world.rate, "period", "10")
    await world.clock.advance(15)
    assert reader.values == [(0, "1.0"), (1, "1.0"), (1, "1.0"), (11, "1.0")]
    assert len(sampler) == 1


async def test_values_are_escaped_and_written_in_the_servers_dialect(manual_clock):
    class Mode(enum.Enum):
        FAST_SLEW = 1

    world = World(manual_clock, dialect=V4)
    text = world.sensors.add(Sensor(str, "text", default="two words\n"))
    empty = world.sensors.add(Sensor(bytes, "empty", default=b"", status=Sensor.Status.INACTIVE))
    mode = world.sensors.add(Sensor(Mode, "mode", default=Mode.FAST_SLEW))
    sampler, reader = world.client()
    for sensor in (text, empty, mode):
        world.subscribe(sampler, sensor, "auto")
    await world.clock.settle()
    assert [line for _, line in reader.lines] == [
        rf"#sensor-status {START}000 1 text unknown two\_words\n",
        rf"#sensor-status {START}000 1 empty unknown \@",
        f"#sensor-status {START}000 1 mode unknown fast-slew",
    ]
    await world.end()


# Readings


async def test_each_client_has_its_own_strategy(world):
    clients = [world.client() for _ in range(3)]
    for (sampler, _), (strategy, *params) in zip(clients, [("event",), ("differential", "5"), ("auto",)], strict=True):
        world.subscribe(sampler, world.rate, strategy, *params)
    for value in (1.0, 1.0, 3.0, 9.0):
        world.rate.value = value
    await world.clock.settle()
    first = [(0, "1.0")]
    assert [reader.values for _, reader in clients] == [
        [*first, (0, "1.0"), (0, "3.0"), (0, "9.0")],
        [*first, (0, "1.0"), (0, "9.0")],
        [*first, (0, "1.0"), (0, "1.0"), (0, "3.0"), (0, "9.0")],
    ]


async def test_a_reading_is_encoded_once_for_all_clients(world, monkeypatch):
    encoded = []
    encode = world.sampling.lines.encode
    clients = [world.client() for _ in range(20)]
    for sampler, _ in clients:
        world.subscribe(sampler, world.rate, "event")
    monkeypatch.setattr(
        type(world.sampling.lines), "encode", lambda lines, *args: encoded.append(args) or encode(*args)
    )
    world.rate.value = 2.0
    world.rate.value = 3.0
    await world.clock.settle()
    assert len(encoded) == 2
    assert all(reader.values[1:] == [(0, "2.0"), (0, "3.0")] for _, reader in clients)


async def test_what_fails_for_one_client_does_not_for_the_next(world, caplog):
    class Broken(Strategy):
        def on_reading(self, reading, now):
            raise ZeroDivisionError

    (first, _), (second, reader) = world.client(), world.client()
    first.subscribe(world.rate, Broken())
    world.subscribe(second, world.rate, "event")
    world.rate.value = 2.0
    await world.clock.settle()
    assert reader.values == [(0, "1.0"), (0, "2.0")]
    assert "ZeroDivisionError" in caplog.text


# Time


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
    world.subscribe(sampler, second, "period", "2")
    world.subscribe(sampler, third, "period", "3")
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


class Ticking:
    """Every look at the time takes longer than a turn may."""

    def __init__(self, clock):
        self.clock = clock

    def time(self):
        return self.clock.time()

    def monotonic(self):
        self.clock.move(0.01)
        return self.clock.monotonic()


async def test_a_client_that_goes_leaves_in_turns(manual_clock):
    world = World(manual_clock, ticking=True)
    asked = []

    class Asked(Strategy):
        def on_reading(self, reading, now):
            asked.append(reading.value)
            return False

    sampler, _ = world.client()
    sensors = world.many(20)
    for sensor in sensors:
        sampler.subscribe(sensor, Asked())
    sampler.close()
    assert 15 < len(sampler) < 20
    await world.clock.settle()
    assert len(sampler) == 0
    sensors[0].value = 1
    assert asked == []
    await world.end()


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


async def test_a_value_that_cannot_be_written_ends_nothing_else(world, caplog, monkeypatch):
    sampler, reader = world.client()
    other = world.many(1)[0]
    world.subscribe(sampler, world.rate, "period", "1")
    world.subscribe(sampler, other, "period", "1")
    await world.clock.settle()
    reader.lines.clear()
    encode = world.sampling.lines.encode

    def picky(lines, sensor, reading):
        if sensor is world.rate:
            raise ZeroDivisionError
        return encode(sensor, reading)

    monkeypatch.setattr(type(world.sampling.lines), "encode", picky)
    await world.clock.advance(2)
    assert [line.split()[3] for _, line in reader.lines] == [other.name] * 2
    assert "ZeroDivisionError" in caplog.text
    third = world.many(2)[1]
    with pytest.raises(ZeroDivisionError):
        world.subscribe(sampler, world.rate, "event")
    assert sampler.strategy(world.rate) is None
    assert world.subscribe(sampler, third, "event")


# A client that does not read


def small():
    return Limits(write_high=2000, write_low=500, stall_timeout=30)


async def deaf(world):
    """A client that has stopped reading, its connection full."""
    sampler, reader = world.client()
    await world.clock.settle()
    reader.transport.pause_reading()
    sampler.connection.write(b"#filler " + b"x" * 3000 + b"\n")
    await world.clock.settle()
    assert sampler.connection.paused
    return sampler, reader


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


# Many at once


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


# The end of a sensor or a client


@pytest.mark.parametrize("how", ["remove", "replace", "drop"])
async def test_subscriptions_end_with_their_sensor(world, how):
    clients = [world.client() for _ in range(3)]
    for sampler, _ in clients:
        world.subscribe(sampler, world.rate, "event-rate", "0", "1")
    match how:
        case "remove":
            world.sensors.remove("rate")
        case "replace":
            world.sensors.add(Sensor(float, "rate", default=1.0))
        case "drop":
            world.sampling.drop(world.rate)
    world.rate.value = 2.0
    await world.clock.advance(3)
    for sampler, reader in clients:
        assert (len(sampler), sampler.strategy(world.rate), len(reader.lines)) == (0, None, 1)


async def test_the_sensor_that_takes_anothers_place_is_not_sampled_by_itself(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "event")
    successor = world.sensors.add(Sensor(float, "rate", default=1.0))
    successor.value = 5.0
    await world.clock.settle()
    assert (sampler.strategy(successor), len(reader.lines)) == (None, 1)
    world.subscribe(sampler, successor, "event")
    successor.value = 6.0
    await world.clock.settle()
    assert [value for _, value in reader.values[1:]] == ["5.0", "6.0"]


async def test_nothing_stays_of_a_client_that_has_gone(world):
    asked = []

    class Asked(Strategy):
        def on_reading(self, reading, now):
            asked.append(reading.value)
            return False

    sampler, _ = world.client()
    sensors = world.many(3000)
    for sensor in sensors:
        sampler.subscribe(sensor, Asked())
    world.subscribe(sampler, world.rate, "period", "1")
    other, reader = world.client()
    world.subscribe(other, sensors[0], "event")
    await world.clock.settle()
    sampler.connection.abort()
    await world.clock.settle()
    assert (len(sampler), world.sampling.samplers) == (0, {other})
    sampler.close()  # once more does nothing
    for sensor in sensors:
        sensor.value = 4
    await world.clock.settle()
    assert (asked, reader.values[-1]) == ([], (0, "4"))


async def test_all_sampling_ends_with_the_server(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "event-rate", "0", "1")
    world.sampling.close()
    world.rate.value = 2.0
    await world.clock.advance(5)
    assert (len(sampler), len(reader.lines)) == (0, 1)


async def test_a_subscription_costs_few_bytes(world):
    sampler, reader = world.client()
    sensors = world.many(10_000)
    reader.data_received = lambda data: None
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for sensor in sensors:
            world.subscribe(sampler, sensor, "event")
            if sampler.connection.paused:
                await world.clock.settle()
        await world.clock.settle()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (after - before) / len(sensors) < 165
