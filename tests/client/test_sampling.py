"""Strategies that a client wishes for: how they are asked for, of which devices, and what outlives a connection."""

import asyncio

import pytest
from tests.client.scripted import DIALECTS, asked, pair, sensors, step

from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import FailReply, GroupError
from katcp_aio.limits import Limits
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeDevice, FakeSensor

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_strategy_outlives_the_connection(protocol):
    async with pair(protocol) as (fake, device):
        rate = device.sensor.rate
        assert rate.status is Status.UNKNOWN
        assert rate.value is None
        assert await rate.sample("event")
        assert rate.value == 1.5
        seen = []
        rate.attach(lambda _sensor, reading: seen.append((reading.status, reading.value)))
        fake.end("reset")
        await device.wait_disconnected()
        assert (rate.status, rate.value) == (Status.UNREACHABLE, 1.5)
        fake.sensors["rate"].value = 2.5
        await device.wait_synced(60)
        assert fake.sampling("rate") == [(b"event",)]
        assert seen == [(Status.UNREACHABLE, 1.5), (Status.NOMINAL, 2.5)]
        assert device.sensor.rate is rate


async def test_a_sensor_nobody_samples_is_unknown_after_a_reconnect():
    async with pair() as (fake, device):
        await device.sensor.rate.read()
        fake.end()
        await device.wait_disconnected()
        await device.wait_synced(60)
        assert (device.sensor.rate.status, device.sensor.rate.value) == (Status.UNKNOWN, 1.5)


async def test_sensors_of_a_device_that_is_lost_for_good_are_unreachable():
    async with pair(reconnect=None) as (fake, device):
        await device.sensor.rate.sample("event")
        fake.end()
        reading = await device.sensor.rate.wait_for(Status.UNREACHABLE, timeout=5)
        assert reading.value == 1.5
        assert not device.synced


async def test_a_difference_is_written_as_it_was_given():
    """An integer sensor takes only an integer."""
    async with pair() as (fake, device):
        await device.sensor["dsp.gain"].sample("differential", 5)
        await device.sensor.rate.sample("differential", 5.0)
        assert [row[2] for row in asked(fake, "sensor-sampling")] == ["5", "5.0"]


async def test_closing_leaves_sensors_unreachable():
    async with pair() as (_, device):
        await device.sensor.rate.sample("auto")
    assert (device.sensor.rate.status, device.sensor.rate.value) == (Status.UNREACHABLE, 1.5)


async def test_many_are_sampled_in_bulk_batches():
    table = {f"s{n:03}": FakeSensor(value=n) for n in range(25)}
    async with pair(table=table, limits=Limits(bulk_batch=10)) as (fake, device):
        assert await device.sample("/s/", "event")
        assert [len(arguments[0].split(",")) for arguments in asked(fake, "sensor-sampling")] == [10, 10, 5]
        assert [sensor.value for sensor in device.matching("/s/")] == list(range(25))
        assert asked(fake, "sensor-value") == []


@pytest.mark.parametrize("protocol", ["5.0-MI", "5.0-M"])
async def test_without_bulk_they_are_sampled_one_by_one(protocol):
    async with pair(protocol) as (fake, device):
        assert await device.sample("/./", "event")
        assert sorted(asked(fake, "sensor-sampling")) == [[name, "event"] for name in sorted(fake.sensors)]


@pytest.mark.parametrize(("protocol", "width"), [("5.0-MI", 3), ("5.0-M", 1), ("4.0", 1)])
async def test_where_replies_have_ids_a_bounded_number_is_under_way_at_once(protocol, width):
    under_way, seen = set(), []

    async def sampling(peer, request):
        under_way.add(request)
        seen.append(len(under_way))
        await asyncio.sleep(0.1)
        under_way.discard(request)
        return request.arguments

    table = {f"s{number}": FakeSensor() for number in range(7)}
    async with pair(protocol, table=table, limits=Limits(max_sweep=3)) as (fake, device):
        fake.on("sensor-sampling", sampling)
        assert await device.sample("/./", "event")
        assert (len(seen), max(seen)) == (7, width)


async def test_wishes_made_before_the_device_is_there_are_granted_when_it_is():
    async with FakeDevice(sensors=sensors()) as fake:
        device = DeviceClient("fake", connector=fake.connector)
        assert not await device.sample("rate", "period", 2)
        assert not await device.sample("/dsp/", "event")
        assert not await device.sample("later", "auto")
        async with device:
            assert fake.sampling("rate") == [(b"period", b"2")]
            assert fake.sampling("dsp.gain") == [(b"event",)]
            fake.sensors["later"] = FakeSensor(value=3)
            await step(fake, "sensor", "later", "added")
            assert fake.sampling("later") == [(b"auto",)]
            assert device.sensor.later.value == 3


async def test_an_impossible_wish_is_an_error_to_who_wished_it_and_is_not_asked_for_again():
    async with pair() as (fake, device):
        await device.sensor.rate.sample("event")
        fake.on("sensor-sampling", reply=("fail", "Unknown strategy"), times=1)
        with pytest.raises(FailReply, match="Unknown strategy"):
            await device.sensor.rate.sample("sometimes")
        before = len(asked(fake, "sensor-sampling"))
        fake.end()
        await device.wait_disconnected()
        await device.wait_synced(60)
        assert asked(fake, "sensor-sampling")[before:] == [["rate", "event"]]
        with pytest.raises(TypeError):
            await device.sensor.rate.sample("period", object())


async def test_a_wish_refused_later_is_told_in_the_log_once(caplog):
    async with FakeDevice(sensors=sensors()) as fake:
        fake.on("sensor-sampling", reply=("fail", "never"))
        device = DeviceClient("fake", connector=fake.connector)
        await device.sample("rate", "event")
        async with device:
            assert device.synced
            fake.end()
            await device.wait_disconnected()
            await device.wait_synced(60)
        assert len(asked(fake, "sensor-sampling")) == 1
    assert "sensor rate, event: " in caplog.text


async def test_a_device_that_will_not_sample_what_somebody_follows_is_told_of_in_the_log_once(caplog):
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "never"))
        cancel = device.sensor.rate.follow(lambda _sensor, _reading: None, "event")
        await asyncio.sleep(1)
        assert caplog.text.count("sensor rate, event: ") == 1
        assert "never" in caplog.text
        cancel()


async def test_a_sensor_that_comes_back_is_asked_for_again_what_the_one_before_refused():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "never"), times=1)
        with pytest.raises(FailReply, match="never"):
            await device.sample("/^mode$/", "event")
        mode = fake.sensors.pop("mode")
        await step(fake, "sensor", "mode", "removed")
        assert device.sensor.rate.sampling is None
        fake.sensors["mode"] = mode
        await step(fake, "sensor", "mode", "added")
        assert device.sensor.mode.sampling == ("event", ())


@pytest.mark.parametrize("protocol", ["5.0-M", "4.0"])
async def test_an_update_behind_the_values_of_a_poll_is_the_newer(protocol):
    """Also where one piece brings both, and no ids."""
    polled = b"#sensor-value 1500000000 1 mode nominal idle\n!sensor-value ok 1\n"
    async with pair(protocol) as (fake, device):
        await device.sensor.mode.sample("event")
        fake.on("sensor-value", raw=polled + b"#sensor-status 1500000000 1 mode nominal busy\n")
        assert (await device.sensor.mode.read()).value == "idle"
        await asyncio.sleep(0)
        assert device.sensor.mode.value == "busy"


@pytest.mark.parametrize("which", ["mode", "/^mode$/"])
async def test_a_sensor_that_was_away_for_a_moment_is_asked_for_again(which):
    """Removed after the list was read, and there again before the next: its row is the same as before."""
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "Unknown sensor 'mode'"), times=1)
        with pytest.raises(FailReply, match="Unknown sensor"):
            await device.sample(which, "event")
        assert len(asked(fake, "sensor-sampling")) == 1  # not again at once: it would be asked for ever
        await step(fake)
        assert device.sensor.mode.sampling == ("event", ())


async def test_those_that_a_bulk_request_fails_for_are_found():
    def refuse_mode(_peer, request):
        if b"mode" in request.arguments[0].split(b","):
            raise FailReply("not mode")
        return request.arguments

    async with pair() as (fake, device):
        fake.on("sensor-sampling", refuse_mode)
        with pytest.raises(FailReply, match="not mode"):
            await device.sample("/./", "event")
        sampled = {sensor.name for sensor in device.matching() if sensor.sampling is not None}
        assert sampled == {"rate", "dsp.gain", "dsp.level"}
        fake.on("sensor-sampling", reply=("fail", "nothing"))
        with pytest.raises(GroupError) as caught:
            await device.sample(["rate", "mode"], "auto")
        assert set(caught.value.causes) == {"rate", "mode"}


@pytest.mark.parametrize("protocol", ["5.0-M", "4.0"])
async def test_a_first_value_comes_also_from_devices_that_send_none_on_subscribing(protocol):
    async with pair(protocol) as (fake, device):
        fake.on("sensor-sampling", reply=("ok", "mode", "event"))
        await device.sensor.mode.sample("event")
        assert device.sensor.mode.value == "idle"
