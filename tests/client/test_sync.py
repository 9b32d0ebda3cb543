"""In step with scripted devices: what is asked for after a change, how often, and what a device that fails costs."""

import asyncio
import inspect

import pytest
from tests.client.scripted import asked, pair, sensors, settle, step

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import FailReply, NotConnected, UsageError
from katcp_aio.model.reading import Reading, Status
from katcp_aio.testing import FakeDevice, FakeSensor

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")


async def test_a_sensor_list_that_fails_is_asked_for_again_after_growing_delays(manual_clock):
    def prepare(fake):
        fake.on("sensor-list", reply=("fail", "busy"), times=3)

    resync = Backoff(initial=1.0, longest=8.0, randomness=0.0)
    async with pair(prepare=prepare, resync=resync) as (fake, device):
        assert len(asked(fake, "sensor-list")) == 4
        assert manual_clock.monotonic() == pytest.approx(1 + 2 + 4)
        assert "rate" in device.sensor
        assert device.sync_error is None


async def test_the_delays_begin_anew_once_it_is_in_step(manual_clock):
    resync = Backoff(initial=1.0, longest=8.0, randomness=0.0)
    async with pair(resync=resync) as (fake, device):
        changes = asyncio.Queue()
        device.on_change(changes.put_nowait)
        for name in ("one", "two"):
            fake.on("sensor-list", reply=("fail", "busy"), times=2)
            fake.sensors[name] = FakeSensor()
            begin = manual_clock.monotonic()
            await step(fake, "sensor-list")
            assert (await changes.get()).sensors_added == {name}
            assert manual_clock.monotonic() - begin == pytest.approx(1 + 2, abs=0.3)


async def test_help_that_fails_is_asked_for_again_and_costs_no_sensors():
    async with pair(prepare=lambda fake: fake.on("help", reply=("fail", "busy"), times=2)) as (_, device):
        assert "help" in device.req
        assert "rate" in device.sensor


async def test_a_device_that_never_tells_its_sensors_is_an_error_that_says_why():
    with pytest.raises(NotConnected, match=r"interface was not read within 3 s.*busy"):
        async with pair(prepare=lambda fake: fake.on("sensor-list", reply=("fail", "busy")), sync_timeout=3):
            pytest.fail("entered")


async def test_a_device_without_sensors_is_a_device():
    def prepare(fake):
        fake.on("sensor-list", reply=("invalid", "Unknown request 'sensor-list'"))

    async with pair(prepare=prepare) as (_, device):
        assert list(device.sensor) == []
        assert (await device.req.watchdog()).ok


async def test_one_changed_sensor_costs_one_query():
    async with pair() as (fake, device):
        changes = []
        device.on_change(changes.append)
        old = device.sensor.rate
        fake.sensors["rate"] = FakeSensor("integer", 3, units="rpm")
        await step(fake, "sensor", "rate", "modified")
        assert asked(fake, "sensor-list") == [[], ["rate"]]
        assert len(asked(fake, "help")) == 1
        new = device.sensor.rate
        assert (new.type_name, new.units, new.removed) == ("integer", "rpm", False)
        assert old.removed
        with pytest.raises(UsageError, match="look it up again"):
            await old.sample("event")
        assert [set(change.sensors_modified) for change in changes] == [{"rate"}]


async def test_a_removed_sensor_costs_none_and_ends_the_loops_over_it():
    async with pair() as (fake, device):
        old = device.sensor.rate
        stream = old.readings("event")
        await settle()
        del fake.sensors["rate"]
        await step(fake, "sensor", "rate", "removed")
        assert [reading.value async for reading in stream] == [1.5]
        assert "rate" not in device.sensor
        assert asked(fake, "sensor-list") == [[]]


async def test_several_changes_at_once_are_one_resync():
    async with pair() as (fake, device):
        changes = []
        device.on_change(changes.append)
        del fake.sensors["mode"]
        fake.sensors["new"] = FakeSensor()
        fake.on("fresh")
        for arguments in [("sensor-list",), ("sensor", "new", "added"), ("request-list",), ()]:
            fake.inform("interface-changed", *arguments)
        fake.inform("device-changed")
        await step(fake)
        assert len(asked(fake, "sensor-list")) == 2
        assert len(asked(fake, "help")) == 2
        (change,) = changes
        assert (change.sensors_added, change.sensors_removed) == ({"new"}, {"mode"})
        assert change.requests_added == {"fresh"}
        assert (await device.req.fresh()).ok


async def test_many_single_changes_are_one_list():
    async with pair() as (fake, device):
        for number in range(50):
            fake.sensors[f"n{number}"] = FakeSensor()
            fake.inform("interface-changed", "sensor", f"n{number}", "added")
        await step(fake, "sensor", "n0", "added")
        assert asked(fake, "sensor-list") == [[], []]
        assert len(device.sensor) == 54


@pytest.mark.parametrize("change", [("sensor", "rate", "modified"), ("sensor-list",), ()])
async def test_a_sensor_replaced_by_one_that_looks_the_same_is_sampled_again(change):
    async with pair() as (fake, device):
        rate = device.sensor.rate
        await rate.sample("event")
        fake.sensors["rate"] = FakeSensor("float", 9.0, ("0", "10"), "Pump rate", "Hz")
        await step(fake, *change)
        assert asked(fake, "sensor-sampling") == [["rate", "event"], ["rate", "event"]]
        assert device.sensor.rate is rate
        assert rate.value == 9.0


async def test_a_modified_request_shows_its_new_help():
    async with pair(prepare=lambda fake: fake.on("tune")) as (fake, device):
        fake.help["tune"] = "A\n?tune a:integer"
        await step(fake, "request", "tune", "modified")
        assert next(iter(inspect.signature(device.req.tune).parameters)) == "a"
        fake.help["tune"] = "B\n?tune b:integer"
        await step(fake, "request", "tune", "modified")
        assert next(iter(inspect.signature(device.req.tune).parameters)) == "b"
        await step(fake, "request", "tune", "removed")
        assert "tune" not in device.req


async def test_a_change_while_reading_the_list_is_not_lost():
    async with pair() as (fake, device):
        fake.on("sensor-list", delay=1.0, informs=[("late", "", "", "integer")], times=1)
        fake.inform("interface-changed", "sensor-list")
        await fake.received("sensor-list", 2)
        fake.inform("interface-changed", "sensor-list")
        await fake.received("sensor-list", 3)
        await step(fake, "sensor", "none", "removed")
        assert set(device.sensor) == set(fake.sensors)


async def test_a_callback_that_raises_concerns_nobody_else(caplog):
    async with pair() as (fake, device):
        seen = []
        device.on_change(lambda _changes: 1 / 0)
        cancel = device.on_change(seen.append)
        fake.sensors["x"] = FakeSensor()
        await step(fake, "sensor", "x", "added")
        assert len(seen) == 1
        assert "x" in device.sensor
        cancel()
        device.sensor.x.attach(lambda _sensor, _reading: 1 / 0)
        await device.sensor.x.read()
        assert caplog.text.count("ZeroDivisionError") == 2


async def test_a_device_that_greets_late_is_read_and_sampled_anew_as_it_speaks():
    table = {"temp": FakeSensor("float", 30.5, timestamp=2.5)}
    async with (
        FakeDevice("4.0", banner=(), sensors=table) as fake,
        DeviceClient("fake", connector=fake.connector) as device,
    ):
        assert device.dialect.version == "5.0"  # assumed
        await device.sensor.temp.sample("period", 1.5)
        assert fake.sampling("temp") == [(b"period", b"1.5")]  # 1 ms, to it
        fake.send("#version board-1", "#build-state today")
        await settle()
        assert device.dialect.version == "4.0"
        await asyncio.get_running_loop().clock.advance(1)
        assert fake.sampling("temp") == [(b"period", b"1500")]
        assert device.sensor.temp.reading == Reading(2.5, Status.NOMINAL, 30.5)
        assert (await device.sensor.temp.read()).timestamp == 2.5


async def test_a_device_that_comes_back_as_another_is_met_anew():
    other = {"rate": FakeSensor("float", 4.0, timestamp=7.5), "only": FakeSensor()}
    async with FakeDevice(sensors=sensors()) as first, FakeDevice("4.0", sensors=other) as second:
        devices = [first, second]
        async with DeviceClient("fake", connector=lambda: devices.pop(0).connector()) as device:
            await device.sample("rate", "period", 1)
            first.end()
            await device.wait_disconnected()
            await device.wait_synced(60)
            assert set(device.sensor) == {"rate", "only"}
            assert second.sampling("rate") == [(b"period", b"1000")]
            assert device.sensor.rate.reading == Reading(7.5, Status.NOMINAL, 4.0)


async def test_a_device_that_changes_with_each_list_is_asked_at_a_bounded_rate(manual_clock):
    async with pair() as (fake, _):
        fake.on("sensor-list", lambda _peer, _request: fake.inform("interface-changed"))
        fake.inform("interface-changed")
        begin = len(asked(fake, "sensor-list"))
        await manual_clock.advance(10)
        assert 90 <= len(asked(fake, "sensor-list")) - begin <= 110


@pytest.mark.parametrize("change", [(), ("sensor", "rate", "modified")])
@pytest.mark.parametrize("limit", ["10", "20"], ids=["the same", "another"])
@pytest.mark.parametrize("how", ["wish", "loan"])
async def test_what_is_no_longer_wished_while_the_lists_are_read_is_ended(how, limit, change):
    """The device may say that all has changed, and go on to sample what it did before."""
    async with pair() as (fake, device):
        if how == "wish":
            await device.sensor.rate.sample("event")
        waiting = asyncio.create_task(device.sensor.rate.wait_for(9))
        await settle()
        assert fake.sampling("rate") == [(b"event",)]
        fake.on("sensor-list", informs=[("rate", "Pump rate", "Hz", "float", "0", limit)], delay=1.0, times=1)
        fake.inform("interface-changed", *change)
        await fake.received("sensor-list", 2)
        waiting.cancel()
        assert await device.sensor.rate.sample("none")
        assert device.sensor.rate.sampling is None
        assert fake.sampling("rate") == []


async def test_what_was_sampled_is_ended_if_what_is_wished_while_the_lists_are_read_is_refused():
    async with pair() as (fake, device):
        await device.sample("/rate/", "event")
        fake.on("sensor-list", informs=[("rate", "Pump rate", "Hz", "float", "0", "10")], delay=1.0, times=1)
        fake.inform("interface-changed")
        await fake.received("sensor-list", 2)
        fake.on("sensor-sampling", reply=("fail", "never"), times=1)
        with pytest.raises(FailReply, match="never"):
            await device.sample("/rate/", "sometimes")
        await settle()
        assert fake.sampling("rate") == []


async def test_times_are_read_as_the_device_writes_them_before_its_lists_are():
    async with FakeDevice("4.0", sensors=sensors()) as old, FakeDevice("5.1-MI", sensors=sensors()) as new:
        where = [old, new]

        async def connector():
            return await where[0].connector()

        old.set("rate", 1.0, timestamp=1500.0)
        new.set("rate", 2.0, timestamp=1600.0)
        device = DeviceClient(connector=connector)
        await device.start()
        assert (await device.read("rate"))["rate"].timestamp == 1500.0
        await device.wait_synced()
        where.reverse()
        old.end()
        await device.wait_disconnected()
        assert (await device.sensor.rate.read()).timestamp == 1600.0
        await device.close()


async def test_who_waits_until_it_is_in_step_waits_on_if_it_is_lost_in_that_very_turn():
    async with FakeDevice("5.0-MI", sensors=sensors()) as fake:
        first = b"#sensor-status 1 1 rate nominal 3\n!sensor-sampling ok rate event\n#disconnect not\\_yet\n"
        fake.on("sensor-sampling", raw=first, times=1)
        device = DeviceClient(connector=fake.connector)
        await device.sample("rate", "event")
        await device.start()
        told = []
        device.on_synced(told.append)
        await device.wait_synced(60)
        assert told == [True, False, True]
        await device.close()


async def test_the_end_of_the_only_connection_leaves_no_task():
    async with FakeDevice(sensors=sensors()) as fake:
        device = DeviceClient("fake", connector=fake.connector, reconnect=None)
        await device.start()
        await device.wait_synced()
        fake.end()
        await device.wait_disconnected()
        await settle()
        assert {task for task in asyncio.all_tasks() if "fake" in task.get_name()} == set()


async def test_who_is_cancelled_while_it_closes_a_client_leaves_no_task_that_keeps_it_in_step():
    async with pair("5.0-MI") as (fake, device):
        fake.on("sensor-sampling", reply=None)
        sampling = asyncio.create_task(device.sample("/./", "event"))
        await fake.received("sensor-sampling", 4)
        closing = asyncio.create_task(device.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("katcp sync")]
        assert await sampling is False


async def test_a_sensor_that_comes_back_is_not_sampled_and_nothing_is_to_be_ended():
    async with pair() as (fake, device):
        await device.sample(["rate", "mode"], "event")
        rate = fake.sensors.pop("rate")
        await step(fake)
        assert not await device.sample("rate", "none")
        before = len(asked(fake, "sensor-sampling"))
        fake.sensors["rate"] = rate
        await step(fake, "sensor", "rate", "added")
        assert device.sensor.rate.sampling is None
        assert len(asked(fake, "sensor-sampling")) == before


@pytest.mark.parametrize("reply", [("fail", "busy"), None], ids=["refused", "silent"])
async def test_sensors_that_are_known_are_sampled_although_the_lists_cannot_be_read_again(reply):
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-list", reply=reply)
        await step(fake)
        async with asyncio.timeout(120):
            assert await device.sensor.rate.sample("event")
        assert device.sensor.rate.value == 1.5
        assert device.sync_error is not None
