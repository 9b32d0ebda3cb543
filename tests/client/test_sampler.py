"""What becomes of wishes when the device is slow, silent or gone."""

import asyncio
import re

import pytest
from tests.client import scripted
from tests.client.scripted import asked, settle

from katcp_aio.errors import FailReply, RequestTimeout, UsageError
from katcp_aio.limits import Limits
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeSensor

pytestmark = pytest.mark.usefixtures("time_flies")


def pair(protocol="5.1-MITB", count=2, **options):
    """Yield a scripted device with sensors s0, s1, ..., and a client that knows it."""
    table = {f"s{number}": FakeSensor("integer", number) for number in range(count)}
    return scripted.pair(protocol, table=table, **options)


async def test_a_device_that_does_not_answer_is_asked_again_later():
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        with pytest.raises(RequestTimeout):
            await device.sensor.s0.sample("event")
        await asyncio.sleep(5)
        assert fake.sampling("s0") == [(b"event",)]
        assert device.sensor.s0.value == 0
        assert device.sync_error is None


async def test_a_first_reading_right_behind_the_reply_need_not_be_asked_for():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", raw=b"!sensor-sampling ok s0 event\n#sensor-status 1 1 s0 nominal 7\n", times=1)
        await device.sensor.s0.sample("event")
        assert device.sensor.s0.value == 7
        assert asked(fake, "sensor-value") == []


async def test_who_waits_while_the_device_goes_hears_that_it_is_away():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        waiting = asyncio.create_task(device.sensor.s0.sample("event"))
        await fake.received("sensor-sampling")
        fake.end()
        assert await waiting is False
        await device.wait_synced(60)
        assert fake.sampling("s0") == [(b"event",)]


async def test_who_waits_for_a_device_that_takes_a_strategy_and_then_tells_no_value_hears_of_it():
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", reply=("ok", "s0", "event"), times=1)  # as C devices: no reading with it
        fake.on("sensor-value", reply=None, times=1)
        with pytest.raises(RequestTimeout):
            await device.sensor.s0.sample("event")
        await asyncio.sleep(60)
        assert device.sensor.s0.sampling == ("event", ())
        assert device.sensor.s0.value == 0


async def test_who_waits_while_this_client_has_too_much_under_way_hears_of_it():
    async with pair(limits=Limits(max_pending=1)) as (fake, device):
        fake.on("hang", reply=None)
        hanging = asyncio.create_task(device.request("hang", timeout=None))
        await settle()
        with pytest.raises(UsageError):
            await device.sensor.s0.sample("event")
        hanging.cancel()
        await asyncio.sleep(60)
        assert fake.sampling("s0") == [(b"event",)]  # the wish stays


async def test_a_parameter_that_cannot_be_written_is_the_callers_and_harms_nobody():
    async with pair() as (fake, device):
        with pytest.raises(TypeError):
            device.sensor.s0.readings("period", object())
        with pytest.raises(TypeError):
            device.sensor.s0.follow(print, "period", object())
        before = asyncio.get_running_loop().time()
        assert await device.sensor.s1.sample("event") is True
        assert asyncio.get_running_loop().time() == before
        assert fake.sampling("s0") == []


async def test_cancelling_a_wish_leaves_it_and_harms_nothing():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", delay=2.0, reply=("ok", "s0", "event"), times=1)
        waiting = asyncio.create_task(device.sensor.s0.sample("event"))
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(3)
        assert device.sensor.s0.sampling == ("event", ())
        assert await device.sensor.s1.sample("event")


async def test_wishes_made_at_the_same_time_share_a_request():
    async with pair(count=10) as (fake, device):
        assert all(await asyncio.gather(*(sensor.sample("event") for sensor in device.matching())))
        assert asked(fake, "sensor-sampling") == [[",".join(sorted(fake.sensors)), "event"]]


async def test_first_values_that_many_sensors_do_not_send_are_asked_for_at_once():
    async with pair("5.0-MI", 10, limits=Limits(max_single_changes=5)) as (fake, device):
        fake.on("sensor-sampling")
        await device.sample("/s/", "event")
        assert [sensor.value for sensor in device.matching()] == list(range(10))
        assert asked(fake, "sensor-value") == [[]]


async def test_a_first_value_that_cannot_be_had_is_no_failure(caplog):
    async with pair() as (fake, device):
        fake.on("sensor-sampling")
        fake.on("sensor-value", reply=("fail", "not now"))
        assert await device.sensor.s0.sample("event")
        assert device.sensor.s0.status is Status.UNKNOWN
    assert re.search("no first value of s0: .*not now", caplog.text)


async def test_the_last_of_several_wishes_counts():
    async with pair() as (fake, device):
        await device.sensor.s0.sample("event")
        await device.sensor.s0.sample("period", 2)
        assert fake.sampling("s0") == [(b"period", b"2")]
        await device.sensor.s0.sample("none")
        assert fake.sampling("s0") == []
        assert device.sensor.s0.sampling is None
        assert await device.sample("nobody", "event") is False


async def test_waiting_for_a_sensor_that_is_removed_ends():
    async with pair() as (fake, device):
        waiting = asyncio.create_task(device.sensor.s0.wait_for(99))
        await settle()
        fake.inform("interface-changed", "sensor", "s0", "removed")
        with pytest.raises(UsageError, match="removed or modified while it was waited for"):
            await waiting


async def test_following_a_sensor_is_attaching_and_sampling_until_it_is_ended():
    async with pair() as (fake, device):
        seen = []
        end = device.sensor.s1.follow(lambda _sensor, reading: seen.append(reading.value), "event")
        await settle()
        fake.set("s1", 5)
        await settle()
        end()
        end()
        await settle()
        fake.set("s1", 6)
        await settle()
        assert seen == [1, 5]
        assert fake.sampling("s1") == []


async def test_who_gave_up_waiting_takes_no_wish_back():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        waiting = asyncio.create_task(device.sensor.s0.sample("event"))
        await fake.received("sensor-sampling")
        waiting.cancel()
        await settle()
        fake.end()
        await device.wait_disconnected()
        await device.wait_synced(60)
        assert waiting.cancelled()
        assert fake.sampling("s0") == [(b"event",)]


async def test_of_two_wishes_only_the_one_without_an_answer_is_asked_again():
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        lost, kept = await asyncio.gather(
            device.sensor.s0.sample("event"), device.sensor.s1.sample("auto"), return_exceptions=True
        )
        assert isinstance(lost, RequestTimeout)
        assert kept is True
        await asyncio.sleep(5)
        assert asked(fake, "sensor-sampling") == [["s0", "event"], ["s1", "auto"], ["s0", "event"]]


async def test_a_device_that_will_not_stop_sampling_is_told_of():
    async with pair() as (fake, device):
        await device.sensor.s0.sample("event")
        fake.on("sensor-sampling", reply=("fail", "never"))
        for _ in range(2):  # the second time since the device may have another sensor now, which is not sampled
            with pytest.raises(FailReply, match="never"):
                await device.sensor.s0.sample("none")
            await scripted.step(fake, "sensor", "s0", "modified")
        assert await device.sensor.s0.sample("none")
        assert [strategy for _, strategy in asked(fake, "sensor-sampling")] == ["event", "none", "none"]


async def test_who_wishes_otherwise_while_the_device_is_asked_hears_of_his_own_wish():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "never"), delay=1.0, times=1)
        first = asyncio.create_task(device.sensor.s0.sample("sometimes"))
        await fake.received("sensor-sampling")
        same, other = (asyncio.create_task(device.sensor.s0.sample(strategy)) for strategy in ("sometimes", "auto"))
        refused, refused_too, taken = await asyncio.gather(first, same, other, return_exceptions=True)
        assert [type(refused), type(refused_too), taken] == [FailReply, FailReply, True]
        assert fake.sampling("s0") == [(b"auto",)]


async def test_a_wish_that_is_refused_leaves_the_one_that_was_just_taken_on():
    async with pair() as (fake, device):
        fake.on("sensor-sampling", reply=("fail", "never"), times=1)
        fake.on("sensor-sampling", reply=("ok", "s0", "event"), delay=1.0, times=1)
        first = asyncio.create_task(device.sensor.s0.sample("event"))
        await fake.received("sensor-sampling")
        taken, refused = await asyncio.gather(first, device.sensor.s0.sample("sometimes"), return_exceptions=True)
        assert taken is True
        assert isinstance(refused, FailReply)
        await settle()
        assert device.sensor.s0.sampling == ("event", ())
        assert [strategy for _, strategy in asked(fake, "sensor-sampling")] == ["event", "sometimes"]


async def test_who_wishes_otherwise_while_the_device_does_not_answer_waits_on():
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        first = asyncio.create_task(device.sensor.s0.sample("event"))
        await fake.received("sensor-sampling")
        silence, taken = await asyncio.gather(first, device.sensor.s0.sample("auto"), return_exceptions=True)
        assert isinstance(silence, RequestTimeout)
        assert taken is True


async def test_a_device_that_may_have_taken_a_strategy_is_told_that_it_is_no_longer_wished():
    async with pair(sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", reply=None, times=1)
        with pytest.raises(RequestTimeout):
            await device.sensor.s0.sample("event")
        assert await device.sensor.s0.sample("none")
        assert asked(fake, "sensor-sampling") == [["s0", "event"], ["s0", "none"]]


@pytest.mark.parametrize("wish", ["event", "none"])
async def test_what_is_in_force_is_not_asked_for_again(wish):
    """Not after what left it open for a while either: the lists were read again, or nothing came back in time."""
    async with pair(sync_timeout=3.0) as (fake, device):
        await device.sensor.s0.sample("event")
        await scripted.step(fake)
        assert await device.sensor.s0.sample("event")
        assert len(asked(fake, "sensor-sampling")) == 2
        fake.on("sensor-sampling", reply=None, times=1)
        with pytest.raises(RequestTimeout):
            await device.sensor.s0.sample("auto")
        fake.end()
        await device.wait_disconnected()
        assert not await device.sensor.s0.sample(wish)
        await device.wait_synced(60)
        before = len(asked(fake, "sensor-sampling"))
        assert await device.sensor.s0.sample(wish)
        assert len(asked(fake, "sensor-sampling")) == before


async def test_a_sensor_of_which_a_device_never_answers_keeps_no_other_from_being_sampled():
    """Without ids each such question costs the connection."""

    async def sampling(peer, request):
        name = request.arguments[0].decode()
        if name == "s0":
            await asyncio.sleep(1000)
        peer.send(f"#sensor-status 1500000000 1 {name} nominal 7")
        return request.arguments

    async with pair("5.0-M", 3, sync_timeout=3.0) as (fake, device):
        fake.on("sensor-sampling", sampling)
        sampled = asyncio.create_task(device.sample("/s/", "event"))
        await asyncio.sleep(60)
        assert [sensor.value for sensor in device.matching()] == [None, 7, 7]
        await asyncio.gather(sampled, return_exceptions=True)
