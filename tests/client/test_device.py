"""A DeviceClient against scripted devices: what it finds, what it keeps in step with, and what it asks for that."""

import asyncio
import contextlib
import enum
import inspect
import re

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import FailReply, GroupError, NotConnected, ProtocolError, UsageError
from katcp_aio.limits import Limits
from katcp_aio.model.reading import Reading, Status
from katcp_aio.testing import FakeDevice, FakeSensor

DIALECTS = ["5.1-MITB", "5.0-MI", "5.0-M", "4.0"]


@pytest.fixture(autouse=True)
def _time_flies(manual_clock):
    """Nothing here waits for the wall clock: when all is quiet, the next timer is due."""
    manual_clock.auto = True


def sensors():
    return {
        "rate": FakeSensor("float", 1.5, ("0", "10"), "Pump rate", "Hz"),
        "mode": FakeSensor("discrete", "idle", ("idle", "slew")),
        "dsp.gain": FakeSensor("integer", 7),
        "dsp.level": FakeSensor("integer", 8),
    }


@contextlib.asynccontextmanager
async def pair(protocol="5.1-MITB", *, prepare=None, table=None, **options):
    """Yield a scripted device and a client that knows it."""
    async with FakeDevice(protocol, sensors=sensors() if table is None else table) as fake:
        if prepare is not None:
            prepare(fake)
        async with DeviceClient("fake", connector=fake.connector, **options) as device:
            yield fake, device


def asked(fake, name):
    """Return the arguments of all requests of that name that came, as texts."""
    return [[a.decode() for a in request.arguments] for request in fake.requests.requests(name)]


async def settle():
    """Let everything happen that happens without time going by."""
    await asyncio.get_running_loop().clock.settle()


async def step(fake, *change):
    """Tell the client of a change, and let it get in step again."""
    fake.inform("interface-changed", *change)
    await asyncio.get_running_loop().clock.advance(0.2)  # whole lists are read at a bounded rate


# What it finds


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_finds_requests_and_sensors_in_every_dialect(protocol):
    async with pair(protocol) as (fake, device):
        assert device.synced
        assert set(device.sensor) == set(fake.sensors)
        rate = device.sensor.rate
        assert (rate.name, rate.description, rate.units, rate.type_name) == ("rate", "Pump rate", "Hz", "float")
        assert rate.params == (b"0", b"10")
        assert "watchdog" in device.req
        assert (await device.req.watchdog()).ok
        assert (await device.req["sensor-value"]("rate")).informs


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_times_are_seconds_whatever_the_dialect(protocol):
    table = {"at": FakeSensor("integer", 1, timestamp=1_234_567.25)}
    async with pair(protocol, table=table) as (fake, device):
        assert await device.sensor["at"].read() == Reading(1_234_567.25, Status.NOMINAL, 1)
        await device.sensor["at"].sample("period", 0.5)
        assert fake.sampling("at") == [(b"period", b"500" if protocol == "4.0" else b"0.5")]


async def test_a_function_says_what_the_device_says():
    def prepare(fake):
        fake.on("set-rate", reply=("ok", 2.5))
        fake.help["set-rate"] = "Set the rate.\n?set-rate rate:float:[0,10] [unit:hz|rpm]\n\nMore."

    async with pair(prepare=prepare) as (fake, device):
        function = device.req.set_rate
        assert function.__doc__ == fake.help["set-rate"]
        assert function.__name__ == "set_rate"
        parameters = inspect.signature(function).parameters
        assert list(parameters) == ["rate", "unit", "timeout", "returns", "check"]
        assert parameters["rate"].annotation == "float:[0,10]"
        assert await function(2.5, returns=(float,)) == (2.5,)
        fake.requests.assert_request("set-rate", 2.5)


async def test_a_request_takes_the_devices_own_time(manual_clock):
    def prepare(fake):
        fake.on("request-timeout-hint", informs=[("slow", 30.0), ("odd", "x")])
        fake.on("slow", delay=20.0)

    async with pair(prepare=prepare, timeout=5.0) as (_, device):
        begin = manual_clock.monotonic()
        assert (await device.req.slow()).ok
        assert manual_clock.monotonic() - begin == pytest.approx(20.0)


async def test_names_that_collide_keep_their_items_and_the_attribute_names_both():
    table = {"a.b": FakeSensor(value=1), "a-b": FakeSensor(value=2), "get": FakeSensor(value=3)}
    async with pair(table=table) as (_, device):
        assert (await device.sensor["a.b"].read()).value == 1
        assert (await device.sensor["a-b"].read()).value == 2
        with pytest.raises(AttributeError, match=r"'a-b' and 'a\.b'"):
            _ = device.sensor.a_b
        assert dir(device.sensor) == ["get"]
        assert device.sensor.get.name == "get"
        with pytest.raises(AttributeError, match="no sensor 'c'"):
            _ = device.sensor.c
        with pytest.raises(KeyError):
            _ = device.sensor["c"]


async def test_an_unknown_type_or_a_value_that_cannot_be_read_is_raw_and_harms_nothing():
    table = {
        "new": FakeSensor("quaternion", "1,2"),
        "bad": FakeSensor("float", "no number"),
        "good": FakeSensor("float", 2.0),
    }
    async with pair(table=table) as (_, device):
        found = await device.read()
        assert (found["new"].value, found["bad"].value, found["good"].value) == (b"1,2", b"no number", 2.0)
        assert device.trouble.counts == {"bad reading": 1}


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


# Reading


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_many_sensors_are_read_in_one_request(protocol):
    async with pair(protocol) as (fake, device):
        found = await device.read("/^dsp[.]/")
        assert {name: reading.value for name, reading in found.items()} == {"dsp.gain": 7, "dsp.level": 8}
        assert asked(fake, "sensor-value") == [["/^dsp[.]/"]]
        assert device.sensor["dsp.gain"].value == 7
        assert set(await device.read(["mode", "rate"])) == {"mode", "rate"}
        with pytest.raises(FailReply):
            await device.read("nope")
        with pytest.raises(ValueError, match="no regular expression"):
            await device.read("/(/")


async def test_many_names_are_read_with_all_others():
    table = {f"s{number}": FakeSensor(value=number) for number in range(40)}
    async with pair(table=table) as (fake, device):
        names = [f"s{number}" for number in range(30)]
        found = await device.read(names)
        assert list(found) == names
        assert asked(fake, "sensor-value") == [[]]
        with pytest.raises(FailReply, match="nope"):
            await device.read([*names, "nope"])


async def test_where_a_device_knows_no_patterns_all_are_read_and_those_that_match_returned():
    async with pair() as (fake, device):
        fake.on("sensor-value", reply=("invalid", "sensor"), times=1)
        assert set(await device.read("/^dsp/")) == {"dsp.gain", "dsp.level"}
        assert asked(fake, "sensor-value") == [["/^dsp/"], []]


# Sampling


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


async def test_a_status_for_several_sensors_or_broken_or_unknown_is_survived():
    async with pair() as (fake, device):
        for arguments in [
            (1.0, 2, "rate", "nominal", 3.0, "mode", "warn", "slew"),
            (1.0, 1, "nobody", "nominal", 3.0),
            (1.0, 2, "rate", "nominal", 9.0),
            (1.0, "x", "rate", "nominal", 9.0),
            ("x", 1, "dsp.gain", "purple", 9),
            (),
        ]:
            fake.inform("sensor-status", *arguments)
        await device.req.watchdog()
        assert device.sensor.rate.reading == Reading(1.0, Status.NOMINAL, 3.0)
        assert device.sensor.mode.reading == Reading(1.0, Status.WARN, "slew")
        assert (device.sensor["dsp.gain"].status, device.sensor["dsp.gain"].value) == (Status.UNKNOWN, 9)
        assert device.trouble.counts == {"unknown sensor": 1, "bad reading": 5}


# Looking


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


# In step


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


# What is rarely asked for


async def test_sensors_are_chosen_by_a_name_by_names_or_by_a_pattern():
    async with pair() as (_, device):
        assert [sensor.name for sensor in device.matching("rate")] == ["rate"]
        assert [sensor.name for sensor in device.matching(["mode", "rate", "gone"])] == ["mode", "rate"]
        assert {sensor.name for sensor in device.matching(re.compile("^dsp"))} == {"dsp.gain", "dsp.level"}


async def test_a_device_that_says_ok_and_sends_no_reading_is_told_of():
    async with pair() as (fake, device):
        fake.on("sensor-value", reply=("ok", 0))
        with pytest.raises(ProtocolError, match=r"\?sensor-value rate brought no reading of it"):
            await device.read("rate")
        with pytest.raises(ProtocolError, match=r"\?sensor-value rate brought no reading of it"):
            await device.sensor.rate.read()


async def test_what_is_no_reading_among_readings_is_left_out():
    async with pair() as (fake, device):
        short, other = ("5.0", "1", "rate"), ("5.0", "2", "rate", "nominal", "1")
        fake.on("sensor-value", informs=[short, other, ("5.0", "1", "rate", "nominal", "2.5")])
        assert await device.read() == {"rate": Reading(5.0, Status.NOMINAL, 2.5)}


async def test_a_device_that_answers_with_all_sensors_whose_names_begin_so():
    async with pair() as (fake, device):
        rows = [("5.0", "1", "rate.max", "nominal", "9.0"), ("5.0", "1", "rate", "nominal", "2.5")]
        fake.on("sensor-value", informs=rows)
        assert (await device.sensor.rate.read()).value == 2.5


async def test_a_sensor_says_what_it_is():
    async with pair() as (fake, device):
        rate = device.sensor.rate
        await rate.read()
        assert repr(rate) == "<RemoteSensor rate float 1.5 nominal>"
        del fake.sensors["rate"]
        await step(fake)
        assert repr(rate).endswith(" removed>")


async def test_an_observer_is_told_once_and_not_after_it_was_detached():
    told = []

    def first(sensor, _reading):
        told.append("first")
        sensor.detach(second)

    def second(_sensor, _reading):
        told.append("second")

    async with pair() as (_, device):
        rate = device.sensor.rate
        for observer in (first, second, first):
            rate.attach(observer)
        await rate.read()
        assert told == ["first"]


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
