"""What a client hears of the sensors it samples: over a connection in memory, at a manual clock's pace."""

import enum
import gc
import tracemalloc

import pytest
from tests.server.sampled import START, Picky, World

from katcp_aio.model.reporting import Strategy
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.strategies import make_strategy
from katcp_aio.wire.dialect import V4

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


async def test_a_reading_is_encoded_once_for_all_clients(world):
    kind = Picky()
    sensor = world.sensors.add(Sensor(kind.type, "picky", default="0"))
    clients = [world.client() for _ in range(20)]
    for sampler, _ in clients:
        world.subscribe(sampler, sensor, "event")
    kind.written.clear()
    sensor.value = "1"
    sensor.value = "2"
    await world.clock.settle()
    assert kind.written == ["1", "2"]
    assert all(reader.values[1:] == [(0, "1"), (0, "2")] for _, reader in clients)


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


async def test_a_reading_that_cannot_be_written_is_the_device_s_fault_and_ends_nothing_else(world, caplog):
    kind = Picky()
    sensor = world.sensors.add(Sensor(kind.type, "picky", default="0"))
    sampler, reader = world.client()
    world.subscribe(sampler, sensor, "event")
    world.subscribe(sampler, world.rate, "event")
    kind.refused = "1"
    sensor.value = "1"
    world.rate.value = 2.0
    sensor.value = "2"
    await world.clock.settle()
    assert [value for _, value in reader.values] == ["0", "1.0", "2.0", "2"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("fault", ["value", "strategy"])
async def test_a_subscription_that_fails_leaves_the_one_in_force(world, fault):
    class Broken(Strategy):
        def start(self, reading, now):
            raise ZeroDivisionError

    kind = Picky()
    sensor = world.sensors.add(Sensor(kind.type, "picky", default="0"))
    sampler, reader = world.client()
    world.subscribe(sampler, sensor, "event")
    in_force = sampler.strategy(sensor)
    if fault == "value":
        kind.refused = "0"
        sensor.value = "0"
    with pytest.raises(ZeroDivisionError):
        sampler.subscribe(sensor, Broken() if fault == "strategy" else make_strategy("auto", (), sensor))
    assert sampler.strategy(sensor) is in_force
    sensor.value = "1"
    await world.clock.settle()
    assert [value for _, value in reader.values] == ["0", "1"]


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


class Asked(Strategy):
    """Notes what it is asked about, and reports nothing."""

    def __init__(self, asked):
        super().__init__()
        self.asked = asked

    def on_reading(self, reading, now):
        self.asked.append(reading.value)
        return False


async def test_nothing_stays_of_a_client_that_has_gone(world):
    asked = []
    sampler, _ = world.client()
    sensors = world.many(3000)
    for sensor in sensors:
        sampler.subscribe(sensor, Asked(asked))
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


async def test_a_client_that_goes_leaves_in_turns(manual_clock):
    world = World(manual_clock, ticking=True)
    asked = []
    sampler, _ = world.client()
    sensors = world.many(20)
    for sensor in sensors:
        sampler.subscribe(sensor, Asked(asked))
    sampler.close()
    assert 15 < len(sampler) < 20
    await world.clock.settle()
    assert len(sampler) == 0
    sensors[0].value = 1
    assert asked == []
    await world.end()


async def test_all_sampling_ends_with_the_server(world):
    sampler, reader = world.client()
    world.subscribe(sampler, world.rate, "event-rate", "0", "1")
    world.sampling.close()
    world.rate.value = 2.0
    await world.clock.advance(5)
    assert (len(sampler), len(reader.lines)) == (0, 1)


def kept_by_the_library():
    """Return the bytes that the library holds; other threads of a test run allocate as well."""
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/katcp_aio/[ms]*")])
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


async def test_a_subscription_costs_few_bytes(world):
    sampler, reader = world.client()
    sensors = world.many(10_000)
    reader.data_received = lambda data: None
    tracemalloc.start()
    try:
        for sensor in sensors:
            world.subscribe(sampler, sensor, "event")
            if sampler.connection.paused:
                await world.clock.settle()
        await world.clock.settle()
        gc.collect()
        kept = kept_by_the_library()
    finally:
        tracemalloc.stop()
    assert 100 < kept / len(sensors) < 165
