"""A DeviceClient against scripted devices: what it finds there, and what it reads."""

import inspect
import re

import pytest
from tests.client.scripted import DIALECTS, asked, pair, step

from katcp_aio.errors import FailReply, ProtocolError
from katcp_aio.model.reading import Reading, Status
from katcp_aio.testing import FakeSensor

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")


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
