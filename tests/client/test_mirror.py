"""A device's sensors in another set: what is there, what it reads, and what happens when the device goes."""

import asyncio
import contextlib

import pytest
from tests.client.scripted import settle

from katcp_aio.client.device import DeviceClient
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.errors import UsageError
from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.testing import FakeDevice, FakeSensor

pytestmark = pytest.mark.usefixtures("time_flies")


def table():
    return {
        "rate": FakeSensor("float", 1.5, ("0", "10", "-5", "20"), "Pump rate", "Hz", timestamp=5.0),
        "rate.max": FakeSensor("float", 9.0),
        "mode": FakeSensor("discrete", "idle", ("idle", "slew")),
    }


@contextlib.asynccontextmanager
async def mirrored(sensors=None, **options):
    """Yield a scripted device, a client of it, the set, and the mirror in it."""
    here = SensorSet()
    async with FakeDevice(sensors=table() if sensors is None else sensors) as fake:
        client = DeviceClient("fake", connector=fake.connector)
        with SensorMirror(client, here, **options) as mirror:
            async with client:
                await settle()
                yield fake, client, here, mirror


async def test_shows_what_the_device_has_and_follows_it():
    async with mirrored(prefix="m000.") as (fake, _, here, mirror):
        assert set(here) == {"m000.rate", "m000.rate.max", "m000.mode"}
        assert len(mirror) == 3
        rate = here["m000.rate"]
        assert (rate.type_name, rate.description, rate.units) == ("float", "Pump rate", "Hz")
        assert (rate.nominal, rate.warn) == ((0.0, 10.0), (-5.0, 20.0))
        assert rate.reading == Reading(5.0, Status.NOMINAL, 1.5)
        assert here["m000.mode"].params == (b"idle", b"slew")
        fake.set("rate", 2.5, "warn", 6.0)
        await settle()
        assert rate.reading == Reading(6.0, Status.WARN, 2.5)


async def test_filter_and_names():
    async with mirrored(match="/rate/", prefix="p.") as (_, _, here, _):
        assert set(here) == {"p.rate", "p.rate.max"}
    async with mirrored(match=lambda sensor: sensor.type_name == "discrete") as (_, _, here, _):
        assert set(here) == {"mode"}
    names = {"rate": ["a", "b"], "mode": "c"}
    async with mirrored(rename=names.get) as (fake, _, here, _):
        assert set(here) == {"a", "b", "c"}
        fake.set("rate", 4.0)
        await settle()
        assert (here["a"].value, here["b"].value) == (4.0, 4.0)


async def test_readings_can_be_rewritten_and_skipped():
    def rewrite(sensor, reading):
        return None if sensor.name == "mode" else reading._replace(value=-reading.value, status=Status.INACTIVE)

    async with mirrored(rewrite=rewrite) as (_, _, here, _):
        assert here["rate"].reading == Reading(5.0, Status.INACTIVE, -1.5)
        assert here["mode"].status is Status.UNKNOWN


async def test_a_device_that_is_away_is_unreachable_here_with_its_last_values():
    async with mirrored() as (fake, client, here, _):
        rate = here["rate"]
        fake.end()
        await client.wait_disconnected()
        assert (rate.status, rate.value) == (Status.UNREACHABLE, 1.5)
        fake.set("rate", 3.0)
        await client.wait_synced(60)
        assert here["rate"] is rate
        assert (rate.status, rate.value) == (Status.NOMINAL, 3.0)
    assert len(here) == 0


async def test_or_its_sensors_are_removed_until_it_is_back():
    async with mirrored(on_loss="remove") as (fake, client, here, _):
        fake.end()
        await client.wait_disconnected()
        assert len(here) == 0
        await client.wait_synced(60)
        await settle()
        assert here["rate"].value == 1.5


async def test_sensors_come_go_and_change_with_the_device():
    async with mirrored() as (fake, _, here, _):
        told = []
        here.on_change(lambda name, old, new: told.append((name, old is None, new is None)))
        fake.sensors["new"] = FakeSensor("integer", 7)
        fake.sensors["mode"] = FakeSensor("discrete", "on", ("on", "off"))
        del fake.sensors["rate"]
        fake.inform("interface-changed")
        await asyncio.sleep(1)
        await settle()
        assert set(here) == {"rate.max", "mode", "new"}
        assert here["new"].value == 7
        assert here["mode"].value == "on"
        assert sorted(told[:2]) == [("mode", False, True), ("rate", False, True)]
        assert told[2:] == [("mode", True, False), ("new", True, False)]


async def test_what_a_copy_cannot_show_makes_it_unknown_and_harms_no_other():
    sensors = {
        "number": FakeSensor("float", 2.0),
        "choice": FakeSensor("discrete", "on", ("on", "off")),
        "new": FakeSensor("quaternion", "1,2"),
        "part": FakeSensor("lru", "error"),
        "broken": FakeSensor("integer", 3, ("9", "1")),
    }
    async with mirrored(sensors) as (fake, _, here, _):
        fake.set("number", "no number")
        fake.set("choice", "sideways")
        await settle()
        assert (here["number"].status, here["number"].value) == (Status.UNKNOWN, 2.0)
        assert (here["choice"].status, here["choice"].value) == (Status.UNKNOWN, "on")
        assert here["new"].value == b"1,2"
        assert here["part"].type_name == "lru"
        assert here["broken"].nominal is None


async def test_a_name_that_is_taken_stays_with_who_has_it(caplog):
    here = SensorSet([Sensor(int, "rate", default=42)])
    async with FakeDevice(sensors=table()) as fake, DeviceClient("fake", connector=fake.connector) as client:
        with SensorMirror(client, here):
            assert here["rate"].value == 42
            assert "mode" in here
        assert set(here) == {"rate"}
    assert "sensor rate is not mirrored: there is a sensor rate" in caplog.text


async def test_a_strategy_of_the_programs_own_is_left_alone():
    async with FakeDevice(sensors=table()) as fake, DeviceClient("fake", connector=fake.connector) as client:
        await client.sensor.rate.sample("period", 5)
        with SensorMirror(client, SensorSet(), strategy=("event-rate", 1, 10)):
            await settle()
            assert fake.sampling("rate") == [(b"period", b"5")]
            assert fake.sampling("mode") == [(b"event-rate", b"1", b"10")]
        await settle()
        assert fake.sampling("rate") == [(b"period", b"5")]
        assert fake.sampling("mode") == []


def test_a_mirror_that_cannot_be_is_an_error():
    with pytest.raises(UsageError, match="on_loss"):
        SensorMirror(DeviceClient("x", 1), SensorSet(), on_loss="panic")
    with pytest.raises(ValueError, match="no regular expression"):
        SensorMirror(DeviceClient("x", 1), SensorSet(), match="(")


async def test_a_fault_of_the_program_costs_one_sensor_and_no_other(caplog):
    def rename(name):
        return {"rate": "a", "mode": "b"}[name]

    async with mirrored(rename=rename) as (_, _, here, _):
        assert set(here) == {"a", "b"}
    assert "sensor rate.max is not mirrored" in caplog.text

    def rewrite(sensor, reading):
        return reading._replace(value=reading.value / 2)

    async with mirrored(rewrite=rewrite) as (_, _, here, _):
        assert here["rate"].value == 0.75
        assert here["mode"].status is Status.UNKNOWN
    assert "rewriting sensor mode failed" in caplog.text


async def test_ranges_that_are_no_numbers_are_no_ranges():
    async with mirrored({"broken": FakeSensor("integer", 3, ("low", "high"))}) as (_, _, here, _):
        assert (here["broken"].nominal, here["broken"].value) == (None, 3)
