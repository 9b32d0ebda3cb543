"""Sensors of devices in the text that Prometheus takes."""

import contextlib
import math

import pytest

from katcp_aio import DeviceClient, DeviceGroup, Timestamp, metrics_text
from katcp_aio.testing import FakeDevice, FakeSensor

__all__ = []

SENSORS = {
    "rate": FakeSensor("float", 2.5, timestamp=12.5),
    "count": FakeSensor("integer", 7),
    "on": FakeSensor("boolean", True),
    "since": FakeSensor("timestamp", Timestamp(1.5e9)),
    "mode": FakeSensor("discrete", "idle", ("idle", "slew")),
    "note": FakeSensor("string", "hello"),
}


@contextlib.asynccontextmanager
async def sampled(table=SENSORS, protocol="5.1-MITB"):
    async with (
        FakeDevice(protocol, sensors=table) as fake,
        DeviceClient("fake", connector=fake.connector, reconnect=None) as device,
    ):
        await device.sample("/./", "event")
        yield fake, device


def lines_of(text, family):
    return [line.removeprefix(family) for line in text.splitlines() if line.startswith(family + "{")]


@pytest.mark.parametrize("protocol", ["5.1-MITB", "4.0"])
async def test_numbers_states_statuses_and_times(protocol):
    async with sampled(protocol=protocol) as (_, device):
        text = metrics_text({"pump": device})
    assert lines_of(text, "katcp_device_up") == ['{device="pump"} 1.0']
    assert lines_of(text, "katcp_sensor_value") == [
        '{device="pump",sensor="count"} 7.0',
        '{device="pump",sensor="on"} 1.0',
        '{device="pump",sensor="rate"} 2.5',
        '{device="pump",sensor="since"} 1500000000.0',
    ]
    assert lines_of(text, "katcp_sensor_state") == [
        '{device="pump",sensor="mode",state="idle"} 1.0',
        '{device="pump",sensor="mode",state="slew"} 0.0',
    ]
    assert '{device="pump",sensor="note",status="nominal"} 1.0' in lines_of(text, "katcp_sensor_status")
    assert '{device="pump",sensor="rate"} 12.5' in lines_of(text, "katcp_sensor_timestamp_seconds")
    heads = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert heads == [
        f"# TYPE katcp_{name} gauge"
        for name in ("device_up", "sensor_value", "sensor_state", "sensor_status", "sensor_timestamp_seconds")
    ]


async def test_an_integer_beyond_all_floats_is_infinite_and_costs_the_others_nothing():
    table = {
        "count": FakeSensor("integer", 7),
        "far": FakeSensor("integer", 10**400),
        "low": FakeSensor("integer", -(10**400)),
    }
    async with sampled(table) as (_, device):
        text = metrics_text({"pump": device})
    assert lines_of(text, "katcp_sensor_value") == [
        '{device="pump",sensor="count"} 7.0',
        '{device="pump",sensor="far"} Inf',
        '{device="pump",sensor="low"} -Inf',
    ]


async def test_what_may_not_be_used_has_a_status_and_no_value():
    async with sampled() as (fake, device):
        fake.set("rate", 9.0, "failure")
        fake.set("mode", "odd", "warn")
        await device.req.watchdog()
        text = metrics_text({"pump": device})
        assert not [line for line in lines_of(text, "katcp_sensor_value") if "rate" in line]
        assert '{device="pump",sensor="rate",status="failure"} 1.0' in lines_of(text, "katcp_sensor_status")
        assert '{device="pump",sensor="mode",state="odd"} 1.0' in lines_of(text, "katcp_sensor_state")
        fake.end()
        await device.wait_disconnected()
        text = metrics_text({"pump": device})
    assert lines_of(text, "katcp_device_up") == ['{device="pump"} 0.0']
    assert lines_of(text, "katcp_sensor_value") == lines_of(text, "katcp_sensor_state") == []
    assert '{device="pump",sensor="count",status="unreachable"} 1.0' in lines_of(text, "katcp_sensor_status")


async def test_a_sensor_that_nobody_has_read_has_a_status_alone():
    async with FakeDevice(sensors=SENSORS) as fake, DeviceClient("fake", connector=fake.connector) as device:
        text = metrics_text({"pump": device}, match="rate")
    assert "katcp_sensor_value" not in text
    assert "katcp_sensor_timestamp_seconds" not in text
    assert lines_of(text, "katcp_sensor_status") == ['{device="pump",sensor="rate",status="unknown"} 1.0']


async def test_a_group_is_filtered_and_labelled():
    async with sampled() as (_, one), sampled() as (_, other):
        text = metrics_text(
            DeviceGroup({"m000": one, "m001": other}),
            match=lambda sensor: sensor.type_name == "float",
            labels=lambda device, sensor: {"antenna": device.upper(), "units": sensor.units},
        )
        assert lines_of(text, "katcp_sensor_value") == [
            '{device="m000",sensor="rate",antenna="M000",units=""} 2.5',
            '{device="m001",sensor="rate",antenna="M001",units=""} 2.5',
        ]
        for label in ("0x", "a-b", "", "device", "sensor", "state", "status"):
            with pytest.raises(ValueError, match="is no name for a further label"):
                metrics_text({"m000": one}, labels=lambda *_, label=label: {label: "x"})
        with pytest.raises(ValueError, match="no regular expression"):
            metrics_text({"m000": one}, match="(")


async def test_what_a_device_says_forges_no_line():
    nasty = 'a"} 1\nforged{x="\\\x1b[2J\u2028'
    table = {
        "mode": FakeSensor("discrete", nasty, (nasty,)),
        "deep": FakeSensor("float", -math.inf),
        "none": FakeSensor("float", math.nan),
    }
    async with sampled(table) as (_, device):
        text = metrics_text({nasty: device})
    assert text.isascii()
    assert all(line.startswith(("# ", "katcp_")) for line in text.splitlines())
    assert all(line.isprintable() for line in text.splitlines())
    assert [line.split()[-1] for line in lines_of(text, "katcp_sensor_value")] == ["-Inf", "NaN"]


def test_nothing_is_nothing():
    assert metrics_text({}) == ""
