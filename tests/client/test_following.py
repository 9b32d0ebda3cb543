"""Waiting for a value and looping over readings: how a sensor is borrowed for that, and given back."""

import asyncio
import enum

import pytest
from tests.client.scripted import asked, pair, settle, step

from katcp_aio.errors import FailReply, NotConnected, UsageError
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeSensor

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")


async def test_wait_for_a_value_borrows_the_sensor_and_gives_it_back():
    async with pair() as (fake, device):
        waiting = asyncio.create_task(device.sensor.mode.wait_for("slew", timeout=10))
        await settle()
        assert fake.sampling("mode") == [(b"event",)]
        assert not waiting.done()
        fake.set("mode", "slew")
        assert (await waiting).value == "slew"
        await settle()
        assert fake.sampling("mode") == []
        assert asked(fake, "sensor-sampling") == [["mode", "event"], ["mode", "none"]]


async def test_the_member_of_an_enum_is_its_name_on_the_wire():
    mode = enum.Enum("Mode", ["IDLE", "FAST_SLEW"])
    table = {"mode": FakeSensor("discrete", "fast-slew", ("idle", "fast-slew"))}
    async with pair(table=table) as (_, device):
        assert (await device.wait_for("mode", mode.FAST_SLEW, timeout=1)).value == "fast-slew"
        with pytest.raises(TimeoutError):
            await device.wait_for("mode", mode.IDLE, timeout=1)


async def test_wait_for_says_what_the_sensor_read_when_its_time_is_over():
    async with pair() as (_, device):
        with pytest.raises(TimeoutError, match=r"sensor rate did not become 99 within 2 s: it read 1.5, nominal"):
            await device.wait_for("rate", 99, timeout=2)


async def test_the_last_value_of_a_device_that_is_away_meets_no_condition_but_a_status_does():
    async with pair() as (fake, device):
        rate = device.sensor.rate
        await rate.sample("event")
        assert (await rate.wait_for(lambda reading: reading.value > 1, timeout=1)).value == 1.5
        fake.refusing = True
        fake.end()
        await rate.wait_for(Status.UNREACHABLE, timeout=1)
        with pytest.raises(TimeoutError):
            await rate.wait_for(1.5, timeout=1)


async def test_what_a_predicate_raises_comes_out():
    async with pair() as (_, device):
        with pytest.raises(ZeroDivisionError):
            await device.sensor.rate.wait_for(lambda _reading: 1 / 0, timeout=1)


async def test_where_a_device_has_no_event_waiting_makes_do_with_auto():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "Unknown strategy"), times=1)
        assert (await device.sensor.rate.wait_for(1.5, timeout=1)).value == 1.5
        assert asked(fake, "sensor-sampling")[:2] == [["rate", "event"], ["rate", "auto"]]


async def test_readings_come_one_by_one_and_the_sensor_is_given_back_at_the_end_of_the_loop():
    async with pair() as (fake, device):
        seen = []
        async for reading in device.sensor.rate.readings("event"):
            seen.append(reading.value)
            if len(seen) == 3:
                break
            fake.set("rate", reading.value + 1)
        assert seen == [1.5, 2.5, 3.5]
        await settle()
        assert fake.sampling("rate") == []


async def test_readings_raise_what_the_device_says_to_a_strategy_it_refuses():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "never"))
        with pytest.raises(FailReply, match="never"):
            await device.sensor.rate.readings("period", 1).__anext__()


async def test_looking_changes_no_strategy_that_was_set():
    async with pair() as (fake, device):
        await device.sensor.rate.sample("period", 5)
        async with device.sensor.rate.readings("event") as readings:
            assert (await readings.__anext__()).value == 1.5
            fake.set("rate", 2.0)
            assert (await readings.__anext__()).value == 2.0
        assert fake.sampling("rate") == [(b"period", b"5")]
        assert asked(fake, "sensor-sampling") == [["rate", "period", "5"]]


async def test_the_error_of_a_predicate_is_the_caller_s_also_if_it_is_a_timeout():
    def hurry(_reading):
        raise TimeoutError("the predicate's own")

    async with pair() as (_, device):
        with pytest.raises(TimeoutError, match="the predicate's own"):
            await device.sensor.rate.wait_for(hurry, timeout=10)


async def test_of_readings_at_once_the_first_that_meets_the_condition_counts():
    async with pair() as (fake, device):
        waiting = asyncio.create_task(device.sensor.rate.wait_for(lambda reading: reading.value > 1.9))
        await settle()
        fake.set("rate", 2.0)
        fake.set("rate", 3.0)
        assert (await waiting).value == 2.0


async def test_a_reader_that_is_too_slow_hears_how_much_it_lost():
    async with pair() as (fake, device), device.sensor.rate.readings("event", limit=2) as readings:
        await settle()
        for value in (2.0, 3.0, 4.0):
            fake.set("rate", value)
        await settle()
        assert readings.dropped == 2
        assert (await anext(readings)).value == 3.0


async def test_the_reading_of_the_very_instant_at_which_the_time_is_over_counts():
    async with pair() as (_, device):
        rate = device.sensor.rate
        await rate.sample("event")
        asyncio.get_running_loop().call_later(5, rate.feed, b"1", b"nominal", b"9")
        assert (await rate.wait_for(9, timeout=5)).value == 9


async def test_who_looks_at_a_sensor_is_told_that_its_client_is_closed():
    """Nothing would ever end the waiting."""
    async with pair() as (_, device):
        rate = device.sensor.rate

        async def statuses():
            return [reading.status async for reading in rate.readings("event")]

        reading, waiting = asyncio.create_task(statuses()), asyncio.create_task(rate.wait_for(9))
        away = asyncio.create_task(rate.wait_for(Status.UNREACHABLE))
        await settle()
    assert await reading == [Status.NOMINAL, Status.UNREACHABLE]
    assert (await away).status is Status.UNREACHABLE
    with pytest.raises(NotConnected, match="closed while waiting for sensor rate"):
        await waiting
    with pytest.raises(UsageError, match="the client is closed"):
        await rate.wait_for(9)
    with pytest.raises(UsageError, match="the client is closed"):
        rate.readings()


async def test_a_sensor_that_was_removed_cannot_be_followed():
    """Its device would sample the one that has its name now, and nobody hear of it."""
    async with pair() as (fake, device):
        rate = device.sensor.rate
        fake.sensors["rate"] = FakeSensor("integer", 7)
        await step(fake, "sensor", "rate", "modified")
        with pytest.raises(UsageError, match="removed or modified"):
            rate.follow(print, "event")
        await settle()
        assert fake.sampling("rate") == []
