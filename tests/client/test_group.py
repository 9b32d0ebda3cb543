"""Many devices as one: what is asked, what is told of each, and when enough of them are enough."""

import asyncio
import contextlib
import gc
import time
import weakref

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.group import DeviceGroup
from katcp_aio.client.results import GroupResults, Retry, needed
from katcp_aio.errors import FailReply, GroupError, InvalidReply, NotConnected, RequestTimeout, UsageError
from katcp_aio.model.sensor import Sensor
from katcp_aio.server.device import DeviceServer
from katcp_aio.testing import FakeDevice, FakeSensor

pytestmark = pytest.mark.usefixtures("time_flies")


class Many(DeviceServer):
    VERSION = "many-1.0"
    BUILD_STATE = "many-1.0.0"

    def __init__(self):
        super().__init__()
        for number in range(1000):
            self.sensors.add(Sensor(int, f"s.{number:04}", "One of many", default=number)).value = number


@contextlib.asynccontextmanager
async def array(count=3, *, down=(), **options):
    """Yield scripted devices m000, m001, ..., and the group of their clients."""
    async with contextlib.AsyncExitStack() as stack:
        fakes = {}
        for number in range(count):
            fake = FakeDevice(
                sensors={"rate": FakeSensor("float", float(number)), "mode": FakeSensor("string", "idle")}
            )
            fakes[f"m{number:03}"] = await stack.enter_async_context(fake)
        for name in down:
            fakes[name].refusing = True
        for fake in fakes.values():
            fake.on("set-rate", reply=("ok", 2.5))
            fake.help["set-rate"] = "Set the rate."
        members = {name: DeviceClient(name, connector=fake.connector) for name, fake in fakes.items()}
        group = await stack.enter_async_context(DeviceGroup(members, **options))
        yield fakes, group


async def test_all_are_asked_and_each_answers_by_its_name():
    async with array() as (fakes, group):
        assert await group.wait_connected(timeout=20)
        results = await group.req.set_rate(2.5)
        assert results
        assert {name: reply.arguments for name, reply in results.items()} == {name: [b"2.5"] for name in fakes}
        assert group.req.set_rate.__doc__ == "Set the rate."
        assert await group.req.set_rate(2.5, returns=(float,)) == dict.fromkeys(fakes, (2.5,))
        assert group.sensor["m001.rate"] is group["m001"].sensor.rate
        assert group.sensor.m001_rate is group["m001"].sensor.rate
        assert len(group.sensor) == 6
        readings = await group.read("rate")
        assert readings["m002"]["rate"].value == 2.0
        assert await group.sample("rate", "event")
        assert [sensor.value for sensor in (group.sensor[f"m00{n}.rate"] for n in range(3))] == [0.0, 1.0, 2.0]


async def test_they_are_asked_at_once(manual_clock):
    async with array(10) as (fakes, group):
        await group.wait_connected()
        for fake in fakes.values():
            fake.on("set-rate", delay=3.0)
        begin = manual_clock.monotonic()
        assert await group.req.set_rate(1)
        assert manual_clock.monotonic() - begin == pytest.approx(3.0)


async def test_a_failure_of_some_is_seen_and_the_rest_is_kept():
    async with array() as (fakes, group):
        await group.wait_connected()
        fakes["m001"].on("set-rate", reply=("fail", "stuck"))
        fakes["m002"].on("set-rate", reply=None)
        results = await group.req.set_rate(1)
        assert not results
        assert results.succeeded.keys() == {"m000"}
        assert isinstance(results["m001"], FailReply)
        assert isinstance(results["m002"], RequestTimeout)
        with pytest.raises(GroupError) as caught:
            results.check("set-rate")
        text = str(caught.value)
        assert text.startswith("set-rate failed for 2 of 3 devices\n")
        assert "m001: m001:0: ?set-rate fail: stuck" in text
        assert "m002: m002:0: ?set-rate: no reply within 5 s" in text


async def test_a_request_that_one_does_not_have_harms_nothing_there():
    async with array() as (fakes, group):
        await group.wait_connected()
        fakes["m000"].on("clear")
        fakes["m000"].inform("interface-changed", "request", "clear", "added")
        await asyncio.get_running_loop().clock.settle()
        results = await group.req.clear()
        assert results["m000"].ok
        assert isinstance(results["m001"], InvalidReply)
        assert (await group["m001"].req.set_rate(1)).ok


async def test_an_argument_that_cannot_be_written_is_the_callers_error():
    async with array() as (_, group):
        await group.wait_connected()
        with pytest.raises(TypeError):
            await group.req.set_rate(object())


async def test_connected_is_a_quorum():
    async with array(10, down=["m003"]) as (fakes, group):
        results = await group.wait_connected(quorum=0.9, timeout=20)
        assert not results
        assert list(results.failed) == ["m003"]
        with pytest.raises(GroupError, match=r"9 of 10 devices, and 10 are needed") as caught:
            await group.wait_connected(timeout=20)
        assert isinstance(caught.value.causes["m003"], ConnectionRefusedError)
        fakes["m003"].refusing = False
        assert await group.wait_connected(timeout=20)


async def test_a_sensor_is_waited_for_at_enough_of_them_with_grace_for_the_rest(manual_clock):
    async with array(4) as (fakes, group):
        await group.wait_connected()

        async def change():
            for seconds, name in ((1.0, "m000"), (2.0, "m001"), (2.5, "m002"), (9.0, "m003")):
                await manual_clock.advance(seconds - (manual_clock.monotonic() - begin))
                fakes[name].set("mode", "slew")

        begin = manual_clock.monotonic()
        changing = asyncio.create_task(change())
        results = await group.wait_for("mode", "slew", quorum=2, timeout=30, grace=1.0)
        assert manual_clock.monotonic() - begin == pytest.approx(3.0)
        assert results.succeeded.keys() == {"m000", "m001", "m002"}
        assert isinstance(results["m003"], TimeoutError)
        assert await group.wait_for("mode", "slew", timeout=30)
        await changing
        with pytest.raises(GroupError, match=r"0 of 4 devices, and 3 are needed"):
            await group.wait_for("mode", "never", quorum=0.7, timeout=2)
        with pytest.raises(GroupError, match="there is no sensor 'nope'"):
            await group.wait_for("nope", 1, timeout=2)


async def test_who_waits_in_vain_hears_what_each_of_them_read():
    async with array(3) as (fakes, group):
        await group.wait_connected()
        fakes["m001"].set("mode", "slew", status="unknown")
        fakes["m002"].refusing = True
        fakes["m002"].end()
        with pytest.raises(GroupError) as caught:
            await group.wait_for("mode", "slew", timeout=2)
        causes = {name: str(error) for name, error in caught.value.causes.items()}
        assert causes["m000"] == "not in time, after 2 s: it read 'idle', nominal"
        assert causes["m001"] == "not in time, after 2 s: it read 'slew', unknown"
        assert "refuse" in causes["m002"]


async def test_members_come_and_go_and_pause():
    async with array(2) as (_, group), FakeDevice(sensors={"x": FakeSensor()}) as late:
        await group.wait_connected()
        await group.add("late", DeviceClient("late", connector=late.connector))
        await group.wait_connected()
        assert group.sensor["late.x"].name == "x"
        with pytest.raises(UsageError, match="already"):
            await group.add("late", ("nowhere", 1))
        group.set_active("m001", active=False)
        assert group.active == ["m000", "late"]
        assert set(await group.request("watchdog")) == {"m000", "late"}
        assert (await group["m001"].req.watchdog()).ok
        removed = await group.remove("late")
        assert not removed.connected
        assert "late.x" not in group.sensor
        assert "m001.rate" in group.sensor
        assert "set-rate" in group.req


async def test_a_client_of_somebody_elses_is_left_open():
    async with FakeDevice() as fake, DeviceClient("fake", connector=fake.connector) as client:
        async with DeviceGroup({"a": client}) as group:
            assert await group.request("watchdog")
        assert (await client.req.watchdog()).ok


async def test_what_did_not_reach_a_device_is_asked_again_and_what_may_have_is_not():
    retries = Retry(attempts=3, backoff=Backoff(initial=1.0, randomness=0.0))
    async with array(2, retries=retries) as (fakes, group):
        await group.wait_connected()
        fakes["m000"].on("set-rate", reply=None)
        fakes["m001"].refusing = True
        fakes["m001"].end()
        await group["m001"].wait_disconnected()

        async def back():
            await asyncio.sleep(7.0)
            fakes["m001"].refusing = False

        coming = asyncio.create_task(back())
        results = await group.req.set_rate(1)
        await coming
        assert isinstance(results["m000"], RequestTimeout)
        assert len(fakes["m000"].requests.requests("set-rate")) == 1
        assert results["m001"].ok


async def test_an_inactive_or_closed_member_does_not_hang_the_group():
    async with array(2) as (_, group):
        await group.wait_connected()
        await group["m001"].close()
        results = await group.request("watchdog")
        assert results["m000"].ok
        assert isinstance(results["m001"], UsageError)
        with pytest.raises(GroupError) as caught:
            await group.wait_connected(timeout=5)
        assert isinstance(caught.value.causes["m001"], NotConnected)


async def test_cancelling_leaves_nothing():
    async with array(2) as (fakes, group):
        await group.wait_connected()
        fakes["m000"].on("set-rate", reply=("fail", "no"))
        fakes["m001"].on("set-rate", reply=None)
        asking = asyncio.create_task(group.req.set_rate(1, timeout=None))
        await asyncio.get_running_loop().clock.settle()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_64_devices_of_1000_sensors_are_in_step_and_followed_within_seconds(serve):
    device = Many()
    served = await serve(device)  # one that plays them all: what is looked at is the group's side
    members = {f"m{index:03}": DeviceClient("many", connector=served.connector) for index in range(64)}
    begin = time.process_time()
    async with DeviceGroup(members) as group:
        assert await group.wait_connected(timeout=30)
        assert len(group.sensor) == 64_000
        assert await group.sample("/./", "event")
        device.sensors["s.0999"].value = 7
        assert await group.wait_for("s.0999", 7, timeout=30)
        assert group.sensor["m063.s.0500"].value == 500
    assert time.process_time() - begin < 30  # both sides; the group's own share is a fraction of a second


@pytest.mark.parametrize(
    ("quorum", "count", "enough"),
    [
        (None, 5, 5),
        (3, 5, 3),
        (0, 5, 0),
        (0.9, 10, 9),
        (0.7, 10, 7),
        (0.71, 10, 8),
        (1.0, 7, 7),
        (1, 7, 1),
        (0.0, 4, 0),
    ],
)
def test_how_many_a_quorum_is(quorum, count, enough):
    assert needed(quorum, count) == enough


@pytest.mark.parametrize(
    ("quorum", "error"), [(6, ValueError), (1.5, ValueError), (-1, ValueError), ("all", TypeError), (True, TypeError)]
)
def test_a_quorum_that_is_none_is_an_error(quorum, error):
    with pytest.raises(error):
        needed(quorum, 5)


def test_no_results_are_true():
    assert GroupResults({})


async def test_a_group_that_cannot_start_leaves_no_member_started():
    async with FakeDevice() as fake:
        clients = [DeviceClient(name, connector=fake.connector) for name in ("one", "two")]
        group = DeviceGroup(dict(zip(("one", "two"), clients, strict=True)))
        await clients[1].close()  # since it was made a member
        with pytest.raises(UsageError, match="closed"):
            await group.__aenter__()
        assert [client.state.value for client in clients] == ["closed", "closed"]


async def test_a_group_that_is_closed_starts_nothing_and_is_forgotten_by_the_clients_of_others():
    async with FakeDevice() as fake, DeviceClient("shared", connector=fake.connector) as shared:
        async with DeviceGroup({"shared": shared}) as group:
            pass
        late = await group.add("late", DeviceClient("late", connector=fake.connector))
        assert late.state.value == "idle"
        await group.remove("late")
        assert shared.connected
        forgotten = weakref.ref(group)
        del group
        gc.collect()
        assert forgotten() is None


async def test_says_of_how_many_it_is_and_what_it_can_ask_them():
    async with array(2) as (_, group):
        await group.wait_connected(timeout=20)
        for client in group.values():
            await client.wait_synced(20)
        assert repr(group) == "<DeviceGroup of 2, 2 connected>"
        assert len(group.req) == len(list(group.req))
        assert "set-rate" in list(group.req)
        with pytest.raises(KeyError):
            _ = group.req["no-such"]
        results = await group.req.set_rate(2.5)
        results.check()
        assert repr(results) == "<GroupResults 2 succeeded, 0 failed>"


async def test_a_member_that_is_somebody_else_s_stays_open_when_it_is_removed():
    async with array(1) as (fakes, group), DeviceClient("own", connector=fakes["m000"].connector) as own:
        await group.add("own", own)
        assert await group.remove("own") is own
        assert own.connected
        assert (await own.request("set-rate", 1)).ok


async def test_who_cannot_have_enough_answers_any_more_does_not_wait_for_the_rest():
    async with array(3) as (fakes, group):
        await group.wait_connected(timeout=20)
        fakes["m000"].set("mode", "broken")

        def condition(reading):
            if reading.value == "broken":
                raise FailReply("it is broken")
            return False

        with pytest.raises(GroupError, match="m001: given up, since there cannot be enough any more"):
            await group.wait_for("mode", condition)
